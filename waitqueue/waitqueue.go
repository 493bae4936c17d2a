// Package waitqueue puts goroutines to sleep until a condition holds, and lets
// a context end the sleep.
//
// It is the Linux kernel's wait queue. A waiter names a condition; a waker
// changes the state behind that condition and then calls [Queue.WakeUp]:
//
//	var q waitqueue.Queue
//	var ready atomic.Bool
//
//	err := q.Wait(ctx, ready.Load) // the waiter
//
//	ready.Store(true)              // the waker: first the state,
//	q.WakeUp()                     // then the wake-up
//
// # The rules
//
// The condition runs several times, on the waiter's goroutine, with no lock
// held. So it must not block, and it must read what other goroutines write by
// atomics or under a lock of its own. It is not called again once it has
// returned true: q.WaitExclusive(ctx, tryTake) tests and takes in one step. A
// condition that panics leaves no waiter behind, but a wake-up that was spent
// on an exclusive one is lost.
//
// The context says what may end the sleep. [context.Background] never does
// (the kernel's uninterruptible sleep); a context with a Done channel does
// (interruptible); a deadline makes it one of the timeout forms. A condition
// that is true beats a context that has ended, on entry and on the way out.
//
// A wait that its context ended returns an error that matches [syscall.EINTR],
// ctx.Err() and [context.Cause] of ctx with [errors.Is]; a deadline gives
// [syscall.ETIMEDOUT] and [context.DeadlineExceeded]. Where the kernel says
// ERESTARTSYS, which never leaves it, this package says EINTR.
//
// Wake-ups are not remembered: one that finds no waiter does nothing. That
// loses nothing, because Wait tests the condition after it has queued itself.
//
// # Which tool
//
//   - Use a channel when the thing waited for is a message or happens once.
//   - Use [sync.Cond] when nobody ever has to give up waiting.
//   - Use golang.org/x/sync/semaphore when the thing waited for is a count.
//   - Use a Queue when a wait for a condition must end with a context, when
//     one wake-up must reach all watchers and one worker, or to follow a
//     kernel source.
//
// # Building your own wait loop
//
// [Queue.Wait] is made of steps that are exported too: an [Entry] goes on a
// queue, a [Task] announces that it is about to sleep, tests, and sleeps.
// Any goroutine may have a Task; a thread of package kthread has one already.
//
//	task := new(waitqueue.Task)
//	entry := waitqueue.Entry{Task: task}
//	q.Add(&entry)
//	for {
//		task.SetState(waitqueue.Interruptible)
//		if ready.Load() || task.Interrupted() {
//			break
//		}
//		task.Schedule()
//	}
//	task.SetState(waitqueue.Running)
//	q.Remove(&entry)
//
// The order matters: a wake-up that comes between the test and Schedule finds
// the state announced and undoes it, so Schedule does not sleep. Testing
// before SetState is the lost wake-up.
//
// # Bubbles of testing/synctest
//
// A waiting goroutine is durably blocked, if its context has none or a Done
// channel of the same bubble. A Queue holds no channel and no timer, so a
// package-level one serves any number of bubbles, one after another. As with a channel, a waiter in a bubble must be woken from inside
// that bubble; waking it from outside ends the program.
//
// Kernel: include/linux/wait.h, kernel/sched/wait.c
package waitqueue

import (
	"context"
	"sync"
	"sync/atomic"
)

// A Queue holds the goroutines that wait for one piece of state to change.
// The zero value is an empty queue, ready to use.
// A Queue must not be copied after first use.
//
// Kernel: wait_queue_head_t, DECLARE_WAIT_QUEUE_HEAD, init_waitqueue_head
type Queue struct {
	mu         sync.Mutex
	head, tail *Entry       // ordinary entries, then exclusive ones; guarded by mu
	length     atomic.Int64 // written with mu held, read by anybody

	// Lock order: Queue.mu before Task.mu.
}

// Wait blocks until cond returns true or ctx ends. It returns nil if and only
// if cond returned true, which may be at once. Every wake-up of q makes it
// test cond again.
//
// If ctx has ended and cond is false, Wait returns the error of [ContextErr].
// It does so only after a last test of cond, made when no waker could find the
// waiter any more.
//
// Kernel: wait_event, wait_event_interruptible, wait_event_interruptible_timeout
//
// Differs: which of them is chosen by ctx; no remaining time is returned. A wait with a deadline can always be interrupted, which wait_event_timeout cannot.
func (q *Queue) Wait(ctx context.Context, cond func() bool) error {
	return q.waitContext(ctx, false, cond)
}

