package waitqueue_test

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

func never() bool { return false }

// tokens is a resource of which one unit can be taken.
type tokens struct{ atomic.Int32 }

func (t *tokens) tryTake() bool {
	for n := t.Load(); n > 0; n = t.Load() {
		if t.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// asleep starts wait on a goroutine of its own and returns when it is parked.
func asleep(wait func() error) (result <-chan error) {
	c := make(chan error, 1)
	go func() { c <- wait() }()
	synctest.Wait()
	return c
}

// ended reports whether the wait has returned, once all goroutines are parked.
func ended(result <-chan error) bool {
	synctest.Wait()
	return len(result) == 1
}

func TestWaitReturnsAtOnceWhenConditionHolds(t *testing.T) {
	var q waitqueue.Queue
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	yes := func() bool {
		require.False(t, q.Active(), "the queue must not be touched")
		return true
	}
	require.NoError(t, q.Wait(ctx, yes), "a true condition beats an ended context")
	require.NoError(t, q.WaitExclusive(ctx, yes))
}

func TestEndedContextNeverQueues(t *testing.T) {
	var q waitqueue.Queue
	ctx, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	calls := 0
	err := q.Wait(ctx, func() bool {
		calls++
		require.False(t, q.Active())
		return false
	})
	require.ErrorIs(t, err, syscall.ETIMEDOUT)
	require.Equal(t, 1, calls)
}

func TestWakeUpWithFalseConditionIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		ctx, cancel := context.WithCancel(t.Context())
		for _, ctx := range []context.Context{ctx, context.Background()} {
			var ready atomic.Bool
			result := asleep(func() error { return q.Wait(ctx, ready.Load) })
			require.Equal(t, 1, q.WakeUp())
			require.False(t, ended(result))
			ready.Store(true)
			require.Equal(t, 1, q.WakeUp())
			require.NoError(t, <-result)
			require.False(t, q.Active())
		}
		cancel()
	})
}

// The wake-up comes between the waiter's test and its sleep. A loop that goes on the queue
// after its test would sleep for ever here.
func TestWakeUpBetweenTestAndSleepIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var task waitqueue.Task
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		waits := map[string]func(func() bool) error{
			"background": func(c func() bool) error { return q.Wait(context.Background(), c) },
			"context":    func(c func() bool) error { return q.Wait(ctx, c) },
			"exclusive":  func(c func() bool) error { return q.WaitExclusive(ctx, c) },
			"task":       func(c func() bool) error { return task.Wait(&q, c) },
		}
		for name, wait := range waits {
			for window := 1; window <= 2; window++ { // before queueing, and after
				calls, ready := 0, false
				require.NoError(t, wait(func() bool {
					calls++
					seen := ready
					if calls == window {
						ready = true
						q.WakeUp()
					}
					return seen
				}), name)
			}
		}
	})
}

func TestWakeUpReachesAllOrdinaryAndOneExclusive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var open atomic.Bool
		var tok tokens
		ctx := context.Background()
		var ordinary, exclusive []<-chan error
		for range 3 {
			exclusive = append(exclusive, asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) }))
			ordinary = append(ordinary, asleep(func() error { return q.Wait(ctx, open.Load) }))
		}
		open.Store(true)
		tok.Store(3)
		require.Equal(t, 4, q.WakeUp(), "three ordinary and one exclusive")
		for _, result := range ordinary {
			require.True(t, ended(result))
		}
		require.True(t, ended(exclusive[0]), "first come, first woken")
		require.False(t, ended(exclusive[1]))
		require.Equal(t, 0, q.WakeUpN(0))
		require.Equal(t, 0, q.WakeUpN(-1))
		require.False(t, ended(exclusive[1]))
		require.Equal(t, 2, q.WakeUpN(5))
		require.True(t, ended(exclusive[1]) && ended(exclusive[2]))
	})
}

func TestWakeUpAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var open atomic.Bool
		for range 5 {
			asleep(func() error { return q.WaitExclusive(context.Background(), open.Load) })
			asleep(func() error { return q.Wait(context.Background(), open.Load) })
		}
		open.Store(true)
		require.Equal(t, 10, q.WakeUpAll())
	})
}

func TestWakeUpNOfNothingWakesOrdinaryOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var open atomic.Bool
		ordinary := asleep(func() error { return q.Wait(context.Background(), open.Load) })
		exclusive := asleep(func() error { return q.WaitExclusive(context.Background(), open.Load) })
		open.Store(true)
		require.Equal(t, 1, q.WakeUpN(0))
		require.True(t, ended(ordinary))
		require.False(t, ended(exclusive))
		q.WakeUp()
	})
}

