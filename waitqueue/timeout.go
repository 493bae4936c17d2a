package waitqueue

import (
	"context"
	"sync"
	"syscall"
	"time"
)

// errTimedOut is the error of a task's wait that has lasted for d.
var errTimedOut error = &waitError{errno: syscall.ETIMEDOUT, ended: context.DeadlineExceeded, cause: context.DeadlineExceeded}

// WaitTimeout is [Task.Wait] for at most d. If d is over and cond is false, the error
// matches [syscall.ETIMEDOUT] and [context.DeadlineExceeded]. If cond is true when d is
// over, WaitTimeout returns nil. If d is over and an interrupt is set, the error is the
// timeout. If d is 0 or less, WaitTimeout tests cond once and does not sleep.
//
// It allocates a timer, unless cond is true at once.
//
// Kernel: wait_event_interruptible_timeout
//
// Differs: takes a [time.Duration], not jiffies; does not return the time that is left.
func (t *Task) WaitTimeout(q *Queue, d time.Duration, cond func() bool) error {
	return q.waitTimeout(t, nil, d, cond)
}

// WaitLockedTimeout is [Task.WaitTimeout] with a condition that l guards, as
// [Queue.WaitLocked] has it: l is held on every return.
//
// It has no exclusive form, as in the kernel. [Queue.WaitExclusiveLocked] is one, with a
// context that has a deadline.
//
// Kernel: wait_event_interruptible_lock_irq_timeout
//
// Differs: takes a [time.Duration], not jiffies; does not return the time that is left. l is any lock, not a spinlock with interrupts off.
func (t *Task) WaitLockedTimeout(q *Queue, l sync.Locker, d time.Duration, cond func() bool) error {
	mustLock(l)
	return q.waitTimeout(t, l, d, cond)
}

// waitTimeout is an ordinary wait with a condition that is also true when d is over.
func (q *Queue) waitTimeout(t *Task, l sync.Locker, d time.Duration, cond func() bool) error {
	deadline := time.Now().Add(d)
	var timer *time.Timer
	defer func() { // also when cond panics
		if timer != nil {
			timer.Stop() // as in ScheduleTimeout
		}
	}()
	over := false
	err := q.wait(t, nil, l, false, func() bool {
		// The condition first. With the other order a condition that came true in time could lose.
		if cond() {
			return true
		}
		left := time.Until(deadline)
		if over = left <= 0; !over && timer == nil {
			timer = time.AfterFunc(left, t.expire)
		}
		return over
	})
	if over {
		return errTimedOut
	}
	return err
}
