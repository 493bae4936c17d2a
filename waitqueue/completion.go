package waitqueue

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/kprim/kprim/internal/point"
)

// A Completion is an event that is remembered: each Complete lets one Wait
// pass, before or after it. The zero value has no token and is ready to use. A
// Completion must not be copied after first use.
//
// Kernel: struct completion, DECLARE_COMPLETION, init_completion
type Completion struct {
	done  atomic.Uint32 // tokens not yet taken, or forever
	queue Queue
}

// forever is a number of tokens that taking does not lower.
const forever = math.MaxUint32

// Complete adds a token and wakes the waiter that has waited longest. A
// newcomer may take the token first. Then the waiter goes to the end of the queue.
//
// Kernel: complete
func (c *Completion) Complete() {
	for n := c.done.Load(); n != forever && !c.done.CompareAndSwap(n, n+1); {
		n = c.done.Load()
	}
	point.At("added", nil)
	c.queue.WakeUp()
}

// CompleteAll lets every Wait pass, now and later, until Reinit.
//
// Kernel: complete_all
func (c *Completion) CompleteAll() {
	c.done.Store(forever)
	c.queue.WakeUpAll()
}

// Wait takes a token, and blocks until there is one or ctx ends. If a token is
// there, Wait takes it, even if ctx has ended. A Wait that fails takes no token.
// The error is the error of [ContextErr].
//
// Kernel: wait_for_completion, wait_for_completion_timeout, wait_for_completion_interruptible, wait_for_completion_interruptible_timeout
//
// Differs: ctx chooses one of them; no remaining time is returned.
//
// Differs: wait_for_completion_timeout: a sleep with a deadline is interruptible here, as in [Queue.Wait]. A timeout of 0 sleeps to the next tick there.
func (c *Completion) Wait(ctx context.Context) error {
	return c.queue.WaitExclusive(ctx, c.TryWait)
}

// TryWait takes a token, and reports whether there was one.
//
// Kernel: try_wait_for_completion
func (c *Completion) TryWait() bool {
	for {
		n := c.done.Load()
		if n == 0 || n == forever {
			return n != 0
		}
		if c.done.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// IsDone reports whether a token is there. False does not mean that a goroutine
// waits.
//
// Kernel: completion_done
func (c *Completion) IsDone() bool { return c.done.Load() != 0 }

// Reinit takes back all tokens. No other goroutine may be in Wait, Complete or
// CompleteAll.
//
// Kernel: reinit_completion
func (c *Completion) Reinit() { c.done.Store(0) }

// WaitQueue returns the queue on which waiters sleep, for tasks that wait without
// a context: task.WaitExclusive(c.WaitQueue(), c.TryWait).
func (c *Completion) WaitQueue() *Queue { return &c.queue }