func TestWakeUpInterruptiblePassesOverTheUninterruptible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var open atomic.Bool
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		d := asleep(func() error { return q.WaitExclusive(context.Background(), open.Load) })
		s := asleep(func() error { return q.WaitExclusive(ctx, open.Load) })
		open.Store(true)
		require.Equal(t, 1, q.WakeUpInterruptible(), "the one in state D costs no budget")
		require.True(t, ended(s))
		require.False(t, ended(d))
		require.Equal(t, 1, q.WakeUp())
	})
}

// A wake-up passes over the only waiter on the queue. The next wake-up finds the waiter.
func TestSoleWaiterThatIsPassedOverStaysQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var ready atomic.Bool
		wait := asleep(func() error { return q.WaitExclusive(context.Background(), ready.Load) })
		ready.Store(true)
		require.Zero(t, q.WakeUpInterruptible(), "it is in state D")
		require.Zero(t, q.WakeUpN(0), "it is exclusive")
		require.False(t, ended(wait))
		require.Equal(t, 1, q.WakeUp())
		require.NoError(t, <-wait)
		require.False(t, q.Active())
	})
}

func TestInterruptedErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		why := errors.New("the reason")

		ctx, cancel := context.WithCancelCause(t.Context())
		require.NoError(t, waitqueue.ContextErr(ctx))
		result := asleep(func() error { return q.Wait(ctx, never) })
		cancel(why)
		err := <-result
		for _, want := range []error{syscall.EINTR, context.Canceled, why} {
			require.ErrorIs(t, err, want)
		}
		require.NotErrorIs(t, err, syscall.ETIMEDOUT)
		require.EqualError(t, err, "waitqueue: wait interrupted: the reason")

		again, cancel := context.WithCancelCause(t.Context())
		cancel(err)
		require.EqualError(t, q.Wait(again, never), "waitqueue: wait interrupted: wait interrupted: the reason")

		start := time.Now()
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Hour, why)
		defer stop()
		err = q.WaitExclusive(ctx, never)
		require.Equal(t, time.Hour, time.Since(start))
		for _, want := range []error{syscall.ETIMEDOUT, context.DeadlineExceeded, why} {
			require.ErrorIs(t, err, want)
		}
		require.NotErrorIs(t, err, syscall.EINTR)
		require.EqualError(t, err, "waitqueue: wait timed out: the reason")
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.False(t, q.Active())
	})
}

// The state changes and the context ends before the waiter runs. No wake-up comes. The
// condition is true in the last test, so Wait returns nil.
func TestConditionBeatsInterruptionOnTheWayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var ready atomic.Bool
		ctx, cancel := context.WithCancel(t.Context())
		result := asleep(func() error { return q.Wait(ctx, ready.Load) })
		ready.Store(true)
		cancel()
		require.NoError(t, <-result)
	})
}

// The context ends and the condition becomes true during a test. That test returns false, but
// it is not the last one.
func TestContextThatEndsDuringTheTest(t *testing.T) {
	var q waitqueue.Queue
	var task waitqueue.Task
	for window := 1; window <= 2; window++ {
		ctx, cancel := context.WithCancel(t.Context())
		calls, ready := 0, false
		cond := func() bool {
			calls++
			seen := ready
			if calls == window {
				ready = true
				cancel()
				task.Interrupt()
			}
			return seen
		}
		require.NoError(t, q.Wait(ctx, cond))
		calls, ready = 0, false
		task.ClearInterrupt()
		require.NoError(t, task.Wait(&q, cond))
		task.ClearInterrupt()
	}
}

// A wake-up picks A, and the context of A ends before A runs, or the other way round. A or B
// must take the token.
func TestCancelledExclusiveWaiterSwallowsNothing(t *testing.T) {
	for _, cancelFirst := range []bool{false, true} {
		for range 500 {
			synctest.Test(t, func(t *testing.T) {
				var q waitqueue.Queue
				var tok tokens
				ctx, cancel := context.WithCancel(t.Context())
				a := asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) })
				b := asleep(func() error { return q.WaitExclusive(context.Background(), tok.tryTake) })
				if cancelFirst {
					cancel()
				}
				tok.Store(1)
				require.Equal(t, 1, q.WakeUp())
				cancel()
				if err := <-a; err == nil {
					require.False(t, ended(b))
					tok.Store(1)
					q.WakeUp()
				} else {
					require.ErrorIs(t, err, syscall.EINTR)
					require.True(t, cancelFirst, "picked first, so it must succeed")
				}
				require.NoError(t, <-b)
			})
		}
	}
}

