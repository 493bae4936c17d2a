// Package waitqueue puts goroutines to sleep until a condition holds, and lets
// a context end the sleep. It is the kernel's wait queue, as of Linux 7.3:
//
//	var q waitqueue.Queue
//	var ready atomic.Bool
//
//	err := q.Wait(ctx, ready.Load) // the waiter
//
//	ready.Store(true)              // the waker: first the state,
//	q.WakeUp()                     // then the wake-up
//
// # Which tool
//
//   - Use a channel for a message, or for something that happens once.
//   - Use [sync.Cond] when no waiter ever has to give up.
//   - Use golang.org/x/sync/semaphore when the waiter waits for a count.
//   - Use [Cond] when a mutex guards the condition, and a context may end the wait.
//   - Use [Completion] for an event that is remembered until a waiter comes.
//   - Use [Queue] when the condition is atomic, when one wake-up is for all
//     watchers and one worker, for waits on several queues, or to follow a
//     kernel source.
//
// # The rules
//
// A waiter names a condition. A waker changes the state behind that condition, and then
// calls [Queue.WakeUp].
//
// The condition of [Queue.Wait] runs several times, on the waiter's goroutine,
// with no lock held. So it must not block, and it may read only atomic values,
// or values for which the condition itself takes the lock. This is a data race:
//
//	q.Wait(ctx, func() bool { return len(items) > 0 }) // wrong: others write items
//
// [Queue.WaitLocked] is for that: its condition runs with a lock of yours held.
//
//	mu.Lock()
//	err := q.WaitLocked(ctx, &mu, func() bool { return len(items) > 0 })
//	... // mu is held, whether err is nil or not
//	mu.Unlock()
//
// A condition is not called again once it has returned true, so
// q.WaitExclusive(ctx, tryTake) tests and takes in one step. A condition may
// panic or call [runtime.Goexit]: the wait leaves no waiter behind, and an
// exclusive waiter that was picked passes its wake-up on.
//
// The context says which events may end the sleep. [context.Background] never
// ends it (the kernel's uninterruptible sleep). A context with a Done channel
// does (interruptible). A deadline makes it one of the timeout forms. A condition
// that is true beats a context that has ended, on entry and on the way out.
//
// A wait that its context ended returns an error that matches [syscall.EINTR],
// ctx.Err() and [context.Cause] of ctx with [errors.Is]; a deadline gives
// [syscall.ETIMEDOUT] and [context.DeadlineExceeded]. Where the kernel says
// ERESTARTSYS, which never leaves it, this package says EINTR.
//
// A context must have an Err once its Done channel is closed. If Err is nil
// then, a wait that would have to sleep on panics, as package context does.
//
// Wake-ups are not remembered: a wake-up that finds no waiter does nothing. That
// loses nothing, because Wait tests the condition after it is on the queue.
//
// No wait changes the profiler labels of its goroutine, even on a queue with a
// name.
//
// # A loop's waits with one context
//
// A wait with a context that can end makes a channel, and sleeps in a select. A loop
// that waits again and again with one context can do without both. [WithTask] returns
// a copy of the context that carries a place to sleep, a [Task]:
//
//	ctx, stop := waitqueue.WithTask(ctx, "worker")
//	defer stop()
//	for queue.WaitExclusive(ctx, tryTake) == nil {
//		...
//	}
//
// A wait with the copy allocates nothing and takes less time: the README has figures. Its
// errors are the same. [TaskOf] shows how the worker sleeps, and on which queue.
//
// # Memory model
//
// In the terms of the Go memory model:
//
//   - The call of a wake-up is synchronized before the end of each sleep that it
//     ends. So the next test of the condition sees all that the waker did before.
//     This holds for the wake-ups of a Queue, [Task.WakeUp], [Task.Interrupt],
//     [Cond.Signal] and [Cond.Broadcast].
//   - [Completion.Complete] is synchronized before the return of the Wait or
//     TryWait that takes its token, and before each IsDone that reports the token.
//   - [Completion.CompleteAll] is synchronized before the return of every Wait and
//     TryWait that it lets pass, and before each IsDone that returns true because
//     of it.
//   - A Wait that did not sleep has only the order that its own condition makes:
//     an atomic load or a lock in it. Where the order matters, let the condition
//     read the state that the waker wrote.
//   - A wake-up that found no waiter orders nothing.
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
// the state announced and undoes it, so Schedule does not sleep. A loop that
// tests before SetState loses wake-ups. A [WokenEntry] is for a loop that cannot
// test in this place: it remembers a wake-up.
//
// [Queue.Lock] is for state that the queue's own lock guards: see [Task.WaitHeld].
//
// # Bubbles of testing/synctest
//
// A waiting goroutine is durably blocked if its context has no Done channel, or
// one of the same bubble. A Queue, a Cond and a Completion hold no channel
// and no timer, so package-level ones serve any number of bubbles, one after
// another. As with a channel, a waiter in a bubble must be woken from inside
// that bubble; waking it from outside ends the program.
//
// Package explore makes such bubbles: one for each order of a few goroutines' steps. Its
// points inside this package are listed in its README.
//
// # Differences from the kernel that Go forces
//
//   - No remaining time is returned: nil stands for the time left, ETIMEDOUT for
//     0. A deadline is a point in time, and its owner can compute the time left.
//     A timed wait can always be interrupted; a loop with [Task.ScheduleTimeout]
//     need not be.
//   - There is no killable sleep, because Go has no fatal signal for a goroutine.
//   - A caller cannot choose whether a timeout or an interruption wins. A context
//     keeps the first of the two.
//   - There is no semaphore, and no sleep_on, which loses wake-ups.
//
// # Not promised, as in the kernel
//
//   - Which of several woken waiters runs first. Waiters that were woken in vain
//     queue again in the order in which they run.
//   - How often a condition runs. There is one exception here: if the context has
//     ended on entry, the condition runs once.
//
// Kernel: include/linux/wait.h, include/linux/completion.h, kernel/sched/wait.c, kernel/sched/completion.c
package waitqueue

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/watch"
)

