package kthread

import (
	"context"
	"syscall"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

// Current is the thread as it sees itself. Only the thread's own goroutine may
// use it, and only until the function returns.
//
// Kernel: current, in a kthread
type Current struct{ t *Thread }

// Ready tells [Start] that the thread is set up. Later calls do nothing, and
// so does the call in a thread that nobody waits for.
//
// Kernel: init_kthread of the drivers that came before kthread_run
func (cur *Current) Ready() {
	cur.t.readied.Store(true)
	cur.t.ready.open()
}

// ShouldStop reports whether the thread has been asked to stop. Once true, it
// remains true. It costs one atomic load.
//
// Kernel: kthread_should_stop
func (cur *Current) ShouldStop() bool { return cur.t.stop.Load() }

// Wait blocks until cond returns true. It ends with [ErrStopped] when the
// thread is asked to stop, and with an error that matches [syscall.EINTR]
// while a signal is pending. A true condition beats both. See
// [waitqueue.Queue.Wait] for what cond may do. It allocates nothing.
//
// Kernel: wait_event_interruptible
func (cur *Current) Wait(q *waitqueue.Queue, cond func() bool) error {
	if cur.t.task.Wait(q, cond) != nil {
		return cur.reason()
	}
	return nil
}

// WaitExclusive is Wait for one who takes something: see
// [waitqueue.Queue.WaitExclusive].
//
// Kernel: wait_event_interruptible_exclusive
func (cur *Current) WaitExclusive(q *waitqueue.Queue, cond func() bool) error {
	if cur.t.task.WaitExclusive(q, cond) != nil {
		return cur.reason()
	}
	return nil
}

// Sleep returns nil when d has passed. It ends earlier as Wait does. A stray
// wake-up does not shorten it. If d is 0 or less, it returns nil at once, also
// when a stop has been asked: a loop around it must ask for that itself.
//
// Kernel: schedule_timeout_interruptible, msleep_interruptible
//
// Differs: sleeps on after a wake-up that is not a signal; does not return what is left.
func (cur *Current) Sleep(d time.Duration) error {
	task := &cur.t.task
	for d > 0 {
		task.SetState(waitqueue.Interruptible)
		d = task.ScheduleTimeout(d)
		if d > 0 && task.Interrupted() {
			return cur.reason()
		}
	}
	return nil
}

// Context returns a context for calls that take one, such as those of net,
// database/sql and os/exec. It ends with the cause [ErrStopped] when the
// thread is asked to stop, or else when the thread has ended. It does not end
// on signals, because a context cannot be un-cancelled. It carries no values of
// the creator's, and the thread's name as a profiler label.
func (cur *Current) Context() context.Context { return cur.t.ctx }

// Task returns the thread as the wait queues see it, to write out a wait loop
// step by step. Its interrupt says that a signal is pending or a stop asked: to
// call Interrupt or ClearInterrupt would falsify that.
//
// Kernel: current
func (cur *Current) Task() *waitqueue.Task { return &cur.t.task }

// Allow lets the thread receive sig. A signal sent before that is lost. If the
// number is not one of a signal, the error matches [syscall.EINVAL].
//
// Kernel: allow_signal
func (cur *Current) Allow(sig syscall.Signal) error { return cur.t.signals.allow(sig) }

// Pending reports whether a signal is pending, or a stop has been asked:
// interruptible sleeps end at once then.
//
// Kernel: signal_pending
func (cur *Current) Pending() bool { return cur.t.task.Interrupted() }

// Flush drops all pending signals, so that the thread can sleep again. It does
// not take back a stop.
//
// Kernel: flush_signals
func (cur *Current) Flush() { cur.t.signals.flush() }

// reason returns the error of a sleep that was interrupted.
func (cur *Current) reason() error {
	if cur.ShouldStop() {
		return ErrStopped
	}
	return errSignal
}
