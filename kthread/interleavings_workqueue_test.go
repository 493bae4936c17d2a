package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue/explore"
)

// ofWorks are the points between a change of a pool and the wake-up that it makes.
const ofWorks = "begin, commit, pool is changed, unpark"

// modelled returns a workqueue for a model. In the end it has no thread.
func modelled(m *explore.Model, maxActive int) *kthread.Workqueue {
	m.Adopt("begin", "kworker")
	q := kthread.AllocWorkqueue("w", maxActive)
	m.Release(func() { q.AskStop(nil) })
	return q
}

// A work that two goroutines queue runs once for each Enqueue that was not refused, and
// never twice at once.
func TestInterleavingsWorkRunsOnceAtATime(t *testing.T) {
	orders.Explore(t, "begin", func(m *explore.Model) {
		q := modelled(m, 2)
		queued, runs, running := 0, 0, 0
		var wrong error
		k := kthread.Work{Func: func() {
			if running++; running > 1 {
				wrong = errors.New("two at once")
			}
			m.At("run")
			runs++
			running--
		}}
		for i := range 3 {
			m.Go(fmt.Sprint("queuer ", i), func(th *explore.Thread) {
				th.Step("queue")
				if q.Enqueue(&k) {
					queued++
				}
			})
		}
		m.Check(func() error {
			if runs != queued {
				wrong = fmt.Errorf("%d queued, %d runs", queued, runs)
			}
			return wrong
		})
	})
}

// With a maxActive of 1, works run one at a time, in the order of the queue.
func TestInterleavingsOrderedWorks(t *testing.T) {
	orders.Explore(t, ofWorks, func(m *explore.Model) {
		q := modelled(m, 1)
		var queued, ran []int
		running := 0
		var wrong error
		for i := range 2 {
			k := kthread.Work{Func: func() {
				if running++; running > 1 {
					wrong = errors.New("two at once")
				}
				ran = append(ran, i)
				m.At("run")
				running--
			}}
			m.Go(fmt.Sprint("queuer ", i), func(th *explore.Thread) {
				th.Step("queue")
				queued = append(queued, i)
				q.Enqueue(&k)
			})
		}
		m.Check(func() error {
			if fmt.Sprint(queued) != fmt.Sprint(ran) {
				wrong = fmt.Errorf("queued %v, ran %v", queued, ran)
			}
			return wrong
		})
	})
}

// Two works are queued in a row, and one of them waits for the other. Two threads run them.
func TestInterleavingsWorksInParallel(t *testing.T) {
	orders.Explore(t, ofWorks, func(m *explore.Model) {
		q := modelled(m, 2)
		ran := make(chan bool)
		first := kthread.Work{Func: func() { <-ran }}
		second := kthread.Work{Func: func() { close(ran) }}
		m.Go("queuer", func(th *explore.Thread) {
			th.Step("queue")
			q.Enqueue(&first)
			q.Enqueue(&second)
		})
		var flushed error
		m.Go("flusher", func(th *explore.Thread) {
			th.Step("flush")
			flushed = q.Flush(context.Background())
		})
		m.Check(func() error { return flushed })
	})
}

// A thread has been idle for long, and is sent away while a work is queued. It runs.
func TestInterleavingsIdleExitAndEnqueue(t *testing.T) {
	orders.Explore(t, ofWorks, func(m *explore.Model) {
		q := modelled(m, 1)
		ran := false
		k := kthread.Work{Func: func() { ran = true }}
		q.Enqueue(&kthread.Work{Func: func() {}})
		m.Go("timer", func(th *explore.Thread) {
			for range 2 {
				th.Step("tick")
				q.Cull()
			}
		})
		m.Go("queuer", func(th *explore.Thread) {
			th.Step("queue")
			q.Enqueue(&k)
		})
		m.Check(func() error {
			if !ran {
				return errors.New("it has not run")
			}
			return nil
		})
	})
}