// The life of a wait, from its call to its end. All waits on one queue are [Queue.wait]:
//
//	beginWait        finds a place to sleep: a task, or a channel if ctx may end the wait
//	Queue.enter      puts the entry on the queue, and announces the sleep
//	Queue.wait       tests the condition again, and then sleeps
//	Queue.wake       the waker: has the condition changed for a waiter on the queue?
//	Queue.walk       the waker: chooses all ordinary waiters and one exclusive waiter
//	Queue.pick       the waker: takes the entry off the queue
//	Task.claim       the waker: no other wake-up gets this sleep
//	sleeper.unpark   the waker: ends the sleep, after the lock of the queue
//	Queue.wait       tests the condition; if it is false, goes on from Queue.enter
//	Entry.ended      has ctx ended, or is the task interrupted?
//	Queue.leave      takes the entry off the queue, if no wake-up has done that
//	Queue.endWait    gives back the place to sleep

// A Queue holds the goroutines that wait for one piece of state to change.
// The zero value is an empty queue, ready to use.
// A Queue must not be copied, or assigned to, after first use. If a copy and its
// original share a waiter, the next call that meets it on the wrong one panics.
// An assignment that makes a queue forget its waiters is not noticed.
//
// Kernel: wait_queue_head_t, DECLARE_WAIT_QUEUE_HEAD, init_waitqueue_head
type Queue struct {
	Name string // shown by [Task.Wchan]; set it before the first use, if at all

	mu         sync.Mutex
	head, tail *Entry // priority, ordinary, exclusive; guarded by mu

	// Invariant: a queue with entries has occupied set. It may stay set after the
	// last entry leaves; the next wake-up that finds the queue empty clears it.
	// Written with mu held.
	occupied atomic.Bool

	// No lock of this package is taken with mu held. Wake functions run with mu held.
	// So a lock that they take must not be held during a call of the queue.
}

// Wait blocks until cond returns true or ctx ends. It returns nil if and only
// if cond returned true, which may be at once. Every wake-up of q makes it
// test cond again.
//
// If ctx has ended and cond is false, Wait returns the error of [ContextErr].
// Before that it takes the waiter off the queue and tests cond a last time.
//
// Kernel: wait_event, wait_event_timeout, wait_event_interruptible, wait_event_interruptible_timeout
//
// Differs: ctx chooses one of them; no remaining time is returned. How often cond runs is not promised. An ended ctx on entry means once, where the kernel queues the waiter and tests again.
//
// Differs: wait_event_timeout: a sleep with a deadline is interruptible here. [Queue.WakeUpInterruptible] reaches it, and it ends when a parent of ctx is cancelled.
func (q *Queue) Wait(ctx context.Context, cond func() bool) error {
	return q.wait(nil, ctx, nil, false, cond)
}

