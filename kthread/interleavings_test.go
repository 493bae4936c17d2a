package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/kprim/kprim/internal/explore"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

var explorer = explore.Explorer{SetYield: kthread.SetYield, Schedules: schedules}

// adoptThread makes the goroutine of a kthread a thread of the model.
func adoptThread(point string) string {
	if point == "begin" {
		return "kthread"
	}
	return ""
}

// obedient is a thread that stops and parks when it is asked to, and may be
// stopped by the explorer before each look.
func obedient(s *explore.Schedule) func(*kthread.Current) error {
	return func(cur *kthread.Current) error {
		var q waitqueue.Queue
		asked := func() bool {
			s.At("test")
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

// Whoever asks gets an answer, whatever the order: a stop the thread's own, a
// park that it parked, or that it did not come to that.
func TestInterleavingsStopAndPark(t *testing.T) {
	explorer.Explore(t, explore.Every, func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		thread := kthread.Run("t", obedient(s))
		stopped, parked := errors.New("no answer"), errors.New("no answer")
		s.Thread("stopper", func(th *explore.Thread) {
			th.At("stop")
			stopped = thread.Stop()
		})
		s.Thread("parker", func(th *explore.Thread) {
			th.At("park")
			parked = thread.Park(context.Background())
		})
		s.Wrong = func() string {
			neverRan := errors.Is(stopped, syscall.EINTR) && errors.Is(parked, syscall.ENOSYS) || errors.Is(parked, syscall.EINTR)
			switch {
			case stopped != errMine && !neverRan:
				return fmt.Sprint("stop: ", stopped, "; park: ", parked)
			case parked != nil && !errors.Is(parked, syscall.EINTR) && !errors.Is(parked, syscall.ENOSYS):
				return "park: " + parked.Error()
			}
			return ""
		}
	})
}

// The same with a thread that looks for a park first: it must not park on its way
// out, where the stop that would unpark it has been already.
func TestInterleavingsStopAndParkFirst(t *testing.T) {
	explorer.Explore(t, explore.Every, func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			for !cur.ShouldStop() {
				s.At("before the park")
				cur.ParkMe()
				s.At("after the park")
				_ = cur.Sleep(time.Hour)
			}
			s.At("on the way out")
			cur.ParkMe()
			return errMine
		})
		stopped, parked := errors.New("no answer"), errors.New("no answer")
		s.Thread("stopper", func(th *explore.Thread) {
			th.At("stop")
			stopped = thread.Stop()
		})
		s.Thread("parker", func(th *explore.Thread) {
			th.At("park")
			parked = thread.Park(context.Background())
		})
		s.Wrong = func() string {
			if stopped != errMine && !errors.Is(stopped, syscall.EINTR) || len(s.Asleep()) > 1 {
				return fmt.Sprint("stop: ", stopped, "; park: ", parked)
			}
			return ""
		}
		s.Release = thread.Unpark
	})
}

// A sleep ends when a park is asked, also if it is only about to begin.
func TestInterleavingsSleepAndPark(t *testing.T) {
	explorer.Explore(t, "begin, looked, answered, park is asked, looked for a park", func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			for !cur.ShouldStop() {
				_ = cur.Sleep(time.Hour)
				cur.ParkMe()
			}
			return nil
		})
		parked := errors.New("no answer")
		s.Thread("parker", func(th *explore.Thread) {
			th.At("park")
			parked = thread.Park(context.Background())
		})
		s.Wrong = func() string {
			if parked != nil {
				return "park: " + parked.Error()
			}
			return ""
		}
		s.Release = func() { _ = thread.Stop() }
	})
}

// When Park returns nil the thread is parked, and wake-ups and signals leave it
// there.
func TestInterleavingsParkIsAcknowledgedByWhoIsParked(t *testing.T) {
	explorer.Explore(t, explore.Every, func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		thread := kthread.Run("t", obedient(s))
		var parked error
		var state waitqueue.State
		s.Thread("parker", func(th *explore.Thread) {
			th.At("park")
			parked = thread.Park(context.Background())
			state = thread.Info().State
		})
		s.Thread("waker", func(th *explore.Thread) {
			th.At("wake")
			thread.WakeUp()
		})
		s.Wrong = func() string {
			if parked != nil || state != waitqueue.Parked || thread.Info().State != waitqueue.Parked {
				return fmt.Sprintf("park: %v; state then %s, now %s", parked, state, thread.Info().State)
			}
			return ""
		}
		s.Release = func() { _ = thread.Stop() }
	})
}

