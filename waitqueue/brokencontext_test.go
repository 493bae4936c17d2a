package waitqueue_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A broken context ends without an error: its Done is closed and its Err is nil,
// until it gets one.
type broken struct {
	context.Context
	done chan struct{}
	err  atomic.Pointer[error]
}

func newBroken() *broken { return &broken{Context: context.Background(), done: make(chan struct{})} }

func (b *broken) Done() <-chan struct{} { return b.done }

func (b *broken) Err() error {
	if err := b.err.Load(); err != nil {
		return *err
	}
	return nil
}

const noErr = "waitqueue: the context's Done channel is closed, but its Err is nil"

// contextWaits has all waits of the package that a context can end. The waits with a lock hold
// it on every return, and after a panic.
func contextWaits(t *testing.T) map[string]func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error {
	withLock := func(wait func(g gate) error) error {
		g := newGate()
		g.Lock()
		defer func() { require.True(t, g.held()) }()
		return wait(g)
	}
	condOf := func(g gate) *waitqueue.Cond {
		c := waitqueue.NewCond(g)
		t.Cleanup(func() { require.False(t, c.Active()) })
		return c
	}
	return map[string]func(context.Context, *waitqueue.Queue, func() bool) error{
		"Wait": func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error { return q.Wait(ctx, cond) },
		"WaitExclusive": func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error {
			return q.WaitExclusive(ctx, cond)
		},
		"WaitLocked": func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error {
			return withLock(func(g gate) error { return q.WaitLocked(ctx, g, cond) })
		},
		"WaitExclusiveLocked": func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error {
			return withLock(func(g gate) error { return q.WaitExclusiveLocked(ctx, g, cond) })
		},
		"WaitAny": func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error {
			return waitqueue.WaitAny(ctx, cond, q, new(waitqueue.Queue))
		},
		"Completion.Wait": func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error {
			var c waitqueue.Completion
			if cond() {
				c.Complete()
			}
			defer func() { require.False(t, c.WaitQueue().Active()) }()
			return c.Wait(ctx)
		},
		"Cond.Wait": func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error {
			return withLock(func(g gate) error {
				if cond() {
					return nil
				}
				return condOf(g).Wait(ctx)
			})
		},
		"Cond.WaitFor": func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error {
			return withLock(func(g gate) error { return condOf(g).WaitFor(ctx, cond) })
		},
	}
}

// Such a context is a mistake of its author. A wait that goes on would spin, and a nil from it
// would be wrong, because the condition is false. Package context panics too.
func TestWaitPanicsIfTheContextEndedWithoutAnErr(t *testing.T) {
	for name, wait := range contextWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := newBroken()
				var q waitqueue.Queue
				var tests atomic.Int32
				cond := func() bool {
					if tests.Add(1) > 100 {
						panic("it spins")
					}
					return false
				}
				asleepAtFirst := make(chan any, 1)
				go func() {
					defer func() { asleepAtFirst <- recover() }()
					_ = wait(ctx, &q, cond)
				}()
				synctest.Wait()
				close(ctx.done)
				require.Equal(t, noErr, <-asleepAtFirst, "it ends during the sleep")
				require.PanicsWithValue(t, noErr, func() { _ = wait(ctx, &q, cond) }, "it has ended before")
				require.False(t, q.Active())
				require.NoError(t, wait(ctx, &q, func() bool { return true }), "a true condition beats it")

				err := context.Canceled
				ctx.err.Store(&err)
				require.ErrorIs(t, wait(ctx, &q, cond), syscall.EINTR, "with an Err it is a context like others")
			})
		})
	}
}

// The condition comes true before the end, and nobody wakes the waiter. The last test finds
// the condition true.
func TestTrueConditionBeatsAContextWithoutAnErr(t *testing.T) {
	for _, name := range []string{"Wait", "WaitExclusive", "WaitLocked", "WaitExclusiveLocked", "WaitAny"} {
		t.Run(name, func(t *testing.T) {
			wait := contextWaits(t)[name]
			synctest.Test(t, func(t *testing.T) {
				ctx := newBroken()
				var q waitqueue.Queue
				var ready atomic.Bool
				result := asleep(func() error { return wait(ctx, &q, ready.Load) })
				ready.Store(true)
				close(ctx.done)
				require.NoError(t, <-result)
			})
		})
	}
}

// A Signal beats the end of such a context. A WaitFor passes on a Signal that has reached it
// before the end.
func TestSignalAndAContextWithoutAnErr(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := newBroken()
		c := waitqueue.NewCond(newGate())
		result := condWait(t, ctx, c)
		c.L.Lock()
		c.Signal()
		close(ctx.done)
		synctest.Wait()
		c.L.Unlock()
		require.NoError(t, <-result)

		ctx = newBroken()
		gone := make(chan any, 1)
		go func() {
			defer func() { gone <- recover() }()
			c.L.Lock()
			defer c.L.Unlock()
			_ = c.WaitFor(ctx, never)
		}()
		synctest.Wait()
		b := condWait(t, context.Background(), c)
		c.Signal() // it has no use for that
		require.False(t, ended(b))
		close(ctx.done)
		require.Equal(t, noErr, <-gone)
		require.True(t, ended(b), "the Signal is passed on")
	})
}

// A context may have an Err and nothing else: no cause, and no Done channel.
func TestErrOfAContextWithoutACauseIsItsCause(t *testing.T) {
	ctx := newBroken()
	err := context.DeadlineExceeded
	ctx.err.Store(&err)
	got := waitqueue.ContextErr(onceErr{ctx, new(atomic.Bool)})
	require.EqualError(t, got, "waitqueue: wait timed out: context deadline exceeded")
	require.ErrorIs(t, got, syscall.ETIMEDOUT)
	require.ErrorIs(t, got, context.DeadlineExceeded)
}

// onceErr has an Err at the first look only.
type onceErr struct {
	*broken
	looked *atomic.Bool
}

func (c onceErr) Err() error {
	if c.looked.Swap(true) {
		return nil
	}
	return c.broken.Err()
}
