package kthread_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"
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

func TestThreadsOfAWorkqueueComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 4)
		require.Empty(t, kworkers())
		for range 2 {
			works := holdAll(t, q, 3)
			require.Equal(t, "RRR", lettersOf(kworkers()))
			require.Equal(t, "kworker/test", kworkers()[0].Name)
			for _, k := range works {
				k.end()
			}
			synctest.Wait()
			require.Equal(t, "III", lettersOf(kworkers()))
			require.Equal(t, "workqueue", kworkers()[0].Wchan)
			pass(10*time.Second - 1)
			require.Len(t, kworkers(), 3)
			pass(10*time.Second + 1)
			require.Empty(t, kworkers())
		}
	})
}

// One that works now and then stays, and the others go.
func TestThreadThatIsUsedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, runs := newWorkqueue(t, 4), 0
		for _, k := range holdAll(t, q, 4) {
			k.end()
		}
		synctest.Wait()
		pids := map[int]bool{}
		for range 10 {
			pass(5 * time.Second)
			k := runHeld(t, q)
			for _, info := range kworkers() {
				if info.State == waitqueue.Running {
					pids[info.Pid] = true
				}
			}
			k.end()
			runs++
		}
		require.Len(t, pids, 1, "the last one that went to sleep is woken")
		synctest.Wait()
		require.Len(t, kworkers(), 1)
	})
}

// A workqueue that the program drops leaves no thread.
func TestWorkqueueThatIsDroppedIsCollected(t *testing.T) {
	var collected atomic.Bool
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("dropped", 2)
		for _, k := range holdAll(t, q, 2) {
			k.end()
		}
		runtime.AddCleanup(q, func(int) { collected.Store(true) }, 0)
		pass(time.Minute)
		require.Empty(t, kworkers())
	})
	require.Eventually(t, func() bool {
		runtime.GC()
		return collected.Load()
	}, 5*time.Second, time.Millisecond)
}

// So is one that is destroyed, though threads were idle just now.
func TestWorkqueueThatIsDestroyedIsCollected(t *testing.T) {
	var collected atomic.Bool
	q, runs := kthread.AllocWorkqueue("destroyed", 2), 0
	k := counter(&runs)
	for range 2 {
		require.True(t, q.Enqueue(k))
		require.NoError(t, q.Drain(t.Context()))
	}
	require.Eventually(t, func() bool { return !strings.Contains(lettersOf(kworkers()), "R") }, time.Second, time.Millisecond)
	runtime.AddCleanup(q, func(int) { collected.Store(true) }, 0)
	require.NoError(t, q.Destroy(t.Context()))
	q, k = nil, nil
	require.Eventually(t, func() bool {
		runtime.GC()
		return collected.Load()
	}, 5*time.Second, time.Millisecond)
}

// Destroy waits for the threads too that have gone idle before it.
func TestHammerDestroyLeavesNoThread(t *testing.T) {
	for range 3000 {
		q, runs := kthread.AllocWorkqueue("left", 1), 0
		require.True(t, q.Enqueue(counter(&runs)))
		require.NoError(t, q.Flush(t.Context()))
		culled := make(chan bool)
		go func() {
			q.Cull()
			q.Cull()
			close(culled)
		}()
		require.NoError(t, q.Destroy(t.Context()))
		require.Empty(t, kworkers())
		<-culled
	}
}

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

func TestDestroyOfAWorkqueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("test", 2)
		ran := 0
		last := counter(&ran)
		works := holdAll(t, q, 3)
		works[2].then = func() { require.True(t, q.Enqueue(last)) }
		dropped := kthread.DelayedWork{Func: func() { t.Error("dropped") }}
		require.True(t, q.EnqueueAfter(&dropped, time.Hour))
		destroys := []<-chan error{answerOf(q.Destroy), answerOf(q.Destroy)}
		synctest.Wait()
		require.False(t, q.Enqueue(counter(new(int))))
		require.NoError(t, q.Context().Err(), "works run")
		for _, k := range works {
			require.Empty(t, destroys[0])
			k.end()
			synctest.Wait()
		}
		for _, destroy := range destroys {
			require.NoError(t, <-destroy)
		}
		require.Equal(t, 1, ran)
		require.Empty(t, kworkers())
		require.Equal(t, kthread.ErrStopped, context.Cause(q.Context()))
		require.NoError(t, q.Destroy(endedContext(t)))
		require.NoError(t, q.Drain(t.Context()))
		require.NoError(t, q.Flush(t.Context()))
		require.False(t, q.Enqueue(last))
		require.False(t, q.EnqueueAfter(&kthread.DelayedWork{Func: last.Func}, 0))
		pass(2 * time.Hour)
		require.Equal(t, 1, ran)
	})
}

