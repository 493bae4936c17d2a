package waitqueue_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// Waiters of each kind count as one, until a wake-up picks them or their wait ends.
func TestLenCountsWaiters(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q waitqueue.Queue
		var open atomic.Bool
		var tok tokens
		require.Zero(t, q.Len())
		ending, end := context.WithCancel(t.Context())
		results := []<-chan error{
			asleep(func() error { return q.Wait(ctx, open.Load) }),
			asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) }),
			asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) }),
			asleep(func() error { return new(waitqueue.Task).WaitExclusive(&q, tok.tryTake) }),
			asleep(func() error { return q.Wait(ending, never) }),
		}
		require.Equal(t, 5, q.Len())
		q.WakeUpAll()
		synctest.Wait()
		require.Equal(t, 5, q.Len(), "woken in vain, they sleep again")
		end()
		require.Error(t, <-results[4])
		require.Equal(t, 4, q.Len())
		open.Store(true)
		tok.Store(3)
		for left := 2; left >= 0; left-- {
			q.WakeUp()
			synctest.Wait()
			require.Equal(t, left, q.Len())
		}
		for _, result := range results[:4] {
			require.NoError(t, <-result)
		}
		require.False(t, q.Active())
	})
}

// An entry counts while it is on the queue, whether its task sleeps or not. A wake-up takes the
// entry of a Prepare off, and leaves the entry of an Add there.
func TestLenCountsEntries(t *testing.T) {
	var q waitqueue.Queue
	added, prepared := waitqueue.Entry{Task: new(waitqueue.Task)}, waitqueue.Entry{Task: new(waitqueue.Task)}
	q.Add(&added)
	require.Equal(t, 1, q.Len(), "its task is awake")
	q.Prepare(&prepared, waitqueue.Interruptible)
	require.Equal(t, 2, q.Len())
	require.Equal(t, 1, q.WakeUp())
	require.Equal(t, 1, q.Len())
	q.Finish(&prepared)
	q.Remove(&added)
	require.Zero(t, q.Len())
	q.WakeUp() // finds that the queue is empty
	require.Zero(t, q.Len())
}

// On an empty queue Len, Active and the wake-ups need no lock, even after waiters have left.
func TestEmptyQueueNeedsNoLock(t *testing.T) {
	var q waitqueue.Queue
	e := waitqueue.Entry{Task: new(waitqueue.Task)}
	q.Add(&e)
	q.Remove(&e)
	q.WakeUp() // finds that the queue is empty
	q.Lock()
	defer q.Unlock()
	require.Zero(t, q.Len())
	require.False(t, q.Active())
	require.Zero(t, q.WakeUp()+q.WakeUpAll())
}

// A Cond counts only the goroutines that nothing has reached, in Wait and WaitFor.
func TestCondSaysHowManyWait(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		c := waitqueue.NewCond(newGate())
		is := func(n int) {
			t.Helper()
			require.Equal(t, n, c.Len())
			require.Equal(t, n > 0, c.Active())
		}
		is(0)
		ready := false
		ending, end := context.WithCancel(t.Context())
		results := []<-chan error{
			condWait(t, ctx, c),
			condWaitFor(t, ctx, c, func() bool { return ready }),
			condWait(t, ctx, c),
			condWait(t, ending, c),
		}
		is(4)
		c.L.Lock()
		is(4) // the same with L held
		end()
		synctest.Wait()
		is(3) // the fourth has given up, though it waits for L
		c.Signal()
		is(2) // the Signal has reached the first, though it waits for L
		c.L.Unlock()
		require.NoError(t, <-results[0])
		require.Error(t, <-results[3])
		c.Signal()
		synctest.Wait()
		is(2) // in vain: it waits again
		c.L.Lock()
		ready = true
		c.Broadcast()
		is(0)
		c.L.Unlock()
		require.NoError(t, <-results[1])
		require.NoError(t, <-results[2])
	})
}

// With L held, the answer of Active stays false: no goroutine can begin to wait until L is free.
func TestCondActiveHoldsWithTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := waitqueue.NewCond(newGate())
		c.L.Lock()
		result := condWait(t, t.Context(), c)
		require.False(t, c.Active(), "it has no L")
		c.L.Unlock()
		synctest.Wait()
		require.True(t, c.Active())
		c.Signal()
		require.NoError(t, <-result)
	})
}

// Len and Active are called during waits and wake-ups. The race detector sees no race, and no
// count is above the number of waiters.
func TestLenMeanwhile(t *testing.T) {
	const waiters, rounds = 4, 2000
	var q waitqueue.Queue
	var tok tokens
	mu := new(sync.Mutex)
	c := waitqueue.NewCond(mu)
	turns := 0
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for range waiters {
		all.Go(func() {
			for range rounds {
				if q.WaitExclusive(ctx, tok.tryTake) != nil {
					return
				}
				mu.Lock()
				err := c.WaitFor(ctx, func() bool { return turns > 0 })
				turns--
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Go(func() {
		for range waiters * rounds {
			for tok.Load() > 0 && ctx.Err() == nil { // without this loop hardly a waiter sleeps
				runtime.Gosched()
			}
			tok.Add(1)
			q.WakeUp()
			mu.Lock()
			turns++
			mu.Unlock()
			c.Signal()
		}
	})
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }()
	for {
		n, m := q.Len(), c.Len()
		require.LessOrEqual(t, max(n, m), waiters)
		require.GreaterOrEqual(t, min(n, m), 0)
		_, _ = q.Active(), c.Active()
		runtime.Gosched() // or nothing else runs where there is one thread, as on js
		select {
		case <-over:
			require.NoError(t, ctx.Err())
			require.Zero(t, q.Len()+c.Len()+turns)
			return
		default:
		}
	}
}
