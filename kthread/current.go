package kthread

import (
	"context"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

// Current is the thread as it sees itself. Only the thread's own goroutine may
// use it, and only until the function returns.
//
// Kernel: current, in a kthread
type Current struct {
	t *Thread

	// The labels of the goroutine while it sleeps on this queue.
	queue    *waitqueue.Queue
	sleeping context.Context
}

// Thread returns the handle of the thread.
//
// Kernel: current
func (cur *Current) Thread() *Thread { return cur.t }

// Ready tells [Start] that the thread is set up. Later calls do nothing, and
// so does the call in a thread that nobody waits for.
//
// Kernel: init_kthread of the drivers that came before kthread_run
func (cur *Current) Ready() {
	cur.t.readied.Store(true)
	if cur.t.awaited {
		cur.t.ready.open()
	}
}

// ShouldStop reports whether the thread has been asked to stop. Once true, it
// remains true. It costs one atomic load.
//
// Kernel: kthread_should_stop
func (cur *Current) ShouldStop() bool { return cur.t.stop.Load() }

// Wait blocks until cond returns true. It ends with [ErrStopped] when the
// thread is asked to stop, and with an error that matches [syscall.EINTR]
// while a signal is pending. A true condition beats both. See
// [waitqueue.Queue.Wait] for what cond may do: if a mutex guards what it reads, it
// locks that mutex itself. Wait allocates nothing, but for a queue with a name,
// which becomes the goroutine's profiler label wchan.
//
// Kernel: wait_event_interruptible
//
// Differs: tells a stop from a signal, which are both ERESTARTSYS there.
func (cur *Current) Wait(q *waitqueue.Queue, cond func() bool) error {
	return cur.wait(q, false, cond)
}

// WaitExclusive is Wait for one who takes something: see
// [waitqueue.Queue.WaitExclusive].
//
// Kernel: wait_event_interruptible_exclusive
func (cur *Current) WaitExclusive(q *waitqueue.Queue, cond func() bool) error {
	return cur.wait(q, true, cond)
}

// WaitTimeout is Wait for at most d. If cond is false then, the error matches
// [syscall.ETIMEDOUT]. It allocates.
//
// Kernel: wait_event_interruptible_timeout
//
// Differs: does not return what is left.
func (cur *Current) WaitTimeout(q *waitqueue.Queue, d time.Duration, cond func() bool) error {
	deadline := time.Now().Add(d)
	timer := time.AfterFunc(d, func() { cur.t.task.WakeUp(waitqueue.Normal) })
	defer timer.Stop()
	over := false
	err := cur.wait(q, false, func() bool {
		if cond() {
			return true
		}
		over = !time.Now().Before(deadline)
		return over
	})
	if err == nil && over {
		return timedOut{}
	}
	return err
}

func (cur *Current) wait(q *waitqueue.Queue, exclusive bool, cond func() bool) (err error) {
	if cond() {
		return nil // without a sleep that the labels would have to show
	}
	if q.Name != "" {
		pprof.SetGoroutineLabels(cur.labels(q))
	}
	if exclusive {
		err = cur.t.task.WaitExclusive(q, cond)
	} else {
		err = cur.t.task.Wait(q, cond)
	}
	if q.Name != "" {
		pprof.SetGoroutineLabels(cur.t.label)
	}
	if err != nil {
		return cur.reason()
	}
	return nil
}

// labels returns the labels for a sleep on q, which is mostly the queue of the
// last sleep.
func (cur *Current) labels(q *waitqueue.Queue) context.Context {
	if cur.queue != q {
		cur.queue, cur.sleeping = q, pprof.WithLabels(cur.t.label, pprof.Labels("wchan", q.Name))
	}
	return cur.sleeping
}

// Sleep returns nil when d has passed. It ends earlier as Wait does, and with an
// error that matches [syscall.EINTR] when the thread is asked to park. A stray
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
		if cur.ShouldPark() && !cur.Pending() {
			task.SetState(waitqueue.Running)
			return errParkAsked
		}
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
func (cur *Current) Context() context.Context {
	t := cur.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx == nil {
		t.ctx, t.cancel = context.WithCancelCause(t.label)
		if t.stop.Load() { // before its askStop could find the cancel
			t.cancel(ErrStopped)
		}
	}
	return t.ctx
}

// Task returns the thread as the wait queues see it, to write out a wait loop
// step by step. Its interrupt says that a signal is pending or a stop asked: to
// call Interrupt or ClearInterrupt would falsify that.
//
// Kernel: current
func (cur *Current) Task() *waitqueue.Task { return &cur.t.task }

// reason returns the error of a sleep that was ended.
func (cur *Current) reason() error {
	if cur.ShouldStop() {
		return ErrStopped
	}
	return errSignal
}

// timedOut ends a wait whose time has passed. The errno has a text that is about
// connections.
type timedOut struct{}

func (timedOut) Error() string { return "kthread: wait timed out" }
func (timedOut) Unwrap() error { return syscall.ETIMEDOUT }
func (timedOut) Timeout() bool { return true }
