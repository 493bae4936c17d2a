//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/kprim/kprim/waitqueue"
)

// Calls are the requests in progress. A request that may block has a context, which an
// interrupt or the end of the mount ends.
//
// Kernel: struct fuse_req
type calls struct {
	count   atomic.Int64
	idle    waitqueue.Queue // woken when count gets 0
	ctx     context.Context // of all
	cancel  context.CancelCauseFunc
	mu      sync.Mutex
	cancels map[uint64]context.CancelFunc // by the number of the request
}

func newCalls() calls {
	ctx, cancel := context.WithCancelCause(context.Background())
	return calls{ctx: ctx, cancel: cancel, cancels: map[uint64]context.CancelFunc{}}
}

// begin and finish enclose each request, with its answer.
func (c *calls) begin() { c.count.Add(1) }

func (c *calls) finish() {
	if c.count.Add(-1) == 0 {
		c.idle.WakeUpAll()
	}
}

// waitIdle waits for a moment without a request, or until ctx ends.
func (c *calls) waitIdle(ctx context.Context) {
	_ = c.idle.Wait(ctx, func() bool { return c.count.Load() == 0 })
}

// context returns the context of a request that may block. The caller calls done when the
// request no longer blocks.
func (c *calls) context(unique uint64) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancels[unique] = cancel
	return ctx, func() {
		cancel()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.cancels, unique)
	}
}

// interrupt ends the context of a request. It returns false if the request has no context.
// Then the call of the File has not begun yet, or it has ended. Both can be, because another
// goroutine serves the request.
//
// Kernel: FUSE_INTERRUPT
func (c *calls) interrupt(unique uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cancel := c.cancels[unique]
	if cancel == nil {
		return false
	}
	cancel()
	return true
}

// end ends the contexts of all requests, also of later ones.
func (c *calls) end(cause error) { c.cancel(cause) }
