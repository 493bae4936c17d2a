package kthread_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

func TestKernel22WorkIsQueuedAndCancelledWhileItRuns(t *testing.T) {
	scene := func(name string, f func(t *testing.T, w *kthread.Worker, k *heldWork)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorker(t)
				f(t, w, runHeld(t, w))
			})
		})
	}
	scene("(a) queued again: it runs again later", func(t *testing.T, w *kthread.Worker, k *heldWork) {
		require.True(t, w.Enqueue(&k.Work))
		synctest.Wait()
		require.Equal(t, 1, k.begun)
		k.end()
		synctest.Wait()
		require.Equal(t, 2, k.begun)
		require.Equal(t, 1, k.ended)
		k.end()
	})
	scene("(b) queued once more: refused", func(t *testing.T, w *kthread.Worker, k *heldWork) {
		require.True(t, w.Enqueue(&k.Work))
		require.False(t, w.Enqueue(&k.Work))
		k.end()
		k.end()
		synctest.Wait()
		require.Equal(t, 2, k.begun)
	})
	scene("(c) cancelled while it queues itself: refused, and it was not pending", func(t *testing.T, w *kthread.Worker, k *heldWork) {
		requeued := true
		k.then = func() { requeued = w.Enqueue(&k.Work) }
		cancel := cancelOf(t.Context(), k.CancelSync)
		synctest.Wait()
		require.Empty(t, cancel, "it runs")
		k.end()
		require.Equal(t, cancelled{false, nil}, <-cancel)
		require.Equal(t, 1, k.ended)
		require.False(t, requeued)
		synctest.Wait()
		require.Equal(t, 1, k.begun)
	})
	scene("(d) cancelled when it runs and is pending: it was pending", func(t *testing.T, w *kthread.Worker, k *heldWork) {
		require.True(t, w.Enqueue(&k.Work))
		cancel := cancelOf(t.Context(), k.CancelSync)
		synctest.Wait()
		require.Empty(t, cancel, "it runs")
		k.end()
		require.Equal(t, cancelled{true, nil}, <-cancel)
		require.Equal(t, 1, k.ended)
		synctest.Wait()
		require.Equal(t, 1, k.begun)
	})
}

func TestKernel23FlushStopAndDestroyWithWorksQueued(t *testing.T) {
	scene := func(name string, f func(t *testing.T, w *kthread.Worker, a, b, c *heldWork)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorker(t)
				a, b, c := runHeld(t, w), newHeld(), newHeld()
				require.True(t, w.Enqueue(&b.Work))
				require.True(t, w.Enqueue(&c.Work))
				f(t, w, a, b, c)
			})
		})
	}
	scene("(a) the worker's flush waits for A, B and C, not for D", func(t *testing.T, w *kthread.Worker, a, b, c *heldWork) {
		flush := answerOf(w.Flush)
		synctest.Wait()
		d := newHeld()
		require.True(t, w.Enqueue(&d.Work))
		for _, k := range []*heldWork{a, b, c} {
			synctest.Wait()
			require.Empty(t, flush)
			k.end()
		}
		require.NoError(t, <-flush)
		require.Equal(t, 1, c.ended)
		require.Zero(t, d.ended)
		d.end()
	})
	scene("(b) the flush of B waits for A and B, not for C", func(t *testing.T, w *kthread.Worker, a, b, c *heldWork) {
		flush := answerOf(b.Flush)
		for _, k := range []*heldWork{a, b} {
			synctest.Wait()
			require.Empty(t, flush)
			k.end()
		}
		require.NoError(t, <-flush)
		require.Equal(t, 1, b.ended)
		require.Zero(t, c.ended)
		c.end()
	})
	scene("(c) the flush of a work that was never queued returns at once", func(t *testing.T, w *kthread.Worker, a, b, c *heldWork) {
		require.NoError(t, newHeld().Flush(endedContext(t)))
		for _, k := range []*heldWork{a, b, c} {
			k.end()
		}
	})
	scene("(d) a stop lets A end and drops B and C", func(t *testing.T, w *kthread.Worker, a, b, c *heldWork) {
		stop := answerOf(w.Thread().StopContext)
		synctest.Wait()
		require.Empty(t, stop)
		a.end()
		require.NoError(t, <-stop)
		require.Equal(t, 1, a.ended)
		require.Zero(t, b.begun)
		require.Zero(t, c.begun)
	})
	scene("(e) a destroy lets all of them run", func(t *testing.T, w *kthread.Worker, a, b, c *heldWork) {
		destroy := answerOf(w.Destroy)
		for _, k := range []*heldWork{a, b, c} {
			synctest.Wait()
			require.Empty(t, destroy)
			k.end()
		}
		require.NoError(t, <-destroy)
		require.Equal(t, 1, c.ended)
		require.True(t, isDone(w.Thread()))
	})
}
