package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// newWorker returns a worker that is stopped when the test ends.
func newWorker(t *testing.T) *kthread.Worker {
	w := kthread.RunWorker("worker")
	t.Cleanup(func() { _ = w.Thread().Stop() })
	return w
}

// A heldWork stops in the middle of each run until end is called.
type heldWork struct {
	kthread.Work
	then         func() // if not nil, called before the run ends
	begun, ended int    // runs; written by the worker only, with no lock
	letGo        chan struct{}
}

func newHeld() *heldWork {
	k := &heldWork{letGo: make(chan struct{})}
	k.Func = k.run
	return k
}

func (k *heldWork) run() {
	k.begun++
	<-k.letGo
	if k.then != nil {
		k.then()
	}
	k.ended++
}

func (k *heldWork) end() { k.letGo <- struct{}{} }

// runHeld queues a held work and returns when it runs.
func runHeld(t *testing.T, w queuer) *heldWork {
	k := newHeld()
	require.True(t, w.Enqueue(&k.Work))
	synctest.Wait()
	require.Equal(t, 1, k.begun)
	return k
}

// counter is a work that counts its runs.
func counter(runs *int) *kthread.Work { return &kthread.Work{Func: func() { *runs++ }} }

// pass lets time pass, and then everything come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// answerOf calls f in a goroutine, and returns where its answer comes.
func answerOf(f func(context.Context) error) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- f(context.Background()) }()
	return answer
}

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

func TestWorksRunInTheOrderInWhichTheyWereQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first := runHeld(t, w)
		var order []int
		works := make([]kthread.Work, 5)
		for i := range works {
			works[i].Func = func() { order = append(order, i) }
			require.True(t, w.Enqueue(&works[i]))
		}
		require.False(t, w.Enqueue(&works[0]), "and it keeps its place")
		first.end()
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, []int{0, 1, 2, 3, 4}, order)
	})
}

func TestPendingWorkIsNotQueuedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first := runHeld(t, w)
		runs := 0
		k := counter(&runs)
		require.True(t, w.Enqueue(k))
		require.False(t, w.Enqueue(k))
		first.end()
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, 1, runs)
		require.True(t, w.Enqueue(k), "it is pending no longer")
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, 2, runs)
	})
}

func TestWorkMayQueueWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		others, runs := 0, 0
		other := counter(&others)
		var k kthread.Work
		k.Func = func() {
			require.True(t, w.Enqueue(other))
			if runs++; runs < 3 {
				require.True(t, w.Enqueue(&k))
				require.False(t, w.Enqueue(&k))
			}
		}
		require.True(t, w.Enqueue(&k))
		synctest.Wait()
		require.Equal(t, 3, runs)
		require.Equal(t, 3, others)
	})
}

// Each Queue that was not refused makes one run, no two at once, and the last
// run sees what came before the last Queue, refused or not.
func TestHammerWorkNeverRunsTwiceAtOnce(t *testing.T) {
	const goroutines, rounds = 8, 3000
	w := newWorker(t)
	var state, seen [goroutines]atomic.Int64
	var running atomic.Int32
	var queued atomic.Int64
	runs := int64(0)
	k := kthread.Work{Func: func() {
		if running.Add(1) != 1 {
			t.Error("two at once")
		}
		runs++
		for i := range state {
			seen[i].Store(state[i].Load())
		}
		running.Add(-1)
	}}
	var all sync.WaitGroup
	for i := range goroutines {
		all.Go(func() {
			for n := range int64(rounds) {
				state[i].Store(n)
				if w.Enqueue(&k) {
					queued.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, w.Destroy(t.Context()))
	require.Equal(t, queued.Load(), runs)
	for i := range seen {
		require.EqualValues(t, rounds-1, seen[i].Load())
	}
}

// The race detector sees to it that a work sees what happened before it was
// queued, and that a flush sees what the work did.
func TestHammerWorkSeesWhatHappenedBefore(t *testing.T) {
	w := newWorker(t)
	plain := 0
	k := counter(&plain)
	for i := range 2000 {
		plain++
		require.True(t, w.Enqueue(k))
		require.NoError(t, k.Flush(t.Context()))
		require.Equal(t, 2*(i+1), plain)
	}
}

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

func TestFirstWorkStartsACreatedWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idle := kthread.CreateWorker("idle")
		require.NoError(t, idle.Flush(t.Context()))
		synctest.Wait()
		require.ErrorIs(t, idle.Thread().Stop(), syscall.EINTR, "it has never run")

		w := kthread.CreateWorker("worker")
		require.Equal(t, "worker", w.Thread().Name())
		runs := 0
		require.True(t, w.Enqueue(counter(&runs)))
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, 1, runs)
		require.NoError(t, w.Destroy(t.Context()))
	})
}

func TestRunWorkerRunsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := kthread.RunWorker("worker")
		synctest.Wait()
		require.NoError(t, w.Thread().Stop())
	})
}

func TestWorkBelongsToOneWorker(t *testing.T) {
	const message = "kthread: a work can be used with one worker or workqueue only"
	synctest.Test(t, func(t *testing.T) {
		w, other, runs := newWorker(t), newWorker(t), 0
		k := counter(&runs)
		require.True(t, w.Enqueue(k))
		require.NoError(t, k.Flush(t.Context()))
		require.PanicsWithValue(t, message, func() { other.Enqueue(k) })

		d := kthread.DelayedWork{Func: func() { runs++ }}
		require.True(t, w.EnqueueAfter(&d, 0))
		require.NoError(t, d.Flush(t.Context()))
		require.PanicsWithValue(t, message, func() { other.EnqueueAfter(&d, 0) })
		require.PanicsWithValue(t, message, func() { other.ModDelayed(&d, 0) })

		require.NoError(t, other.Destroy(t.Context()), "it has not been harmed")
		require.NoError(t, w.Destroy(t.Context()))
		require.Equal(t, 2, runs)
	})
}

func TestWorkNeedsAFunction(t *testing.T) {
	const message = "kthread: a work needs a function"
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		var k kthread.Work
		var d kthread.DelayedWork
		require.PanicsWithValue(t, message, func() { w.Enqueue(&k) })
		require.PanicsWithValue(t, message, func() { w.EnqueueAfter(&d, 0) })
		require.PanicsWithValue(t, message, func() { w.ModDelayed(&d, 0) })

		runs := 0
		k.Func = func() { runs++ }
		d.Func = k.Func
		require.True(t, w.Enqueue(&k), "it has not been harmed")
		require.True(t, w.EnqueueAfter(&d, 0))
		require.NoError(t, w.Destroy(t.Context()))
		require.Equal(t, 2, runs)
	})
}

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

// Each of these would have the worker wait for itself.
func TestWorkCannotWaitForItsOwnWorker(t *testing.T) {
	var w *kthread.Worker
	var self, other *kthread.Work
	cancel := func(k **kthread.Work, want bool) func(context.Context) error {
		return func(ctx context.Context) error {
			wasPending, err := (*k).CancelSync(ctx)
			if wasPending != want {
				return errors.New("it was pending, or was not")
			}
			return err
		}
	}
	for name, f := range map[string]func(context.Context) error{
		"Worker.Flush":   func(ctx context.Context) error { return w.Flush(ctx) },
		"Worker.Destroy": func(ctx context.Context) error { return w.Destroy(ctx) },
		"Flush itself":   func(ctx context.Context) error { return self.Flush(ctx) },
		"Flush itself when pending": func(ctx context.Context) error {
			w.Enqueue(self)
			defer cancel(&self, true)(ctx)
			return self.Flush(ctx)
		},
		"Flush a pending one": func(ctx context.Context) error { return other.Flush(ctx) },
		"Flush a delayed one": func(ctx context.Context) error {
			d := kthread.DelayedWork{Func: func() {}}
			w.EnqueueAfter(&d, time.Hour)
			return d.Flush(ctx)
		},
		"CancelSync itself": cancel(&self, false),
		"CancelSync itself when pending": func(ctx context.Context) error {
			w.Enqueue(self)
			return cancel(&self, true)(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				w = newWorker(t)
				runs, others := 0, 0
				other = counter(&others)
				var err error
				self = &kthread.Work{Func: func() {
					if runs++; runs == 1 {
						require.True(t, w.Enqueue(other))
						err = f(t.Context())
					}
				}}
				require.True(t, w.Enqueue(self))
				synctest.Wait()
				require.ErrorIs(t, err, syscall.EDEADLK)
				require.Equal(t, 1, runs)
				require.Equal(t, 1, others, "the worker lives on")
				require.True(t, w.Enqueue(self), "and can be used as before")
				require.NoError(t, w.Destroy(t.Context()))
				require.Equal(t, 2, runs)
				require.Zero(t, time.Since(start))
			})
		})
	}
}

func TestDelayedWorkCannotWaitForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, runs := newWorker(t), 0
		var d kthread.DelayedWork
		d.Func = func() {
			runs++
			require.ErrorIs(t, d.Flush(t.Context()), syscall.EDEADLK)
			require.True(t, w.EnqueueAfter(&d, time.Hour))
			wasPending, err := d.CancelSync(t.Context())
			require.ErrorIs(t, err, syscall.EDEADLK)
			require.True(t, wasPending)
		}
		require.True(t, w.EnqueueAfter(&d, 0))
		pass(2 * time.Hour)
		require.Equal(t, 1, runs)
		require.True(t, w.EnqueueAfter(&d, 0))
		require.NoError(t, w.Destroy(t.Context()))
		require.Equal(t, 2, runs)
	})
}

func TestWorkMayAskWhereThereIsNothingToWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, runs := newWorker(t), 0
		idle, pending, never := counter(&runs), counter(&runs), counter(&runs)
		require.True(t, w.Enqueue(idle))
		require.NoError(t, w.Flush(t.Context()))
		require.True(t, w.Enqueue(&kthread.Work{Func: func() {
			require.NoError(t, idle.Flush(t.Context()))
			require.NoError(t, never.Flush(t.Context()))
			wasPending, err := idle.CancelSync(t.Context())
			require.NoError(t, err)
			require.False(t, wasPending)

			require.True(t, w.Enqueue(pending))
			wasPending, err = pending.CancelSync(t.Context())
			require.NoError(t, err)
			require.True(t, wasPending)
		}}))
		require.NoError(t, w.Destroy(t.Context()))
		require.Equal(t, 1, runs)
	})
}

// Only the worker's own goroutine would wait for itself.
func TestWorkOfAnotherWorkerMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, other := newWorker(t), newWorker(t)
		k := runHeld(t, w)
		var err, spawned error
		require.True(t, other.Enqueue(&kthread.Work{Func: func() { err = w.Flush(t.Context()) }}))
		k.then = func() {
			done := answerOf(func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				return w.Flush(ctx)
			})
			spawned = <-done
		}
		k.end()
		require.NoError(t, other.Destroy(t.Context()))
		require.NoError(t, err)
		require.ErrorIs(t, spawned, syscall.ETIMEDOUT, "it did wait")
	})
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
		require.True(t, w.Enqueue(k), "afterwards it can be queued anew")
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

func TestParkHoldsWorksBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first, runs := runHeld(t, w), 0
		k := counter(&runs)
		require.True(t, w.Enqueue(k))
		park := answerOf(w.Thread().Park)
		synctest.Wait()
		require.Empty(t, park, "a work runs")
		first.end()
		require.NoError(t, <-park)
		require.True(t, w.Enqueue(counter(&runs)))
		flush := answerOf(w.Flush)
		synctest.Wait()
		require.Zero(t, runs)
		require.Empty(t, flush)
		w.Thread().Unpark()
		require.NoError(t, <-flush)
		require.Equal(t, 2, runs)

		require.NoError(t, w.Thread().Park(t.Context()), "it sleeps")
		require.True(t, w.Enqueue(k))
		flush = answerOf(w.Flush)
		synctest.Wait()
		require.NoError(t, w.Thread().Stop())
		require.ErrorIs(t, <-flush, syscall.ESRCH)
		require.Equal(t, 2, runs)
	})
}

func TestWorkerThatIsParkedBeforeItsFirstRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, runs := kthread.CreateWorker("worker"), 0
		require.NoError(t, w.Thread().Park(t.Context()))
		require.True(t, w.Enqueue(counter(&runs)))
		synctest.Wait()
		require.Zero(t, runs)
		w.Thread().Unpark()
		require.NoError(t, w.Destroy(t.Context()))
		require.Equal(t, 1, runs)
	})
}

// notes are the times at which delayed works have run.
type notes struct {
	mu sync.Mutex
	at []time.Duration // guarded by mu
}

// work returns a work that notes when it runs, counted from now.
func (n *notes) work() *kthread.DelayedWork {
	start := time.Now()
	return &kthread.DelayedWork{Func: func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.at = append(n.at, time.Since(start))
	}}
}

