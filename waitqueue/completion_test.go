package waitqueue_test

import (
	"context"
	"math"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

func TestCompletionCounts(t *testing.T) {
	var c waitqueue.Completion
	require.False(t, c.IsDone())
	require.False(t, c.TryWait())
	for range 3 {
		c.Complete()
	}
	for range 3 {
		require.True(t, c.IsDone())
		require.True(t, c.IsDone(), "IsDone takes nothing")
		require.NoError(t, c.Wait(context.Background()))
	}
	require.False(t, c.IsDone())
}

// The largest number of tokens means that there is no end of them. No TryWait lowers it.
func TestCompletionSaturates(t *testing.T) {
	var c waitqueue.Completion
	c.SetTokens(math.MaxUint32 - 1)
	require.True(t, c.TryWait())
	require.EqualValues(t, uint32(math.MaxUint32-2), c.Tokens(), "still counted")
	for range 5 {
		c.Complete()
	}
	require.EqualValues(t, uint32(math.MaxUint32), c.Tokens())
	require.True(t, c.TryWait())
	require.EqualValues(t, uint32(math.MaxUint32), c.Tokens())
}

func TestCompleteAllUntilReinit(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var c waitqueue.Completion
		wait := func() error { return c.Wait(ctx) }
		var results []<-chan error
		for range 3 {
			results = append(results, asleep(wait))
		}
		c.CompleteAll()
		for _, result := range results {
			require.NoError(t, <-result)
		}
		c.Complete()
		c.CompleteAll()
		require.NoError(t, wait())
		c.Reinit()
		result := asleep(wait)
		require.False(t, ended(result))
		c.Complete()
		require.NoError(t, <-result)
		require.False(t, c.IsDone())
	})
}

func TestCompleteWakesInOrderOfArrival(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var c waitqueue.Completion
		var results []<-chan error
		for range 4 {
			results = append(results, asleep(func() error { return c.Wait(ctx) }))
		}
		for i := range results {
			c.Complete()
			for j, result := range results {
				require.Equal(t, j <= i, ended(result))
			}
		}
		require.False(t, c.WaitQueue().Active())
	})
}

func TestCompletionWaitThatFailsTakesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c waitqueue.Completion
		ctx, cancel := context.WithCancel(t.Context())
		result := asleep(func() error { return c.Wait(ctx) })
		cancel()
		require.ErrorIs(t, <-result, syscall.EINTR)
		start := time.Now()
		require.ErrorIs(t, c.Wait(expiring(t, time.Hour)), syscall.ETIMEDOUT)
		require.Equal(t, time.Hour, time.Since(start))
		c.Complete()
		require.True(t, c.TryWait())
		require.False(t, c.TryWait())
	})
}

// The waiter's context ends and a token comes before it runs.
func TestCompletionTokenBeatsEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c waitqueue.Completion
		g := newGate()
		for _, tokenFirst := range []bool{true, false} {
			ctx, cancel := context.WithCancel(t.Context())
			result := locked(t, g, func() error { return c.WaitQueue().WaitExclusiveLocked(ctx, g, c.TryWait) })
			g.Lock()
			if tokenFirst {
				c.Complete()
			}
			cancel()
			synctest.Wait()
			if !tokenFirst {
				c.Complete()
			}
			g.Unlock()
			require.NoError(t, <-result)
			require.False(t, c.IsDone())
		}
	})
}

// One of the two waiters gets the token: A, or B if A gives up.
func TestCompletionCancelledWaiterSwallowsNothing(t *testing.T) {
	for range 500 {
		synctest.Test(t, func(t *testing.T) {
			var c waitqueue.Completion
			ctx, cancel := context.WithCancel(t.Context())
			a := asleep(func() error { return c.Wait(ctx) })
			b := asleep(func() error { return c.Wait(context.Background()) })
			go cancel()
			c.Complete()
			synctest.Wait()
			err := <-a
			require.Equal(t, err != nil, ended(b))
			require.False(t, c.IsDone())
			c.Complete()
			require.NoError(t, <-b)
		})
	}
}

// A newcomer and the woken waiter want the same token. One of them gets it.
func TestCompletionBarging(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var c waitqueue.Completion
			result := asleep(func() error { return c.Wait(t.Context()) })
			c.Complete()
			barged := c.TryWait()
			require.Equal(t, !barged, ended(result))
			require.Equal(t, barged, c.WaitQueue().Active(), "it sleeps again")
			c.Complete()
			require.NoError(t, <-result)
		})
	}
}

func TestTaskWaitsForCompletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c waitqueue.Completion
		var task waitqueue.Task
		wait := func() error { return task.WaitExclusive(c.WaitQueue(), c.TryWait) }
		result := asleep(wait)
		c.Complete()
		require.NoError(t, <-result)
		result = asleep(wait)
		task.Interrupt()
		require.ErrorIs(t, <-result, syscall.EINTR)
		c.Complete()
		require.NoError(t, wait(), "a token beats the interrupt")
	})
}

var globalCompletion waitqueue.Completion

func TestOneCompletionInManyBubbles(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			plain := asleep(func() error { return globalCompletion.Wait(context.Background()) })
			withContext := asleep(func() error { return globalCompletion.Wait(t.Context()) })
			start := time.Now()
			require.ErrorIs(t, globalCompletion.Wait(expiring(t, time.Hour)), context.DeadlineExceeded)
			require.Equal(t, time.Hour, time.Since(start))
			globalCompletion.Complete()
			globalCompletion.Complete()
			require.NoError(t, <-plain)
			require.NoError(t, <-withContext)
		})
	}
}
