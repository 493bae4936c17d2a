package kthread_test

import (
	"context"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

func TestFlushWithNothingToWaitForReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, runs := newWorker(t), 0
		ctx := endedContext(t)
		require.NoError(t, w.Flush(ctx))
		k := counter(&runs)
		require.NoError(t, k.Flush(ctx), "never queued")
		require.True(t, w.Enqueue(k))
		synctest.Wait()
		require.NoError(t, w.Flush(ctx))
		require.NoError(t, k.Flush(ctx), "it has run")

		first := runHeld(t, w)
		require.NoError(t, k.Flush(ctx), "another runs")
		first.end()
	})
}

func TestFlushWaitsForARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		k := runHeld(t, w)
		flushes := []<-chan error{answerOf(k.Flush), answerOf(w.Flush), answerOf(k.Flush), answerOf(w.Flush)}
		synctest.Wait()
		for _, flush := range flushes {
			require.Empty(t, flush)
		}
		k.end()
		for _, flush := range flushes {
			require.NoError(t, <-flush)
		}
		require.Equal(t, 1, k.ended)
	})
}

func TestFlushDoesNotWaitForLaterRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		k := newHeld()
		k.then = func() { require.Equal(t, k.begun < 3, k.begun < 3 && w.Enqueue(&k.Work)) }
		require.True(t, w.Enqueue(&k.Work))
		synctest.Wait()
		of, all := answerOf(k.Flush), answerOf(w.Flush)
		synctest.Wait()
		k.end()
		require.NoError(t, <-of)
		require.NoError(t, <-all)
		synctest.Wait()
		require.Equal(t, 2, k.begun)
		require.Equal(t, 1, k.ended, "it runs again")
		k.end()
		k.end()
	})
}

func TestFlushOfAWorkThatRunsAndIsPendingWaitsForBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		k := runHeld(t, w)
		require.True(t, w.Enqueue(&k.Work))
		flush := answerOf(k.Flush)
		synctest.Wait()
		k.end()
		synctest.Wait()
		require.Empty(t, flush)
		k.end()
		require.NoError(t, <-flush)
		require.Equal(t, 2, k.ended)
	})
}

func TestFlushEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first, runs := runHeld(t, w), 0
		k := counter(&runs)
		require.True(t, w.Enqueue(k))
		for _, flush := range []func(context.Context) error{w.Flush, k.Flush, first.Flush, w.Destroy} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			require.ErrorIs(t, flush(ctx), syscall.ETIMEDOUT)
			cancel()
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			err := flush(ctx)
			require.ErrorIs(t, err, syscall.EINTR)
			require.ErrorIs(t, err, context.Canceled)
		}
		first.end()
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, 1, runs, "nothing was taken off")
		require.True(t, w.Enqueue(k), "and the worker lives on")
	})
}

func TestStopEndsEveryFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first, runs := runHeld(t, w), 0
		early := answerOf(w.Flush)
		synctest.Wait()
		k := counter(&runs)
		require.True(t, w.Enqueue(k))
		pending, all, destroy := answerOf(k.Flush), answerOf(w.Flush), answerOf(w.Destroy)
		running, cancel := answerOf(first.Flush), cancelOf(t.Context(), first.CancelSync)
		synctest.Wait()
		stop := answerOf(w.Thread().StopContext)
		synctest.Wait()
		first.end()
		require.NoError(t, <-stop)
		require.NoError(t, <-running, "it has run")
		require.NoError(t, <-early, "all that it waits for has run")
		require.Equal(t, cancelled{false, nil}, <-cancel)
		for _, flush := range []<-chan error{pending, all, destroy} {
			require.ErrorIs(t, <-flush, syscall.ESRCH)
		}
		require.Zero(t, runs)
	})
}

// Its flush waits until the turn would have come.
func TestFlushOfAWorkThatIsCancelledEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first, runs := runHeld(t, w), 0
		k := counter(&runs)
		require.True(t, w.Enqueue(k))
		flush := answerOf(k.Flush)
		synctest.Wait()
		wasPending, err := k.CancelSync(t.Context())
		require.NoError(t, err)
		require.True(t, wasPending)
		first.end()
		require.NoError(t, <-flush)
		require.Zero(t, runs)
	})
}

// A flush that was given up is not waited for by the next one.
func TestFlushThatWasGivenUpLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worker := kthread.RunWorker("w")
		require.NoError(t, worker.Thread().Park(t.Context()))
		work := kthread.Work{Func: func() {}}
		require.True(t, worker.Enqueue(&work))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, worker.Flush(ctx), syscall.ETIMEDOUT)
		require.Equal(t, 1, worker.Length(), "the work, and no barrier")
		wasPending, err := work.CancelSync(t.Context())
		require.True(t, wasPending)
		require.NoError(t, err)
		require.NoError(t, worker.Flush(t.Context()), "nothing is pending")
		require.NoError(t, worker.Destroy(t.Context()))
	})
}