func (n *notes) all() []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at
}

func TestDelayedWorkRunsAfterTheDelay(t *testing.T) {
	for name, begin := range map[string]func(string) *kthread.Worker{
		"started": kthread.RunWorker, "not yet started": kthread.CreateWorker,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := begin("worker")
				var ran notes
				d := ran.work()
				require.True(t, w.EnqueueAfter(d, time.Minute))
				require.NoError(t, w.Flush(t.Context()), "its time has not come")
				pass(time.Minute - 1)
				require.False(t, w.EnqueueAfter(d, 0), "it is pending")
				require.False(t, w.EnqueueAfter(d, time.Hour))
				synctest.Wait()
				require.Empty(t, ran.all())
				pass(time.Hour)
				require.Equal(t, []time.Duration{time.Minute}, ran.all())
				require.True(t, w.EnqueueAfter(d, time.Minute), "it is pending no longer")
				pass(time.Hour)
				require.Len(t, ran.all(), 2)
				require.NoError(t, w.Destroy(t.Context()))
			})
		})
	}
}

func TestDelayOfZeroOrLessQueuesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		first := runHeld(t, w)
		var ran notes
		a, b := ran.work(), ran.work()
		require.True(t, w.EnqueueAfter(a, 0))
		require.True(t, w.EnqueueAfter(b, -time.Hour))
		seen := 0
		require.True(t, w.Enqueue(&kthread.Work{Func: func() { seen = len(ran.all()) }}))
		for _, d := range []*kthread.DelayedWork{a, b} {
			require.False(t, w.EnqueueAfter(d, 0), "it is pending")
			require.False(t, w.EnqueueAfter(d, time.Hour))
		}
		first.end()
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, 2, seen, "both came before it")
		require.Equal(t, []time.Duration{0, 0}, ran.all())
		pass(2 * time.Hour)
		require.Len(t, ran.all(), 2)
	})
}

func TestDelayedWorkCanBeQueuedAgainOnceItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		var ran notes
		d := ran.work()
		note := d.Func
		d.Func = func() {
			note()
			require.True(t, w.EnqueueAfter(d, time.Minute))
		}
		require.True(t, w.EnqueueAfter(d, time.Second))
		pass(2*time.Minute + time.Second)
		require.Equal(t, []time.Duration{time.Second, time.Minute + time.Second, 2*time.Minute + time.Second}, ran.all())
		wasPending, err := d.CancelSync(t.Context())
		require.NoError(t, err)
		require.True(t, wasPending)
		pass(time.Hour)
		require.Len(t, ran.all(), 3)
	})
}

func TestModDelayed(t *testing.T) {
	for _, c := range []struct {
		name       string
		before     func(w *kthread.Worker, d *kthread.DelayedWork)
		delay      time.Duration
		wasPending bool
		ran        []time.Duration
	}{
		{"earlier", armedFor(time.Hour), time.Minute, true, []time.Duration{time.Minute}},
		{"later", armedFor(time.Hour), 2 * time.Hour, true, []time.Duration{2 * time.Hour}},
		{"at once", armedFor(time.Hour), 0, true, []time.Duration{0}},
		{"long ago", armedFor(time.Hour), -time.Minute, true, []time.Duration{0}},
		{"idle", func(*kthread.Worker, *kthread.DelayedWork) {}, time.Hour, false, []time.Duration{time.Hour}},
		{"idle, at once", func(*kthread.Worker, *kthread.DelayedWork) {}, 0, false, []time.Duration{0}},
		{"pending", armedFor(0), time.Hour, true, []time.Duration{time.Hour}},
		{"pending, at once", armedFor(0), 0, true, []time.Duration{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorker(t)
				first := runHeld(t, w)
				var ran notes
				d := ran.work()
				c.before(w, d)
				require.Equal(t, c.wasPending, w.ModDelayed(d, c.delay))
				require.False(t, w.EnqueueAfter(d, 0), "it is pending")
				first.end()
				pass(10 * time.Hour)
				require.Equal(t, c.ran, ran.all())
				require.False(t, w.ModDelayed(d, 0), "it is idle")
			})
		})
	}
}

func armedFor(delay time.Duration) func(*kthread.Worker, *kthread.DelayedWork) {
	return func(w *kthread.Worker, d *kthread.DelayedWork) { w.EnqueueAfter(d, delay) }
}