// It goes on as after the Shutdown of an http.Server.
func TestDestroyWhoseContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("test", 1)
		works := holdAll(t, q, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, q.Destroy(ctx), syscall.ETIMEDOUT)
		require.False(t, q.Enqueue(counter(new(int))), "it takes no new works")
		works[0].end()
		synctest.Wait()
		require.Equal(t, 1, works[1].begun)
		require.NoError(t, q.Context().Err())
		works[1].end()
		synctest.Wait()
		require.Equal(t, kthread.ErrStopped, context.Cause(q.Context()), "it has ended by itself")
		require.Empty(t, kworkers())
		require.NoError(t, q.Destroy(endedContext(t)))
	})
}

func TestAskStopOfAWorkqueue(t *testing.T) {
	reason := errors.New("no power")
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("test", 2)
		idle := holdAll(t, q, 2)
		idle[1].end() // and one runs on
		k, again := idle[0], &idle[0].Work
		require.True(t, q.Enqueue(again))
		synctest.Wait()
		running := answerOf(q.Flush)
		synctest.Wait()
		second := runHeld(t, q)
		pending := holdAll(t, q, 2)
		delayed := kthread.DelayedWork{Func: func() { t.Error("dropped") }}
		require.True(t, q.EnqueueAfter(&delayed, time.Hour))
		lost := []<-chan error{answerOf(q.Flush), answerOf(pending[0].Flush), answerOf(q.Drain), answerOf(k.Flush)}
		run := cancelOf(t.Context(), second.CancelSync)
		synctest.Wait()
		destroy := answerOf(q.Destroy)
		synctest.Wait()
		q.AskStop(reason)
		q.AskStop(errors.New("a second reason"))
		cause := context.Cause(q.Context())
		require.ErrorIs(t, cause, kthread.ErrStopped)
		require.ErrorIs(t, cause, reason)
		require.EqualError(t, cause, "kthread: asked to stop: no power")
		for _, answer := range lost {
			require.ErrorIs(t, <-answer, syscall.ESRCH)
		}
		require.ErrorIs(t, <-running, syscall.ESRCH, "the work that was set aside is dropped")
		require.False(t, q.Enqueue(again))
		synctest.Wait()
		require.Empty(t, destroy, "two works run")
		require.Empty(t, run)
		k.end()
		second.end()
		require.Equal(t, cancelled{false, nil}, <-run)
		require.ErrorIs(t, <-destroy, syscall.ESRCH)
		require.ErrorIs(t, q.Destroy(t.Context()), reason, "the same as before")
		require.Empty(t, kworkers())
		require.Equal(t, 1, k.begun)
		require.Zero(t, pending[0].begun)
		pass(2 * time.Hour)
	})
}

// A flush that waits for runs only does not mind an AskStop, and Destroy waits for them.
func TestAskStopLetsTheRunsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("test", 2)
		works := holdAll(t, q, 2)
		flushes := []<-chan error{answerOf(q.Flush), answerOf(works[0].Flush), answerOf(q.Drain)}
		synctest.Wait()
		q.AskStop(nil)
		require.Equal(t, kthread.ErrStopped, context.Cause(q.Context()))
		destroy := answerOf(q.Destroy)
		synctest.Wait()
		for _, k := range works {
			require.Empty(t, destroy)
			k.end()
		}
		for _, flush := range append(flushes, destroy) {
			require.NoError(t, <-flush)
		}
	})
}

func TestGoexitInAWorkOfAWorkqueue(t *testing.T) {
	for _, maxActive := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			q := newWorkqueue(t, maxActive)
			k, runs := runHeld(t, q), 0
			k.then = func() {
				if k.begun == 1 {
					runtime.Goexit()
				}
			}
			require.True(t, q.Enqueue(&k.Work), "a new thread runs it again")
			require.True(t, q.Enqueue(counter(&runs)))
			synctest.Wait()
			flush, drain := answerOf(k.Flush), answerOf(q.Drain)
			synctest.Wait()
			k.end()
			synctest.Wait()
			require.Equal(t, 2, k.begun)
			k.end()
			require.NoError(t, <-flush)
			require.NoError(t, <-drain)
			require.Equal(t, 1, runs)
			require.NoError(t, q.Destroy(t.Context()))
		})
	}
}

