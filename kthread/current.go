package kthread

import (
	"context"
	"errors"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
)

// Current is the thread as it sees itself. Only the thread's own goroutine may
// use it, and only until the function returns.
//
// Kernel: current, in a kthread
type Current struct {
	t *Thread

	shown *label // of the last queue, with the thread's; or nil
}

// Thread returns the handle of the thread.
//
// Kernel: current
func (cur *Current) Thread() *Thread { return cur.t }

// Ready tells [Start] that the thread is set up. Later calls do nothing. If no
// Start waits, the call does nothing.
//
// Kernel: init_kthread, of the drivers that came before kthread_run
//
// Differs: tells that all is set up, and sets up nothing.
func (cur *Current) Ready() {
	if t := cur.t; t.awaited && !t.readied.Load() {
		t.readied.Store(true)
		t.ready.open()
	}
}

// ShouldStop reports whether the thread has been asked to stop. Once true, it
// remains true. It costs one atomic load.
//
// Kernel: kthread_should_stop
func (cur *Current) ShouldStop() bool { return cur.t.stop.Load() != nil }

// Wait blocks until cond returns true. It ends with [ErrStopped] when the
// thread is asked to stop. It ends with an error that matches [syscall.EINTR]
// while a signal is pending. A true condition beats both.
//
// [waitqueue.Queue.Wait] says which things cond may do. If a mutex guards the
// state that cond reads, use [Current.WaitLocked]. Wait allocates nothing.
//
// Kernel: wait_event_interruptible
//
// Differs: tells a stop from a signal, which are both ERESTARTSYS there. Before Linux 6.1 a stop did not end that sleep.
func (cur *Current) Wait(q *waitqueue.Queue, cond func() bool) error {
	return cur.wait(q, false, cond)
}

// WaitExclusive is Wait for a waiter that takes something: see
// [waitqueue.Queue.WaitExclusive].
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: as Wait.
func (cur *Current) WaitExclusive(q *waitqueue.Queue, cond func() bool) error {
	return cur.wait(q, true, cond)
}

// wait is sleep for the two waits that a thread makes most.
//
// Optimization: it calls them without a function between. A frame costs a good deal
// after a switch.
func (cur *Current) wait(q *waitqueue.Queue, exclusive bool, cond func() bool) (err error) {
	switch {
	case q.Name != "" && profiling.Load():
		err = cur.labelled(q, cond, func(t *waitqueue.Task) error {
			if exclusive {
				return t.WaitExclusive(q, cond)
			}
			return t.Wait(q, cond)
		})
	case exclusive:
		err = cur.t.task.WaitExclusive(q, cond)
	default:
		err = cur.t.task.Wait(q, cond)
	}
	if err != nil {
		return cur.reason()
	}
	return nil
}

// WaitTimeout is Wait for at most d. If cond is false then, the error matches
// [syscall.ETIMEDOUT]. It allocates, unless cond is true at once.
//
// Kernel: wait_event_interruptible_timeout
//
// Differs: does not return the time that is left. If a signal comes as the time is over, time wins.
func (cur *Current) WaitTimeout(q *waitqueue.Queue, d time.Duration, cond func() bool) error {
	return cur.sleep(q, cond, func(t *waitqueue.Task) error { return t.WaitTimeout(q, d, cond) })
}

// WaitLocked is Wait with a condition that l guards. The caller holds l. It is held
// whenever cond runs, released while the thread sleeps, and held again on every return:
// see [waitqueue.Queue.WaitLocked]. It allocates nothing.
//
// Kernel: wait_event_interruptible_lock_irq
//
// Differs: tells a stop from a signal, as Wait does. l is any lock, not a spinlock with interrupts off.
func (cur *Current) WaitLocked(q *waitqueue.Queue, l sync.Locker, cond func() bool) error {
	return cur.sleepLocked(q, l, cond, func(t *waitqueue.Task) error { return t.WaitLocked(q, l, cond) })
}

// WaitExclusiveLocked is WaitLocked for a waiter that takes something: see
// [waitqueue.Queue.WaitExclusiveLocked].
func (cur *Current) WaitExclusiveLocked(q *waitqueue.Queue, l sync.Locker, cond func() bool) error {
	return cur.sleepLocked(q, l, cond, func(t *waitqueue.Task) error { return t.WaitExclusiveLocked(q, l, cond) })
}

// WaitLockedTimeout is WaitLocked for at most d. Its errors are as from
// [Current.WaitTimeout]. It is for a thread that has something to do each time d is
// over, and earlier if it is woken.
//
// Kernel: wait_event_interruptible_lock_irq_timeout
//
// Differs: as WaitTimeout and WaitLocked.
func (cur *Current) WaitLockedTimeout(q *waitqueue.Queue, l sync.Locker, d time.Duration, cond func() bool) error {
	return cur.sleepLocked(q, l, cond, func(t *waitqueue.Task) error { return t.WaitLockedTimeout(q, l, d, cond) })
}