// heldDelayed is runHeld for a delayed work.
func heldDelayed(t *testing.T, w *kthread.Worker) (*kthread.DelayedWork, *heldWork) {
	k := newHeld()
	d := &kthread.DelayedWork{Func: k.run}
	require.True(t, w.EnqueueAfter(d, 0))
	synctest.Wait()
	require.Equal(t, 1, k.begun)
	return d, k
}

func TestModDelayedOfOneThatRunsFindsItIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		d, k := heldDelayed(t, w)
		require.False(t, w.ModDelayed(d, time.Hour))
		require.True(t, w.ModDelayed(d, time.Minute))
		k.end()
		pass(time.Minute)
		require.Equal(t, 2, k.begun)
		k.end()
	})
}

func TestDelayedWorkIsRefusedWhileItIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		d, k := heldDelayed(t, w)
		require.True(t, w.EnqueueAfter(d, time.Minute))
		cancel := cancelOf(t.Context(), d.CancelSync)
		synctest.Wait()
		require.Empty(t, cancel, "it runs")
		for _, delay := range []time.Duration{0, time.Minute} {
			require.False(t, w.EnqueueAfter(d, delay))
			require.True(t, w.ModDelayed(d, delay), "the cancel wins")
		}
		k.end()
		require.Equal(t, cancelled{true, nil}, <-cancel, "the timer was armed")
		require.Equal(t, 1, k.ended)
		pass(time.Hour)
		require.Equal(t, 1, k.begun)
		require.True(t, w.EnqueueAfter(d, time.Minute), "afterwards it can be queued anew")
		k.end()
		require.NoError(t, d.Flush(t.Context()))
	})
}

func TestCancelSyncOfADelayedWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		var ran notes
		d := ran.work()
		cancel := func() bool {
			wasPending, err := d.CancelSync(endedContext(t))
			require.NoError(t, err)
			return wasPending
		}
		require.False(t, cancel(), "never queued")
		require.True(t, w.EnqueueAfter(d, time.Minute))
		require.True(t, cancel(), "armed")
		require.False(t, cancel(), "idle")
		first := runHeld(t, w)
		require.True(t, w.EnqueueAfter(d, 0))
		require.True(t, cancel(), "pending")
		first.end()
		pass(time.Hour)
		require.Empty(t, ran.all())

		d, k := heldDelayed(t, w)
		answer := cancelOf(t.Context(), d.CancelSync)
		k.end()
		require.Equal(t, cancelled{false, nil}, <-answer, "running")
	})
}

func TestFlushOfADelayedWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		var ran notes
		d := ran.work()
		require.NoError(t, d.Flush(endedContext(t)), "never queued")
		require.True(t, w.EnqueueAfter(d, time.Minute))
		require.NoError(t, d.Flush(t.Context()))
		require.Equal(t, []time.Duration{0}, ran.all(), "its time need not come")
		require.NoError(t, d.Flush(endedContext(t)), "idle")
		pass(time.Hour)
		require.Len(t, ran.all(), 1)

		d, k := heldDelayed(t, w)
		flush := answerOf(d.Flush)
		synctest.Wait()
		require.Empty(t, flush, "it runs")
		k.end()
		require.NoError(t, <-flush)
		require.Equal(t, 1, k.ended)
	})
}

func TestTimerOfAWorkerThatIsGoneDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		var ran notes
		armed, late, modified, flushed, idle := ran.work(), ran.work(), ran.work(), ran.work(), ran.work()
		for _, d := range []*kthread.DelayedWork{armed, late, modified, flushed} {
			require.True(t, w.EnqueueAfter(d, time.Minute))
		}
		require.NoError(t, w.Destroy(t.Context()), "it does not wait for the timers")

		require.False(t, w.EnqueueAfter(armed, 0))
		wasPending, err := armed.CancelSync(t.Context())
		require.NoError(t, err)
		require.True(t, wasPending)
		require.True(t, w.ModDelayed(modified, time.Second))
		require.False(t, w.ModDelayed(modified, 0))
		require.ErrorIs(t, flushed.Flush(t.Context()), syscall.ESRCH)
		require.NoError(t, flushed.Flush(t.Context()))
		for _, delay := range []time.Duration{0, time.Minute} {
			require.False(t, w.EnqueueAfter(idle, delay))
			require.False(t, w.ModDelayed(idle, delay))
		}
		pass(time.Hour)
		require.Empty(t, ran.all())
		for _, d := range []*kthread.DelayedWork{armed, late, modified, flushed, idle} {
			require.NoError(t, d.Flush(t.Context()))
			wasPending, err := d.CancelSync(t.Context())
			require.NoError(t, err)
			require.False(t, wasPending)
		}
	})
}

