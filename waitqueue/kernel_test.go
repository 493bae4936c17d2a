package waitqueue_test

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// The scenarios of this file pin the behaviour of the kernel's wait queues and completions,
// one scenario a test. If a part cannot be done in Go, the comment of the test says why.

// calls records the order in which a walk calls wake functions.
type calls []string

// entry returns an entry with a wake function that gives result.
func (c *calls) entry(name string, result int) *waitqueue.Entry {
	return &waitqueue.Entry{Func: func(*waitqueue.Entry, waitqueue.State, any) int {
		*c = append(*c, name)
		return result
	}}
}

// take returns the calls since the last take.
func (c *calls) take() []string {
	got := *c
	*c = nil
	return got
}

// A gate is a lock that holds a woken waiter back. A goroutine in Lock is durably blocked
// while another goroutine holds the gate.
type gate chan struct{}

func newGate() gate {
	g := make(gate, 1)
	g <- struct{}{}
	return g
}

func (g gate) Lock()   { <-g }
func (g gate) Unlock() { g <- struct{}{} }

// cancelled returns a context that has ended. It stands for a pending signal.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// expiring returns a context with a deadline in d.
func expiring(t *testing.T, d time.Duration) context.Context {
	return expiringFrom(t, t.Context(), d)
}

func expiringFrom(t *testing.T, parent context.Context, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(parent, d)
	t.Cleanup(cancel)
	return ctx
}

func TestKernel01OrderOfTheWalk(t *testing.T) {
	var q waitqueue.Queue
	var c calls
	q.Add(c.entry("N1", 1))
	q.Add(c.entry("N2", 1))
	q.AddExclusive(c.entry("X1", 1))
	q.AddExclusive(c.entry("X2", 1))
	q.WakeUp()
	require.Equal(t, []string{"N2", "N1", "X1"}, c.take())
}

// The kernel counts the exclusive entries that were woken: 2, then 3. WakeUpN counts the
// ordinary one too.
func TestKernel02BudgetCountsExclusiveSuccesses(t *testing.T) {
	var q waitqueue.Queue
	var c calls
	q.AddExclusive(c.entry("X1", 0))
	for _, name := range []string{"X2", "X3", "X4"} {
		q.AddExclusive(c.entry(name, 1))
	}
	q.Add(c.entry("N1", 1))
	require.Equal(t, 2+1, q.WakeUpN(2))
	require.Equal(t, []string{"N1", "X1", "X2", "X3"}, c.take())
	require.Equal(t, 3+1, q.WakeUpAll())
	require.Equal(t, []string{"N1", "X1", "X2", "X3", "X4"}, c.take())
}

func TestKernel03NegativeResultEndsTheWalk(t *testing.T) {
	var q waitqueue.Queue
	var c calls
	q.AddExclusive(c.entry("X1", 1))
	q.Add(c.entry("N0", 1))
	q.Add(c.entry("N1", -1))
	require.Equal(t, 0, q.WakeUpAll())
	require.Equal(t, []string{"N1"}, c.take())
}

// Go has no killable state, because nothing can kill a goroutine. So A sleeps uninterruptibly.
// (d), (e) and (f), which are about fatal signals, have no counterpart.
func TestKernel04MaskPassesOverOtherStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var tok tokens
		var a waitqueue.Task
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resultA := asleep(func() error { return sleepIn(&q, &a, waitqueue.Uninterruptible, tok.tryTake) })
		resultB := asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) })

		// (a)
		tok.Store(1)
		require.Equal(t, 1, q.WakeUpInterruptible())
		require.True(t, ended(resultB))
		require.False(t, ended(resultA))
		require.Equal(t, []*waitqueue.Task{&a}, q.Entries(), "A stays queued")
		// (b)
		tok.Store(1)
		a.Interrupt()
		require.False(t, ended(resultA))
		// (c)
		require.Equal(t, 1, q.WakeUp())
		require.NoError(t, <-resultA)
	})
}

// sleepIn is an exclusive wait in the given state, as a loop written out.
func sleepIn(q *waitqueue.Queue, task *waitqueue.Task, s waitqueue.State, cond func() bool) error {
	e := waitqueue.Entry{Task: task}
	defer q.Finish(&e)
	for {
		q.PrepareExclusive(&e, s)
		if cond() {
			return nil
		}
		task.Schedule()
	}
}