// An Unpark that comes early, in time or late leaves nobody waiting.
func TestInterleavingsParkAndUnpark(t *testing.T) {
	explorer.Explore(t, explore.Every, func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		thread := kthread.Run("t", obedient(s))
		parked := errors.New("no answer")
		s.Thread("parker", func(th *explore.Thread) {
			th.At("park")
			parked = thread.Park(context.Background())
			thread.Unpark()
		})
		s.Thread("unparker", func(th *explore.Thread) {
			th.At("unpark")
			thread.Unpark()
		})
		s.Wrong = func() string {
			if parked != nil && !errors.Is(parked, syscall.EINTR) || thread.Info().State != waitqueue.Interruptible {
				return fmt.Sprintf("park: %v; state %s", parked, thread.Info().State)
			}
			return ""
		}
		s.Release = func() { _ = thread.Stop() }
	})
}

// A thread that ends by itself answers who asks it to park meanwhile.
func TestInterleavingsParkAndExit(t *testing.T) {
	explorer.Explore(t, explore.Every, func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		thread := kthread.Create("t", func(*kthread.Current) error {
			s.At("return")
			return nil
		})
		parked := errors.New("no answer")
		s.Thread("parker", func(th *explore.Thread) {
			th.At("park")
			parked = thread.Park(context.Background())
			thread.Unpark()
		})
		s.Thread("starter", func(th *explore.Thread) {
			th.At("start")
			thread.WakeUp()
		})
		s.Wrong = func() string {
			if parked != nil && !errors.Is(parked, syscall.ENOSYS) {
				return "park: " + parked.Error()
			}
			return ""
		}
	})
}

// A thread that takes what ends its sleep for a signal unless it is asked to
// stop, and flushes it: a stop must not get lost so.
func TestInterleavingsStopAndSignal(t *testing.T) {
	explorer.Explore(t, explore.Every, func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			var q waitqueue.Queue
			_ = cur.Allow(syscall.SIGTERM)
			for {
				err := cur.Wait(&q, func() bool { s.At("test"); return false })
				s.At("woken")
				if cur.ShouldStop() {
					return err
				}
				s.At("flush")
				cur.Flush()
			}
		})
		stopped := errors.New("no answer")
		s.Thread("sender", func(th *explore.Thread) {
			th.At("send")
			_ = thread.Signal(syscall.SIGTERM)
		})
		s.Thread("stopper", func(th *explore.Thread) {
			th.At("stop")
			stopped = thread.Stop()
		})
		s.Wrong = func() string {
			if !errors.Is(stopped, syscall.EINTR) {
				return "stop: " + stopped.Error()
			}
			return ""
		}
	})
}

// Start returns, whether the function is ready, returns or calls Goexit, given up
// on or not, and the thread that it returns can be waited for.
func TestInterleavingsStart(t *testing.T) {
	for name, end := range map[string]func(*explore.Schedule, *kthread.Current) error{
		"ready":  func(s *explore.Schedule, cur *kthread.Current) error { cur.Ready(); return obedient(s)(cur) },
		"return": func(*explore.Schedule, *kthread.Current) error { return errMine },
		"Goexit": func(*explore.Schedule, *kthread.Current) error { runtime.Goexit(); return nil },
	} {
		start := func(patient bool) func(*testing.T, *explore.Schedule) {
			return func(t *testing.T, s *explore.Schedule) {
				s.Adopt = adoptThread
				ctx, cancel := context.WithCancel(t.Context())
				returned := false
				s.Thread("starter", func(th *explore.Thread) {
					th.At("start")
					thread, _ := kthread.Start(ctx, "t", func(cur *kthread.Current) error {
						s.At("function")
						return end(s, cur)
					})
					if thread != nil {
						_ = thread.Stop()
					}
					returned = true
				})
				if !patient {
					s.Thread("canceller", func(th *explore.Thread) {
						th.At("cancel")
						cancel()
					})
				}
				s.Wrong = func() string {
					if !returned {
						return "Start or Stop did not return"
					}
					return ""
				}
				s.Release = cancel
			}
		}
		t.Run(name, func(t *testing.T) { explorer.Explore(t, explore.Every, start(true)) })
		t.Run(name+" and cancel", func(t *testing.T) { explorer.Explore(t, explore.Every, start(false)) })
	}
}

// Two who stop, and one who waits: all get the thread's answer.
func TestInterleavingsStopTwice(t *testing.T) {
	explorer.Explore(t, "begin, stop flag is set, unparked for the stop, exited", func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		thread := kthread.Run("t", obedient(s))
		var answers [2]error
		for i := range answers {
			s.Thread(fmt.Sprint("stopper ", i), func(th *explore.Thread) {
				th.At("stop")
				answers[i] = thread.Stop()
			})
		}
		s.Wrong = func() string {
			if answers[0] == nil || answers[0] != answers[1] {
				return fmt.Sprint(answers)
			}
			return ""
		}
	})
}