// The timer fires at the very moment at which it is stopped. Either it came
// first, and the work runs, or it counts no longer, though it may be on its way
// already.
func TestStoppedTimerThatFiresLateDoesNothing(t *testing.T) {
	for name, stop := range map[string]func(*kthread.Worker, *kthread.DelayedWork) (want []time.Duration){
		"CancelSync": func(_ *kthread.Worker, d *kthread.DelayedWork) []time.Duration {
			if wasPending, _ := d.CancelSync(context.Background()); wasPending {
				return nil
			}
			return []time.Duration{time.Minute}
		},
		"ModDelayed": func(w *kthread.Worker, d *kthread.DelayedWork) []time.Duration {
			if w.ModDelayed(d, time.Hour) {
				return []time.Duration{time.Minute + time.Hour}
			}
			return []time.Duration{time.Minute, time.Minute + time.Hour}
		},
		"Flush": func(_ *kthread.Worker, d *kthread.DelayedWork) []time.Duration {
			_ = d.Flush(context.Background())
			return []time.Duration{time.Minute}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 150 {
				synctest.Test(t, func(t *testing.T) {
					w := newWorker(t)
					var ran notes
					d := ran.work()
					want := make(chan []time.Duration, 1)
					f := func() { want <- stop(w, d) }
					switch i % 3 { // in this order or in that
					case 0:
						time.AfterFunc(time.Minute, f)
						w.EnqueueAfter(d, time.Minute)
					case 1:
						w.EnqueueAfter(d, time.Minute)
						time.AfterFunc(time.Minute, f)
					case 2:
						w.EnqueueAfter(d, time.Minute)
						time.Sleep(time.Minute)
						f()
					}
					pass(2 * time.Hour)
					require.Equal(t, <-want, ran.all())
				})
			}
		})
	}
}

// Whatever happens at once, each time that it was queued it runs once, or was
// reported to have been pending.
func TestHammerDelayedWork(t *testing.T) {
	const goroutines, rounds = 6, 1500
	w := newWorker(t)
	var running atomic.Int32
	var queued atomic.Int64
	runs := int64(0)
	d := kthread.DelayedWork{Func: func() {
		if running.Add(1) != 1 {
			t.Error("two at once")
		}
		runs++
		running.Add(-1)
	}}
	cancel := func() {
		wasPending, err := d.CancelSync(context.Background())
		if err != nil {
			t.Error(err)
		}
		if wasPending {
			queued.Add(-1)
		}
	}
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range rounds {
				delay := time.Duration(rand.N(3)) // often it fires while it is being stopped
				switch rand.N(8) {
				case 0:
					cancel()
				case 1:
					if err := d.Flush(context.Background()); err != nil {
						t.Error(err)
					}
				case 2, 3:
					if w.EnqueueAfter(&d, delay) {
						queued.Add(1)
					}
				default:
					// It may have met a cancel, and queued nothing: that is true too.
					if !w.ModDelayed(&d, delay) {
						queued.Add(1)
					}
				}
			}
		})
	}
	all.Wait()
	cancel()
	require.NoError(t, w.Destroy(t.Context()))
	require.Equal(t, queued.Load(), runs)
	require.NotZero(t, runs)
}

// One after the other, a worker runs what it is given.
func ExampleWorker() {
	ctx := context.Background()
	w := kthread.RunWorker("painter")
	walls := kthread.Work{Func: func() { fmt.Println("the walls are painted") }}
	doors := kthread.Work{Func: func() { fmt.Println("the doors are painted") }}
	w.Enqueue(&walls)
	w.Enqueue(&doors)
	fmt.Println("flushed:", w.Flush(ctx))
	w.Enqueue(&walls)
	fmt.Println("destroyed:", w.Destroy(ctx))
	// Output:
	// the walls are painted
	// the doors are painted
	// flushed: <nil>
	// the walls are painted
	// destroyed: <nil>
}

