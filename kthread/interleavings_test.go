package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// obedient is a thread that stops and parks when it is asked to. Each look for a request
// is a step.
func obedient(m *explore.Model) func(*kthread.Current) error {
	return func(cur *kthread.Current) error {
		var q waitqueue.Queue
		asked := func() bool {
			m.At("test")
			return cur.ShouldStop() || cur.ShouldPark()
		}
		for {
			_ = cur.Wait(&q, asked)
			if cur.ShouldStop() {
				return errMine
			}
			cur.ParkMe()
		}
	}
}

// Stop and Park get an answer in every order. Stop gets the error of the thread. Park
// gets nil, or an error if the thread did not park.
func TestInterleavingsStopAndPark(t *testing.T) {
	orders.Explore(t, "kthread", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		thread := kthread.Run("t", obedient(m))
		stopped, parked := errors.New("no answer"), errors.New("no answer")
		m.Go("stopper", func(th *explore.Thread) {
			th.Step("stop")
			stopped = thread.Stop()
		})
		m.Go("parker", func(th *explore.Thread) {
			th.Step("park")
			parked = thread.Park(context.Background())
		})
		m.Check(func() error {
			neverRan := errors.Is(stopped, syscall.EINTR) && errors.Is(parked, syscall.ENOSYS) || errors.Is(parked, syscall.EINTR)
			switch {
			case stopped != errMine && !neverRan:
				return fmt.Errorf("stop: %v; park: %v", stopped, parked)
			case parked != nil && !errors.Is(parked, syscall.EINTR) && !errors.Is(parked, syscall.ENOSYS):
				return fmt.Errorf("park: %w", parked)
			}
			return nil
		})
	})
}

// The same with a thread that looks for a park first. It must not park on its way out,
// because the Unpark of the stop is over.
func TestInterleavingsStopAndParkFirst(t *testing.T) {
	orders.Explore(t, "kthread", stopAndParkFirst)
}

func stopAndParkFirst(m *explore.Model) {
	m.Adopt("begin", "kthread")
	thread := kthread.Run("t", func(cur *kthread.Current) error {
		for !cur.ShouldStop() {
			m.At("before the park")
			cur.ParkMe()
			m.At("after the park")
			_ = cur.Sleep(time.Hour)
		}
		m.At("on the way out")
		cur.ParkMe()
		return errMine
	})
	stopped, parked := errors.New("no answer"), errors.New("no answer")
	m.Go("stopper", func(th *explore.Thread) {
		th.Step("stop")
		stopped = thread.Stop()
	})
	m.Go("parker", func(th *explore.Thread) {
		th.Step("park")
		parked = thread.Park(context.Background())
	})
	m.Check(func() error {
		if stopped != errMine && !errors.Is(stopped, syscall.EINTR) {
			return fmt.Errorf("stop: %v; park: %v", stopped, parked)
		}
		return nil
	})
	m.Release(thread.Unpark)
}

// A sleep ends when a park is asked, also if it is only about to begin.
func TestInterleavingsSleepAndPark(t *testing.T) {
	orders.Explore(t, "begin, looked, answered, park is asked, looked for a park", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			for !cur.ShouldStop() {
				_ = cur.Sleep(time.Hour)
				cur.ParkMe()
			}
			return nil
		})
		parked := errors.New("no answer")
		m.Go("parker", func(th *explore.Thread) {
			th.Step("park")
			parked = thread.Park(context.Background())
		})
		m.Check(func() error {
			if parked != nil {
				return fmt.Errorf("park: %w", parked)
			}
			return nil
		})
		m.Release(func() { _ = thread.Stop() })
	})
}

