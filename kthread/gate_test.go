package kthread

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestGateIsClosedUntilOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		passed := make(chan error, 1)
		go func() { passed <- g.wait(context.Background()) }()
		synctest.Wait()
		require.Empty(t, passed)
		g.open()
		require.NoError(t, <-passed)
	})
}

func TestOpenGateLetsEverybodyPassForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var early sync.WaitGroup
		for range 10 {
			early.Go(func() { require.NoError(t, g.wait(t.Context())) })
		}
		synctest.Wait()
		g.open()
		early.Wait()
		for range 10 {
			require.NoError(t, g.wait(t.Context()))
		}
	})
}

func TestEndedContextEndsTheWaitAtAGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		ctx, cancel := context.WithCancel(t.Context())
		passed := make(chan error, 1)
		go func() { passed <- g.wait(ctx) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-passed, syscall.EINTR)
		require.ErrorIs(t, g.wait(ctx), context.Canceled)
		g.open()
		require.NoError(t, g.wait(ctx), "an open gate beats an ended context")
	})
}

// The context ends and the gate opens before the waiter runs.
func TestGateThatOpensBeatsAContextThatEnds(t *testing.T) {
	for range 500 {
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			ctx, cancel := context.WithCancel(t.Context())
			passed := make(chan error, 1)
			go func() { passed <- g.wait(ctx) }()
			synctest.Wait()
			g.open()
			cancel()
			require.NoError(t, <-passed)
		})
	}
}

// A waiter that looks while others pass must not find the gate closed.
func TestHammerOpenGateIsNeverSeenClosed(t *testing.T) {
	g := newGate()
	g.open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5000 {
				if err := g.wait(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// A brokenContext is done and has no Err, which package context does not allow.
type brokenContext struct {
	context.Context
	done chan struct{}
}

func (c brokenContext) Done() <-chan struct{} { return c.done }
func (c brokenContext) Err() error            { return nil }

func TestContextWithoutAnErrDoesNotOpenAGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := brokenContext{context.Background(), make(chan struct{})}
		g := newGate()
		passed := make(chan error, 1)
		go func() { passed <- g.wait(ctx) }()
		synctest.Wait()
		close(ctx.done)
		require.EqualError(t, <-passed, "kthread: the context's Done channel is closed, but its Err is nil")
		require.Error(t, g.wait(ctx))

		thread, err := Start(ctx, "t", func(cur *Current) error { return cur.Sleep(1) })
		require.Error(t, err)
		require.ErrorIs(t, thread.Wait(context.Background()), syscall.EINTR, "it was asked to stop")
		g.open()
		require.NoError(t, g.wait(ctx), "an open gate beats it")
		require.ErrorIs(t, thread.Wait(ctx), syscall.EINTR)
	})
}

// A lateContext is done, but its Err is nil for the first calls.
type lateContext struct {
	brokenContext
	calls atomic.Int32 // that are left with nil
}

func newLate(calls int) *lateContext {
	c := &lateContext{brokenContext: brokenContext{context.Background(), make(chan struct{})}}
	close(c.done)
	c.calls.Store(int32(calls))
	return c
}

func (c *lateContext) Err() error {
	if c.calls.Add(-1) >= 0 {
		return nil
	}
	return context.Canceled
}

// A wait that returns nil says that the thing has happened. No Err that comes late
// may end it so.
func TestContextWhoseErrIsLateOpensNoGate(t *testing.T) {
	for calls := range 8 {
		t.Run(fmt.Sprint(calls), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				late := func() context.Context { return newLate(calls) }
				g := newGate()
				require.Error(t, g.wait(late()))
				g.open()
				require.NoError(t, g.wait(late()), "an open gate beats it")

				letGo := make(chan struct{})
				thread := Run("t", func(*Current) error { <-letGo; return nil })
				synctest.Wait()
				require.Error(t, thread.Park(late()))
				require.Error(t, thread.Wait(late()))
				require.Error(t, thread.StopContext(late()))

				started, err := Start(late(), "t", func(*Current) error { <-letGo; return nil })
				require.Error(t, err)

				w := RunWorker("w")
				k := Work{Func: func() { <-letGo }}
				d := DelayedWork{Func: k.Func}
				w.Enqueue(&k)
				w.EnqueueAfter(&d, 0)
				synctest.Wait()
				require.Error(t, k.Flush(late()))
				require.Error(t, d.Flush(late()))
				require.Error(t, w.Flush(late()))
				require.Error(t, w.Destroy(late()))
				_, err = k.CancelSync(late())
				require.Error(t, err)

				close(letGo)
				require.NoError(t, thread.Stop())
				_ = started.Stop() // it may not have run
				require.NoError(t, w.Destroy(t.Context()))
			})
		})
	}
}