// WaitExclusive is Wait for a waiter that consumes the thing it waits for: a
// [Queue.WakeUp] wakes only the exclusive waiter that has waited longest. All
// exclusive waiters of a queue should wait for the same kind of thing, so that
// any of them can use the wake-up.
//
// An exclusive waiter whose ctx ends swallows no wake-up. Either it was still
// queued, and a later WakeUp finds the next waiter. Or it had been picked, and
// then its last test of cond sees the change that the waker made. A waiter that
// finds cond true on its way to sleep swallows none either: if a wake-up has picked
// it meanwhile, it calls WakeUp for the next waiter.
//
// There is no hand-over: a newcomer may take the thing before the woken waiter
// runs. Then the waiter goes back to the end of the queue.
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
// or without it. WaitLocked panics if l is nil.
//
// Kernel: wait_event_lock_irq, wait_event_lock_irq_timeout, wait_event_interruptible_lock_irq, wait_event_interruptible_lock_irq_timeout
//
// Differs: ctx chooses one of them; no remaining time is returned. l is any lock, not a spinlock with interrupts off.
//
// Differs: wait_event_lock_irq_timeout: a sleep with a deadline is interruptible here, as in [Queue.Wait].
func (q *Queue) WaitLocked(ctx context.Context, l sync.Locker, cond func() bool) error {
	mustLock(l)
	return q.wait(nil, ctx, l, false, cond)
}

// WaitExclusiveLocked is [Queue.WaitExclusive] in the same way. The kernel has an
// exclusive form only for the queue's own lock: see [Task.WaitExclusiveHeld].
func (q *Queue) WaitExclusiveLocked(ctx context.Context, l sync.Locker, cond func() bool) error {
	mustLock(l)
	return q.wait(nil, ctx, l, true, cond)
}

// mustLock panics if a wait with a lock has none, because wait without one is the
// form whose condition needs no lock.
func mustLock(l sync.Locker) {
	if l == nil {
		panic("waitqueue: WaitLocked without a lock")
	}
}

// WakeUp wakes all ordinary waiters and one exclusive waiter, and returns how
// many it woke. Change the state behind the condition before the call. A
// waiter that is awake already is passed over, so no wake-up is spent on it.
//
// On an empty queue it is one atomic load. Only the first call after the last
// waiter has left takes the lock.
//
// Kernel: wake_up
//
// Differs: returns the number of all woken, where the kernel counts exclusive ones.
func (q *Queue) WakeUp() int {
	if !q.occupied.Load() { // Optimization: wake, inlined by hand.
		return 0
	}
	return q.wakeWaiters(Normal, 1, nil)
}

// WakeUpN is WakeUp for up to n exclusive waiters. If n is less than 1, it
// wakes no exclusive waiter, and all ordinary ones.
//
// Kernel: wake_up_nr
//
// Differs: returns the number of all woken, as WakeUp does. There an n of 0 or less wakes all, as [Queue.WakeMask] does. A caller here may compute n, and 0 then means that there is nothing for an exclusive waiter.
func (q *Queue) WakeUpN(n int) int { return q.wake(Normal, n, nil) }

// WakeUpAll wakes all waiters, ordinary and exclusive, and returns how many it
// woke.
//
// Kernel: wake_up_all
//
// Differs: returns the number of all woken, as WakeUp does.
func (q *Queue) WakeUpAll() int { return q.wake(Normal, all, nil) }

// WakeUpInterruptible is WakeUp for waiters whose sleep can be interrupted. It
// passes over waiters whose context is [context.Background]: if there are any,
// use WakeUp.
//
// Kernel: wake_up_interruptible
//
// Differs: returns the number of all woken, as WakeUp does.
func (q *Queue) WakeUpInterruptible() int { return q.wake(Interruptible, 1, nil) }

// all is a budget of exclusive wake-ups that does not run out.
const all = math.MaxInt

