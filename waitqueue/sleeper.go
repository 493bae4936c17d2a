package waitqueue

import (
	"context"
	"sync"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/watch"
)

// A wait sleeps in one of two ways:
//
//   - At the place of a task. The task is the caller's, or the context carries it, or it
//     is a pooled one for a plain wait that nothing ends. Its word says that it sleeps.
//   - In a select, if a context can end a plain wait. Then the entry has no Task and needs
//     no state: if it is on the queue, the goroutine sleeps or is about to sleep.

// kick is the place to sleep of one wait that a context can end, or of a
// [WaitAny]. It is buffered, 1: a wake-up not yet acted on. A Cond closes it. It is made for
// each wait, on the waiter's goroutine, so that it belongs to the waiter's bubble.
type kick chan struct{}

// A sleeper was claimed by a wake-up and must still be unparked.
type sleeper struct {
	task *Task
	kick kick // if task is nil
}

// unpark ends a sleep. It touches nothing except the sleeper's place to sleep:
// the entry may be in another wait by now.
func (s sleeper) unpark() {
	if s.task != nil {
		s.task.unpark()
	} else {
		s.kick.unpark()
	}
}

func (k kick) unpark() {
	point.At("unpark", k)
	select {
	case k <- struct{}{}:
	default: // another queue's wake-up is there
	}
}

// A task or an entry in the pool refers to no channel, timer or queue. So it may go from
// bubble to bubble, and keeps nothing alive.
var (
	tasks   = sync.Pool{New: func() any { return &Task{pooled: true} }}
	entries = sync.Pool{New: func() any { return new(Entry) }}
)

// beginWait returns the entry for one wait, and the channel that may end its sleep
// besides a wake-up. If ctx is nil, the wait is one of t.
func beginWait(t *Task, ctx context.Context, exclusive bool) (*Entry, <-chan struct{}) {
	s := Interruptible
	if t == nil {
		if c, ok := ctx.(*taskContext); ok && c.borrow() {
			t, s = &c.task, c.state
		} else if done := ctx.Done(); done != nil {
			e := entries.Get().(*Entry)
			e.kick, e.state, e.exclusive, e.off = make(kick, 1), s, exclusive, true
			return e, done
		} else {
			t, s = tasks.Get().(*Task), Uninterruptible
		}
	}
	return t.ownEntry(s, exclusive), nil
}

// ownEntry returns the entry for a wait of t.
func (t *Task) ownEntry(s State, exclusive bool) *Entry {
	e := &t.own
	if t.waiting { // a condition that waits itself, though it should not
		e = &Entry{kind: prepared}
	}
	e.Task, e.state, e.exclusive, e.off = t, s, exclusive, true
	t.waiting = true
	if t.parked.L == nil {
		t.parked.L = (*bed)(t)
	}
	return e
}

// ended returns the error of a wait that has to end now, or nil. If ctx is nil,
// the wait is one of the task of e.
func (e *Entry) ended(ctx context.Context) error {
	t := e.Task
	interrupted := t != nil && e.state == Interruptible && t.Interrupted()
	switch {
	case interrupted && ctx == nil:
		return errInterrupted
	case interrupted:
		return t.carrier.interruption()
	case ctx == nil:
		return nil
	}
	return ContextErr(ctx)
}

// enter puts e on the queue if a wake-up took it off, and announces the sleep.
//
// The state is set last, so a goroutine that sees it finds the entry: with the
// other order it could see the task asleep, call WakeUp, and wake nobody.
func (q *Queue) enter(e *Entry) {
	if watch.On() != nil {
		q.tellOfAnnouncement(e)
	}
	q.mu.Lock()
	if e.queue == nil {
		q.link(e)
	}
	q.mu.Unlock()
	e.off = false
	if t := e.Task; t != nil {
		q.showWaitsOn(t)
		t.announce(e.state)
	}
}

// showWaitsOn has Wchan name q during a wait of t.
func (q *Queue) showWaitsOn(t *Task) {
	if q.Name != "" && !t.pooled {
		t.waitsOn.Store(q)
	}
}

// hideWaitsOn undoes that, or the task would keep q alive.
func (q *Queue) hideWaitsOn(t *Task) {
	if q.Name != "" && !t.pooled {
		t.waitsOn.Store(nil)
	}
}

// came reports whether a wake-up has come, besides the end of the context. If both have
// come, select picks one at random. The wake-up wins always, so that each order of the models
// has one course. A waiter would lose nothing without it, because leave finds the wake-up too.
func (k kick) came() bool {
	select {
	case <-k:
		return true
	default:
		return false
	}
}

// leave takes e off the queue, after an enter, and reports whether a wake-up
// has done that before. The task runs after that.
func (q *Queue) leave(e *Entry) (picked bool) {
	if e.off {
		return true
	}
	e.off = true
	if t := e.Task; t != nil {
		t.run()
		// Optimization: the waker has told that e is off, which spares q.mu.
		if e.kind == waiting && t.word.Load()&taken != 0 {
			return true
		}
	}
	return !q.takeOff(e)
}

// endWait ends a wait, however it went, and gives up its entry.
//
// A wait that returns has set e.off. Without that it ends by a panic or by
// [runtime.Goexit], and the wake-up that may have picked it is for the next
// waiter.
func (q *Queue) endWait(e *Entry) {
	if !e.off && q.leave(e) && e.exclusive {
		q.WakeUp()
	}
	if watch.On() != nil {
		e.tellOfEnd()
	}
	t := e.Task
	if t == nil {
		e.kick = nil
		entries.Put(e)
		return
	}
	q.hideWaitsOn(t)
	if e != &t.own {
		return
	}
	t.waiting = false
	if c := t.carrier; c != nil {
		c.giveBack() // Last: another wait may have the task from here on.
		return
	}
	// Another goroutine must not get a task whose signal may still be on its
	// way: it could be in another bubble, which this one must not wake.
	if t.pooled && !t.stray {
		tasks.Put(t)
	}
}