// A flush of a workqueue returns when the works have run that were queued before it, also
// one that is set aside, and one that runs.
func TestInterleavingsFlushOfAWorkqueue(t *testing.T) {
	orders.Explore(t, "begin", func(m *explore.Model) {
		q := modelled(m, 2)
		ran := [2]int{}
		works := make([]kthread.Work, 2)
		for i := range works {
			works[i].Func = func() {
				m.At("run")
				ran[i]++
			}
			q.Enqueue(&works[i])
		}
		var wrong error
		m.Go("flusher", func(th *explore.Thread) {
			th.Step("queue again")
			want := [2]int{ran[0] + works[0].Rest(), 1}
			if q.Enqueue(&works[0]) {
				want[0]++
			}
			th.Step("flush")
			if err := q.Flush(context.Background()); err != nil || ran[0] < want[0] || ran[1] < want[1] {
				wrong = fmt.Errorf("flush: %v; %v runs, and not %v", err, ran, want)
			}
		})
		m.Check(func() error { return wrong })
	})
}

// A flush of a work returns when that has run, and not before.
func TestInterleavingsFlushOfAWork(t *testing.T) {
	orders.Explore(t, "begin", func(m *explore.Model) {
		q := modelled(m, 2)
		runs := 0
		k := kthread.Work{Func: func() { m.At("run"); runs++ }}
		q.Enqueue(&k)
		var wrong error
		m.Go("flusher", func(th *explore.Thread) {
			th.Step("flush")
			want := runs + k.Rest()
			if err := k.Flush(context.Background()); err != nil || runs < want {
				wrong = fmt.Errorf("flush: %v; %d runs, and not %d", err, runs, want)
			}
		})
		m.Go("queuer", func(th *explore.Thread) {
			th.Step("queue again")
			q.Enqueue(&k)
		})
		m.Check(func() error { return wrong })
	})
}

// A work is neither pending nor running when CancelSync returns, though it queues itself
// and another goroutine has queued it too.
func TestInterleavingsCancelInAWorkqueue(t *testing.T) {
	orders.Explore(t, "begin", func(m *explore.Model) {
		q := modelled(m, 2)
		var k kthread.Work
		runs := 0
		k.Func = func() {
			m.At("run")
			if runs++; runs < 3 {
				q.Enqueue(&k)
			}
			m.At("end of the run")
		}
		q.Enqueue(&k)
		idle := false
		m.Go("canceller", func(th *explore.Thread) {
			th.Step("cancel")
			_, _ = k.CancelSync(context.Background())
			idle = k.Idle()
		})
		m.Go("other", func(th *explore.Thread) {
			th.Step("queue another")
			q.Enqueue(&kthread.Work{Func: func() {}})
		})
		m.Check(func() error {
			if !idle {
				return errors.New("cancelled, but not idle")
			}
			return nil
		})
	})
}

// A drain waits for the works that works queue, and keeps all others out.
func TestInterleavingsDrainAndEnqueue(t *testing.T) {
	orders.Explore(t, "begin", func(m *explore.Model) {
		q := modelled(m, 2)
		first, chained := false, false
		last := kthread.Work{Func: func() { m.At("run the last"); chained = true }}
		k := kthread.Work{Func: func() {
			m.At("run")
			q.Enqueue(&last)
			m.At("end of the run")
			first = true
		}}
		q.Enqueue(&k)
		draining, drained := false, false
		var wrong error
		m.Go("drainer", func(th *explore.Thread) {
			th.Step("drain")
			draining = !last.Known() || !last.Idle() || !k.Idle()
			err := q.Drain(context.Background())
			if drained = true; err != nil || !first || !chained {
				wrong = fmt.Errorf("drain: %v; has run: %t, %t", err, first, chained)
			}
		})
		m.Go("outsider", func(th *explore.Thread) {
			th.Step("queue")
			if q.Enqueue(&kthread.Work{Func: func() {}}) && draining && !drained {
				wrong = errors.New("queued during a drain")
			}
		})
		m.Check(func() error { return wrong })
	})
}