func TestKernel05WakeUpIsNotSpentOnWhoIsAwake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var x1, x2 waitqueue.Task
		entry := waitqueue.Entry{Task: &x1}
		q.AddExclusive(&entry)
		x1.SetState(waitqueue.Interruptible)
		require.True(t, x1.WakeUp(waitqueue.Normal), "something else wakes X1")
		var tok tokens
		result := asleep(func() error { return x2.WaitExclusive(&q, tok.tryTake) })
		tok.Store(1)
		require.Equal(t, 1, q.WakeUp())
		require.NoError(t, <-result)
		require.Equal(t, []*waitqueue.Task{&x1}, q.Entries())
	})
}

func TestKernel06Priority(t *testing.T) {
	t.Run("order", func(t *testing.T) {
		var q waitqueue.Queue
		var c calls
		q.Add(c.entry("N1", 1))
		q.AddPriority(c.entry("P1", 1))
		q.AddPriority(c.entry("P2", 1))
		q.Add(c.entry("N2", 1))
		q.AddExclusive(c.entry("X1", 1))
		p3 := c.entry("P3", 1)
		require.ErrorIs(t, q.AddPriorityExclusive(p3), syscall.EBUSY)
		q.WakeUp()
		require.Equal(t, []string{"P1", "P2", "N2", "N1", "X1"}, c.take(), "P3 is not there, P1 and P2 are not exclusive")
		var other waitqueue.Queue
		require.NoError(t, other.AddPriorityExclusive(p3), "it is free")
	})
	t.Run("exclusive", func(t *testing.T) {
		for result, want := range map[int][]string{1: {"P1"}, 0: {"P1", "P2", "N1", "X1"}} {
			var q waitqueue.Queue
			var c calls
			q.Add(c.entry("N1", 1))
			q.AddExclusive(c.entry("X1", 1))
			require.NoError(t, q.AddPriorityExclusive(c.entry("P1", result)))
			require.ErrorIs(t, q.AddPriorityExclusive(c.entry("P3", 1)), syscall.EBUSY)
			q.AddPriority(c.entry("P2", 1))
			q.WakeUp()
			require.Equal(t, want, c.take())
		}
	})
}

// The scenario never has a free token while all waiters sleep. The Hammer tests check that.
func TestKernel07InterruptedExclusiveWaiter(t *testing.T) {
	t.Run("a", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q waitqueue.Queue
			var tok tokens
			ctx, cancel := context.WithCancel(t.Context())
			x1 := asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) })
			x2 := asleep(func() error { return q.WaitExclusive(context.Background(), tok.tryTake) })
			cancel()
			require.ErrorIs(t, <-x1, syscall.EINTR)
			tok.Store(1)
			require.Equal(t, 1, q.WakeUp())
			require.NoError(t, <-x2)
		})
	})
	t.Run("b", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q waitqueue.Queue
			var tok tokens
			g := newGate()
			ctx, cancel := context.WithCancel(t.Context())
			x1 := asleep(func() error { g.Lock(); return q.WaitExclusiveLocked(ctx, g, tok.tryTake) })
			x2 := asleep(func() error { return q.WaitExclusive(context.Background(), tok.tryTake) })
			g.Lock() // X1 cannot run from here on
			tok.Store(1)
			require.Equal(t, 1, q.WakeUp())
			cancel()
			require.False(t, ended(x1))
			g.Unlock()
			require.NoError(t, <-x1)
			require.False(t, ended(x2))
			require.Zero(t, tok.Load())
			tok.Store(1)
			q.WakeUp()
			require.NoError(t, <-x2)
		})
	})
}

// An ended context, or a task's interrupt, is the pending signal.
func TestKernel08ConditionBeatsSignal(t *testing.T) {
	var q waitqueue.Queue
	var task waitqueue.Task
	task.Interrupt()
	waits := map[string]func(context.Context, func() bool) error{
		"context":   q.Wait,
		"exclusive": q.WaitExclusive,
		"task":      func(_ context.Context, cond func() bool) error { return task.Wait(&q, cond) },
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			untouched := func(result bool) func() bool {
				return func() bool { require.False(t, q.Active()); return result }
			}
			require.NoError(t, wait(cancelled(t), untouched(true)), "(a)")
			require.ErrorIs(t, wait(cancelled(t), untouched(false)), syscall.EINTR, "(b)")
			require.False(t, q.Active())

			// (c): the signal comes during the first test. The condition becomes true
			// after the waiter is on the queue, or has given up.
			task.ClearInterrupt()
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			require.NoError(t, wait(ctx, func() bool {
				if n++; n == 1 {
					cancel()
					task.Interrupt()
				}
				return n > 1
			}))
		})
	}
}