// When Park returns nil the thread is parked, and a wake-up leaves it there.
func TestInterleavingsParkIsAcknowledgedByAParkedThread(t *testing.T) {
	orders.Explore(t, "kthread", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		thread := kthread.Run("t", obedient(m))
		var parked error
		var state waitqueue.State
		m.Go("parker", func(th *explore.Thread) {
			th.Step("park")
			parked = thread.Park(context.Background())
			state = thread.Info().State
		})
		m.Go("waker", func(th *explore.Thread) {
			th.Step("wake")
			thread.WakeUp()
		})
		m.Check(func() error {
			if parked != nil || state != waitqueue.Parked || thread.Info().State != waitqueue.Parked {
				return fmt.Errorf("park: %v; state then %s, now %s", parked, state, thread.Info().State)
			}
			return nil
		})
		m.Release(func() { _ = thread.Stop() })
	})
}

// Park returns if an Unpark comes early, in time or late.
func TestInterleavingsParkAndUnpark(t *testing.T) {
	orders.Explore(t, "kthread", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		thread := kthread.Run("t", obedient(m))
		parked := errors.New("no answer")
		m.Go("parker", func(th *explore.Thread) {
			th.Step("park")
			parked = thread.Park(context.Background())
			thread.Unpark()
		})
		m.Go("unparker", func(th *explore.Thread) {
			th.Step("unpark")
			thread.Unpark()
		})
		m.Check(func() error {
			if parked != nil && !errors.Is(parked, syscall.EINTR) || thread.Info().State != waitqueue.Interruptible {
				return fmt.Errorf("park: %v; state %s", parked, thread.Info().State)
			}
			return nil
		})
		m.Release(func() { _ = thread.Stop() })
	})
}

// A thread that ends by itself answers a Park that comes meanwhile.
func TestInterleavingsParkAndExit(t *testing.T) {
	orders.Explore(t, "kthread", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		thread := kthread.Create("t", func(*kthread.Current) error {
			m.At("return")
			return nil
		})
		parked := errors.New("no answer")
		m.Go("parker", func(th *explore.Thread) {
			th.Step("park")
			parked = thread.Park(context.Background())
			thread.Unpark()
		})
		m.Go("starter", func(th *explore.Thread) {
			th.Step("start")
			thread.WakeUp()
		})
		m.Check(func() error {
			if parked != nil && !errors.Is(parked, syscall.ENOSYS) {
				return fmt.Errorf("park: %w", parked)
			}
			return nil
		})
	})
}

// A thread flushes its signals after each sleep, unless it has to stop. A flush must
// not take a stop back.
func TestInterleavingsStopAndSignal(t *testing.T) {
	orders.Explore(t, "kthread", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			var q waitqueue.Queue
			_ = cur.Allow(syscall.SIGTERM)
			for {
				err := cur.Wait(&q, func() bool { m.At("test"); return false })
				m.At("woken")
				if cur.ShouldStop() {
					return err
				}
				m.At("flush")
				cur.Flush()
			}
		})
		stopped := errors.New("no answer")
		m.Go("sender", func(th *explore.Thread) {
			th.Step("send")
			_ = thread.Signal(syscall.SIGTERM)
		})
		m.Go("stopper", func(th *explore.Thread) {
			th.Step("stop")
			stopped = thread.Stop()
		})
		m.Check(func() error {
			if !errors.Is(stopped, syscall.EINTR) {
				return fmt.Errorf("stop: %w", stopped)
			}
			return nil
		})
	})
}

// Start returns when the function is ready, returns or calls Goexit, also if the context
// ends. The thread that Start returns can be stopped.
func TestInterleavingsStart(t *testing.T) {
	for name, end := range map[string]func(*explore.Model, *kthread.Current) error{
		"ready":  func(m *explore.Model, cur *kthread.Current) error { cur.Ready(); return obedient(m)(cur) },
		"return": func(*explore.Model, *kthread.Current) error { return errMine },
		"Goexit": func(*explore.Model, *kthread.Current) error { runtime.Goexit(); return nil },
	} {
		start := func(patient bool) func(*explore.Model) {
			return func(m *explore.Model) {
				m.Adopt("begin", "kthread")
				ctx, cancel := context.WithCancel(m.Context())
				m.Go("starter", func(th *explore.Thread) {
					th.Step("start")
					thread, _ := kthread.Start(ctx, "t", func(cur *kthread.Current) error {
						m.At("function")
						return end(m, cur)
					})
					if thread != nil {
						_ = thread.Stop()
					}
				})
				if !patient {
					m.Go("canceller", func(th *explore.Thread) {
						th.Step("cancel")
						cancel()
					})
				}
				m.Release(cancel)
			}
		}
		t.Run(name, func(t *testing.T) { orders.Explore(t, "kthread", start(true)) })
		t.Run(name+" and cancel", func(t *testing.T) { orders.Explore(t, "kthread", start(false)) })
	}
}

