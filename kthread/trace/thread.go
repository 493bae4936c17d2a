package trace

import (
	"reflect"
	"runtime"

	"github.com/kprim/kprim/internal/watch"
	"github.com/kprim/kprim/waitqueue"
)

// born makes the lane of a thread that a waker is about to start. Its task sleeps, as in the
// kernel.
func (r *tracer) born(t watch.Thread) {
	if !r.enter() {
		return
	}
	defer r.leave()
	if r.lanes.byTask[t.Task] != nil {
		return
	}
	r.sleeps[t.Task] = &sleep{
		lane:  r.lanes.ofThread(t),
		state: waitqueue.Uninterruptible, announced: true, began: r.now(),
	}
}

func (r *tracer) begin(t watch.Thread) {
	if !r.enter() {
		return
	}
	defer r.leave()
	l := r.lanes.ofThread(t)
	s := r.sleeps[t.Task]
	if s == nil {
		s = &sleep{lane: l}
		r.sleeps[t.Task] = s
	}
	s.waits, s.announced, s.woken = false, false, false
	r.runs(l)
}

func (r *tracer) exit(task any) {
	if !r.enter() {
		return
	}
	l := r.lanes.byTask[task]
	if l != nil {
		r.end(l)
		r.lanes.remove(task, l)
	}
	delete(r.sleeps, task)
	r.leave()
	if l != nil {
		l.endRegions()
	}
}

// forget drops the lane of a task. The goroutine that had it has none then.
func (r *tracer) forget(task any) {
	if !r.enter() {
		return
	}
	defer r.leave()
	l := r.lanes.byTask[task]
	if l == nil || r.sleeps[task] != nil {
		return // a wait still has the task
	}
	r.end(l)
	r.lanes.remove(task, l)
}

func (r *tracer) signal(task any, number int, result watch.Result) {
	if !r.enter() {
		return
	}
	defer r.leave()
	if l := r.lanes.byTask[task]; l != nil {
		r.tell(event{kind: signal, actor: r.actor(), subject: l, n: int64(number), state: byte(result)})
	}
}

func (r *tracer) workBegins(task any, number uint64, function func()) {
	r.work(workBegins, task, number, function)
}

func (r *tracer) workEnds(task any, number uint64, function func()) {
	r.work(workEnds, task, number, function)
}

func (r *tracer) work(k kind, task any, number uint64, function func()) {
	if !r.enter() {
		return
	}
	defer r.leave()
	if l := r.lanes.byTask[task]; l != nil {
		r.runs(l)
		r.tell(event{kind: k, actor: l, text: funcName(function), n: int64(number)})
	}
}

func funcName(f func()) string {
	if fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer()); fn != nil {
		return fn.Name()
	}
	return "func"
}
