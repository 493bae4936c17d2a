package kthread_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

type cancelled struct {
	wasPending bool
	err        error
}

// cancelOf is answerOf for a CancelSync.
func cancelOf(ctx context.Context, cancel func(context.Context) (bool, error)) <-chan cancelled {
	answer := make(chan cancelled, 1)
	go func() {
		wasPending, err := cancel(ctx)
		answer <- cancelled{wasPending, err}
	}()
	return answer
}

func TestCancelSyncOfAWorkThatIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, runs := newWorker(t), 0
		k := counter(&runs)
		for _, when := range []string{"never queued", "has run"} {
			wasPending, err := k.CancelSync(endedContext(t))
			require.NoError(t, err, when)
			require.False(t, wasPending, when)
			require.True(t, w.Enqueue(k), when)
			synctest.Wait()
		}
		require.Equal(t, 2, runs)
	})
}

func TestCancelSyncTakesAPendingWorkOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first, runs := runHeld(t, w), 0
		k := counter(&runs)
		require.True(t, w.Enqueue(k))
		wasPending, err := k.CancelSync(endedContext(t))
		require.NoError(t, err, "it waits for nothing")
		require.True(t, wasPending)
		first.end()
		require.NoError(t, w.Flush(t.Context()))
		require.Zero(t, runs)
		require.True(t, w.Enqueue(k), "afterwards it can be queued again")
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, 1, runs)
	})
}

// It is refused for as long as any of the calls waits.
func TestWorkIsRefusedWhileItIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		k := runHeld(t, w)
		impatient, giveUp := context.WithCancel(t.Context())
		first, second := cancelOf(impatient, k.CancelSync), cancelOf(t.Context(), k.CancelSync)
		synctest.Wait()
		require.False(t, w.Enqueue(&k.Work))
		giveUp()
		require.ErrorIs(t, (<-first).err, context.Canceled)
		require.False(t, w.Enqueue(&k.Work), "one of them still waits")
		k.end()
		require.Equal(t, cancelled{false, nil}, <-second)
		require.True(t, w.Enqueue(&k.Work))
		k.end()
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, 2, k.ended)
	})
}

func TestCancelSyncEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		k := runHeld(t, w)
		require.True(t, w.Enqueue(&k.Work))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wasPending, err := k.CancelSync(ctx)
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.True(t, wasPending, "and it was taken off")
		require.Zero(t, k.ended)
		require.True(t, w.Enqueue(&k.Work), "it can be queued again")
		k.end()
		k.end()
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, 2, k.ended)
	})
}

// Of all that was queued, each has run or was reported to have been pending. And
// none runs when CancelSync returns.
func TestHammerCancelSync(t *testing.T) {
	w := newWorker(t)
	var queued atomic.Int64
	// Each of these is used by one side while the other one rests.
	runs, was, again := int64(0), int64(0), 0
	var k kthread.Work
	k.Func = func() {
		runs++
		if again--; again > 0 && w.Enqueue(&k) {
			queued.Add(1)
		}
	}
	for range 3000 {
		again = rand.N(4)
		if w.Enqueue(&k) {
			queued.Add(1)
		}
		for range rand.N(4) {
			runtime.Gosched()
		}
		wasPending, err := k.CancelSync(t.Context())
		require.NoError(t, err)
		if wasPending {
			was++
		}
		require.Equal(t, queued.Load(), runs+was)
	}
}
