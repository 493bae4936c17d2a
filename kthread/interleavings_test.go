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

var explorer = explore.Explorer{SetYield: kthread.SetYield}

// every is all points of the package.
const every = "begin, looked, answered, park is asked, park is taken back, stop flag is set, unparked for the stop, exited"

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
	explorer.Explore(t, every, func(t *testing.T, s *explore.Schedule) {
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
	explorer.Explore(t, every, func(t *testing.T, s *explore.Schedule) {
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

// When Park returns nil the thread is parked, and wake-ups and signals leave it
// there.
func TestInterleavingsParkIsAcknowledgedByWhoIsParked(t *testing.T) {
	explorer.Explore(t, every, func(t *testing.T, s *explore.Schedule) {
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
	explorer.Explore(t, every, func(t *testing.T, s *explore.Schedule) {
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
	explorer.Explore(t, every, func(t *testing.T, s *explore.Schedule) {
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
	explorer.Explore(t, every, func(t *testing.T, s *explore.Schedule) {
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
		t.Run(name, func(t *testing.T) { explorer.Explore(t, every, start(true)) })
		t.Run(name+" and cancel", func(t *testing.T) { explorer.Explore(t, every, start(false)) })
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