// nil stands for a result of 1 and more, and ETIMEDOUT for 0. The jiffies that are left are not
// returned. The context has a deadline, so the caller can compute the time left.
func TestKernel09Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		yes := func() bool { return true }
		start := time.Now()

		// (a)
		ctx := expiring(t, 50)
		require.NoError(t, q.Wait(ctx, yes))
		deadline, _ := ctx.Deadline()
		require.EqualValues(t, 50, time.Until(deadline))
		// (b)
		require.NoError(t, q.Wait(expiring(t, 0), yes))
		// (c)
		tests := 0
		err := q.Wait(expiring(t, 0), func() bool { tests++; return false })
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.Equal(t, 1, tests)
		require.Equal(t, start, time.Now(), "nobody has slept so far")
		// (d)
		elapsed := func() bool { return time.Since(start) >= 50 }
		require.NoError(t, q.Wait(expiring(t, 50), elapsed))
		require.EqualValues(t, 50, time.Since(start))
		// (e)
		require.ErrorIs(t, q.Wait(expiring(t, 50), never), syscall.ETIMEDOUT)
		require.EqualValues(t, 100, time.Since(start))
	})
}

// A context keeps the first reason that ended it. The waiter sees that reason, in any order of
// its tests. So (a), (b) and (c) are the same for a wait with a context. A loop written out
// sees both reasons and may test them in either order.
func TestKernel10TimeoutAndSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var c waitqueue.Completion
		g := newGate() // holds the waiter back until both have come
		for _, wait := range []func(context.Context) error{
			func(ctx context.Context) error { return q.WaitLocked(ctx, g, never) },
			func(ctx context.Context) error { return c.WaitQueue().WaitExclusiveLocked(ctx, g, c.TryWait) },
		} {
			for _, signalAt := range []time.Duration{40, 60} {
				parent, cancel := context.WithCancel(t.Context())
				ctx := expiringFrom(t, parent, 50)
				result := asleep(func() error { g.Lock(); defer g.Unlock(); return wait(ctx) })
				g.Lock()
				time.Sleep(signalAt)
				cancel()
				time.Sleep(100 * time.Nanosecond)
				require.False(t, ended(result))
				g.Unlock()
				err := <-result
				require.Equal(t, signalAt > 50, errors.Is(err, syscall.ETIMEDOUT))
				require.Equal(t, signalAt < 50, errors.Is(err, syscall.EINTR))
			}
		}

		var task waitqueue.Task
		task.SetState(waitqueue.Uninterruptible)
		time.AfterFunc(20, task.Interrupt)
		require.Zero(t, task.ScheduleTimeout(50))
		require.True(t, task.Interrupted())
		task.SetState(waitqueue.Interruptible)
		require.EqualValues(t, 50, task.ScheduleTimeout(50), "time left: the signal")
	})
}

func TestKernel11PlaceAfterAFalseWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var tok tokens
		var x1, x2 waitqueue.Task
		order := func() []*waitqueue.Task { synctest.Wait(); return q.Entries() }
		tests := 0
		cond := func() bool { tests++; return tok.tryTake() }
		r1 := asleep(func() error { return x1.WaitExclusive(&q, cond) })
		r2 := asleep(func() error { return x2.WaitExclusive(&q, tok.tryTake) })
		before := tests
		require.True(t, x1.WakeUp(waitqueue.Normal))
		require.Equal(t, []*waitqueue.Task{&x1, &x2}, order(), "the old place")
		require.Greater(t, tests, before, "X1 has tested again")
		require.Equal(t, 1, q.WakeUp())
		require.Equal(t, []*waitqueue.Task{&x2, &x1}, order(), "at the tail")
		require.Equal(t, 1, q.WakeUp())
		require.Equal(t, []*waitqueue.Task{&x1, &x2}, order())

		require.True(t, x1.WakeUp(waitqueue.Normal))
		synctest.Wait()
		tok.Store(1)
		q.WakeUp()
		require.True(t, ended(r1), "and wins the token")
		require.False(t, ended(r2))
		tok.Store(1)
		q.WakeUp()
		require.NoError(t, <-r2)
	})
}