// WakeMask is the general form of the wake-ups. It walks the queue from its head,
// wakes each waiter that sleeps in a state of mask, and stops after n exclusive
// ones. If n is less than 1, it wakes all waiters. key is for the wake
// functions of entries that have one. It returns how many waiters it woke.
//
// Kernel: __wake_up, wake_up_poll, wake_up_interruptible_nr, wake_up_interruptible_all, wake_up_interruptible_sync_poll
//
// Differs: returns the number of all woken, where the kernel counts exclusive ones.
//
// Differs: wake_up_interruptible_sync_poll: gives the scheduler a hint, which Go's does not take.
func (q *Queue) WakeMask(mask State, n int, key any) int {
	if n < 1 {
		n = all
	}
	return q.wake(mask, n, key)
}

// wake is WakeMask, except that an n below 1 wakes no exclusive waiter.
func (q *Queue) wake(mask State, n int, key any) int {
	// A waiter sets occupied before it tests its condition. The waker changed the
	// condition before this load. So one of them sees the other.
	if !q.occupied.Load() {
		return 0
	}
	return q.wakeWaiters(mask, n, key)
}

// wakeWaiters is wake for a queue that may have entries.
func (q *Queue) wakeWaiters(mask State, n int, key any) int {
	q.mu.Lock()
	q.check()
	e := q.head
	if e != nil && e.next == nil && e.kind == waiting && e.Task != nil && (n > 0 || !e.exclusive) {
		return q.wakeSole(e, mask)
	}
	return q.wakeMany(mask, n, key)
}

// check panics if q was copied while an entry was on it, and gives up q.mu
// before that. The entry may be in another wait by then, of a goroutine that
// waits for something else. The caller holds q.mu.
//
// Invariant: an entry on the list of q has q in its field queue. A copy has the
// list, but the entries name the original. An original whose list was changed
// through a copy has an entry that names no queue, or its next one.
func (q *Queue) check() {
	if q.head != nil && q.head.queue != q {
		q.copied()
	}
}

// checkTail is check before an entry is put behind the last one. A queue to which
// an old copy was assigned can have a tail that is on another queue by now.
func (q *Queue) checkTail() {
	if q.head != nil && (q.tail.queue != q || q.tail.next != nil) {
		q.copied()
	}
}

func (q *Queue) copied() {
	q.mu.Unlock()
	panic("waitqueue: Queue was copied while a waiter was on it")
}

// wakeSole is wake for a queue on which there is only a task in its Wait: the
// usual case, which needs no list. The caller holds q.mu, which is released.
func (q *Queue) wakeSole(e *Entry, mask State) int {
	t := e.Task
	q.head, q.tail, e.queue = nil, nil, nil // Unlink before claiming, see pick.
	point.At("claim", e)
	woken := t.claim(mask, taken)
	if !woken {
		q.linkBehind(nil, e) // it is awake, or sleeps in a state that is not in mask
	}
	q.mu.Unlock()
	if !woken {
		return 0
	}
	t.unpark()
	return 1
}

// wakeMany is wake for all other queues. The caller holds q.mu, which is
// released.
func (q *Queue) wakeMany(mask State, n int, key any) int {
	var few [4]sleeper
	woken, sleepers := q.walk(mask, n, key, few[:0])
	q.mu.Unlock()
	// Optimization: unpark without the lock. A thousand woken goroutines may need the
	// lock at once.
	for _, s := range sleepers {
		s.unpark()
	}
	return woken
}

// Active reports whether an entry is on the queue. Called after a change of
// the state behind the condition, false means that there is nobody to wake: a
// waiter that is not on the queue yet will see the change. The caller needs no
// lock for that.
//
// Kernel: wq_has_sleeper, waitqueue_active
func (q *Queue) Active() bool {
	if !q.occupied.Load() {
		return false
	}
	q.mu.Lock()
	q.check()
	defer q.mu.Unlock()
	return q.head != nil
}