// Two goroutines stop a thread. Both get its error.
func TestInterleavingsStopTwice(t *testing.T) {
	orders.Explore(t, "begin, stop flag is set, unparked for the stop, exited", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		thread := kthread.Run("t", obedient(m))
		var answers [2]error
		for i := range answers {
			m.Go(fmt.Sprint("stopper ", i), func(th *explore.Thread) {
				th.Step("stop")
				answers[i] = thread.Stop()
			})
		}
		m.Check(func() error {
			if answers[0] == nil || answers[0] != answers[1] {
				return errors.New(fmt.Sprint(answers))
			}
			return nil
		})
	})
}

// A work that queues itself is not pending when CancelSync returns.
func TestInterleavingsCancelOfAWorkThatQueuesItself(t *testing.T) {
	orders.Explore(t, "begin", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		worker := kthread.RunWorker("w")
		var work kthread.Work
		runs := 0
		work.Func = func() {
			m.At("run")
			if runs++; runs < 3 {
				worker.Enqueue(&work)
			}
			m.At("end of the run")
		}
		worker.Enqueue(&work)
		idle := false
		m.Go("canceller", func(th *explore.Thread) {
			th.Step("cancel")
			_, _ = work.CancelSync(context.Background())
			idle = work.Idle()
		})
		m.Check(func() error {
			if !idle {
				return errors.New("cancelled, but not idle")
			}
			return nil
		})
		m.Release(func() { _ = worker.Thread().Stop() })
	})
}

// When Stop has returned, Done is closed. A goroutine that has seen Done closed
// gets the thread's answer from Wait, also with a context that has ended.
func TestInterleavingsDoneAndStopAgree(t *testing.T) {
	orders.Explore(t, "begin, exited, done is closed", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		ended, cancel := context.WithCancel(m.Context())
		cancel()
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			m.At("return")
			return errMine
		})
		var wrong error
		m.Go("stopper", func(th *explore.Thread) {
			th.Step("stop")
			_ = thread.Stop()
			select {
			case <-thread.Done():
			default:
				wrong = errors.New("Stop has returned, and Done is open")
			}
		})
		m.Go("watcher", func(th *explore.Thread) {
			th.Step("ask for Done")
			<-thread.Done()
			th.Step("wait")
			if err := thread.Wait(ended); errors.Is(err, context.Canceled) {
				wrong = fmt.Errorf("Done is closed, and Wait says: %w", err)
			}
		})
		m.Check(func() error { return wrong })
	})
}

// A stop ends the context of a thread, and is its cause. This holds also if the context is made
// after the stop, and if the thread ends first.
func TestInterleavingsStopAndContext(t *testing.T) {
	for name, wait := range map[string]func(*kthread.Current, context.Context){
		"sleeps": func(_ *kthread.Current, ctx context.Context) { <-ctx.Done() },
		"looks": func(cur *kthread.Current, _ context.Context) {
			var q waitqueue.Queue
			_ = cur.Wait(&q, cur.ShouldStop)
		},
	} {
		t.Run(name, func(t *testing.T) {
			orders.Explore(t, "begin, stop flag is set, unparked for the stop, exited", func(m *explore.Model) {
				m.Adopt("begin", "kthread")
				var ctx context.Context
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					m.At("context")
					ctx = cur.Context()
					m.At("wait")
					wait(cur, ctx)
					return nil
				})
				m.Go("stopper", func(th *explore.Thread) {
					th.Step("stop")
					_ = thread.Stop()
				})
				m.Check(func() error {
					if ctx != nil && context.Cause(ctx) != kthread.ErrStopped {
						return errors.New("the context does not end with its cause")
					}
					return nil
				})
			})
		})
	}
}

