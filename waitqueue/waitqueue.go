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
// [Cond] is [sync.Cond] with a Wait that a context can end, and [Completion] is
// an event that is remembered.
//
// # Which tool
//
//   - Use a channel when the thing waited for is a message or happens once.
//   - Use [sync.Cond] when nobody ever has to give up waiting.
//   - Use golang.org/x/sync/semaphore when the thing waited for is a count.
//   - Use [Cond] when the condition is guarded by a mutex, and each change is
//     for one waiter, who comes first.
//   - Use [Queue] when the condition is atomic, when one wake-up is for all
//     watchers and one worker, for waits on several queues, or to follow a
//     kernel source.
//
// # The rules
//
// The condition of [Queue.Wait] runs several times, on the waiter's goroutine,
// with no lock held. So it must not block, and what it reads has to be atomic,
// or locked by the condition itself. This is a data race:
//
//	q.Wait(ctx, func() bool { return len(items) > 0 }) // wrong: others write items
//
// [Queue.WaitLocked] is for that: its condition runs with a lock of yours held.
//
//	mu.Lock()
//	err := q.WaitLocked(ctx, &mu, func() bool { return len(items) > 0 })
//	... // mu is held, whatever err is
//	mu.Unlock()
//
// A condition is not called again once it has returned true, so
// q.WaitExclusive(ctx, tryTake) tests and takes in one step. A condition that
// panics leaves no waiter behind, but a wake-up that was spent on an exclusive
// one is lost.
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
// channel of the same bubble. A Queue, a Cond and a Completion hold no channel
// and no timer, so package-level ones serve any number of bubbles, one after
// another. As with a channel, a waiter in a bubble must be woken from inside
// that bubble; waking it from outside ends the program.
//
// # What cannot be as in the kernel
//
//   - No remaining time is returned: nil stands for what is left, ETIMEDOUT for
//     0. A deadline is a point in time, and what is left of it is known to
//     whoever set it. A timed wait can always be interrupted; a loop with
//     [Task.ScheduleTimeout] need not be.
//   - There is no killable sleep: Go has no fatal signal that a goroutine could
//     be told of.
//   - Which of a timeout and an interruption wins cannot be chosen: a context
//     keeps the one that came first.
//   - There is no wait_woken, which an [Entry] with a Func that remembers can
//     do, no semaphore, and no sleep_on, which loses wake-ups.
//   - Who was woken first need not run first: goroutines run as they can.
//   - How often a condition runs is not promised, save that an ended context on
//     entry means once.
//
// Kernel: include/linux/wait.h, include/linux/completion.h, kernel/sched/wait.c, kernel/sched/completion.c
package waitqueue

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
)

// A Queue holds the goroutines that wait for one piece of state to change.
// The zero value is an empty queue, ready to use.
// A Queue must not be copied after first use.
//
// Kernel: wait_queue_head_t, DECLARE_WAIT_QUEUE_HEAD, init_waitqueue_head
type Queue struct {
	Name string // what [Task.Wchan] shows; set it before the first use, if at all

	mu         sync.Mutex
	head, tail *Entry // priority, ordinary, exclusive; guarded by mu

	// occupied is true if there are entries, and for a while after the last
	// one has left, until a wake-up finds nobody. Written with mu held.
	occupied atomic.Bool

	// No lock of this package is taken with mu held. Wake functions are called
	// with it, so a lock that they take must not be held over calls of the queue.
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
	return q.wait(nil, ctx, nil, false, cond)
}

// WaitExclusive is Wait for those who consume what they wait for: a
// [Queue.WakeUp] wakes only the exclusive waiter that has waited longest. All
// exclusive waiters of a queue should wait for the same kind of thing, so that
// any of them can use the wake-up.
//
// An exclusive waiter whose ctx ends swallows no wake-up: either it was still
// queued, and a later WakeUp finds the next one, or it had been picked, and
// then its last test of cond sees what the waker brought. Nor does one that
// found cond true on its way to sleep: it passes on the wake-up that picked it
// meanwhile, by a WakeUp of its own.
//
// There is no hand-over: a newcomer may take the thing before the woken waiter
// runs, which then goes back to the end of the queue.
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: exists in the uninterruptible and timeout forms too; the kernel does not pass a wake-up on.
func (q *Queue) WaitExclusive(ctx context.Context, cond func() bool) error {
	return q.wait(nil, ctx, nil, true, cond)
}