// WaitExclusive is Wait for those who consume what they wait for: a
// [Queue.WakeUp] wakes only the exclusive waiter that has waited longest. All exclusive waiters of
// a queue should wait for the same kind of thing, so that any of them can use
// the wake-up.
//
// An exclusive waiter whose ctx ends swallows no wake-up: either it was still
// queued, and a later WakeUp finds the next one, or it had been picked, and
// then its last test of cond sees what the waker brought.
//
// There is no hand-over: a newcomer may take the thing before the woken waiter
// runs, which then goes back to the end of the queue.
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: exists in the uninterruptible and timeout forms too.
func (q *Queue) WaitExclusive(ctx context.Context, cond func() bool) error {
	return q.waitContext(ctx, true, cond)
}

// WakeUp wakes all ordinary waiters and one exclusive waiter, and returns how
// many it woke. Change the state behind the condition before the call. A
// waiter that is awake already is passed over, so no wake-up is spent on it.
//
// With nobody waiting it costs one atomic load.
//
// Kernel: wake_up
//
// Differs: returns the number of all woken, where the kernel counts exclusive ones.
func (q *Queue) WakeUp() int { return q.wake(Normal, 1) }

// WakeUpN is WakeUp for up to n exclusive waiters. If n is less than 1, it
// wakes the ordinary waiters only.
//
// Kernel: wake_up_nr
//
// Differs: there an n of 0 wakes all; that is [Queue.WakeUpAll] here, because a computed budget of nothing should wake nobody.
func (q *Queue) WakeUpN(n int) int { return q.wake(Normal, max(n, 0)) }

// WakeUpAll wakes all waiters, ordinary and exclusive.
//
// Kernel: wake_up_all
func (q *Queue) WakeUpAll() int { return q.wake(Normal, everyone) }

// WakeUpInterruptible is WakeUp for those whose sleep can be interrupted. It
// passes over waiters whose context is [context.Background]: if there are
// such, use WakeUp.
//
// Kernel: wake_up_interruptible
func (q *Queue) WakeUpInterruptible() int { return q.wake(Interruptible, 1) }

// Active reports whether anybody is on the queue. Called after a change of
// the state behind the condition, false means that nobody needs waking: a
// waiter that is not on the queue yet will see the change. No lock is needed.
//
// Kernel: wq_has_sleeper, waitqueue_active
func (q *Queue) Active() bool { return q.length.Load() != 0 }

// everyone is a budget of exclusive wake-ups that does not run out.
const everyone = -1

// wake walks the queue and wakes the entries whose task sleeps in a state of
// mask, until budget exclusive ones have been woken.
func (q *Queue) wake(mask State, budget int) int {
	// A waiter raises length before it tests its condition. The waker changed
	// the condition before this load. So one of them sees the other.
	if !q.Active() {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	woken := 0
	var next *Entry
	for e := q.head; e != nil; e = next {
		next = e.next // e may leave the queue below
		if e.exclusive && budget == 0 {
			break
		}
		if !e.Task.WakeUp(mask) {
			continue // awake already, or not in mask: costs no budget
		}
		woken++
		if e.autoremove {
			q.unlink(e)
		}
		if e.exclusive {
			budget--
		}
	}
	return woken
}

// waitContext waits with a task made for this one sleep.
func (q *Queue) waitContext(ctx context.Context, exclusive bool, cond func() bool) error {
	// ctx is sampled before the test, here and in wait: an ended wait has
	// always seen its condition false after the end of ctx.
	err := ContextErr(ctx)
	if cond() {
		return nil
	}
	if err != nil {
		return err
	}
	w := newSleeper(ctx)
	return q.wait(&w.task, &w.entry, w.state, exclusive, cond)
}

// wait is the loop that all waits share. It has three steps: announce the
// sleep, test, sleep. The announcement comes before the test, so a waker that
// changes the state after the test finds the entry and undoes the sleep.
func (q *Queue) wait(t *Task, e *Entry, s State, exclusive bool, cond func() bool) error {
	*e = Entry{Task: t, exclusive: exclusive, autoremove: true}
	defer q.finish(e) // also when cond panics
	for {
		err := t.interruption()
		if err != nil {
			// Off the queue first, then the last test. A waker that picked
			// this task did so before, and its change is seen; a later one
			// cannot see this task and picks another.
			q.Remove(e)
		} else {
			q.prepare(e, s)
		}
		if cond() {
			return nil
		}
		if err != nil {
			return err
		}
		t.Schedule()
		if cond() { // the usual end: no need to queue once more
			return nil
		}
	}
}
