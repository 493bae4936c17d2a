package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

var errOther = errors.New("out of disk")

// reasonOf returns which of two reasons err has.
func reasonOf(err error) string {
	return fmt.Sprint(errors.Is(err, kthread.ErrStopped), errors.Is(err, errReason), errors.Is(err, errOther))
}

// Two stops have a reason each. One of them is the reason of the sleep, of the context,
// which is made meanwhile, and of the result.
func TestInterleavingsTwoReasons(t *testing.T) {
	orders.Explore(t, "begin, stop flag is set, exited", func(m *explore.Model) {
		m.Adopt("begin", "kthread")
		var slept, cause error
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			m.At("context")
			ctx := cur.Context()
			m.At("sleep")
			var q waitqueue.Queue
			slept = cur.Wait(&q, func() bool { return false })
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		})
		for _, reason := range []error{errReason, errOther} {
			m.Go(reason.Error(), func(th *explore.Thread) {
				th.Step("ask")
				thread.AskStop(reason)
			})
		}
		m.Check(func() error {
			result := reasonOf(thread.Wait(context.Background()))
			ran := slept != nil
			if result != "true true false" && result != "true false true" || ran && (reasonOf(slept) != result || reasonOf(cause) != result) {
				return fmt.Errorf("result %s; sleep: %w; cause: %w", result, slept, cause)
			}
			return nil
		})
	})
}

// The channel of Stopping is closed by a stop and by the end of the thread, also if it is
// made meanwhile. When the thread is gone it is closed.
func TestInterleavingsStopping(t *testing.T) {
	for name, asks := range map[string]bool{"asked": true, "by itself": false} {
		points := "begin, exited, done is closed"
		if asks {
			points += ", stop flag is set"
		}
		t.Run(name, func(t *testing.T) {
			orders.Explore(t, points, func(m *explore.Model) {
				m.Adopt("begin", "kthread")
				var wrong error
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					m.At("function")
					if asks {
						return untilItsSleepEnds(cur)
					}
					return nil
				})
				if asks {
					m.Go("asker", func(th *explore.Thread) {
						th.Step("ask")
						thread.AskStop(errReason)
					})
				}
				m.Go("watcher", func(th *explore.Thread) {
					th.Step("ask for Stopping")
					<-thread.Stopping()
				})
				m.Go("waiter", func(th *explore.Thread) {
					th.Step("wait")
					early := thread.Stopping()
					<-thread.Done()
					if !isClosed(early) || !isClosed(thread.Stopping()) {
						wrong = errors.New("Done is closed, and Stopping is open")
					}
				})
				m.Check(func() error { return wrong })
			})
		})
	}
}

// A thread is tied to a context while it ends, or while the context ends. Nothing is left
// at the context, and the end of the context is never missed.
func TestInterleavingsStopWith(t *testing.T) {
	for name, sleeps := range map[string]bool{"sleeps": true, "ends by itself": false} {
		points := "begin, tied, exited"
		if sleeps {
			points += ", stop flag is set"
		}
		t.Run(name, func(t *testing.T) {
			orders.Explore(t, points, func(m *explore.Model) {
				m.Adopt("begin", "kthread")
				parent, cancel := context.WithCancel(m.Context())
				ctx := &countingContext{opaque: opaque{parent}}
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					m.At("function")
					if sleeps {
						return untilItsSleepEnds(cur)
					}
					return nil
				})
				m.Go("tier", func(th *explore.Thread) {
					th.Step("tie")
					thread.StopWith(ctx)
				})
				if sleeps {
					m.Adopt("stop flag is set", "stopper")
					m.Go("canceller", func(th *explore.Thread) {
						th.Step("cancel")
						cancel()
					})
				}
				m.Check(func() error {
					err := thread.Wait(context.Background())
					if sleeps != errors.Is(err, context.Canceled) || !sleeps && ctx.registered != 0 {
						return fmt.Errorf("registered: %d; result: %w", ctx.registered, err)
					}
					return nil
				})
				m.Release(cancel)
			})
		})
	}
}

// A thread that has learned of its stop, in any way, finds the context ended, with the
// reason. The context was made before.
func TestInterleavingsContextEndsFirst(t *testing.T) {
	var q waitqueue.Queue
	for name, c := range map[string]struct {
		points string
		learns func(*kthread.Current) bool
	}{
		"a signal ends a sleep": {"begin, stop flag is set", func(cur *kthread.Current) bool {
			return errors.Is(cur.Wait(&q, func() bool { return false }), errReason)
		}},
		"a step of its own": {"begin, stop flag is set, interrupted", func(cur *kthread.Current) bool {
			return cur.Task().Interrupted()
		}},
		"a look": {"begin, stop flag is set", func(cur *kthread.Current) bool {
			return cur.ShouldStop() && cur.Context() != nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			orders.Explore(t, c.points, func(m *explore.Model) {
				m.Adopt("begin", "kthread")
				begun, asked := make(chan bool), make(chan bool)
				var wrong error
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					_ = cur.Allow(usr1)
					ctx := cur.Context()
					close(begun)
					m.At("look")
					if c.learns(cur) && !errors.Is(context.Cause(ctx), errReason) {
						wrong = errors.New("the thread is asked to stop, and its context goes on")
					}
					<-asked // a stopper at a point may hold the lock that the end needs
					return nil
				})
				m.Go("stopper", func(th *explore.Thread) {
					<-begun
					th.Step("ask")
					thread.AskStop(errReason)
					close(asked)
				})
				if name == "a signal ends a sleep" {
					m.Go("sender", func(th *explore.Thread) {
						th.Step("send")
						_ = thread.Signal(usr1)
					})
				}
				m.Check(func() error { return wrong })
			})
		})
	}
}

// A workqueue is tied to a context while it ends, or while the context ends. Nothing is left
// at the context, and the end of the context is never missed.
func TestInterleavingsStopWithOfAWorkqueue(t *testing.T) {
	for name, destroys := range map[string]bool{"is destroyed": true, "is not": false} {
		t.Run(name, func(t *testing.T) {
			orders.Explore(t, "begin, tied", func(m *explore.Model) {
				q := modelled(m, 1)
				q.Enqueue(&kthread.Work{Func: func() { m.At("run") }})
				parent, cancel := context.WithCancel(m.Context())
				ctx := &countingContext{opaque: opaque{parent}}
				m.Go("tier", func(th *explore.Thread) {
					th.Step("tie")
					q.StopWith(ctx)
				})
				other := cancel
				if destroys {
					other = func() { _ = q.Destroy(context.Background()) }
				}
				m.Go("other", func(th *explore.Thread) {
					th.Step("end")
					other()
				})
				m.Check(func() error {
					err := q.Destroy(context.Background())
					cause := context.Cause(q.Context())
					if destroys == errors.Is(cause, context.Canceled) || destroys && ctx.registered != 0 {
						return fmt.Errorf("registered: %d; cause: %w; destroy: %w", ctx.registered, cause, err)
					}
					return nil
				})
				m.Release(cancel)
			})
		})
	}
}