// WaitLocked is Wait with a condition that l guards. The caller holds l. It is
// held whenever cond runs, released while the goroutine sleeps, and held again
// on every return. Wakers change the state under l, and may call WakeUp with
// or without it.
//
// Kernel: wait_event_lock_irq, wait_event_interruptible_lock_irq
func (q *Queue) WaitLocked(ctx context.Context, l sync.Locker, cond func() bool) error {
	return q.wait(nil, ctx, l, false, cond)
}

// WaitExclusiveLocked is [Queue.WaitExclusive] in the same way.
//
// Kernel: wait_event_interruptible_exclusive_locked
//
// Differs: the lock is the caller's, not the queue's own.
func (q *Queue) WaitExclusiveLocked(ctx context.Context, l sync.Locker, cond func() bool) error {
	return q.wait(nil, ctx, l, true, cond)
}

// WakeUp wakes all ordinary waiters and one exclusive waiter, and returns how
// many it woke. Change the state behind the condition before the call. A
// waiter that is awake already is passed over, so no wake-up is spent on it.
//
// With nobody waiting it costs one atomic load, but for the first time after
// the last waiter has gone.
//
// Kernel: wake_up
//
// Differs: returns the number of all woken, where the kernel counts exclusive ones.
func (q *Queue) WakeUp() int {
	if !q.occupied.Load() { // here as well as in Wake, to be inlined
		return 0
	}
	return q.Wake(Normal, 1, nil)
}

// WakeUpN is WakeUp for up to n exclusive waiters. If n is less than 1, it
// wakes the ordinary waiters only.
//
// Kernel: wake_up_nr
//
// Differs: there an n of 0 wakes all; that is [Queue.WakeUpAll] here, because a computed budget of nothing should wake nobody.
func (q *Queue) WakeUpN(n int) int { return q.Wake(Normal, n, nil) }

// WakeUpAll wakes all waiters, ordinary and exclusive.
//
// Kernel: wake_up_all
func (q *Queue) WakeUpAll() int { return q.Wake(Normal, All, nil) }

// WakeUpInterruptible is WakeUp for those whose sleep can be interrupted. It
// passes over waiters whose context is [context.Background]: if there are
// such, use WakeUp.
//
// Kernel: wake_up_interruptible
func (q *Queue) WakeUpInterruptible() int { return q.Wake(Interruptible, 1, nil) }

// All is a budget of exclusive wake-ups that does not run out.
const All = math.MaxInt

// Wake is what the other wake-ups are made of. It walks the queue from its
// head, wakes whoever sleeps in a state of mask, and stops after n exclusive
// waiters; n is as in [Queue.WakeUpN], and [All] wakes all. key is for the wake
// functions of entries that have one. It returns how many were woken.
//
// Kernel: __wake_up, wake_up_poll, wake_up_interruptible_nr, wake_up_interruptible_all
func (q *Queue) Wake(mask State, n int, key any) int {
	// A waiter sees to it that occupied is true before it tests its condition.
	// The waker changed the condition before this load. So one of them sees
	// the other.
	if !q.occupied.Load() {
		return 0
	}
	q.mu.Lock()
	e := q.head
	if e != nil && e.next == nil && e.kind == waiting && e.Task != nil && (n > 0 || !e.exclusive) {
		return q.wakeSole(e, mask)
	}
	return q.wakeMany(mask, n, key)
}

// wakeSole is Wake for a queue on which there is only a task in its Wait: the
// usual case, which needs no list. The caller holds q.mu, which is released.
func (q *Queue) wakeSole(e *Entry, mask State) int {
	t := e.Task
	q.head, q.tail, e.queue = nil, nil, nil // first, see claim
	woken := t.claim(mask, taken)
	if !woken {
		q.linkBehind(nil, e) // it is awake, or sleeps in a state that is not of mask
	}
	q.mu.Unlock()
	if !woken {
		return 0
	}
	t.unpark()
	return 1
}

// wakeMany is Wake for all other queues. The caller holds q.mu, which is
// released.
func (q *Queue) wakeMany(mask State, n int, key any) int {
	var few [4]sleeper
	woken, sleepers := q.walk(mask, n, key, few[:0])
	q.mu.Unlock()
	// The goroutines are made ready without the lock: a thousand of them that
	// run at once, and need it, would be in each other's way.
	for _, s := range sleepers {
		s.unpark()
	}
	return woken
}

// Active reports whether anybody is on the queue. Called after a change of
// the state behind the condition, false means that nobody needs waking: a
// waiter that is not on the queue yet will see the change. The caller needs no
// lock for that.
//
// Kernel: wq_has_sleeper, waitqueue_active
func (q *Queue) Active() bool {
	if !q.occupied.Load() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.head != nil
}

