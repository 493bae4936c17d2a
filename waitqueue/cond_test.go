package waitqueue_test

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// held reports whether a goroutine holds g.
func (g gate) held() bool { return len(g) == 0 }

// condWait starts a Wait that checks that L is held when it returns.
func condWait(t *testing.T, ctx context.Context, c *waitqueue.Cond) <-chan error {
	return locked(t, c.L.(gate), func() error { return c.Wait(ctx) })
}

// condWaitFor is condWait for WaitFor.
func condWaitFor(t *testing.T, ctx context.Context, c *waitqueue.Cond, pred func() bool) <-chan error {
	return locked(t, c.L.(gate), func() error {
		return c.WaitFor(ctx, func() bool {
			require.True(t, c.L.(gate).held(), "pred runs with L held")
			return pred()
		})
	})
}

// locked starts wait with g held, and checks that it is held at the end.
func locked(t *testing.T, g gate, wait func() error) <-chan error {
	return asleep(func() error {
		g.Lock()
		err := wait()
		require.True(t, g.held(), "held on every return")
		g.Unlock()
		return err
	})
}

// inBubble runs test once for each kind of context that has not ended.
func inBubble(t *testing.T, test func(t *testing.T, ctx context.Context)) {
	t.Run("background", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, context.Background()) })
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			test(t, ctx)
		})
	})
	t.Run("WithTask, background", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := waitqueue.WithTask(context.Background(), "")
			defer stop()
			test(t, ctx)
		})
	})
	t.Run("WithTask, context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := waitqueue.WithTask(t.Context(), "")
			defer stop()
			test(t, ctx)
		})
	})
}

func TestCondSignalsInOrderOfArrival(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		c := waitqueue.NewCond(newGate())
		var results []<-chan error
		for range 4 {
			results = append(results, condWait(t, ctx, c))
		}
		require.False(t, c.L.(gate).held(), "free while they sleep")
		for i := range results {
			c.Signal()
			for j, result := range results {
				require.Equal(t, j <= i, ended(result))
			}
		}
		for _, result := range results {
			require.NoError(t, <-result)
		}
	})
}

func TestCondBroadcastWakesAll(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		c := waitqueue.NewCond(newGate())
		var results []<-chan error
		for range 5 {
			results = append(results, condWait(t, ctx, c))
		}
		c.L.Lock() // allowed, not needed
		c.Broadcast()
		c.L.Unlock()
		for _, result := range results {
			require.NoError(t, <-result)
		}
	})
}

func TestCondRemembersNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		c := waitqueue.NewCond(newGate())
		c.Signal()
		c.Broadcast()
		result := condWait(t, ctx, c)
		require.False(t, ended(result))
		c.Signal()
		c.Signal() // nobody waits any more
		require.NoError(t, <-result)
		result = condWait(t, ctx, c)
		require.False(t, ended(result))
		c.Broadcast()
		require.NoError(t, <-result)
	})
}

func TestCondWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := waitqueue.NewCond(newGate())
		require.ErrorIs(t, <-condWait(t, cancelled(t), c), syscall.EINTR)

		ctx, cancel := context.WithCancel(t.Context())
		result := condWait(t, ctx, c)
		require.False(t, ended(result))
		cancel()
		err := <-result
		require.ErrorIs(t, err, syscall.EINTR)
		require.ErrorIs(t, err, context.Canceled)

		start := time.Now()
		err = <-condWaitFor(t, expiring(t, time.Hour), c, never)
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.Equal(t, time.Hour, time.Since(start))
		require.False(t, c.Active())
	})
}

// A is signalled, and its context ends before it runs.
func TestCondWaiterThatWasPickedReturnsNil(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			c := waitqueue.NewCond(newGate())
			ctx, cancel := context.WithCancel(t.Context())
			a := condWait(t, ctx, c)
			b := condWait(t, context.Background(), c)
			c.Signal()
			cancel()
			require.NoError(t, <-a)
			require.False(t, ended(b))
			c.Signal()
			require.NoError(t, <-b)
		})
	}
}

// The context of A ends, and a Signal comes at the same time. A or B gets the Signal.
func TestCondCancelledWaiterSwallowsNoSignal(t *testing.T) {
	for range 500 {
		synctest.Test(t, func(t *testing.T) {
			c := waitqueue.NewCond(newGate())
			ctx, cancel := context.WithCancel(t.Context())
			a := condWait(t, ctx, c)
			b := condWait(t, context.Background(), c)
			go cancel()
			c.Signal()
			synctest.Wait()
			err := <-a
			require.Equal(t, err != nil, ended(b))
			c.Signal()
			require.NoError(t, <-b)
		})
	}
}