// Changes are saved some time after the first of them, and at the end.
func ExampleDelayedWork() {
	ctx := context.Background()
	w := kthread.RunWorker("saver")
	changes := 0
	save := kthread.DelayedWork{Func: func() { fmt.Println("saved after", changes, "changes") }}
	for range 3 {
		changes++
		w.EnqueueAfter(&save, time.Hour) // refused while one is due
	}
	fmt.Println("flushed:", save.Flush(ctx)) // does not wait for that hour
	fmt.Println("destroyed:", w.Destroy(ctx))
	// Output:
	// saved after 3 changes
	// flushed: <nil>
	// destroyed: <nil>
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

// A worker sleeps with a signal that no work has taken, and drops it. A work that
// runs, or is pending, finds the signal.
func TestIdleWorkerDropsSignals(t *testing.T) {
	w := newWorker(t)
	allow := kthread.Work{Func: func() { _ = w.Current().Allow(usr1) }}
	require.True(t, w.Enqueue(&allow))
	require.NoError(t, allow.Flush(t.Context()))
	require.NoError(t, w.Thread().Signal(usr1))
	require.Eventually(t, func() bool { return !w.Current().Interrupted() }, time.Second, time.Millisecond, "the worker spins")

	begin, found := make(chan bool), make(chan syscall.Signal, 1)
	first := kthread.Work{Func: func() { begin <- true; <-begin }}
	second := kthread.Work{Func: func() { found <- w.Current().Dequeue() }}
	require.True(t, w.Enqueue(&first))
	<-begin
	require.True(t, w.Enqueue(&second))
	require.NoError(t, w.Thread().Signal(usr1))
	begin <- true
	require.Equal(t, usr1, <-found)
}

// A work is queued while it runs. The worker reads its function without a lock, so
// nothing may write that: run this with -race.
func TestHammerDelayedWorkIsQueuedWhileItBegins(t *testing.T) {
	w := newWorker(t)
	ran := 0
	d := kthread.DelayedWork{Func: func() { ran++ }}
	queued := 0
	for range 2000 {
		if w.EnqueueAfter(&d, 0) {
			queued++
		}
	}
	require.NoError(t, w.Destroy(t.Context()))
	require.Equal(t, queued, ran)
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

// The Current of a worker is the one of its thread, as in any thread.
func TestCurrentOfAWorkerIsItsThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		var stopped error
		k := kthread.Work{Func: func() {
			require.Same(t, w.Thread(), w.Current().Thread())
			stopped = w.Current().Thread().Stop()
		}}
		w.Enqueue(&k)
		require.NoError(t, w.Thread().Wait(t.Context()))
		require.ErrorIs(t, stopped, syscall.EDEADLK)
	})
}

// A work that takes long ends when its worker is asked to stop.
func ExampleWorker_Current() {
	worker := kthread.RunWorker("crawler")
	begun := make(chan bool)
	crawl := kthread.Work{Func: func() {
		close(begun)
		pages := 0
		for worker.Current().Sleep(time.Hour) == nil { // between two pages
			pages++
		}
		fmt.Println("pages:", pages, "stopped:", worker.Current().ShouldStop())
	}}
	worker.Enqueue(&crawl)
	<-begun
	fmt.Println(worker.Thread().Stop())
	// Output:
	// pages: 0 stopped: true
	// <nil>
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

// Queueing a work and running it allocates nothing. A delayed work makes its timer once.
func TestWorkAllocatesNothing(t *testing.T) {
	w := newWorker(t)
	ran := make(chan bool)
	k := kthread.Work{Func: func() { ran <- true }}
	d := kthread.DelayedWork{Func: k.Func}
	for name, queue := range map[string]func() bool{
		"Enqueue":      func() bool { return w.Enqueue(&k) },
		"EnqueueAfter": func() bool { return w.EnqueueAfter(&d, 1) },
		"ModDelayed":   func() bool { return !w.ModDelayed(&d, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			require.Zero(t, testing.AllocsPerRun(100, func() {
				require.True(t, queue())
				<-ran
			}))
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

// A worker that has not run waits for no work yet.
func TestWorkerThatHasNotRunIsNotShownAsIdle(t *testing.T) {
	require.Empty(t, kthread.CreateWorker("w").Thread().Info().Wchan)
}
