package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A and B wait with one context that carries a task. One of them has the task, or each of them
// has it in turn. A token comes, the context ends, and stop is called, in any order. Nobody
// sleeps on after the end, and no token is lost.
func TestInterleavingsOneTaskForTwo(t *testing.T) {
	orders.Explore(t, "", oneTaskForTwo)
}

func oneTaskForTwo(m *explore.Model) {
	var r rivals
	ctx, end, stop := carrier(m)
	r.a, r.b = &waiter{ctx: ctx}, &waiter{ctx: ctx}
	m.Go("A", func(th *explore.Thread) { r.a.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	m.Go("B", func(th *explore.Thread) { r.b.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	m.Event("put a token and wake", func() {
		r.tok.Add(1)
		r.q.WakeUp()
	})
	m.Event("end", end)
	m.Event("stop", stop)
	m.Check(func() error {
		taken := int32(0)
		for _, w := range []*waiter{r.a, r.b} {
			if w.succeeded() {
				taken++
			} else if !errors.Is(w.err, syscall.EINTR) || !errors.Is(w.err, context.Canceled) {
				return fmt.Errorf("returned %t, error %w", w.returned, w.err)
			}
		}
		if taken+r.tok.Load() != 1 || r.q.Active() {
			return fmt.Errorf("%d taken, %d free, on the queue %t", taken, r.tok.Load(), r.q.Active())
		}
		return nil
	})
}

// carrier returns a context that carries a task, its end, and the stop of the task.
func carrier(m *explore.Model) (ctx context.Context, end, stop func()) {
	parent, end := context.WithCancel(m.Context())
	ctx, stop = waitqueue.WithTask(parent, "")
	return ctx, end, stop
}

// The end sets the interrupt and wakes the task in two steps. A wake-up between them finds
// the task, or passes it over.
func TestInterleavingsEndInTwoSteps(t *testing.T) {
	orders.Explore(t, "sampled, tested, commit, awake, unpark, interrupted", func(m *explore.Model) {
		m.Adopt("interrupted", "the end")
		var r rivals
		m.Before(func() { r.start(m, "WithTask", "background") })
		r.waker(m, 1)
		r.canceller(m)
	})
}

// The same with a Signal and a Cond. If the Signal picks A, A takes the item or passes the
// Signal on.
func TestInterleavingsEndInTwoStepsAndASignal(t *testing.T) {
	orders.Explore(t, "awake, unpark, interrupted", func(m *explore.Model) {
		m.Adopt("interrupted", "the end")
		s := shelf{c: waitqueue.NewCond(m.NewLock()), a: newWaiter(m, "WithTask"), b: newWaiter(m, "background")}
		m.Before(func() {
			m.Go("A", func(th *explore.Thread) { s.take(th, s.a, "Wait") })
			m.Go("B", func(th *explore.Thread) { s.take(th, s.b, "Wait") })
		})
		s.signalAndCancel(m)
	})
}

// A and B wait on a Cond with one context that carries a task.
func TestInterleavingsCondAndOneTaskForTwo(t *testing.T) {
	orders.Explore(t, "", condAndOneTaskForTwo)
}

func condAndOneTaskForTwo(m *explore.Model) {
	ctx, end, _ := carrier(m)
	s := shelf{c: waitqueue.NewCond(m.NewLock()), a: &waiter{ctx: ctx}, b: &waiter{ctx: ctx}}
	m.Go("A", func(th *explore.Thread) { s.take(th, s.a, "Wait") })
	m.Go("B", func(th *explore.Thread) { s.take(th, s.b, "Wait") })
	m.Go("signaller", func(th *explore.Thread) {
		th.Step("add an item")
		s.add(1)
		s.c.Signal()
	})
	m.Event("end", end)
	m.Check(func() error {
		taken := 0
		for _, w := range []*waiter{s.a, s.b} {
			if w.succeeded() {
				taken++
			} else if !errors.Is(w.err, context.Canceled) {
				return fmt.Errorf("returned %t, error %w", w.returned, w.err)
			}
		}
		if taken+s.items != 1 || s.c.Active() {
			return fmt.Errorf("%d taken, %d there", taken, s.items)
		}
		return nil
	})
}

// The condition of A panics while A is on the queue. B has the task after A. The token is for
// B.
func TestInterleavingsTheTaskOfAWaitThatPanics(t *testing.T) {
	orders.Explore(t, "tested, commit", func(m *explore.Model) {
		var q waitqueue.Queue
		var tok tokens
		ctx, _, _ := carrier(m)
		b := &waiter{ctx: ctx}
		m.Go("A", func(th *explore.Thread) {
			defer func() { _ = recover() }()
			tests := 0
			_ = q.WaitExclusive(ctx, func() bool {
				th.Step("test")
				if tests++; tests == 2 {
					panic("on the queue")
				}
				return false
			})
		})
		m.Go("B", func(th *explore.Thread) { b.waitExclusive(&q, th.Test(tok.tryTake)) })
		m.Go("waker", func(th *explore.Thread) {
			th.Step("put a token")
			tok.Add(1)
			th.Step("wake")
			q.WakeUp()
		})
		m.Check(func() error {
			if !b.succeeded() || q.Active() {
				return fmt.Errorf("B has returned %t, error %w", b.returned, b.err)
			}
			return nil
		})
	})
}

// A waker has claimed the task of a wait and has not signalled it yet. The wait ends. The
// goroutine waits on a Cond with the same task. The late signal must not end that wait.
func TestInterleavingsLateSignalAndACond(t *testing.T) {
	orders.Explore(t, "tested, commit, unpark", func(m *explore.Model) {
		var q waitqueue.Queue
		var ready atomic.Bool
		c := waitqueue.NewCond(m.NewLock())
		ctx, end, _ := carrier(m)
		returned := false
		m.Go("waiter", func(th *explore.Thread) {
			_ = q.Wait(ctx, th.Test(ready.Load))
			c.L.Lock()
			defer c.L.Unlock()
			_ = c.Wait(ctx)
			returned = true
		})
		m.Go("waker", func(th *explore.Thread) {
			th.Step("set")
			ready.Store(true)
			th.Step("wake")
			q.WakeUp()
		})
		m.MaySleep("waiter") // on the Cond
		m.Check(func() error {
			if returned {
				return errors.New("nobody has signalled")
			}
			return nil
		})
		m.Release(end)
	})
}

// A caller clears an interrupt of its own, and does not know that the context has ended. No wait
// may sleep for ever after that, also a wait that has looked at the context before the end.
func TestInterleavingsClearInterruptKeepsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		ctx, stop := waitqueue.WithTask(parent, "")
		defer stop()
		var q waitqueue.Queue
		tests := 0
		result := asleep(func() error {
			return q.Wait(ctx, func() bool {
				if tests++; tests == 2 { // on the queue; a sleep would be for ever
					cancel()
					time.Sleep(time.Second) // until it has interrupted the task
					waitqueue.TaskOf(ctx).ClearInterrupt()
				}
				return false
			})
		})
		time.Sleep(time.Minute)
		require.True(t, ended(result), "it sleeps on")
		require.ErrorIs(t, <-result, context.Canceled)
		require.True(t, waitqueue.TaskOf(ctx).Interrupted())
	})
}

// In the condition of a Wait of the task itself, a wait with the context goes the usual way. The
// task is free after both.
func TestInterleavingsWaitOfTheTaskItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := waitqueue.WithTask(t.Context(), "")
		defer stop()
		task := waitqueue.TaskOf(ctx)
		var q, other waitqueue.Queue
		var tok, ready tokens
		result := asleep(func() error {
			return task.Wait(&q, func() bool {
				_ = other.Wait(ctx, ready.tryTake)
				return tok.tryTake()
			})
		})
		ready.Store(1)
		other.WakeUp() // the first test
		require.Equal(t, waitqueue.Interruptible, asleepWith(ctx), "announced")
		require.True(t, other.Active())
		ready.Store(1)
		other.WakeUp()
		synctest.Wait()
		tok.Store(1)
		ready.Store(1)
		q.WakeUp()
		require.NoError(t, <-result)
		require.Equal(t, waitqueue.Running, asleepWith(ctx))

		result = asleep(func() error {
			q.Lock()
			defer q.Unlock()
			return task.WaitHeld(&q, func() bool {
				tests := 0
				_ = other.Wait(ctx, func() bool { tests++; return tests == 2 })
				return tok.tryTake()
			})
		})
		tok.Store(1)
		q.WakeUp()
		require.NoError(t, <-result)

		for range 2 {
			result = asleep(func() error { return q.Wait(ctx, tok.tryTake) })
			require.Equal(t, waitqueue.Interruptible, asleepWith(ctx), "the task is free")
			tok.Store(1)
			q.WakeUp()
			require.NoError(t, <-result)
		}
	})
}

// A condition that panics, or ends its goroutine, gives the task back.
func TestInterleavingsWithTaskOfAConditionThatLeaves(t *testing.T) {
	for name, leave := range leavings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := waitqueue.WithTask(t.Context(), "")
				defer stop()
				var q waitqueue.Queue
				var tok tokens
				for leaveAt := range 4 {
					tests := 0
					gone := leaves(t, func() {
						_ = q.WaitExclusive(ctx, func() bool {
							if tests++; tests > leaveAt {
								leave()
							}
							return false
						})
					})
					synctest.Wait()
					q.WakeUp()
					<-gone
					require.False(t, q.Active())
					result := asleep(func() error { return q.Wait(ctx, tok.tryTake) })
					require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
					tok.Store(1)
					q.WakeUp()
					require.NoError(t, <-result)
				}
			})
		})
	}
}