// A work that queues itself comes to its end when it is cancelled, and is not
// back when CancelSync returns.
func TestInterleavingsCancelOfAWorkThatQueuesItself(t *testing.T) {
	explorer.Explore(t, "begin", func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		worker := kthread.RunWorker("w")
		var work kthread.Work
		runs := 0
		work.Func = func() {
			s.At("run")
			if runs++; runs < 3 {
				worker.Queue(&work)
			}
			s.At("end of the run")
		}
		worker.Queue(&work)
		idle := false
		s.Thread("canceller", func(th *explore.Thread) {
			th.At("cancel")
			_, _ = work.CancelSync(context.Background())
			idle = work.Idle()
		})
		s.Wrong = func() string {
			if !idle {
				return "cancelled, but not idle"
			}
			return ""
		}
		s.Release = func() { _ = worker.Thread().Stop() }
	})
}

// When Stop has returned, Done is closed. A goroutine that has seen Done closed
// gets the thread's answer from Wait, also with a context that has ended.
func TestInterleavingsDoneAndStopAgree(t *testing.T) {
	explorer.Explore(t, "begin, exited, done is closed", func(t *testing.T, s *explore.Schedule) {
		s.Adopt = adoptThread
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			s.At("return")
			return errMine
		})
		wrong := ""
		s.Thread("stopper", func(th *explore.Thread) {
			th.At("stop")
			_ = thread.Stop()
			select {
			case <-thread.Done():
			default:
				wrong = "Stop has returned, and Done is open"
			}
		})
		s.Thread("watcher", func(th *explore.Thread) {
			th.At("ask for Done")
			<-thread.Done()
			th.At("wait")
			if err := thread.Wait(endedContext(t)); errors.Is(err, context.Canceled) {
				wrong = "Done is closed, and Wait says " + err.Error()
			}
		})
		s.Wrong = func() string {
			if len(s.Asleep()) > 1 { // besides the thread, which is gone
				return "no answer"
			}
			return wrong
		}
	})
}

// The context of a thread ends by a stop, whenever it is made, and the cause is
// the stop, also if the thread ends first.
func TestInterleavingsStopAndContext(t *testing.T) {
	for name, wait := range map[string]func(*kthread.Current, context.Context){
		"sleeps": func(_ *kthread.Current, ctx context.Context) { <-ctx.Done() },
		"looks": func(cur *kthread.Current, _ context.Context) {
			var q waitqueue.Queue
			_ = cur.Wait(&q, cur.ShouldStop)
		},
	} {
		t.Run(name, func(t *testing.T) {
			explorer.Explore(t, "begin, stop flag is set, unparked for the stop, exited", func(t *testing.T, s *explore.Schedule) {
				s.Adopt = adoptThread
				var ctx context.Context
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					s.At("context")
					ctx = cur.Context()
					s.At("wait")
					wait(cur, ctx)
					return nil
				})
				s.Thread("stopper", func(th *explore.Thread) {
					th.At("stop")
					_ = thread.Stop()
				})
				s.Wrong = func() string {
					if len(s.Asleep()) > 1 || ctx != nil && context.Cause(ctx) != kthread.ErrStopped {
						return "the context does not end with its cause"
					}
					return ""
				}
			})
		})
	}
}

// The end of a run is told, also if the worker parks or stops after it.
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
			explorer.Explore(t, explore.Every, func(t *testing.T, s *explore.Schedule) {
				s.Adopt = adoptThread
				worker := kthread.RunWorker("w")
				work := kthread.Work{Func: func() { s.At("end of the run") }}
				worker.Queue(&work)
				waited, parked := errors.New("no answer"), errors.New("no answer")
				s.Thread("waiter", func(th *explore.Thread) {
					th.At("wait")
					waited = wait(worker, &work, context.Background())
				})
				s.Thread("parker", func(th *explore.Thread) {
					th.At("park")
					parked = worker.Thread().Park(context.Background())
				})
				s.Wrong = func() string {
					// A work that did not begin waits for the Unpark.
					if parked != nil || waited != nil && work.Idle() {
						return fmt.Sprint("wait: ", waited, "; park: ", parked)
					}
					return ""
				}
				s.Release = func() { _ = worker.Thread().Stop() }
			})
		})
	}
}

// A flush waits for a work that the parked worker holds back. It returns when the
// work is cancelled.
func TestInterleavingsFlushAndCancelInAParkedWorker(t *testing.T) {
	explorer.Explore(t, "", func(t *testing.T, s *explore.Schedule) {
		worker := kthread.RunWorker("w")
		var work kthread.Work
		s.Before(func() { _ = worker.Thread().Park(context.Background()) })
		work.Func = func() {}
		worker.Queue(&work)
		flushed := errors.New("no answer")
		s.Thread("flusher", func(th *explore.Thread) {
			th.At("flush")
			flushed = work.Flush(context.Background())
		})
		s.Thread("canceller", func(th *explore.Thread) {
			th.At("cancel")
			_, _ = work.CancelSync(context.Background())
		})
		s.Wrong = func() string {
			if flushed != nil {
				return "flush: " + flushed.Error()
			}
			return ""
		}
		s.Release = func() { _ = worker.Thread().Stop() }
	})
}
