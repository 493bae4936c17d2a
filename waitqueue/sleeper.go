package waitqueue

import (
	"context"
	"sync"
)

// A wait sleeps in one of two ways. A task, of the caller's or a pooled one for
// a plain wait that nothing ends, sleeps at its own place, and its word says
// that it does. If a context can end a plain wait, its goroutine sleeps in a
// select, and needs no task: who is on the queue sleeps, or is about to.

// kick is the place to sleep of one wait that a context can end, or of a
// [WaitAny]. It is buffered, 1: a wake-up not yet acted on. It is made for each
// wait, on the waiter's goroutine, so that it belongs to the waiter's bubble.
type kick chan struct{}

// A sleeper is whom a wake-up has yet to set going.
type sleeper struct {
	task *Task
	kick kick // if task is nil
}

// unpark ends a sleep. Nothing but the sleeper's place to sleep is touched: the
// entry may be in another wait by now.
func (s sleeper) unpark() {
	if s.task != nil {
		s.task.unpark()
	} else {
		s.kick.unpark()
	}
}

func (k kick) unpark() {
	at("unpark")
	select {
	case k <- struct{}{}:
	default: // another queue's wake-up is there
	}
}

// Both are empty of channels and timers while nobody uses them, so they may go
// from bubble to bubble.
var (
	tasks   = sync.Pool{New: func() any { return &Task{pooled: true} }}
	entries = sync.Pool{New: func() any { return new(Entry) }}
)

// entry returns the entry for one wait, and what may end its sleep besides a
// wake-up. The wait is that of a task of the caller's if there is no ctx.
func entry(t *Task, ctx context.Context, exclusive bool) (*Entry, <-chan struct{}) {
	if t != nil {
		return t.entry(Interruptible, exclusive), nil
	}
	done := ctx.Done()
	if done == nil {
		return tasks.Get().(*Task).entry(Uninterruptible, exclusive), nil
	}
	e := entries.Get().(*Entry)
	e.kick, e.state, e.exclusive, e.off = make(kick, 1), Interruptible, exclusive, false
	return e, done
}

// entry returns the entry for a wait of t.
func (t *Task) entry(s State, exclusive bool) *Entry {
	e := &t.own
	if t.waiting { // a condition that waits itself, though it should not
		e = &Entry{kind: prepared}
	}
	e.Task, e.state, e.exclusive, e.off = t, s, exclusive, false
	t.waiting = true
	if t.parked.L == nil {
		t.parked.L = (*bed)(t)
	}
	return e
}

// ended returns the error of a wait that has to end now, or nil. The wait is
// one of a task of the caller's if there is no ctx.
func ended(t *Task, ctx context.Context) error {
	if ctx != nil {
		return ContextErr(ctx)
	}
	if t.Interrupted() {
		return errInterrupted
	}
	return nil
}

// prepare puts e on the queue if a wake-up took it off, and announces the
// sleep. The state is set last: a waker that sees it will find the entry.
func (q *Queue) prepare(e *Entry) {
	q.mu.Lock()
	if e.queue == nil {
		q.link(e)
	}
	q.mu.Unlock()
	e.off = false
	if e.Task != nil {
		e.Task.announce(e.state)
	}
}

// sleep is the sleep of an entry without a task. It reports whether a wake-up
// ended it, which took the entry off its queue.
func (e *Entry) sleep(end <-chan struct{}) (woken bool) {
	select {
	case <-e.kick:
		e.off = true
	case <-end:
		select { // of two that have come, always the wake-up
		case <-e.kick:
			e.off = true
		default:
		}
	}
	at("awake")
	return e.off
}

// leave takes e off the queue, after a prepare, and reports whether a wake-up
// has done that before. The task runs after that.
func (q *Queue) leave(e *Entry) (picked bool) {
	if e.off {
		return true
	}
	if t := e.Task; t != nil {
		t.settle()
		t.SetState(Running)
		if e.kind == waiting && t.word.Load()&taken != 0 {
			return true
		}
	}
	e.off = true
	return !q.remove(e)
}

// finish ends a wait, however it went, and gives up its entry.
func (q *Queue) finish(e *Entry) {
	if !e.off {
		q.leave(e)
	}
	t := e.Task
	if t == nil {
		e.kick = nil
		entries.Put(e)
		return
	}
	if e != &t.own {
		return
	}
	t.waiting = false
	// If a signal may still be on its way, nobody may have the task again: it
	// could be in another bubble then, and must not be woken from here.
	if t.pooled && !t.stray {
		tasks.Put(t)
	}
}
