package kthread_test

import (
	"context"
	"flag"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

var long = flag.Bool("long", false, "run the hammers of workqueues for a million works")

// newWorkqueue returns a workqueue that is destroyed when the test ends.
func newWorkqueue(t *testing.T, maxActive int) *kthread.Workqueue {
	q := kthread.AllocWorkqueue("test", maxActive)
	t.Cleanup(func() {
		q.AskStop(nil)
		_ = q.Destroy(context.Background())
	})
	return q
}

// kworkers returns the threads of the workqueues in this bubble.
func kworkers() (infos kthread.Infos) {
	for _, info := range kthread.Tasks() {
		if strings.HasPrefix(info.Name, "kworker/") {
			infos = append(infos, info)
		}
	}
	return infos
}

func lettersOf(infos kthread.Infos) (text string) {
	for _, info := range infos {
		text += info.State.String()
	}
	return text
}

// holdAll queues n held works.
func holdAll(t *testing.T, q queuer, n int) []*heldWork {
	works := make([]*heldWork, n)
	for i := range works {
		works[i] = newHeld()
		require.True(t, q.Enqueue(&works[i].Work))
	}
	synctest.Wait()
	return works
}

func begun(works []*heldWork) (n int) {
	for _, k := range works {
		n += k.begun - k.ended
	}
	return n
}

func TestAtMostMaxActiveWorksRunAtOnce(t *testing.T) {
	for _, maxActive := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			q := newWorkqueue(t, maxActive)
			works := holdAll(t, q, 7)
			for i, k := range works {
				require.Equal(t, min(maxActive, len(works)-i), begun(works))
				require.Len(t, kworkers(), maxActive)
				require.Equal(t, 1, k.begun, "in the order of the queue")
				k.end()
				synctest.Wait()
			}
		})
	}
}

func TestMaxActiveOfZeroIsTheDefaultOfTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 0)
		works := holdAll(t, q, 1030)
		require.Equal(t, 1024, begun(works))
		for _, k := range works {
			k.end()
		}
		require.NoError(t, q.Flush(t.Context()))
	})
	require.PanicsWithValue(t, "kthread: a workqueue cannot run -1 works at once", func() { kthread.AllocWorkqueue("test", -1) })
}

func TestWorkqueueThatWasNotMadePanics(t *testing.T) {
	const message = "kthread: a worker or workqueue must be made by its function"
	var q kthread.Workqueue
	var w kthread.Worker
	for range 2 { // the panic has given up the lock
		k := kthread.Work{Func: func() {}}
		require.PanicsWithValue(t, message, func() { q.Enqueue(&k) })
		require.PanicsWithValue(t, message, func() { w.Enqueue(&k) })
		require.PanicsWithValue(t, message, func() { _ = w.Destroy(t.Context()) })
		require.PanicsWithValue(t, message, func() { _ = q.Destroy(t.Context()) })
		require.PanicsWithValue(t, message, func() { q.AskStop(nil) })
		require.PanicsWithValue(t, message, func() { q.StopWith(t.Context()) })
	}
}

// A work that is queued while it runs waits for its own end, and keeps none of the others
// waiting.
func TestWorkThatRunsIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 3)
		k := runHeld(t, q)
		require.True(t, q.Enqueue(&k.Work))
		require.False(t, q.Enqueue(&k.Work), "it is pending")
		others := holdAll(t, q, 2)
		require.Equal(t, 2, begun(others))
		require.Equal(t, 1, k.begun)
		flush := answerOf(k.Flush)
		k.end()
		synctest.Wait()
		require.Equal(t, 2, k.begun)
		require.Empty(t, flush)
		k.end()
		require.NoError(t, <-flush)
		for _, other := range others {
			other.end()
		}
	})
}

func TestWorkThatIsSetAsideCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 3)
		k := runHeld(t, q)
		require.True(t, q.Enqueue(&k.Work))
		require.Len(t, kworkers(), 2, "one has set it aside")
		flush := answerOf(k.Flush)
		synctest.Wait()
		cancel := cancelOf(t.Context(), k.CancelSync)
		synctest.Wait()
		require.NoError(t, <-flush, "its work is not pending")
		require.Empty(t, cancel)
		k.end()
		require.Equal(t, cancelled{true, nil}, <-cancel)
		synctest.Wait()
		require.Equal(t, 1, k.begun)
	})
}

func TestWorkBelongsToOneWorkqueue(t *testing.T) {
	const message = "kthread: a work can be used with one worker or workqueue only"
	synctest.Test(t, func(t *testing.T) {
		q, other, w, runs := newWorkqueue(t, 1), newWorkqueue(t, 1), newWorker(t), 0
		k := counter(&runs)
		d := kthread.DelayedWork{Func: k.Func}
		require.True(t, q.Enqueue(k))
		require.True(t, q.EnqueueAfter(&d, 0))
		for range 2 {
			require.PanicsWithValue(t, message, func() { other.Enqueue(k) })
			require.PanicsWithValue(t, message, func() { w.Enqueue(k) })
			require.PanicsWithValue(t, message, func() { other.EnqueueAfter(&d, 0) })
			require.PanicsWithValue(t, message, func() { other.ModDelayed(&d, 0) })
			require.PanicsWithValue(t, "kthread: a work needs a function", func() { q.Enqueue(new(kthread.Work)) })
		}
		require.NoError(t, q.Flush(t.Context()))
		require.Equal(t, 2, runs)
	})
}

// A newcomer that a workqueue refuses is free for another one.
func TestWorkRefusedByAWorkqueueIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, other, runs := newWorkqueue(t, 1), newWorkqueue(t, 1), 0
		held := runHeld(t, q)
		drain := answerOf(q.Drain)
		synctest.Wait()
		k := counter(&runs)
		require.False(t, q.Enqueue(k))
		require.True(t, other.Enqueue(k))
		held.end()
		require.NoError(t, <-drain)
		require.NoError(t, other.Flush(t.Context()))
		require.Equal(t, 1, runs)
	})
}

func TestWorkqueuePrintsAsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, runs := newWorkqueue(t, 1), 0
		k := counter(&runs)
		require.True(t, q.Enqueue(k))
		require.Equal(t, "workqueue [test]", q.String())
		require.Equal(t, "work of workqueue [test]", k.String())
		require.Equal(t, "workqueue [test]", inJSON(t, q))
		require.NoError(t, q.Flush(t.Context()))
	})
}