// walk wakes entries from the head on, and returns how many. It appends to sleepers
// each sleeper that must still be unparked. The caller holds q.mu.
func (q *Queue) walk(mask State, n int, key any, sleepers []sleeper) (int, []sleeper) {
	if q.head == nil {
		q.occupied.Store(false) // the next wake-up will not have to look
		return 0, sleepers
	}
	woken := 0
	var next *Entry
	for e := q.head; e != nil; e = next {
		// Read before the wake-up: once its task is claimed, an entry may be used
		// again.
		next = e.next
		exclusive := e.exclusive
		if exclusive && n < 1 {
			// No budget from the start. Go on, because an ordinary entry may be
			// behind an exclusive one: that has priority, or a Prepare has made the
			// entry behind it ordinary.
			continue
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

// wakeEntry wakes the sleeper of e, or calls e.Func. It returns the sleeper if it
// must still be unparked.
func (q *Queue) wakeEntry(e *Entry, mask State, key any) (s sleeper, result int) {
	if e.Func == nil {
		if s = q.pick(e, mask); s != (sleeper{}) {
			result = 1
		}
		return s, result
	}
	result = e.Func(e, mask, key)
	if result > 0 && e.kind != added {
		q.unlink(e)
		e.leaveHome(e.Task)
	}
	return s, result
}

// pick wakes the sleeper of e if its state is in mask, except for the unpark.
func (q *Queue) pick(e *Entry, mask State) (s sleeper) {
	t := e.Task
	if t == nil {
		if e.state&mask != 0 {
			q.unlink(e)
			s.kick = e.kick
			watch.Wake(e.kick)
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
	// Unlink before claiming. A claimed task whose condition is true returns from
	// its Wait without q.mu, and may put e on another queue at once.
	if kind != added {
		q.unlink(e)
	}
	point.At("claim", e)
	if t.claim(mask, flag) {
		if kind == prepared {
			e.leaveHome(t)
		}
		s.task = t
		return s
	}
	// Another waker was quicker, this moment. The entry goes back to its place, not
	// to the end: it is as if the walk had not met it.
	if kind != added {
		q.linkBehind(before, e)
	}
	return s
}

// wait is the common part of all waits on one queue. If the caller has a task,
// it sleeps with that. Otherwise it sleeps with one made for this wait, which
// ctx may end.
//
// Optimization: it is one long function, because after a switch each return from a
// function takes long.
func (q *Queue) wait(t *Task, ctx context.Context, l sync.Locker, exclusive bool, cond func() bool) error {
	// The look at the end comes before the test, here and below. So a wait that returns
	// an error has seen its condition false after the end.
	var err error
	if t == nil { // Optimization: ended, inlined by hand.
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
	e, end := beginWait(t, ctx, exclusive)
	defer q.endWait(e) // also when cond panics
	for err == nil {
		// Announce the sleep, test, sleep. The announcement comes before the
		// test, so a waker that changes the state after the test finds the
		// entry and undoes the sleep.
		q.enter(e)
		done := cond()
		point.At("tested", e)
		if done {
			// A wake-up may have picked this task since the announcement, after the
			// condition came true. The next waiter gets that wake-up.
			if q.leave(e) && exclusive {
				q.WakeUp()
			}
			return nil
		}
		if l != nil {
			l.Unlock()
		}
		woken, off := true, false
		if t := e.Task; t != nil {
			t.parked.Wait() // as in Schedule
			point.At("awake", t)
			off = e.kind == waiting && t.word.Load()&taken != 0
			// Stop being wakeable before the test: a wake-up spent on this task
			// now would be lost to the next waiter.
			t.setState(Running)
			watch.Awake(t)
		} else {
			watch.Asleep(e.kick)
			select {
			case <-e.kick:
			case <-end:
				woken = e.kick.came()
			}
			point.At("awake", e.kick)
			watch.Awake(e.kick)
			off = woken
		}
		if l != nil {
			l.Lock()
		}
		if woken && cond() { // the usual end
			if e.off = off; !off {
				q.leave(e)
			}
			return nil
		}
		e.off = off
		if err = e.ended(ctx); err == nil && !woken {
			err = errNoErr
		}
		point.At("sampled", e)
	}
	// Off the queue first, then the last test. A waker that picked this task
	// did so before, and its change is seen; a later one cannot see this task
	// and picks another.
	picked := q.leave(e)
	e.off = !picked // during the test, see endWait
	done := cond()
	e.off = true
	point.At("tested", e)
	if done {
		return nil
	}
	return failed(err)
}