// The wake-up comes right after the last test of a waiter whose context has ended. That waiter
// is off the queue in its last test, so the wake-up is for the next waiter.
func TestCancelledExclusiveWaiterLeavesBeforeItsLastTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var tok tokens
		var task waitqueue.Task
		ctx, cancel := context.WithCancel(t.Context())
		for _, a := range []struct {
			wait func(func() bool) error
			end  func()
		}{
			{func(cond func() bool) error { return q.WaitExclusive(ctx, cond) }, cancel},
			{func(cond func() bool) error { return task.WaitExclusive(&q, cond) }, task.Interrupt},
		} {
			var ending atomic.Bool
			resultA := asleep(func() error {
				return a.wait(func() bool {
					got := tok.tryTake()
					if ending.Load() && len(q.Entries()) == 1 { // only b is left
						tok.Store(1)
						q.WakeUp()
					}
					return got
				})
			})
			resultB := asleep(func() error { return q.WaitExclusive(context.Background(), tok.tryTake) })
			ending.Store(true)
			a.end()
			require.ErrorIs(t, <-resultA, syscall.EINTR)
			require.NoError(t, <-resultB)
		}
	})
}

// A newcomer takes the token before the woken waiter runs.
func TestBargedWaiterGoesToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var tok tokens
		var a, b waitqueue.Task
		ra := asleep(func() error { return a.WaitExclusive(&q, tok.tryTake) })
		rb := asleep(func() error { return b.WaitExclusive(&q, tok.tryTake) })
		require.Equal(t, []*waitqueue.Task{&a, &b}, q.Entries())
		q.WakeUp() // the newcomer was quicker: nothing is left for a
		synctest.Wait()
		require.Equal(t, []*waitqueue.Task{&b, &a}, q.Entries())
		tok.Store(1)
		q.WakeUp()
		require.NoError(t, <-rb)
		tok.Store(1)
		q.WakeUp()
		require.NoError(t, <-ra)
	})
}

func TestTaskWokenByOthersKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var tok tokens
		var a, b waitqueue.Task
		ra := asleep(func() error { return a.WaitExclusive(&q, tok.tryTake) })
		rb := asleep(func() error { return b.WaitExclusive(&q, tok.tryTake) })
		require.True(t, a.WakeUp(waitqueue.Normal))
		synctest.Wait()
		tok.Store(1)
		q.WakeUp()
		require.NoError(t, <-ra)
		tok.Store(1)
		q.WakeUp()
		require.NoError(t, <-rb)
	})
}

func TestConditionThatPanicsLeavesNobodyBehind(t *testing.T) {
	var q waitqueue.Queue
	var task waitqueue.Task
	calls := 0
	cond := func() bool {
		if calls++; calls == 2 {
			panic("in cond")
		}
		return false
	}
	require.PanicsWithValue(t, "in cond", func() { _ = task.Wait(&q, cond) })
	require.False(t, q.Active())
	require.Equal(t, waitqueue.Running, task.State())
	calls = 0
	require.PanicsWithValue(t, "in cond", func() { _ = q.Wait(context.Background(), cond) })
	require.False(t, q.Active())
}

func TestConditionIsNotCalledAfterItWasTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		for _, trueAt := range []int{1, 2, 3} {
			calls := 0
			result := asleep(func() error {
				return q.Wait(context.Background(), func() bool { calls++; return calls == trueAt })
			})
			q.WakeUp()
			require.NoError(t, <-result)
			require.Equal(t, trueAt, calls)
		}
	})
}

var global waitqueue.Queue

// A queue that outlives its bubbles works in each of them. A wait on it is durably blocked, so
// the clock of the bubble moves on and the deadline comes.
func TestOneQueueInManyBubbles(t *testing.T) {
	var task waitqueue.Task
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			var ready atomic.Bool
			plain := asleep(func() error { return global.Wait(context.Background(), ready.Load) })
			own := asleep(func() error { return task.Wait(&global, ready.Load) })
			ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
			defer cancel()
			start := time.Now()
			require.ErrorIs(t, global.Wait(ctx, ready.Load), context.DeadlineExceeded)
			require.Equal(t, 24*time.Hour, time.Since(start))
			ready.Store(true)
			require.Equal(t, 2, global.WakeUp())
			require.NoError(t, <-plain)
			require.NoError(t, <-own)
		})
	}
}