// A has given up and waits for L, which another goroutine holds. A Signal that comes
// now is for B.
func TestCondWaiterThatGaveUpIsNotPicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := waitqueue.NewCond(newGate())
		ctx, cancel := context.WithCancel(t.Context())
		a := condWait(t, ctx, c)
		b := condWait(t, context.Background(), c)
		c.L.Lock()
		cancel()
		require.False(t, ended(a))
		c.Signal()
		c.L.Unlock()
		require.ErrorIs(t, <-a, syscall.EINTR)
		require.NoError(t, <-b)
	})
}

// An afterUnlock is a lock that runs a function once, right after its Unlock. That is the
// last moment before a waiter sleeps.
type afterUnlock struct {
	sync.Locker
	do func()
}

func (l *afterUnlock) Unlock() {
	l.Locker.Unlock()
	if do := l.do; do != nil {
		l.do = nil
		do()
	}
}

func TestCondSignalBetweenUnlockAndSleepIsNotLost(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		l := &afterUnlock{Locker: newGate()}
		c := waitqueue.Cond{L: l}
		for _, wake := range []func(){c.Signal, c.Broadcast} {
			l.Lock()
			l.do = wake
			require.NoError(t, c.Wait(ctx))
			l.Unlock()

			tests := 0
			l.Lock()
			l.do = wake
			require.NoError(t, c.WaitFor(ctx, func() bool { tests++; return tests == 2 }))
			l.Unlock()
		}
	})
}

func TestCondWaitForGoesToTheEndWhenPredIsFalse(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		c := waitqueue.NewCond(newGate())
		var tok tokens
		a := condWaitFor(t, ctx, c, tok.tryTake)
		b := condWaitFor(t, ctx, c, tok.tryTake)
		c.Signal() // there is nothing for A
		require.False(t, ended(a))
		tok.Store(1)
		c.Signal()
		require.True(t, ended(b))
		require.False(t, ended(a))
		tok.Store(1)
		c.Signal()
		require.NoError(t, <-a)
	})
}

func TestCondWaitForPredBeatsEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := waitqueue.NewCond(newGate())
		require.NoError(t, <-condWaitFor(t, cancelled(t), c, func() bool { return true }))
		require.ErrorIs(t, <-condWaitFor(t, cancelled(t), c, never), syscall.EINTR)

		// Nobody signals, but pred is true when the waiter gives up.
		var tok tokens
		ctx, cancel := context.WithCancel(t.Context())
		result := condWaitFor(t, ctx, c, tok.tryTake)
		c.L.Lock()
		cancel()
		synctest.Wait()
		tok.Store(1)
		c.L.Unlock()
		require.NoError(t, <-result)
		require.Zero(t, tok.Load())

		// The context ends during the test, and so does the wait.
		tests := 0
		ctx, cancel = context.WithCancel(t.Context())
		require.NoError(t, <-condWaitFor(t, ctx, c, func() bool { cancel(); tests++; return tests == 2 }))
	})
}

// The Signal reaches A. The context of A ends before A runs, and pred is false for A. So
// B gets the Signal, and pred is true for B.
func TestCondWaitForPassesTheSignalOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := waitqueue.NewCond(newGate())
		var tok tokens
		ctx, cancel := context.WithCancel(t.Context())
		a := condWaitFor(t, ctx, c, never)
		b := condWaitFor(t, context.Background(), c, tok.tryTake)
		c.L.Lock()
		tok.Store(1)
		c.Signal()
		cancel()
		require.False(t, ended(a))
		c.L.Unlock()
		require.ErrorIs(t, <-a, syscall.EINTR)
		require.NoError(t, <-b)
	})
}

// A waiter that gives up, and that no Signal has reached, wakes nobody.
func TestCondWaitForGivesUpInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := waitqueue.NewCond(newGate())
		ctx, cancel := context.WithCancel(t.Context())
		a := condWaitFor(t, ctx, c, never)
		b := condWait(t, context.Background(), c)
		cancel()
		require.Error(t, <-a)
		require.False(t, ended(b))
		c.Signal()
		require.NoError(t, <-b)
	})
}

func TestCondPredThatPanics(t *testing.T) {
	c := waitqueue.NewCond(newGate())
	c.L.Lock()
	require.PanicsWithValue(t, "in pred", func() {
		_ = c.WaitFor(context.Background(), func() bool { panic("in pred") })
	})
	require.True(t, c.L.(gate).held())
}

var globalCond = waitqueue.NewCond(new(sync.Mutex))

func TestOneCondInManyBubbles(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			wait := func(ctx context.Context) func() error {
				return func() error {
					globalCond.L.Lock()
					defer globalCond.L.Unlock()
					return globalCond.Wait(ctx)
				}
			}
			plain := asleep(wait(context.Background()))
			withContext := asleep(wait(t.Context()))
			start := time.Now()
			require.ErrorIs(t, wait(expiring(t, time.Hour))(), context.DeadlineExceeded)
			require.Equal(t, time.Hour, time.Since(start))
			globalCond.Signal()
			require.NoError(t, <-plain)
			globalCond.Signal()
			require.NoError(t, <-withContext)
		})
	}
}