// An AskStop drops a work or lets it run, and the threads go. The context ends with the
// call. Destroy has an error if and only if a work was dropped.
func TestInterleavingsAskStopAndEnqueue(t *testing.T) {
	orders.Explore(t, ofWorks, func(m *explore.Model) {
		q := modelled(m, 1)
		runs, queued := 0, 1
		run := func() { runs++ }
		q.Enqueue(&kthread.Work{Func: run})
		k := kthread.Work{Func: run}
		var wrong, destroyed error
		m.Go("queuer", func(th *explore.Thread) {
			th.Step("queue")
			if q.Enqueue(&k) {
				queued++
			}
			th.Step("flush")
			if err := k.Flush(context.Background()); err == nil && k.Known() && k.Pending() {
				wrong = errors.New("flushed, but pending")
			}
		})
		m.Go("stopper", func(th *explore.Thread) {
			th.Step("ask")
			q.AskStop(errMine)
			if !errors.Is(context.Cause(q.Context()), errMine) {
				wrong = errors.New("the context has no cause")
			}
			th.Step("destroy")
			if destroyed = q.Destroy(context.Background()); q.Threads() != 0 {
				wrong = fmt.Errorf("destroyed, with %d threads", q.Threads())
			}
		})
		m.Check(func() error {
			if k.Known() && k.Pending() {
				return errors.New("neither run nor dropped")
			}
			if errors.Is(destroyed, errMine) != (runs < queued) || (destroyed == nil) != (runs == queued) {
				return fmt.Errorf("%d queued, %d runs; destroy: %w", queued, runs, destroyed)
			}
			return wrong
		})
	})
}

// A destroy lets a work run that was queued before it, or refuses it.
func TestInterleavingsDestroyAndEnqueue(t *testing.T) {
	orders.Explore(t, ofWorks, func(m *explore.Model) {
		q := modelled(m, 1)
		ran, queued := false, false
		k := kthread.Work{Func: func() { ran = true }}
		var destroyed error
		m.Go("queuer", func(th *explore.Thread) {
			th.Step("queue")
			queued = q.Enqueue(&k)
		})
		m.Go("destroyer", func(th *explore.Thread) {
			th.Step("destroy")
			destroyed = q.Destroy(context.Background())
			if q.Threads() != 0 || q.Context().Err() == nil {
				destroyed = fmt.Errorf("destroyed, with %d threads", q.Threads())
			}
		})
		m.Check(func() error {
			if ran != queued {
				return fmt.Errorf("queued: %t; ran: %t", queued, ran)
			}
			return destroyed
		})
	})
}

// A work calls Goexit while it is queued again. Another thread runs it again.
func TestInterleavingsGoexitInAWorkqueue(t *testing.T) {
	orders.Explore(t, "begin, exited", func(m *explore.Model) {
		q := modelled(m, 2)
		queued, runs := 1, 0
		var k kthread.Work
		k.Func = func() {
			m.At("run")
			if runs++; runs == 1 {
				runtime.Goexit()
			}
		}
		q.Enqueue(&k)
		m.Go("queuer", func(th *explore.Thread) {
			th.Step("queue")
			if q.Enqueue(&k) {
				queued++
			}
		})
		m.Check(func() error {
			if runs != queued {
				return fmt.Errorf("%d queued, %d runs", queued, runs)
			}
			return nil
		})
	})
}

// The last work is cancelled while the workqueue is being destroyed. When Destroy returns,
// the context has ended.
func TestInterleavingsDestroyAndCancel(t *testing.T) {
	orders.Explore(t, ofWorks, func(m *explore.Model) {
		q := modelled(m, 1)
		k := kthread.Work{Func: func() {}}
		q.Enqueue(&k)
		var destroyed error
		m.Go("destroyer", func(th *explore.Thread) {
			th.Step("destroy")
			destroyed = q.Destroy(context.Background())
			if q.Threads() != 0 || q.Context().Err() == nil {
				destroyed = fmt.Errorf("destroyed, with %d threads, and the context: %w", q.Threads(), q.Context().Err())
			}
		})
		m.Go("canceller", func(th *explore.Thread) {
			th.Step("cancel")
			_, _ = k.CancelSync(context.Background())
		})
		m.Check(func() error { return destroyed })
	})
}
