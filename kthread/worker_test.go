package kthread_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
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
// run sees all that came before the last Queue, refused or not.
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

// A work sees all that happened before it was queued, and a flush sees all that the work
// did. If not, the race detector fails this test.
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

// A worker that has not run waits for no work yet.
func TestWorkerThatHasNotRunIsNotShownAsIdle(t *testing.T) {
	require.Empty(t, kthread.CreateWorker("w").Thread().Info().Wchan)
}