// (b): a wake function that remembers, as in [waitqueue.WokenEntry]. (d): this package has no
// semaphore.
func TestKernel12WhatIsRemembered(t *testing.T) {
	t.Run("a queue forgets", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q waitqueue.Queue
			var ready atomic.Bool
			require.Zero(t, q.WakeUp())
			result := asleep(func() error { return q.Wait(context.Background(), ready.Load) })
			require.False(t, ended(result))
			ready.Store(true)
			q.WakeUp()
			require.NoError(t, <-result)
		})
	})
	t.Run("b latch", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q waitqueue.Queue
			var task waitqueue.Task
			var woken atomic.Bool
			q.Add(&waitqueue.Entry{Task: &task, Func: func(e *waitqueue.Entry, mask waitqueue.State, _ any) int {
				woken.Store(true)
				if e.Task.WakeUp(mask) {
					return 1
				}
				return 0
			}})
			waitWoken := func() error {
				task.SetState(waitqueue.Interruptible)
				if !woken.Load() {
					task.Schedule()
				}
				task.SetState(waitqueue.Running)
				woken.Store(false)
				return nil
			}
			require.Zero(t, q.WakeUp())
			require.Zero(t, q.WakeUp(), "the second collapses into the first")
			require.NoError(t, waitWoken())
			result := asleep(waitWoken)
			require.False(t, ended(result))
			require.Equal(t, 1, q.WakeUp())
			require.NoError(t, <-result)
		})
	})
	t.Run("c completion counts", func(t *testing.T) {
		var c waitqueue.Completion
		c.Complete()
		require.NoError(t, c.Wait(context.Background()))
	})
}

// (a): this package has no sleep_on. The test makes three calls in the order of sleep_on,
// which loses wake-ups.
func TestKernel13SetAndWakeBetweenTestAndSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var task waitqueue.Task
		var ready atomic.Bool
		post := func() { ready.Store(true); q.WakeUp() }
		sleepOn := func() error {
			e := waitqueue.Entry{Task: &task}
			task.SetState(waitqueue.Uninterruptible)
			q.Add(&e)
			task.Schedule()
			q.Remove(&e)
			return nil
		}
		result := asleep(func() error {
			if ready.Load() {
				return nil
			}
			post()
			return sleepOn()
		})
		require.False(t, ended(result), "(a) sleeps for ever")
		q.WakeUp()
		require.NoError(t, <-result)

		for window := 1; window <= 2; window++ {
			ready.Store(false)
			tests := 0
			require.NoError(t, q.Wait(context.Background(), func() bool {
				seen := ready.Load()
				if tests++; tests == window {
					post()
				}
				return seen
			}), "(b)")
		}
	})
}

func TestKernel14Completion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c waitqueue.Completion
		wait := func() error { return c.Wait(context.Background()) }
		// (a)
		c.Complete()
		c.Complete()
		require.NoError(t, wait())
		require.NoError(t, wait())
		third := asleep(wait)
		require.False(t, ended(third))
		// (b)
		c.CompleteAll()
		require.NoError(t, <-third)
		for range 100 {
			require.NoError(t, wait())
		}
		// (c)
		c.Complete()
		require.True(t, c.IsDone())
		require.NoError(t, wait())
		c.Reinit()
		require.False(t, c.IsDone())
		last := asleep(wait)
		require.False(t, ended(last))
		c.Complete()
		require.NoError(t, <-last)
		require.False(t, c.IsDone(), "an ordinary token again")
	})
}

// (c) and (d) return nil, where the kernel returns the time that is left.
func TestKernel15CompletionAndSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c waitqueue.Completion
		// (a)
		c.Complete()
		require.NoError(t, c.Wait(cancelled(t)))
		require.False(t, c.TryWait(), "the token was taken")
		// (b)
		require.ErrorIs(t, c.Wait(cancelled(t)), syscall.EINTR)
		c.Complete()
		require.True(t, c.TryWait())
		require.False(t, c.TryWait(), "exactly one")
		// (c)
		c.Complete()
		require.NoError(t, c.Wait(expiring(t, 0)))
		// (d)
		start := time.Now()
		c.Complete()
		require.NoError(t, c.Wait(expiring(t, 50)))
		require.Equal(t, start, time.Now())
		require.False(t, c.IsDone())
	})
}

// A gate holds W1 back between its wake-up and its test.
func TestKernel16NewcomersBarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c waitqueue.Completion
		g := newGate()
		w1 := asleep(func() error {
			g.Lock()
			return c.WaitQueue().WaitExclusiveLocked(context.Background(), g, c.TryWait)
		})
		w2 := asleep(func() error { return c.Wait(context.Background()) })
		first := c.WaitQueue().Entries()

		g.Lock()
		c.Complete()
		require.True(t, c.TryWait(), "T3 gets the token")
		g.Unlock()
		require.False(t, ended(w1))
		require.Equal(t, []*waitqueue.Task{first[1], first[0]}, c.WaitQueue().Entries(), "W1 is behind W2")
		c.Complete()
		require.NoError(t, <-w2)
		require.False(t, ended(w1))
		c.Complete()
		require.NoError(t, <-w1)
		require.False(t, c.IsDone())
	})
}
