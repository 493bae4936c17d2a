package waitqueue_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// active counts the queues that have an entry.
func active(queues []*waitqueue.Queue) (n int) {
	for _, q := range queues {
		if q.Active() {
			n++
		}
	}
	return n
}

func threeQueues() []*waitqueue.Queue {
	return []*waitqueue.Queue{new(waitqueue.Queue), new(waitqueue.Queue), new(waitqueue.Queue)}
}

func TestWaitAnyIsWokenByEachQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		queues := threeQueues()
		for _, q := range queues {
			var ready atomic.Bool
			result := asleep(func() error { return waitqueue.WaitAny(ctx, ready.Load, queues...) })
			require.Equal(t, 3, active(queues))
			ready.Store(true)
			require.Equal(t, 1, q.WakeUp())
			require.NoError(t, <-result)
			require.Zero(t, active(queues))
		}
	})
}

// A wake-up takes the entry off its queue, and the condition is false. The wait puts the entry
// back, so a wake-up of any queue still reaches it.
func TestWaitAnyStaysOnAllQueues(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		queues := threeQueues()
		var tests atomic.Int32
		var ready atomic.Bool
		result := asleep(func() error {
			return waitqueue.WaitAny(ctx, func() bool { tests.Add(1); return ready.Load() }, queues...)
		})
		for range 2 {
			for _, q := range queues {
				before := tests.Load()
				require.Equal(t, 1, q.WakeUp())
				require.False(t, ended(result))
				require.Greater(t, tests.Load(), before)
				require.Equal(t, 3, active(queues))
			}
		}
		queues[0].WakeUp()
		queues[1].WakeUp() // both at once
		synctest.Wait()
		require.Equal(t, 3, active(queues))
		ready.Store(true)
		require.Equal(t, 1, queues[2].WakeUp())
		require.NoError(t, <-result)
		require.Zero(t, active(queues))
	})
}

func TestWaitAnyWakeUpBetweenTestAndSleepIsNotLost(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		queues := threeQueues()
		for _, q := range queues {
			for window := 1; window <= 2; window++ {
				tests, ready := 0, false
				require.NoError(t, waitqueue.WaitAny(ctx, func() bool {
					seen := ready
					if tests++; tests == window {
						ready = true
						q.WakeUp()
					}
					return seen
				}, queues...))
				require.Zero(t, active(queues))
			}
		}
	})
}

func TestWaitAnyEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queues := threeQueues()
		untouched := func(result bool) func() bool {
			return func() bool { require.Zero(t, active(queues)); return result }
		}
		require.NoError(t, waitqueue.WaitAny(cancelled(t), untouched(true), queues...))
		require.ErrorIs(t, waitqueue.WaitAny(cancelled(t), untouched(false), queues...), syscall.EINTR)

		start := time.Now()
		require.ErrorIs(t, waitqueue.WaitAny(expiring(t, time.Hour), never, queues...), syscall.ETIMEDOUT)
		require.Equal(t, time.Hour, time.Since(start))
		require.Zero(t, active(queues))
		require.ErrorIs(t, waitqueue.WaitAny(expiring(t, time.Hour), never), syscall.ETIMEDOUT, "on no queue")

		// The entry is on no queue in the last test, which may still be true.
		ctx, cancel := context.WithCancel(t.Context())
		last := func() bool { return ctx.Err() != nil && active(queues) == 0 }
		result := asleep(func() error { return waitqueue.WaitAny(ctx, last, queues...) })
		cancel()
		require.NoError(t, <-result)
	})
}

func TestWaitAnyUsesNoBudget(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		queues := threeQueues()
		var tok tokens
		var open atomic.Bool
		exclusive := asleep(func() error { return queues[1].WaitExclusive(ctx, tok.tryTake) })
		result := asleep(func() error { return waitqueue.WaitAny(ctx, open.Load, queues...) })
		open.Store(true)
		tok.Store(1)
		require.Equal(t, 2, queues[1].WakeUp())
		require.NoError(t, <-exclusive)
		require.NoError(t, <-result)
	})
}

func TestWaitAnyConditionThatPanicsLeavesNothingBehind(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		queues := threeQueues()
		for panicAt := 1; panicAt <= 3; panicAt++ {
			tests := 0
			time.AfterFunc(1, func() { queues[2].WakeUp() })
			require.PanicsWithValue(t, "in cond", func() {
				_ = waitqueue.WaitAny(ctx, func() bool {
					if tests++; tests == panicAt {
						panic("in cond")
					}
					return false
				}, queues...)
			})
			require.Zero(t, active(queues))
		}
	})
}
