package kthread_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

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
		require.True(t, w.EnqueueAfter(d, time.Minute), "afterwards it can be queued again")
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

// Goroutines use one work at once. Each time that it is queued, it runs once, or a call
// reports that it was pending.
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