// Each work that two goroutines queue runs, though the worker may be about to sleep, or
// may be woken already.
func TestInterleavingsEnqueueAndRun(t *testing.T) {
	orders.Explore(t, "begin, commit, pool is changed, unpark", func(m *explore.Model) {
		m.Adopt("begin", "kworker")
		worker := kthread.RunWorker("w")
		works := make([]kthread.Work, 2)
		runs := 0
		for i := range works {
			works[i].Func = func() { runs++ }
			m.Go(fmt.Sprint("queuer ", i), func(th *explore.Thread) {
				th.Step("queue")
				worker.Enqueue(&works[i])
			})
		}
		m.Check(func() error {
			if runs != 2 {
				return fmt.Errorf("%d runs", runs)
			}
			return nil
		})
		m.Release(func() { _ = worker.Thread().Stop() })
	})
}

// A wait for the end of a run returns, also if the worker parks after the run.
func TestInterleavingsWaitForARunAndPark(t *testing.T) {
	type waitFor func(*kthread.Worker, *kthread.Work, context.Context) error
	waits := map[string]waitFor{
		"CancelSync": func(_ *kthread.Worker, k *kthread.Work, ctx context.Context) error {
			_, err := k.CancelSync(ctx)
			return err
		},
		"Work.Flush":   func(_ *kthread.Worker, k *kthread.Work, ctx context.Context) error { return k.Flush(ctx) },
		"Worker.Flush": func(w *kthread.Worker, _ *kthread.Work, ctx context.Context) error { return w.Flush(ctx) },
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			orders.Explore(t, "kthread", func(m *explore.Model) {
				m.Adopt("begin", "kthread")
				worker := kthread.RunWorker("w")
				work := kthread.Work{Func: func() { m.At("end of the run") }}
				worker.Enqueue(&work)
				waited, parked := errors.New("no answer"), errors.New("no answer")
				m.Go("waiter", func(th *explore.Thread) {
					th.Step("wait")
					waited = wait(worker, &work, context.Background())
				})
				m.MaySleep("waiter") // a work that did not begin waits for the Unpark
				m.Go("parker", func(th *explore.Thread) {
					th.Step("park")
					parked = worker.Thread().Park(context.Background())
				})
				m.Check(func() error {
					if parked != nil || waited != nil && work.Idle() {
						return fmt.Errorf("wait: %v; park: %v", waited, parked)
					}
					return nil
				})
				m.Release(func() { _ = worker.Thread().Stop() })
			})
		})
	}
}

// A flush waits for a work that the parked worker holds back. It returns when the
// work is cancelled.
func TestInterleavingsFlushAndCancelInAParkedWorker(t *testing.T) {
	orders.Explore(t, "", func(m *explore.Model) {
		worker := kthread.RunWorker("w")
		var work kthread.Work
		m.Before(func() { _ = worker.Thread().Park(context.Background()) })
		work.Func = func() {}
		worker.Enqueue(&work)
		flushed := errors.New("no answer")
		m.Go("flusher", func(th *explore.Thread) {
			th.Step("flush")
			flushed = work.Flush(context.Background())
		})
		m.Go("canceller", func(th *explore.Thread) {
			th.Step("cancel")
			_, _ = work.CancelSync(context.Background())
		})
		m.Check(func() error {
			if flushed != nil {
				return fmt.Errorf("flush: %w", flushed)
			}
			return nil
		})
		m.Release(func() { _ = worker.Thread().Stop() })
	})
}