// Each of these would wait for ever.
func TestWorkCannotWaitForItsOwnWorkqueue(t *testing.T) {
	type scene struct {
		q    *kthread.Workqueue
		self *kthread.Work
	}
	cancel := func(ctx context.Context, s *scene) error { _, err := s.self.CancelSync(ctx); return err }
	alone := map[string]func(context.Context, *scene) error{
		"Workqueue.Flush":   func(ctx context.Context, s *scene) error { return s.q.Flush(ctx) },
		"Workqueue.Drain":   func(ctx context.Context, s *scene) error { return s.q.Drain(ctx) },
		"Workqueue.Destroy": func(ctx context.Context, s *scene) error { return s.q.Destroy(ctx) },
		"Flush itself":      func(ctx context.Context, s *scene) error { return s.self.Flush(ctx) },
		"CancelSync itself": cancel,
		"Flush itself when pending": func(ctx context.Context, s *scene) error {
			s.q.Enqueue(s.self)
			defer func() { _ = cancel(ctx, s) }()
			return s.self.Flush(ctx)
		},
	}
	for name, wait := range alone {
		for _, maxActive := range []int{1, 3} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := scene{q: newWorkqueue(t, maxActive)}
					var err error
					runs := 0
					s.self = &kthread.Work{Func: func() {
						if runs++; runs == 1 {
							err = wait(t.Context(), &s)
						}
					}}
					require.True(t, s.q.Enqueue(s.self))
					synctest.Wait()
					require.ErrorIs(t, err, syscall.EDEADLK)
					require.True(t, s.q.Enqueue(s.self), "it can be used as before")
					require.NoError(t, s.q.Destroy(t.Context()))
					require.Equal(t, 2, runs)
				})
			})
		}
	}
}

// A work may wait for another one, as long as that can run and does not wait for it.
func TestWorkMayWaitForAnotherOfItsWorkqueue(t *testing.T) {
	for _, c := range []struct {
		maxActive int
		want      error
	}{{1, syscall.EDEADLK}, {2, nil}} {
		synctest.Test(t, func(t *testing.T) {
			q, runs := newWorkqueue(t, c.maxActive), 0
			other := counter(&runs)
			var flushed error
			require.True(t, q.Enqueue(&kthread.Work{Func: func() {
				require.True(t, q.Enqueue(other))
				flushed = other.Flush(t.Context())
			}}))
			require.NoError(t, q.Flush(t.Context()))
			synctest.Wait()
			require.Equal(t, c.want, errors.Unwrap(flushed))
			require.Equal(t, 1, runs)
		})
	}
}

// Two works that flush each other, and three in a circle: the last one is told.
func TestWorksThatWaitForEachOtherAreTold(t *testing.T) {
	for _, n := range []int{2, 3} {
		synctest.Test(t, func(t *testing.T) {
			q := newWorkqueue(t, n+2)
			works, errs := make([]*heldWork, n), make([]error, n)
			for i := range works {
				works[i] = newHeld()
				works[i].then = func() { errs[i] = works[(i+1)%n].Flush(t.Context()) }
				require.True(t, q.Enqueue(&works[i].Work))
			}
			for _, k := range works {
				k.end()
				synctest.Wait()
			}
			for i, err := range errs[:n-1] {
				require.NoError(t, err, i)
			}
			require.ErrorIs(t, errs[n-1], syscall.EDEADLK)
			require.NoError(t, q.Flush(t.Context()))
		})
	}
}

// All threads wait for pending works: the last one is told.
func TestLastThreadMayNotWaitForAPendingWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, runs := newWorkqueue(t, 2), 0
		works := []*heldWork{newHeld(), newHeld()}
		pending := counter(&runs)
		errs := make([]error, 2)
		for i, k := range works {
			k.then = func() { errs[i] = pending.Flush(t.Context()) }
			require.True(t, q.Enqueue(&k.Work))
		}
		require.True(t, q.Enqueue(pending))
		synctest.Wait()
		works[0].end()
		synctest.Wait()
		works[1].end()
		require.NoError(t, q.Flush(t.Context()))
		require.NoError(t, errs[0])
		require.ErrorIs(t, errs[1], syscall.EDEADLK)
		require.Equal(t, 1, runs)
	})
}

