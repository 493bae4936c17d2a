package kthread_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func TestWorkerThatIsGoneRefusesWorks(t *testing.T) {
	runs := 0
	for name, begin := range map[string]func(string) *kthread.Worker{
		"started": kthread.RunWorker, "never started": kthread.CreateWorker,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := begin("worker")
				synctest.Wait()
				_ = w.Thread().Stop()
				k := counter(&runs)
				require.False(t, w.Enqueue(k))
				require.NoError(t, k.Flush(t.Context()))
				require.NoError(t, w.Flush(t.Context()))
				wasPending, err := k.CancelSync(t.Context())
				require.NoError(t, err)
				require.False(t, wasPending)
				synctest.Wait()
				require.Zero(t, runs)
			})
		})
	}
}

func TestDroppedWorkIsNotPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first, runs := runHeld(t, w), 0
		k := counter(&runs)
		require.True(t, w.Enqueue(k))
		stop := answerOf(w.Thread().StopContext)
		synctest.Wait()
		first.end()
		require.NoError(t, <-stop)
		require.NoError(t, k.Flush(t.Context()))
		wasPending, err := k.CancelSync(t.Context())
		require.NoError(t, err)
		require.False(t, wasPending)
		require.Zero(t, runs)
	})
}

func TestGoexitInAWorkEndsTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		k, runs := runHeld(t, w), 0
		k.then = runtime.Goexit
		other := counter(&runs)
		require.True(t, w.Enqueue(other))
		of, cancel := answerOf(k.Flush), cancelOf(t.Context(), k.CancelSync)
		lost, all, destroy := answerOf(other.Flush), answerOf(w.Flush), answerOf(w.Destroy)
		synctest.Wait()
		k.end()
		require.ErrorContains(t, w.Thread().Wait(t.Context()), "Goexit")
		require.NoError(t, <-of)
		require.Equal(t, cancelled{false, nil}, <-cancel)
		for _, flush := range []<-chan error{lost, all, destroy} {
			require.ErrorIs(t, <-flush, syscall.ESRCH)
		}
		require.NoError(t, w.Flush(t.Context()))
		require.NoError(t, k.Flush(t.Context()))
		require.False(t, w.Enqueue(&k.Work))
		require.Zero(t, runs)
	})
}

func TestDestroyRunsWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, runs := newWorker(t), 0
		for range 10 {
			require.True(t, w.Enqueue(counter(&runs)))
		}
		for _, when := range []string{"once", "twice"} {
			require.NoError(t, w.Destroy(t.Context()), when)
			require.Equal(t, 10, runs)
			require.True(t, isDone(w.Thread()))
		}
		require.False(t, w.Enqueue(counter(&runs)))
	})
}

func TestManyDestroyersGetTheSameAnswer(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorker(t)
			k := runHeld(t, w)
			var destroys []<-chan error
			for range 5 {
				destroys = append(destroys, answerOf(w.Destroy))
			}
			synctest.Wait()
			k.end()
			for _, destroy := range destroys {
				require.NoError(t, <-destroy)
			}
		})
	}
}

func TestDestroyOfAWorkerThatHasNeverRunOrIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := kthread.CreateWorker("worker")
		for range 2 {
			require.NoError(t, w.Destroy(t.Context()))
			require.True(t, isDone(w.Thread()))
		}
		w = kthread.RunWorker("worker")
		synctest.Wait()
		require.NoError(t, w.Thread().Stop())
		require.NoError(t, w.Destroy(t.Context()))
	})
}

// A worker that is gone has no say in the works of another one, whose lock it
// does not hold.
func TestWorkerThatIsGoneRefusesWorksOfAnother(t *testing.T) {
	const message = "kthread: a work can be used with one worker or workqueue only"
	synctest.Test(t, func(t *testing.T) {
		gone, w := kthread.RunWorker("gone"), newWorker(t)
		require.NoError(t, gone.Destroy(t.Context()))
		require.NoError(t, w.Thread().Park(t.Context()))
		var ran notes
		pending, armed := ran.work(), ran.work()
		work := kthread.Work{Func: pending.Func}
		require.True(t, w.Enqueue(&work))
		require.True(t, w.EnqueueAfter(pending, 0))
		require.True(t, w.EnqueueAfter(armed, time.Second))
		require.PanicsWithValue(t, message, func() { gone.Enqueue(&work) })
		for _, d := range []*kthread.DelayedWork{pending, armed} {
			for _, delay := range []time.Duration{0, time.Minute} {
				require.PanicsWithValue(t, message, func() { gone.EnqueueAfter(d, delay) })
				require.PanicsWithValue(t, message, func() { gone.ModDelayed(d, delay) })
			}
		}
		pass(time.Second)
		w.Thread().Unpark()
		require.NoError(t, w.Flush(t.Context()))
		require.Len(t, ran.all(), 3)
	})
}

// A work that a worker has refused because it is gone can be used with another.
func TestWorkRefusedByAWorkerThatIsGoneIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := kthread.RunWorker("gone")
		require.NoError(t, gone.Destroy(t.Context()))
		ran := false
		work := kthread.Work{Func: func() { ran = true }}
		require.False(t, gone.Enqueue(&work))
		next := kthread.RunWorker("next")
		require.True(t, next.Enqueue(&work))
		require.NoError(t, next.Destroy(t.Context()))
		require.True(t, ran)
	})
}