// walk wakes entries from the head on. It returns how many, and adds to
// sleepers those that have yet to be unparked. The caller holds q.mu.
func (q *Queue) walk(mask State, n int, key any, sleepers []sleeper) (int, []sleeper) {
	if q.head == nil {
		q.occupied.Store(false) // the next wake-up will not have to look
		return 0, sleepers
	}
	woken := 0
	var next *Entry
	for e := q.head; e != nil; e = next {
		// Once its task is claimed, an entry may be used again.
		next = e.next
		exclusive := e.exclusive
		if exclusive && n < 1 {
			continue // no budget from the start: ordinary ones may be behind a priority one
		}
		claimed, result := q.wakeEntry(e, mask, key)
		if result < 0 {
			break
		}
		if result == 0 {
			continue // awake already, or not in mask: costs no budget
		}
		woken++
		if claimed != (sleeper{}) {
			sleepers = append(sleepers, claimed)
		}
		if exclusive {
			if n--; n < 1 {
				break
			}
		}
	}
	return woken, sleepers
}

// wakeEntry wakes who sleeps with e, or calls its Func. It returns the sleeper
// if that has yet to be unparked.
func (q *Queue) wakeEntry(e *Entry, mask State, key any) (s sleeper, result int) {
	if e.Func == nil {
		if s = q.claim(e, mask); s != (sleeper{}) {
			result = 1
		}
		return s, result
	}
	result = e.Func(e, mask, key)
	if result > 0 && e.kind != added {
		q.unlink(e)
	}
	return s, result
}

// claim wakes who sleeps with e, if in a state of mask, but for the unpark.
func (q *Queue) claim(e *Entry, mask State) (s sleeper) {
	t := e.Task
	if t == nil {
		if e.state&mask != 0 {
			q.unlink(e)
			s.kick = e.kick
		}
		return s
	}
	if t.word.Load()&uint64(mask)&states == 0 {
		return s
	}
	kind, before := e.kind, e.prev
	flag := uint64(0)
	if kind == waiting {
		flag = taken
	}
	// Off the queue first: a task that was claimed may use its entry again.
	if kind != added {
		q.unlink(e)
	}
	if t.claim(mask, flag) {
		s.task = t
		return s
	}
	// Another waker was quicker, this moment. It is as if e had not been met.
	if kind != added {
		q.linkBehind(before, e)
	}
	return s
}

// wait is what all waits on one queue share: for a task of the caller's if
// there is one, and else with one made for this sleep, which ctx may end. It is
// one long function because each frame that a goroutine has to return through
// costs a good deal after a switch.
func (q *Queue) wait(t *Task, ctx context.Context, l sync.Locker, exclusive bool, cond func() bool) error {
	// Whether the wait has to end is sampled before the test, here and below:
	// a wait that was ended has seen its condition false after that.
	var err error
	if t == nil { // as ended does; a call of that costs every wait
		err = ContextErr(ctx)
	} else if t.Interrupted() {
		err = errInterrupted
	}
	if cond() {
		return nil
	}
	if err != nil {
		return err
	}
	if t != nil && t.waitsOn.Load() != q { // seldom: a store is dear
		t.waitsOn.Store(q)
	}
	e, end := entry(t, ctx, exclusive)
	defer q.finish(e) // also when cond panics
	for err == nil {
		// Announce the sleep, test, sleep. The announcement comes before the
		// test, so a waker that changes the state after the test finds the
		// entry and undoes the sleep.
		q.prepare(e)
		done := cond()
		at("tested")
		if done {
			// What was taken here is not what a wake-up brought that has
			// picked this task since the announcement: the next one gets it.
			if exclusive && q.leave(e) {
				q.WakeUp()
			}
			return nil
		}
		if l != nil {
			l.Unlock()
		}
		woken := true
		if t := e.Task; t != nil {
			t.parked.Wait() // as Schedule does, and then
			at("awake")
			e.off = e.kind == waiting && t.word.Load()&taken != 0
			t.SetState(Running) // or a wake-up could pick it yet, for what it takes in this test
		} else {
			woken = e.sleep(end)
		}
		if l != nil {
			l.Lock()
		}
		if woken && cond() { // the usual end
			return nil
		}
		err = ended(t, ctx)
		at("sampled")
	}
	// Off the queue first, then the last test. A waker that picked this task
	// did so before, and its change is seen; a later one cannot see this task
	// and picks another.
	q.leave(e)
	done := cond()
	at("tested")
	if done {
		return nil
	}
	return err
}
