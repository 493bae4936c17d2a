package waitqueue

import (
	"context"
	"sync"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/watch"
)

// A Cond is a [sync.Cond] whose Wait can be ended by a context. Each Cond has
// an L, which is held when a condition is changed and when Wait is called. Set
// L, or use [NewCond]. A Cond must not be copied after first use. If a copy and
// its original share a waiter, the next call that meets it on the wrong one
// panics.
//
// Signal and Broadcast are as in sync.Cond, and need not hold L. A waiter
// whose context ends never takes a Signal with it: if it was picked, Wait
// returns nil.
type Cond struct {
	L sync.Locker // held while the condition is observed or changed

	queue Queue
}

// NewCond returns a Cond with the given L.
func NewCond(l sync.Locker) *Cond { return &Cond{L: l} }

// Wait releases L, sleeps until a Signal or Broadcast reaches it or ctx ends,
// and acquires L again: L is held on every return. It returns nil if it was
// reached, and otherwise the error of [ContextErr]. If ctx has ended before the
// call, it does not release L. As with sync.Cond, the condition may be false
// again when Wait returns, so Wait belongs in a loop; [Cond.WaitFor] is that loop.
//
// If L is nil, or a method of L panics, Wait panics. It leaves no waiter behind,
// and passes on a Signal that has reached it.
func (c *Cond) Wait(ctx context.Context) error {
	if err := ContextErr(ctx); err != nil {
		return err
	}
	e, end := beginWait(nil, ctx, true)
	if watch.On() != nil {
		c.queue.tellOfAnnouncement(e)
	}
	if e.Task != nil {
		// Announced before it is queued: a Signal takes the entry off the queue and
		// claims the task, which it can only claim if the task is asleep or about
		// to sleep. With the other order that Signal is lost.
		e.Task.announce(e.state)
	}
	// On the queue before L is free: a Signal that comes after that finds it.
	c.queue.queueUp(e)
	point.At("queued", e)
	e.off = false
	mu, _ := c.L.(*sync.Mutex)
	if mu != nil { // Optimization: it cannot panic, so it needs no defer.
		mu.Unlock()
	} else {
		attempt(func() { c.L.Unlock() }, func() { c.queue.endWait(e) })
	}
	t := e.Task
	if t != nil {
		t.parked.Wait() // as in Schedule
		// A signal that finds the task asleep is a stray one, of an earlier wait with
		// the same task. A return now would be one without a Signal.
		for sleeps(t.word.Load()) {
			t.parked.Wait()
		}
		point.At("awake", t)
		e.off = t.word.Load()&taken != 0
	} else {
		watch.Asleep(e.kick)
		select {
		case <-e.kick:
			e.off = true
		case <-end:
			e.off = e.kick.came()
		}
		point.At("awake", e.kick)
	}
	// Off the queue before it waits for L: a Signal that comes meanwhile is for
	// the next waiter.
	picked := e.off || c.queue.leave(e)
	var err error
	if !picked {
		err = e.ended(ctx)
		if err == nil && t == nil {
			err = errNoErr
		}
	}
	c.queue.endWait(e)
	if mu != nil {
		mu.Lock()
	} else {
		attempt(func() { c.L.Lock() }, func() {
			if picked {
				c.Signal()
			}
		})
	}
	return failed(err)
}

// attempt calls try. If that does not return, because it panics or calls
// [runtime.Goexit], attempt calls undo.
func attempt(try, undo func()) {
	returned := false
	defer func() {
		if !returned {
			undo()
		}
	}()
	try()
	returned = true
}

// WaitFor blocks until pred returns true or ctx ends. The caller holds L, and L is held on
// every return, also with an error. pred runs with L held, several times. No other goroutine
// gets L between a pred that returns true and the return of WaitFor.
//
// Waiters are signalled in order of arrival. A waiter that finds pred false goes to the end.
// A true pred beats a ctx that has ended. A waiter that gives up, or whose pred panics, passes
// on the Signal that it may have got. The Example is a bounded queue with Put, Get and Close.
func (c *Cond) WaitFor(ctx context.Context, pred func() bool) error {
	picked := false // at least once, and pred was false then
	defer func() {
		if picked {
			c.Signal()
		}
	}()
	for err := ContextErr(ctx); ; {
		if pred() {
			picked = false
			return nil
		}
		if err != nil {
			return err
		}
		err = c.Wait(ctx)
		picked = picked || err == nil
	}
}

// Signal wakes the goroutine that has waited longest, if there is any.
func (c *Cond) Signal() {
	if c.queue.occupied.Load() {
		c.queue.wakeFirst()
	}
}

// Broadcast wakes all goroutines that wait.
func (c *Cond) Broadcast() {
	if c.queue.occupied.Load() {
		c.queue.wakeEach()
	}
}

// wakeFirst is WakeUp on the queue of a Cond. Every entry there is exclusive and
// comes from a Wait, and its sleeper is asleep or about to sleep.
func (q *Queue) wakeFirst() {
	q.mu.Lock()
	q.check()
	if q.head == nil {
		q.occupied.Store(false)
		q.mu.Unlock()
		return
	}
	s := q.takeFirst()
	q.mu.Unlock()
	s.unparkOnce()
}

// wakeEach is WakeUpAll in the same way.
func (q *Queue) wakeEach() {
	var few [4]sleeper
	sleepers := few[:0]
	q.mu.Lock()
	q.check()
	for q.head != nil {
		sleepers = append(sleepers, q.takeFirst())
	}
	q.occupied.Store(false)
	q.mu.Unlock()
	for _, s := range sleepers {
		s.unparkOnce()
	}
}

// takeFirst takes the first entry off the queue of a Cond, and claims its task.
func (q *Queue) takeFirst() sleeper {
	e := q.head
	s := sleeper{e.Task, e.kick}
	q.unlink(e)
	if s.task != nil {
		// It fails if the end of a context that carries the task has claimed the task
		// before. The waiter finds out that it was picked when it leaves the queue.
		s.task.claim(Normal, taken)
	} else {
		watch.Wake(s.kick)
	}
	return s
}

// unparkOnce is unpark for a waiter of a Cond.
//
// Optimization: the waiter is picked at most once, and waits at no other queue. So its channel can
// be closed, which takes less time than to send.
func (s sleeper) unparkOnce() {
	if s.task != nil {
		s.task.unpark()
		return
	}
	point.At("unpark", s.kick)
	close(s.kick)
}
