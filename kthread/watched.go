package kthread

import (
	"slices"
	"syscall"
	"time"

	"github.com/kprim/kprim/internal/watch"
)

func init() {
	watch.Self, watch.Threads = self, threads.each
}

// watched is the thread as a tracer sees it.
func (t *Thread) watched() watch.Thread {
	return watch.Thread{Task: &t.task, Pid: t.pid, Name: t.label.name, Self: t.self.Load()}
}

// each tells of the threads that have begun, and have the clock of the caller, in the order of
// their pids. None of them is removed from the list meanwhile, so a tracer learns later of the
// end of each one.
func (r *registry) each(tell func(watch.Thread)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bubble := inBubble(time.Now()) // a tracer has one clock
	var begun []*Thread
	for _, weak := range r.all {
		p := weak.Value()
		if p != nil && p.thread != nil && p.thread.begun.Load() && inBubble(p.thread.born) == bubble {
			begun = append(begun, p.thread)
		}
	}
	// A place is used again, so the list has no order.
	slices.SortFunc(begun, func(a, b *Thread) int { return a.pid - b.pid })
	for _, t := range begun {
		tell(t.watched())
	}
}

// tellOfSignal tells of a signal before it ends a sleep. The caller holds t.mu.
func (t *Thread) tellOfSignal(sig syscall.Signal, bit uint64) {
	on := watch.On()
	if on == nil {
		return
	}
	result := watch.Delivered
	switch {
	case t.allowed&bit == 0:
		result = watch.Ignored
	case t.pending&bit != 0 && sig < realTime:
		result = watch.Pending
	}
	on.Signal(&t.task, int(sig), result)
}
