package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// Contexts that are made from the copy wait the usual way, with their own errors.
func TestContextsMadeFromACopy(t *testing.T) {
	reason := errors.New("the reason")
	for name, wait := range contextWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(t.Context())
				ctx, stop := waitqueue.WithTask(parent, "")
				defer stop()
				var q waitqueue.Queue
				short, done := context.WithTimeoutCause(ctx, time.Minute, reason)
				defer done()
				result := asleep(func() error { return wait(short, &q, never) })
				require.Equal(t, waitqueue.Running, asleepWith(short))
				require.Same(t, waitqueue.TaskOf(ctx), waitqueue.TaskOf(short))
				err := <-result
				require.ErrorIs(t, err, syscall.ETIMEDOUT)
				require.ErrorIs(t, err, reason)

				long, done := context.WithTimeout(ctx, time.Hour)
				defer done()
				result = asleep(func() error { return wait(long, &q, never) })
				cancel(reason)
				err = <-result
				require.ErrorIs(t, err, syscall.EINTR)
				require.ErrorIs(t, err, reason)

				free := context.WithoutCancel(ctx)
				require.NoError(t, wait(free, &q, func() bool { return true }))
				require.Same(t, waitqueue.TaskOf(ctx), waitqueue.TaskOf(free))
			})
		})
	}
}

func TestWithTaskOfACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 9527))
		outer, stopOuter := waitqueue.WithTask(parent, "outer")
		inner, stopInner := waitqueue.WithTask(outer, "inner")
		defer stopInner()
		require.Equal(t, "outer", waitqueue.TaskOf(outer).Name)
		require.Equal(t, "inner", waitqueue.TaskOf(inner).Name)
		require.Equal(t, 9527, inner.Value(key{}))
		require.Nil(t, waitqueue.TaskOf(parent))
		var q waitqueue.Queue
		results := []<-chan error{
			asleep(func() error { return q.Wait(outer, never) }),
			asleep(func() error { return q.Wait(inner, never) }),
		}
		require.Equal(t, waitqueue.Interruptible, asleepWith(outer))
		require.Equal(t, waitqueue.Interruptible, asleepWith(inner))
		stopOuter()
		cancel()
		for _, result := range results {
			require.ErrorIs(t, <-result, syscall.EINTR)
		}
	})
}

// The parent lives on. The garbage collector frees copies that were dropped without stop, also
// after a wait with them.
func TestInterleavingsDroppedCopiesAreCollected(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	const copies = 10_000
	drop := func() {
		for i := range copies {
			ctx, stop := waitqueue.WithTask(parent, "dropped")
			var q waitqueue.Queue
			require.NoError(t, q.Wait(ctx, func() bool { return true }))
			if i%100 == 0 { // once with a sleep
				tests := 0
				require.NoError(t, q.Wait(ctx, func() bool {
					if tests++; tests == 2 {
						go q.WakeUp()
					}
					return tests > 2
				}))
			}
			if i%10 == 0 {
				stop()
			}
		}
	}
	drop() // a map in the parent grows, and keeps its size
	before := heapInUse()
	const perCopy = 100 // bytes that may be left, of 432 and three rounds
	after := before
	for range 3 {
		drop()
		for range 10 {
			if after = heapInUse(); after < before+copies*perCopy {
				break
			}
		}
	}
	require.Less(t, after, before+copies*perCopy, "bytes on the heap, before %d", before)
}

// The same in a bubble. The cleanup runs outside, where no code may wake a goroutine of the
// bubble.
func TestDroppedCopiesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		for _, parent := range []context.Context{
			parent, foreign{Context: t.Context(), done: make(chan struct{})}, context.Background(),
		} {
			for range 100 {
				_, _ = waitqueue.WithTask(parent, "dropped")
			}
		}
		heapInUse()
		var q waitqueue.Queue
		ctx, _ := waitqueue.WithTask(parent, "")
		result := asleep(func() error { return q.Wait(ctx, never) })
		heapInUse()
		cancel()
		require.ErrorIs(t, <-result, syscall.EINTR, "a sleeper keeps its copy")
	})
	heapInUse()
}

// A queue and a completion outlive the bubbles. Each bubble has a copy of its own.
func TestWithTaskInSeveralBubbles(t *testing.T) {
	var q waitqueue.Queue
	var c waitqueue.Completion
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithCancel(t.Context())
			ctx, stop := waitqueue.WithTask(parent, "")
			defer stop()
			var tok tokens
			result := asleep(func() error { return q.Wait(ctx, tok.tryTake) })
			tok.Store(1)
			q.WakeUp()
			require.NoError(t, <-result)
			result = asleep(func() error { return c.Wait(ctx) })
			c.Complete()
			require.NoError(t, <-result)
			result = asleep(func() error { return c.Wait(ctx) })
			cancel()
			require.ErrorIs(t, <-result, syscall.EINTR)
		})
	}
}

func TestACopyPrintsAsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.Background())
		ctx, stop := waitqueue.WithTask(parent, "worker")
		defer stop()
		require.Equal(t, "context.Background.WithCancel.WithTask(worker R)", fmt.Sprint(ctx))
		q := waitqueue.Queue{Name: "jobs"}
		result := asleep(func() error { return q.Wait(ctx, never) })
		require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
		require.Equal(t, "jobs", waitqueue.TaskOf(ctx).Wchan())
		require.Equal(t, "worker", waitqueue.TaskOf(ctx).Name)
		require.Equal(t, "Task(worker S jobs)", fmt.Sprint(waitqueue.TaskOf(ctx)))
		require.Equal(t, "context.Background.WithCancel.WithTask(worker S jobs)", fmt.Sprintf("%+v", ctx))
		short, done := context.WithCancel(ctx)
		done()
		require.Equal(t, "context.Background.WithCancel.WithTask(worker S jobs).WithCancel", fmt.Sprint(short))
		cancel()
		require.Error(t, <-result)
		require.Empty(t, waitqueue.TaskOf(ctx).Wchan(), "the task keeps no queue alive")

		ctx, _ = waitqueue.WithTask(foreign{Context: context.Background(), done: make(chan struct{})}, "")
		require.Equal(t, "waitqueue_test.foreign.WithTask(R)", fmt.Sprint(ctx))
		require.Nil(t, waitqueue.TaskOf(parent))
	})
}

// Any goroutine may print a copy and look at its task while other goroutines wait with it.
func TestPrintingACopyIsNoDataRace(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	ctx, stop := waitqueue.WithTask(parent, "worker")
	defer stop()
	q := waitqueue.Queue{Name: "jobs"}
	var tok tokens
	var waits sync.WaitGroup
	for range 2 {
		waits.Go(func() {
			for q.WaitExclusive(ctx, tok.tryTake) == nil {
				continue
			}
		})
	}
	for range 300 {
		tok.Add(1)
		q.WakeUp()
		require.Contains(t, fmt.Sprint(ctx), "WithTask(worker ")
		runtime.Gosched()
	}
	cancel()
	waits.Wait()
}
