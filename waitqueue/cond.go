package waitqueue

import (
	"context"
	"sync"
)

// A Cond is a [sync.Cond] whose Wait can be ended by a context. Each Cond has
// an L, which is held when a condition is changed and when Wait is called. Set
// L, or use [NewCond]. A Cond must not be copied after first use.
//
// Signal and Broadcast are those of sync.Cond, and need not hold L. A waiter
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
// reached, and otherwise the error of [ContextErr], without having released L if
// ctx had ended before. As with sync.Cond, the condition may be false again by
// then, so Wait belongs in a loop; [Cond.WaitFor] is that loop.
func (c *Cond) Wait(ctx context.Context) error {
	if err := ContextErr(ctx); err != nil {
		return err
	}
	e, end := entry(nil, ctx, true)
	if e.Task != nil {
		e.Task.announce(e.state) // before it is queued: who is found there sleeps
	}
	// On the queue before L is free: a Signal that comes after that finds it.
	c.queue.add(e)
	c.L.Unlock()
	if t := e.Task; t != nil {
		t.parked.Wait() // as Schedule does
		at("awake")
		e.off = t.word.Load()&taken != 0
	} else {
		e.sleep(end)
	}
	picked := c.queue.leave(e)
	c.queue.finish(e)
	c.L.Lock()
	if picked {
		return nil
	}
	return ContextErr(ctx)
}

// WaitFor blocks until pred returns true or ctx ends. pred runs with L held,
// several times. Waiters are signalled in order of arrival; one that finds pred
// false goes to the end. A true pred beats a ctx that has ended, and one who
// gives up passes on the Signal that it may have got. A pred that panics takes
// it along.
func (c *Cond) WaitFor(ctx context.Context, pred func() bool) error {
	picked := false // at least once, and pred was false then
	for {
		err := ContextErr(ctx)
		if pred() {
			return nil
		}
		if err != nil {
			if picked {
				c.Signal()
			}
			return err
		}
		picked = c.Wait(ctx) == nil || picked
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

// wakeFirst is WakeUp on the queue of a Cond, where every entry is that of a
// Wait, exclusive, and of one who sleeps or is about to.
func (q *Queue) wakeFirst() {
	q.mu.Lock()
	if q.head == nil {
		q.occupied.Store(false)
		q.mu.Unlock()
		return
	}
	s := q.takeFirst()
	q.mu.Unlock()
	s.unpark()
}

// wakeEach is WakeUpAll in the same way.
func (q *Queue) wakeEach() {
	var few [4]sleeper
	sleepers := few[:0]
	q.mu.Lock()
	for q.head != nil {
		sleepers = append(sleepers, q.takeFirst())
	}
	q.occupied.Store(false)
	q.mu.Unlock()
	for _, s := range sleepers {
		s.unpark()
	}
}

// takeFirst takes the first entry off the queue of a Cond, and claims its task.
func (q *Queue) takeFirst() sleeper {
	e := q.head
	s := sleeper{e.Task, e.kick}
	q.unlink(e)
	if s.task != nil {
		s.task.claim(Normal, taken) // cannot fail
	}
	return s
}
