package waitqueue

import (
	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/watch"
)

// Lock locks the queue itself, for waits and wake-ups whose condition its lock
// guards: [Task.WaitHeld], [Task.WaitExclusiveHeld] and [Queue.WakeHeld]. While the
// lock is held, its holder may call no other method of the queue except Unlock. For
// example, Wait would wait for the lock for ever. All other goroutines that use the queue
// wait until Unlock, so hold the lock for a few steps only.
//
// Kernel: wait_queue_head_t.lock
func (q *Queue) Lock() { q.mu.Lock() }

// Unlock undoes Lock.
func (q *Queue) Unlock() { q.mu.Unlock() }

// WakeHeld is [Queue.WakeMask] by a caller that holds the lock of q, and holds it on
// return. It panics if the lock is free.
//
// Kernel: __wake_up_locked, wake_up_locked, wake_up_all_locked
//
// Differs: returns the number of all woken, where the kernel returns nothing.
func (q *Queue) WakeHeld(mask State, n int) int {
	q.mustBeHeld("WakeHeld")
	return q.wakeHeld(mask, n)
}

func (q *Queue) wakeHeld(mask State, n int) int {
	if n < 1 {
		n = all
	}
	q.check()
	woken, sleepers := q.walk(mask, n, nil, nil)
	for _, s := range sleepers {
		s.unpark()
	}
	return woken
}

// mustBeHeld panics if the lock of the queue is free. It cannot tell which goroutine holds
// the lock.
func (q *Queue) mustBeHeld(method string) {
	if q.mu.TryLock() {
		q.mu.Unlock()
		panic("waitqueue: " + method + " without the lock of the queue")
	}
}

// WaitHeld is [Task.Wait] by a caller that holds the lock of q. The lock is held
// whenever cond runs, free while the task sleeps, and held again on every return and
// in a panic of cond. WaitHeld panics if the lock is free.
//
// If the task is interrupted and cond is false, the error matches [syscall.EINTR].
//
// The waiter is put at the end of the queue, behind exclusive waiters. If an exclusive
// waiter uses up a wake-up, that wake-up does not reach it.
//
// Kernel: wait_event_interruptible_locked
func (t *Task) WaitHeld(q *Queue, cond func() bool) error {
	q.mustBeHeld("WaitHeld")
	return q.waitHeld(t, false, cond)
}

// WaitExclusiveHeld is [Task.WaitExclusive] in the same way as [Task.WaitHeld].
//
// Kernel: wait_event_interruptible_exclusive_locked
func (t *Task) WaitExclusiveHeld(q *Queue, cond func() bool) error {
	q.mustBeHeld("WaitExclusiveHeld")
	return q.waitHeld(t, true, cond)
}

func (q *Queue) waitHeld(t *Task, exclusive bool, cond func() bool) error {
	if cond() {
		return nil
	}
	e := t.ownEntry(Interruptible, exclusive)
	returned := false
	defer func() { q.finishHeld(e, returned) }()
	for !t.Interrupted() {
		if e.queue == nil {
			q.linkLast(e)
		}
		q.showWaitsOn(t)
		if watch.On() != nil {
			q.tellOfAnnouncement(e)
		}
		// Announce before the lock is free. With the other order a waker could come
		// between the two. It would find the task awake and pass it over.
		t.announce(Interruptible)
		// Nothing can change before the lock is free, so there is no test here.
		q.mu.Unlock()
		point.At("released", e)
		t.parked.Wait() // as in Schedule
		point.At("awake", t)
		q.mu.Lock()
		t.SetState(Running)
		if cond() {
			returned = true
			return nil
		}
	}
	returned = true
	return errInterrupted
}

// linkLast puts e behind all others. The caller holds q.mu.
func (q *Queue) linkLast(e *Entry) {
	if q.head == nil {
		q.link(e)
		return
	}
	q.check()
	q.checkTail()
	q.linkBehind(q.tail, e)
}

// finishHeld takes e off the queue. If cond has panicked, the wake-up that had
// picked e is for the next waiter. The caller holds q.mu.
func (q *Queue) finishHeld(e *Entry, returned bool) {
	if e.queue == q {
		q.unlink(e)
	} else if !returned && e.exclusive {
		q.wakeHeld(Normal, 1)
	}
	if watch.On() != nil {
		e.tellOfEnd()
	}
	q.hideWaitsOn(e.Task)
	if e == &e.Task.own {
		e.Task.waiting = false
	}
}
