package trace_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/collected"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// While the tracer runs, the list of threads has each way to sleep, also one that does not go
// through the thread's own task.
func TestListHasAllSleeps(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			counting(t, func(t *testing.T) {
				w := &world{ctx: t.Context(), q: waitqueue.Queue{Name: "door"}}
				w.cond.L = &w.mu
				th := kthread.Run("sleeper", func(cur *kthread.Current) error {
					way.sleep(w)
					return cur.Wait(new(waitqueue.Queue), cur.ShouldStop)
				})
				synctest.Wait()
				info := th.Info()
				require.Equal(t, way.state, info.State.String())
				require.Equal(t, way.at, info.Wchan)
				require.EqualValues(t, 1, info.WakeUps)
				require.Equal(t, way.state == "D", len(kthread.Tasks().Blocked()) == 1)

				w.ready.Store(true)
				w.q.WakeUp()
				w.cond.Signal()
				w.done.Complete()
				synctest.Wait()
				info = th.Info()
				require.Equal(t, "S", info.State.String(), "it waits by its Current")
				require.Empty(t, info.Wchan)
				require.EqualValues(t, 2, info.WakeUps)
				require.EqualValues(t, 2, trace.Tasks()[0].WakeUps)
				require.Equal(t, 1, trace.Sleeps(), "nothing is left of a wait that is over")
				require.NoError(t, th.Stop())
				require.Zero(t, trace.Sleeps())
			})
		})
	}
}

// The list is as before when the tracer has ended. A wake-up stays counted.
func TestListAfterTheTracer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done waitqueue.Completion
		counts := make(chan struct{})
		th := kthread.Run("sleeper", func(*kthread.Current) error {
			<-counts // a wait that began before would not be in the list
			_ = done.Wait(background)
			return done.Wait(background)
		})
		trace.StartCounting()
		require.Equal(t, waitqueue.Running, th.Info().State)
		close(counts)
		synctest.Wait()
		require.Equal(t, waitqueue.Uninterruptible, th.Info().State)
		done.Complete()
		synctest.Wait()
		trace.StopCounting()
		require.Equal(t, waitqueue.Running, th.Info().State)
		require.EqualValues(t, 2, th.Info().WakeUps)
		trace.StartCounting()
		require.Equal(t, waitqueue.Running, th.Info().State, "the wait began before")
		done.Complete()
		require.NoError(t, th.Wait(background))
		trace.StopCounting()
	})
}

// A plain wait of a thread borrows a task. The next goroutine that borrows it is not the thread.
func TestBorrowedTaskIsOfItsBorrower(t *testing.T) {
	counting(t, func(t *testing.T) {
		var q waitqueue.Queue
		var ready atomic.Bool
		th := kthread.Run("thread", func(cur *kthread.Current) error {
			_ = q.Wait(background, ready.Load)
			return cur.Wait(new(waitqueue.Queue), cur.ShouldStop)
		})
		synctest.Wait()
		ready.Store(true)
		q.WakeUp()
		synctest.Wait()
		ready.Store(false)
		before := trace.Tasks()
		for range 5 {
			go func() { _ = q.Wait(background, ready.Load) }()
		}
		synctest.Wait()
		q.WakeUp() // the condition is false
		synctest.Wait()
		require.Equal(t, before, trace.Tasks())
		ready.Store(true)
		q.WakeUpAll()
		require.NoError(t, th.Stop())
	})
}

// inState returns when the thread is in this state. The thread must not be in a bubble.
func inState(th *kthread.Thread, state waitqueue.State) {
	for th.Info().State != state {
		runtime.Gosched()
	}
}

// A recorder has the events of a thread that has ended, and does not keep the thread.
func TestRecorderKeepsNoThread(t *testing.T) {
	var f trace.FlightRecorder
	require.NoError(t, f.Start())
	defer f.Stop()
	var done waitqueue.Completion
	thread := func() weak.Pointer[kthread.Thread] {
		th := kthread.Run("ends", func(*kthread.Current) error { return done.Wait(background) })
		inState(th, waitqueue.Uninterruptible)
		done.Complete()
		require.NoError(t, th.Wait(background))
		return weak.Make(th)
	}()
	require.True(t, collected.Soon(thread))
	require.Contains(t, dump(t, &f), "comm=ends")
}

// A thread outside of a bubble has another clock, so it has no part in the bubble's trace.
func TestThreadOutsideOfTheBubble(t *testing.T) {
	var q waitqueue.Queue
	var ready atomic.Bool
	th := kthread.Run("outside", func(cur *kthread.Current) error { return cur.Wait(&q, ready.Load) })
	inState(th, waitqueue.Interruptible)
	begun, ended := make(chan bool), make(chan error)
	runs := kthread.Run("outside too", func(cur *kthread.Current) error { <-cur.Context().Done(); return nil })
	inState(runs, waitqueue.Running)
	go func() {
		<-begun
		inState(th, waitqueue.Interruptible) // the list has both threads all the same
		inState(runs, waitqueue.Running)
		_ = runs.Stop()
		ready.Store(true)
		q.WakeUp()
		ended <- th.Wait(background)
	}()
	out := text(t, func(*testing.T) {
		close(begun)
		require.NoError(t, <-ended)
		sleeper("inside", "door")
	})
	require.NotContains(t, out, "outside")
	lines := parse(t, out)
	require.Less(t, lines[len(lines)-1].at, int64(time.Second))
}