// A work sees that its worker is asked to stop, and only then.
func TestWorkSeesTheStopOfItsWorker(t *testing.T) {
	var q waitqueue.Queue
	never := func() bool { return false }
	sleeps := map[string]func(*kthread.Current) error{
		"Wait":  func(cur *kthread.Current) error { return cur.Wait(&q, never) },
		"Sleep": func(cur *kthread.Current) error { return cur.Sleep(time.Hour) },
		"Context": func(cur *kthread.Current) error {
			<-cur.Context().Done()
			return context.Cause(cur.Context())
		},
	}
	for name, sleep := range sleeps {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, other := newWorker(t), newWorker(t)
				var ended, endedLate error
				k := kthread.Work{Func: func() {
					require.False(t, w.Current().ShouldStop())
					ended = sleep(w.Current())
					require.True(t, w.Current().ShouldStop())
				}}
				d := kthread.DelayedWork{Func: func() { endedLate = sleep(other.Current()) }}
				w.Enqueue(&k)
				other.EnqueueAfter(&d, time.Minute)
				pass(2 * time.Minute)
				require.NoError(t, w.Thread().Stop())
				require.Equal(t, kthread.ErrStopped, ended)
				synctest.Wait()
				require.NoError(t, endedLate, "the other worker is not asked to stop")
				require.False(t, isDone(other.Thread()))
				require.NoError(t, other.Thread().Stop())
				require.Equal(t, kthread.ErrStopped, endedLate)
			})
		})
	}
}

// A caller whose work a worker has refused finds Stopping closed, as the doc comment of
// Enqueue says. It is open if the work is pending.
func TestStoppingTellsWhyAWorkerRefuses(t *testing.T) {
	for name, end := range map[string]func(*kthread.Worker){
		"Stop":   func(w *kthread.Worker) { _ = w.Thread().Stop() },
		"Goexit": func(w *kthread.Worker) { w.Enqueue(&kthread.Work{Func: runtime.Goexit}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := kthread.RunWorker("w")
				held := runHeld(t, w)
				require.True(t, w.Enqueue(&held.Work))
				require.False(t, w.Enqueue(&held.Work))
				require.False(t, isClosed(w.Thread().Stopping()))
				held.end()
				synctest.Wait()
				held.end()
				end(w)
				synctest.Wait()
				require.False(t, w.Enqueue(&held.Work))
				require.True(t, isClosed(w.Thread().Stopping()))
			})
		})
	}
}

// The reason of a stop is in the errors of a worker, also if its thread has never run.
func TestReasonOfAStopIsInTheErrorsOfAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := kthread.CreateWorker("w")
		w.Thread().AskStop(errReason)
		require.ErrorIs(t, w.Destroy(t.Context()), errReason)

		w = kthread.RunWorker("w")
		held := runHeld(t, w)
		pending := newHeld()
		require.True(t, w.Enqueue(&pending.Work))
		timed := kthread.DelayedWork{Func: func() {}}
		require.True(t, w.EnqueueAfter(&timed, time.Hour))
		answers := []<-chan error{answerOf(w.Flush), answerOf(pending.Flush), answerOf(w.Destroy)}
		synctest.Wait()
		w.Thread().AskStop(errReason)
		held.end()
		synctest.Wait()
		for _, answer := range append(answers, answerOf(timed.Flush)) {
			err := <-answer
			require.EqualError(t, err, "kthread: the worker is gone (asked to stop: out of memory)")
			for _, want := range []error{syscall.ESRCH, kthread.ErrStopped, errReason} {
				require.ErrorIs(t, err, want)
			}
		}
		requireStoppedBy(t, w.Destroy(t.Context()))
	})
}

// A context may end because another worker is gone. That ends the wait of Destroy, and does
// not stop this worker.
func TestDestroyIsNotFooledByTheCauseOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := kthread.RunWorker("other")
		var timed kthread.DelayedWork
		timed.Func = func() {}
		require.True(t, other.EnqueueAfter(&timed, time.Hour))
		synctest.Wait()
		require.NoError(t, other.Thread().Stop())
		gone := timed.Flush(t.Context())
		require.ErrorIs(t, gone, syscall.ESRCH)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)

		w := newWorker(t)
		held := runHeld(t, w)
		require.ErrorIs(t, w.Destroy(ctx), context.Canceled)
		require.False(t, isClosed(w.Thread().Stopping()))
		held.end()
	})
}

// The handle of a worker's thread that is gone keeps neither the worker nor its works alive.
func TestHandleOfAWorkerThatIsGoneKeepsNoWorker(t *testing.T) {
	var collected atomic.Bool
	w := kthread.RunWorker("w")
	thread := w.Thread()
	runtime.AddCleanup(w, func(int) { collected.Store(true) }, 0)
	w.Enqueue(&kthread.Work{Func: func() {}})
	require.NoError(t, w.Destroy(t.Context()))
	w = nil
	require.Eventually(t, func() bool {
		runtime.GC()
		return collected.Load()
	}, 5*time.Second, time.Millisecond)
	require.NoError(t, thread.Stop())
}