// A work whose wait is over waits no longer, though it has not gone on yet.
func TestWorkWhoseWaitIsOverDoesNotCountAsWaiting(t *testing.T) {
	q := newWorkqueue(t, 2)
	for range 300 {
		var first, second, third kthread.Work
		var errs [2]error
		third.Func = func() {}
		second.Func = func() {
			q.Enqueue(&third)
		}
		flusher := kthread.Work{Func: func() { errs[1] = third.Flush(context.Background()) }}
		first.Func = func() {
			q.Enqueue(&second)
			q.Enqueue(&flusher)
			errs[0] = second.Flush(context.Background())
		}
		require.True(t, q.Enqueue(&first))
		require.NoError(t, q.Drain(t.Context()))
		require.NoError(t, errors.Join(errs[:]...))
	}
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

// One work is queued from eight goroutines. It never runs twice at once, each Enqueue that
// was not refused makes one run, and the last run sees all that came before.
func TestHammerWorkOfAWorkqueueNeverRunsTwiceAtOnce(t *testing.T) {
	const goroutines = 8
	rounds := 3_000
	if *long {
		rounds = 1_000_000
	}
	q := newWorkqueue(t, 4)
	var running atomic.Int32
	var runs, queued atomic.Int64
	plain := 0 // the race detector sees two runs that are not ordered
	k := kthread.Work{Func: func() {
		if running.Add(1) != 1 {
			t.Error("two at once")
		}
		plain++
		runs.Add(1)
		running.Add(-1)
	}}
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for runs.Load() < int64(rounds) {
				if q.Enqueue(&k) {
					queued.Add(1)
				} else {
					runtime.Gosched()
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, q.Flush(t.Context()))
	require.Equal(t, queued.Load(), runs.Load())
	require.EqualValues(t, queued.Load(), plain)
	t.Logf("%d runs", plain)
}

// Many works are queued, delayed, moved, flushed and cancelled at once, while the threads
// come and go. Each request is one run or one cancel.
func TestHammerWorkqueue(t *testing.T) {
	q := newWorkqueue(t, 3)
	var requests, runs, active atomic.Int64
	works := make([]kthread.DelayedWork, 5)
	for i := range works {
		var self atomic.Bool
		works[i].Func = func() {
			if self.Swap(true) {
				t.Error("two at once")
			}
			if active.Add(1) > 3 {
				t.Error("more than three")
			}
			runs.Add(1)
			active.Add(-1)
			self.Store(false)
		}
	}
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			for i := range 1500 {
				d := &works[(g+i)%len(works)]
				switch (g*7 + i) % 6 {
				case 0:
					if wasPending, err := d.CancelSync(context.Background()); err != nil {
						t.Error(err)
					} else if wasPending {
						requests.Add(-1)
					}
				case 1:
					if err := d.Flush(context.Background()); err != nil {
						t.Error(err)
					}
				case 2:
					if err := q.Flush(context.Background()); err != nil {
						t.Error(err)
					}
				case 3:
					if q.EnqueueAfter(d, time.Duration(i%3)) {
						requests.Add(1)
					}
				case 4:
					q.Cull()
				default:
					if !q.ModDelayed(d, time.Duration(i%2)) {
						requests.Add(1)
					}
				}
			}
		})
	}
	all.Wait()
	for i := range works {
		if wasPending, _ := works[i].CancelSync(context.Background()); wasPending {
			requests.Add(-1)
		}
	}
	require.NoError(t, q.Destroy(t.Context()))
	require.Equal(t, requests.Load(), runs.Load())
}

// Enqueue races with AskStop. A work that was taken has run, or it was dropped.
func TestHammerAskStopAndEnqueue(t *testing.T) {
	for range 300 {
		q := kthread.AllocWorkqueue("test", 2)
		works := make([]kthread.Work, 8)
		var ran, taken atomic.Int64
		var all sync.WaitGroup
		for i := range works {
			works[i].Func = func() { ran.Add(1) }
			all.Go(func() {
				if q.Enqueue(&works[i]) {
					taken.Add(1)
				}
			})
		}
		all.Go(func() { q.AskStop(nil) })
		all.Wait()
		err := q.Destroy(t.Context())
		require.LessOrEqual(t, ran.Load(), taken.Load())
		require.Equal(t, ran.Load() < taken.Load(), errors.Is(err, kthread.ErrStopped), "%v", err)
		for i := range works {
			require.True(t, !works[i].Pending())
		}
	}
}

// Works run side by side, on threads that come and go. A work that is queued again while
// it is pending runs once.
func ExampleWorkqueue() {
	ctx := context.Background()
	q := kthread.AllocWorkqueue("thumbnails", 4)
	var drawn atomic.Int64
	pictures := make([]kthread.Work, 100)
	for i := range pictures {
		pictures[i].Func = func() { drawn.Add(1) }
		q.Enqueue(&pictures[i])
	}
	fmt.Println("destroyed:", q.Destroy(ctx), "drawn:", drawn.Load())
	fmt.Println("queued:", q.Enqueue(&pictures[0]), "cause:", context.Cause(q.Context()))
	// Output:
	// destroyed: <nil> drawn: 100
	// queued: false cause: kthread: asked to stop
}

// A program that is in a hurry drops the works that have not begun. Those that run see the
// end of the context.
func ExampleWorkqueue_AskStop() {
	q := kthread.AllocWorkqueue("backup", 1)
	begun := make(chan bool)
	upload := kthread.Work{Func: func() {
		close(begun)
		<-q.Context().Done()
		fmt.Println(context.Cause(q.Context()))
	}}
	next := kthread.Work{Func: func() { fmt.Println("dropped") }}
	q.Enqueue(&upload)
	q.Enqueue(&next)
	<-begun
	q.AskStop(errors.New("on battery"))
	fmt.Println(q.Destroy(context.Background()))
	// Output:
	// kthread: asked to stop: on battery
	// kthread: the workqueue is gone (asked to stop: on battery)
}