// sleepLocked is sleep with a lock. Without one, the wait has to panic before cond runs,
// as it does without SetProfile. labelled would run cond first.
func (cur *Current) sleepLocked(q *waitqueue.Queue, l sync.Locker, cond func() bool, wait func(*waitqueue.Task) error) error {
	if l == nil {
		return wait(&cur.t.task)
	}
	return cur.sleep(q, cond, wait)
}

// sleep calls wait, which is a wait of the thread's task on q for cond, and tells the
// reason if that was ended.
func (cur *Current) sleep(q *waitqueue.Queue, cond func() bool, wait func(*waitqueue.Task) error) (err error) {
	if q.Name != "" && profiling.Load() {
		err = cur.labelled(q, cond, wait)
	} else {
		err = wait(&cur.t.task)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ETIMEDOUT):
		return errTimedOut
	}
	return cur.reason()
}

// labelled is the wait with the label wchan. The labels before it are lost: Go does
// not tell them.
func (cur *Current) labelled(q *waitqueue.Queue, cond func() bool, wait func(*waitqueue.Task) error) error {
	if cond() {
		return nil // without a sleep, and with the labels as they are
	}
	pprof.SetGoroutineLabels(cur.labels(q.Name))
	defer pprof.SetGoroutineLabels(cur.t.label.ctx) // also when cond panics
	return wait(&cur.t.task)
}

// labels returns the labels for a sleep on a queue with this name.
//
// Optimization: it keeps the last ones. It keeps the name and not the queue,
// which may be a part of something large.
func (cur *Current) labels(wchan string) context.Context {
	if cur.shown == nil || cur.shown.name != wchan {
		cur.shown = &label{wchan, pprof.WithLabels(cur.t.label.ctx, pprof.Labels("wchan", wchan))}
	}
	return cur.shown.ctx
}

// Sleep returns nil when d has passed. It ends earlier as Wait does. It also ends
// when the thread is asked to park, with an error that matches [syscall.EINTR]. A
// stray wake-up does not shorten it.
//
// If d is 0 or less, Sleep returns nil at once, also when a stop has been asked.
// A loop around such a Sleep must ask for the stop itself.
//
// A loop that works and then sleeps for d takes longer than d. For a steady period, sleep
// until a point in time: next = next.Add(d), and then Sleep(time.Until(next)).
//
// Kernel: schedule_timeout_interruptible, msleep_interruptible
//
// Differs: does not return the time that is left. Ends at once if a park was asked before, where the kernel sleeps.
//
// Differs: schedule_timeout_interruptible: ends at a stray wake-up too.
//
// Differs: msleep_interruptible: sleeps on when a park is asked.
func (cur *Current) Sleep(d time.Duration) error {
	task := &cur.t.task
	for d > 0 {
		// Set the state, then look: a Park after the look finds the state and
		// undoes it. A pending stop or signal goes first, see below.
		task.SetState(waitqueue.Interruptible)
		if cur.ShouldPark() && !cur.Interrupted() {
			task.SetState(waitqueue.Running)
			return errParkAsked
		}
		point.At("looked for a park", cur.t)
		d = task.ScheduleTimeout(d)
		if d > 0 && task.Interrupted() {
			return cur.reason()
		}
	}
	return nil
}

// WaitWoken sleeps until a wake-up comes that e remembers, as [waitqueue.WokenEntry]
// does, and returns how much of d is left. It does not sleep if the thread is asked
// to stop or to park.
//
// Kernel: wait_woken
//
// Differs: takes and returns a [time.Duration], not jiffies.
func (cur *Current) WaitWoken(e *waitqueue.WokenEntry, s waitqueue.State, d time.Duration) time.Duration {
	return e.Wait(s, d, func() bool { return cur.ShouldStop() || cur.ShouldPark() })
}

// Context returns a context for calls that take one, for example in net,
// database/sql and os/exec. It ends when the thread is asked to stop, or else when
// the thread has ended. The cause of a stop is [ErrStopped], or an error that matches
// ErrStopped and the reason of [Thread.AskStop]. When a sleep has ended with such an error,
// the context has ended too. So it has when Context is called after ShouldStop has returned
// true. The context does not end on signals,
// because a context cannot be un-cancelled. It has no values of the creator, and the
// thread's name as a profiler label.
func (cur *Current) Context() context.Context { return cur.t.context() }

// Task returns the thread as the wait queues see it, to write out a wait loop
// step by step. Its interrupt says that a signal is pending or a stop asked. Do
// not call Interrupt or ClearInterrupt, which would falsify that.
//
// Kernel: current
func (cur *Current) Task() *waitqueue.Task { return &cur.t.task }

// reason returns the error of a sleep that was ended.
func (cur *Current) reason() error {
	if err := cur.t.cause(); err != nil {
		cur.t.endContext()
		return err
	}
	return errSignal
}
