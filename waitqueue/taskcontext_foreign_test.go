package waitqueue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A foreign context has a Done channel that package context has not made. Package context
// starts a goroutine for each context that is made from it.
type foreign struct {
	context.Context
	done chan struct{}
}

func (f foreign) Done() <-chan struct{} { return f.done }

func (f foreign) Err() error {
	select {
	case <-f.done:
		return context.Canceled
	default:
		return nil
	}
}

// afterFunc is a foreign one with the method that package context looks for.
type afterFunc struct {
	foreign
	calls *atomic.Int32
}

func (f afterFunc) AfterFunc(func()) func() bool {
	f.calls.Add(1)
	return func() bool { return true }
}

// WithTask starts no goroutine for a foreign context. So a bubble can end though the context
// never ends, and a cleanup has no channel to close. The waits go the usual way.
func TestInterleavingsWithTaskOfAForeignContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := foreign{Context: context.Background(), done: make(chan struct{})}
		var calls atomic.Int32
		for _, parent := range []context.Context{afterFunc{f, &calls}, f} {
			_, _ = waitqueue.WithTask(parent, "dropped")
			ctx, stop := waitqueue.WithTask(parent, "")
			stop()
			require.Zero(t, calls.Load())
			var q waitqueue.Queue
			var tok tokens
			result := asleep(func() error { return q.Wait(ctx, tok.tryTake) })
			require.Equal(t, waitqueue.Running, asleepWith(ctx))
			tok.Store(1)
			q.WakeUp()
			require.NoError(t, <-result)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := foreign{Context: context.Background(), done: make(chan struct{})}
		ctx, stop := waitqueue.WithTask(f, "")
		defer stop()
		var q waitqueue.Queue
		result := asleep(func() error { return q.Wait(ctx, never) })
		close(f.done)
		require.ErrorIs(t, <-result, syscall.EINTR)

		inside, cancel := context.WithCancel(foreign{Context: context.Background(), done: make(chan struct{})})
		ctx, stop = waitqueue.WithTask(inside, "")
		defer stop()
		result = asleep(func() error { return q.Wait(ctx, never) })
		require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
		cancel()
		require.ErrorIs(t, <-result, syscall.EINTR)
	})
}

// The Err of a broken context stays nil. The rules are the same with a task.
func TestWithTaskOfAContextThatEndsWithoutAnErr(t *testing.T) {
	for name, wait := range contextWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(t.Context())
				foreign := newBroken()
				for _, c := range []struct {
					ctx context.Context
					end func()
				}{
					{silent{parent}, cancel}, // its Done is of package context
					{foreign, func() { close(foreign.done) }},
				} {
					ctx, stop := waitqueue.WithTask(c.ctx, "")
					defer stop()
					var q waitqueue.Queue
					gone := make(chan any, 1)
					go func() {
						defer func() { gone <- recover() }()
						_ = wait(ctx, &q, never)
					}()
					synctest.Wait()
					c.end()
					require.Equal(t, noErr, <-gone)
					require.PanicsWithValue(t, noErr, func() { _ = wait(ctx, &q, never) })
					require.NoError(t, wait(ctx, &q, func() bool { return true }))
					require.False(t, q.Active())
				}
				for _, over := range []context.Context{silent{parent}, foreign} {
					ctx, stop := waitqueue.WithTask(over, "")
					defer stop()
					require.PanicsWithValue(t, noErr, func() { _ = wait(ctx, new(waitqueue.Queue), never) })
				}
			})
		})
	}
}

// A silent context never has an Err.
type silent struct{ context.Context }

func (silent) Err() error { return nil }

// An Interrupt ends a wait, and the wait looks at its context twice to find the reason. The
// context ends between the two looks. It has an Err then, which the first look has not found.
func TestInterleavingsEndWhileTheInterruptIsLookedInto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, cancel := context.WithCancel(t.Context())
		parent := &endsAfterALook{Context: inner, end: cancel}
		ctx, stop := waitqueue.WithTask(parent, "")
		defer stop()
		var q waitqueue.Queue
		result := asleep(func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
				}
			}()
			return q.Wait(ctx, never)
		})
		parent.armed.Store(true)
		waitqueue.TaskOf(ctx).Interrupt()
		require.EqualError(t, <-result, "waitqueue: wait interrupted: an interrupt is set")
	})
}

// endsAfterALook ends right after a call of its Err.
type endsAfterALook struct {
	context.Context
	end   func()
	armed atomic.Bool
}

func (c *endsAfterALook) Err() error {
	err := c.Context.Err()
	if c.armed.Load() {
		c.end()
	}
	return err
}