// waitsForRuns are the calls that wait for the end of a run.
var waitsForRuns = map[string]func(w *kthread.Worker, k *kthread.Work, ctx context.Context) error{
	"CancelSync": func(_ *kthread.Worker, k *kthread.Work, ctx context.Context) error {
		_, err := k.CancelSync(ctx)
		return err
	},
	"Work.Flush":   func(_ *kthread.Worker, k *kthread.Work, ctx context.Context) error { return k.Flush(ctx) },
	"Worker.Flush": func(w *kthread.Worker, _ *kthread.Work, ctx context.Context) error { return w.Flush(ctx) },
}

// A worker that is asked to park or to stop while a work runs tells the end of
// that run before it parks or stops.
func TestEndOfARunIsToldThoughTheWorkerParksOrStops(t *testing.T) {
	asks := map[string]func(*kthread.Thread) error{
		"parks": func(t *kthread.Thread) error { return t.Park(context.Background()) },
		"stops": func(t *kthread.Thread) error { return t.Stop() },
	}
	for end, ask := range asks {
		for name, wait := range waitsForRuns {
			t.Run(end+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorker(t)
					k := runHeld(t, w)
					waited := answerOf(func(ctx context.Context) error { return wait(w, &k.Work, ctx) })
					synctest.Wait()
					asked := answerOf(func(context.Context) error { return ask(w.Thread()) })
					synctest.Wait()
					k.end()
					require.NoError(t, <-asked)
					require.NoError(t, <-waited)
					require.Equal(t, end == "parks", w.Enqueue(&k.Work), "it can be queued again")
					require.Equal(t, 1, k.begun)
					_, err := k.CancelSync(t.Context())
					require.NoError(t, err)
				})
			})
		}
	}
}

// The same for a delayed work.
func TestEndOfADelayedRunIsToldThoughTheWorkerParks(t *testing.T) {
	for name, wait := range map[string]func(*kthread.DelayedWork, context.Context) error{
		"CancelSync": func(d *kthread.DelayedWork, ctx context.Context) error { _, err := d.CancelSync(ctx); return err },
		"Flush":      func(d *kthread.DelayedWork, ctx context.Context) error { return d.Flush(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorker(t)
				d, held := heldDelayed(t, w)
				waited := answerOf(func(ctx context.Context) error { return wait(d, ctx) })
				parked := answerOf(w.Thread().Park)
				synctest.Wait()
				held.end()
				require.NoError(t, <-parked)
				require.NoError(t, <-waited)
				require.True(t, w.EnqueueAfter(d, time.Hour), "it can be queued again")
			})
		})
	}
}

// A work that a parked worker holds back is waited for. The wait ends when the
// work is taken off.
func TestFlushInAParkedWorkerEndsWhenTheWorkIsTakenOff(t *testing.T) {
	for name, takeOff := range map[string]func(w *kthread.Worker, d *kthread.DelayedWork) error{
		"CancelSync": func(_ *kthread.Worker, d *kthread.DelayedWork) error {
			_, err := d.CancelSync(context.Background())
			return err
		},
		"ModDelayed": func(w *kthread.Worker, d *kthread.DelayedWork) error {
			w.ModDelayed(d, time.Hour)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorker(t)
				require.NoError(t, w.Thread().Park(t.Context()))
				d := kthread.DelayedWork{Func: func() {}}
				require.True(t, w.EnqueueAfter(&d, 0))
				flushes := []<-chan error{answerOf(d.Flush), answerOf(w.Flush), answerOf(d.Flush)}
				for _, flush := range flushes {
					synctest.Wait()
					require.Empty(t, flush)
				}
				require.NoError(t, takeOff(w, &d))
				for _, flush := range flushes {
					require.NoError(t, <-flush)
				}
			})
		})
	}
}

// A barrier waits for the end of a run, also if a work behind it is cancelled
// meanwhile.
func TestFlushOfARunningWorkOutlastsTheCancelOfAnother(t *testing.T) {
	for name, wait := range waitsForRuns {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorker(t)
				k, other := runHeld(t, w), kthread.Work{Func: func() {}}
				waited := answerOf(func(ctx context.Context) error { return wait(w, &k.Work, ctx) })
				synctest.Wait()
				require.True(t, w.Enqueue(&other))
				wasPending, err := other.CancelSync(t.Context())
				require.NoError(t, err)
				require.True(t, wasPending)
				synctest.Wait()
				require.Empty(t, waited, "the run is not over")
				k.end()
				require.NoError(t, <-waited)
			})
		})
	}
}

// A flush whose work is taken off ends when the turn of that work would have come, also if
// another flush waits for later works.
func TestFlushOfAWorkThatIsTakenOffEndsAtItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first, taken, last := runHeld(t, w), newHeld(), newHeld()
		require.True(t, w.Enqueue(&taken.Work))
		require.True(t, w.Enqueue(&last.Work))
		flush, all := answerOf(taken.Flush), answerOf(w.Flush)
		synctest.Wait()
		require.Equal(t, cancelled{true, nil}, <-cancelOf(t.Context(), taken.CancelSync))
		synctest.Wait()
		require.Empty(t, flush)
		first.end()
		require.NoError(t, <-flush)
		require.Zero(t, last.ended)
		require.Empty(t, all)
		last.end()
		require.NoError(t, <-all)
	})
}
