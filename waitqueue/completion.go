package waitqueue

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/kprim/kprim/internal/point"
)

// A Completion is an event that is remembered: each Complete lets one Wait
// pass, whichever comes first. The zero value has nothing completed and is
// ready to use. A Completion must not be copied after first use.
//
// Kernel: struct completion, DECLARE_COMPLETION, init_completion
type Completion struct {
	done  atomic.Uint32 // tokens not yet taken, or forever
	queue Queue
}

// forever is a number of tokens that taking does not lower.
const forever = math.MaxUint32

// Complete adds a token and wakes the waiter that has waited longest. A
// newcomer may be quicker to take it; the waiter then goes to the end.
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

// Wait takes a token, and blocks until there is one or ctx ends. A token that
// is there beats a ctx that has ended; a Wait that fails takes none. The error
// is as from [ContextErr].
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

// IsDone reports whether a token is there. False does not mean that somebody
// waits.
//
// Kernel: completion_done
func (c *Completion) IsDone() bool { return c.done.Load() != 0 }

// Reinit takes back all tokens. No Wait, Complete or CompleteAll may be going
// on.
//
// Kernel: reinit_completion
func (c *Completion) Reinit() { c.done.Store(0) }

// WaitQueue returns the queue on which waiters sleep, for tasks that wait without
// a context: task.WaitExclusive(c.WaitQueue(), c.TryWait).
func (c *Completion) WaitQueue() *Queue { return &c.queue }
