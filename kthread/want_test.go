package kthread_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/readmes"
	"github.com/kprim/kprim/kthread"
)

// The table of the README under "You want, you write" has lines of this file, so each one
// compiles, and does as its row says.

func TestWantedBoundedPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wq := kthread.AllocWorkqueue("jobs", 4)
		var running atomic.Int64
		jobs := make([]kthread.Work, 9)
		for i := range jobs {
			jobs[i].Func = func() { running.Add(1); <-wq.Context().Done() }
		}
		for i := range jobs {
			job := &jobs[i]
			wq.Enqueue(job)
		}
		synctest.Wait()
		require.EqualValues(t, 4, running.Load())
		wq.AskStop(nil)
		_ = wq.Destroy(t.Context()) // waits for the running ones
	})
}

func TestWantedNeverTwiceAtOnce(t *testing.T) {
	withWorkqueue(t, func(t *testing.T, ctx context.Context, wq *kthread.Workqueue) {
		running, runs := 0, 0
		job := &kthread.Work{Func: func() {
			running++
			require.Equal(t, 1, running)
			time.Sleep(time.Second)
			running--
			runs++
		}}
		for range 10 {
			wq.Enqueue(job)
			synctest.Wait()
		}
		require.NoError(t, wq.Flush(ctx))
		require.Equal(t, 2, runs)
	})
}

func TestWantedDelay(t *testing.T) {
	withWorkqueue(t, func(t *testing.T, _ context.Context, wq *kthread.Workqueue) {
		start, ran := time.Now(), time.Duration(0)
		later := &kthread.DelayedWork{Func: func() { ran = time.Since(start) }}
		wq.EnqueueAfter(later, time.Minute)
		time.Sleep(time.Hour)
		synctest.Wait() // orders the run before the look at it
		require.Equal(t, time.Minute, ran)
	})
}

func TestWantedOneRunAfterTheLastEvent(t *testing.T) {
	withWorkqueue(t, func(t *testing.T, _ context.Context, wq *kthread.Workqueue) {
		start, ran := time.Now(), []time.Duration(nil)
		later := &kthread.DelayedWork{Func: func() { ran = append(ran, time.Since(start)) }}
		for range 5 {
			wq.ModDelayed(later, time.Second)
			time.Sleep(time.Second / 2)
		}
		time.Sleep(time.Hour)
		synctest.Wait() // orders the run before the look at it
		require.Equal(t, []time.Duration{3 * time.Second}, ran)
	})
}

func TestWantedRunEveryMinute(t *testing.T) {
	withWorkqueue(t, func(t *testing.T, ctx context.Context, wq *kthread.Workqueue) {
		runs := 0
		poll := func() { runs++ }
		later := new(kthread.DelayedWork)
		later.Func = func() { poll(); wq.EnqueueAfter(later, time.Minute) }
		wq.EnqueueAfter(later, time.Minute)
		time.Sleep(time.Hour + time.Second)
		wasPending, err := later.CancelSync(ctx)
		require.NoError(t, err)
		require.True(t, wasPending)
		require.Equal(t, 60, runs)
	})
}

func TestWantedCancel(t *testing.T) {
	withWorkqueue(t, func(t *testing.T, ctx context.Context, wq *kthread.Workqueue) {
		over := false
		job := &kthread.Work{Func: func() { time.Sleep(time.Minute); over = true }}
		wq.Enqueue(job)
		synctest.Wait()
		wq.Enqueue(job)
		wasPending, err := job.CancelSync(ctx)
		require.NoError(t, err)
		require.True(t, wasPending)
		require.True(t, over)
	})
}

func TestWantedAllDone(t *testing.T) {
	withWorkqueue(t, func(t *testing.T, ctx context.Context, wq *kthread.Workqueue) {
		over := false
		job := &kthread.Work{Func: func() { time.Sleep(time.Minute); over = true }}
		wq.Enqueue(job)
		err := wq.Flush(ctx)
		require.NoError(t, err)
		require.True(t, over)
	})
}

