package onecpu

import (
	"context"
	"syscall"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// Start makes a thread that runs fn with the CPU, and returns when the thread
// sleeps for the first time or has ended. The caller must have the CPU. fn sleeps
// by [CPU.Schedule], [CPU.Sleep] or a [Sleeper].
func (c *CPU) Start(name string, fn func(cur *kthread.Current) error) *kthread.Thread {
	var thread *kthread.Thread
	c.Sleep(func() {
		// Start cannot fail: fn is called after Ready.
		thread, _ = kthread.Start(context.Background(), name, func(cur *kthread.Current) error {
			c.Lock()
			defer c.Unlock()
			cur.Ready() // the caller goes on, but has to wait for the CPU
			return fn(cur)
		})
	})
	return thread
}

// A Sleeper is a thread that gives up the CPU while it waits. Its conditions run
// with the CPU, and may read all that the CPU guards. A Sleeper is a
// [rwevent.Sleeper] too.
//
// [rwevent.Sleeper]: https://pkg.go.dev/github.com/kprim/kprim/rwevent#Sleeper
type Sleeper struct {
	*kthread.Current
	CPU *CPU
}

// Wait is [kthread.Current.Wait].
//
// Kernel: wait_event_interruptible
func (s Sleeper) Wait(q *waitqueue.Queue, cond func() bool) error {
	return s.wait(q, q.Prepare, cond)
}

// WaitExclusive is [kthread.Current.WaitExclusive].
//
// Kernel: wait_event_interruptible_exclusive
func (s Sleeper) WaitExclusive(q *waitqueue.Queue, cond func() bool) error {
	return s.wait(q, q.PrepareExclusive, cond)
}

// wait need not pass on a wake-up that it does not use. No other thread runs
// between the test and the end of the wait. So a wake-up that picked this thread
// came before the test.
func (s Sleeper) wait(q *waitqueue.Queue, prepare func(*waitqueue.Entry, waitqueue.State), cond func() bool) error {
	wait := waitqueue.Entry{Task: s.Task(), Func: s.CPU.Enqueue}
	defer q.Finish(&wait)
	for {
		prepare(&wait, waitqueue.Interruptible)
		switch {
		case cond():
			return nil
		case s.ShouldStop():
			return kthread.ErrStopped
		case s.Interrupted():
			return syscall.EINTR
		}
		s.CPU.Schedule(s.Task())
	}
}
