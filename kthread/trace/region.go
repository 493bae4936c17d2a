package trace

import (
	"cmp"
	"context"
	rtrace "runtime/trace"
)

// SetRegions says whether the traces of package runtime/trace show the threads and their
// sleeps. At first they do not. After SetRegions(true), while such a trace runs:
//
//   - a thread, or a task with a name, is a user task with its name: go tool trace lists it
//     under "User-defined tasks";
//   - a sleep is a region, with the name "sleep at" and the name of the queue. A goroutine
//     without a name has regions too.
//
// A task begins with the first sleep in the trace, and ends with the thread. If a second trace
// begins while a thread sleeps, the thread still has the task of the first trace.
//
// A call outside of a bubble of testing/synctest shows nothing of the bubble, and keeps Start
// from beginning a trace there.
func SetRegions(on bool) {
	the.mu.Lock()
	defer the.mu.Unlock()
	the.change(func() { the.regions = on })
}

// A region is the part of a lane that package runtime/trace knows. Only the goroutine of the
// lane uses it.
type region struct {
	ctx   context.Context // of task
	task  *rtrace.Task    // or nil
	sleep *rtrace.Region  // or nil
}

// enterRegion tells package runtime/trace of a sleep.
func (l *lane) enterRegion(queue string) {
	g := &l.region
	if !rtrace.IsEnabled() {
		g.task, g.ctx = nil, nil
		return
	}
	if g.ctx == nil {
		g.ctx = context.Background()
		if l.name != "" {
			g.ctx, g.task = rtrace.NewTask(g.ctx, l.name)
		}
	}
	if g.sleep == nil {
		g.sleep = rtrace.StartRegion(g.ctx, "sleep at "+cmp.Or(queue, "a queue without a name"))
	}
}

func (l *lane) leaveRegion() {
	if s := l.region.sleep; s != nil {
		s.End()
		l.region.sleep = nil
	}
}

// endRegions ends the task of a lane that ends.
func (l *lane) endRegions() {
	if t := l.region.task; t != nil {
		t.End()
	}
}
