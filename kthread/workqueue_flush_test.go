package kthread_test

import (
	"context"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFlushOfAWorkqueueWaitsForTheWorksOfThatMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 2)
		works := holdAll(t, q, 4)
		flush := answerOf(q.Flush)
		synctest.Wait()
		require.True(t, q.Enqueue(&works[0].Work), "it runs again, which is later")
		later := newHeld()
		require.True(t, q.Enqueue(&later.Work))
		for _, i := range []int{1, 2, 3, 0} {
			synctest.Wait()
			require.Empty(t, flush)
			works[i].end()
		}
		require.NoError(t, <-flush)
		synctest.Wait()
		require.Zero(t, later.ended)
		works[0].end()
		later.end()
	})
}

// A run that was set aside counts as well.
func TestFlushOfAWorkqueueWaitsForAWorkThatIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 2)
		k := runHeld(t, q)
		require.True(t, q.Enqueue(&k.Work))
		synctest.Wait()
		flush := answerOf(q.Flush)
		synctest.Wait()
		k.end()
		synctest.Wait()
		require.Empty(t, flush)
		k.end()
		require.NoError(t, <-flush)
	})
}

func TestFlushOfAWorkDoesNotWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 2)
		works := holdAll(t, q, 3)
		flushes := []<-chan error{answerOf(works[1].Flush), answerOf(works[2].Flush)}
		synctest.Wait()
		works[1].end()
		require.NoError(t, <-flushes[0])
		synctest.Wait()
		works[2].end()
		require.NoError(t, <-flushes[1])
		require.Zero(t, works[0].ended)
		works[0].end()
	})
}

// With several threads, the flush of a work that is taken off waits for no other work.
func TestFlushOfAWorkThatIsTakenOffAWorkqueueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 2)
		works := holdAll(t, q, 3)
		flush := answerOf(works[2].Flush)
		synctest.Wait()
		require.Equal(t, cancelled{true, nil}, <-cancelOf(t.Context(), works[2].CancelSync))
		require.NoError(t, <-flush)
		works[0].end()
		works[1].end()
	})
}

func TestDrainTakesWorksOfWorksOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 2)
		var chained, timed, moved notes
		next, late := chained.work(), timed.work()
		old := moved.work()
		k := runHeld(t, q)
		k.then = func() {
			require.True(t, q.EnqueueAfter(next, 0))
			require.ErrorIs(t, q.Drain(t.Context()), syscall.EDEADLK)
		}
		require.True(t, q.EnqueueAfter(late, time.Second))
		require.True(t, q.EnqueueAfter(old, time.Hour))
		drain := answerOf(q.Drain)
		synctest.Wait()
		require.False(t, q.Enqueue(counter(new(int))))
		require.False(t, q.EnqueueAfter(next, time.Second))
		require.False(t, q.ModDelayed(next, time.Second))
		require.True(t, q.ModDelayed(old, 0), "it was asked for before")
		pass(2 * time.Second)
		require.Len(t, timed.all(), 1, "so was this one")
		require.Len(t, moved.all(), 1)
		require.False(t, q.ModDelayed(late, 0), "it has run, so this is a new request")
		require.Empty(t, drain)
		k.end()
		require.NoError(t, <-drain)
		require.Len(t, chained.all(), 1)
		require.Len(t, timed.all(), 1)
		require.True(t, q.EnqueueAfter(next, 0), "it is over")
		require.NoError(t, q.Drain(t.Context()))
		require.NoError(t, q.Drain(endedContext(t)), "there is nothing to wait for")
	})
}

func TestDrainThatIsGivenUpIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 2)
		k, runs := runHeld(t, q), 0
		require.ErrorIs(t, q.Drain(endedContext(t)), context.Canceled)
		require.True(t, q.Enqueue(counter(&runs)))
		k.end()
		require.NoError(t, q.Flush(t.Context()))
		require.Equal(t, 1, runs)
	})
}