func TestWantedOneThreadInOrder(t *testing.T) {
	withWorkqueue(t, func(t *testing.T, ctx context.Context, _ *kthread.Workqueue) {
		var order []int
		w := kthread.RunWorker("printer")
		jobs := make([]kthread.Work, 5)
		for i := range jobs {
			jobs[i].Func = func() { order = append(order, i) }
			w.Enqueue(&jobs[i])
		}
		require.NoError(t, w.Destroy(ctx))
		require.Equal(t, []int{0, 1, 2, 3, 4}, order)
	})
}

var errFullDisk = errors.New("the disk is full")

func TestWantedGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wq := kthread.AllocWorkqueue("jobs", 1)
		var cause error
		jobs := make([]kthread.Work, 3)
		for i := range jobs {
			jobs[i].Func = func() { <-wq.Context().Done(); cause = context.Cause(wq.Context()) }
			wq.Enqueue(&jobs[i])
		}
		synctest.Wait()
		wq.AskStop(errFullDisk)
		_ = wq.Destroy(t.Context()) // waits for the running ones
		require.ErrorIs(t, cause, errFullDisk)
		require.ErrorIs(t, cause, kthread.ErrStopped)
	})
}

func TestWantedGiveUpWithAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wq := kthread.AllocWorkqueue("jobs", 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		runs := 0
		jobs := make([]kthread.Work, 5)
		for i := range jobs {
			jobs[i].Func = func() {
				select {
				case <-wq.Context().Done():
				case <-time.After(time.Minute):
					runs++
				}
			}
			wq.Enqueue(&jobs[i])
		}
		wq.StopWith(ctx)
		time.AfterFunc(150*time.Second, func() { cancel(errFullDisk) })
		require.ErrorIs(t, wq.Destroy(context.Background()), errFullDisk)
		require.Equal(t, 2, runs)
	})
}

func TestWantedSeveralStoppedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, start := t.Context(), time.Now()
		var threads []*kthread.Thread
		for range 3 {
			threads = append(threads, kthread.Run("slow", func(cur *kthread.Current) error {
				<-cur.Context().Done()
				time.Sleep(time.Minute)
				return nil
			}))
		}
		synctest.Wait()
		for _, t := range threads {
			t.AskStop(nil)
		}
		for _, thread := range threads {
			require.NoError(t, thread.Wait(ctx))
		}
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestWantedStopWithAReason(t *testing.T) {
	withThread(t, func(_ context.Context, t *kthread.Thread) {
		t.AskStop(errFullDisk)
	})
}

func TestWantedThreadThatEndsWithAContext(t *testing.T) {
	withThread(t, func(_ context.Context, t *kthread.Thread) {
		ctx, cancel := context.WithCancelCause(context.Background())
		t.StopWith(ctx)
		cancel(errFullDisk)
	})
}

func TestWantedStopThatIsSeen(t *testing.T) {
	withThread(t, func(ctx context.Context, t *kthread.Thread) {
		go t.AskStop(errFullDisk)
		select {
		case <-t.Stopping():
		case <-ctx.Done():
		}
	})
}

// withThread runs a thread in a bubble until stop stops it for the reason that the disk is
// full.
func withThread(t *testing.T, stop func(context.Context, *kthread.Thread)) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		thread := kthread.Run("sleeper", func(cur *kthread.Current) error {
			err := cur.Sleep(time.Hour)
			<-cur.Context().Done()
			cause = context.Cause(cur.Context())
			return err
		})
		synctest.Wait()
		stop(t.Context(), thread)
		require.ErrorIs(t, thread.Wait(t.Context()), errFullDisk)
		require.ErrorIs(t, cause, errFullDisk)
	})
}

// withWorkqueue runs a test in a bubble.
func withWorkqueue(t *testing.T, test func(*testing.T, context.Context, *kthread.Workqueue)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, wq := t.Context(), kthread.AllocWorkqueue("jobs", 4)
		test(t, ctx, wq)
		err := wq.Destroy(ctx)
		require.NoError(t, err)
	})
}

func TestWantedLinesAreRun(t *testing.T) {
	rows, faults := readmes.Wanted(os.DirFS("."), "want_test.go")
	require.Empty(t, faults)
	require.Greater(t, rows, 8)
	require.LessOrEqual(t, rows, 15)
}
