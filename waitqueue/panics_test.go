package waitqueue_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// The two ways to leave a call without a return.
var leavings = map[string]func(){
	"panic":  func() { panic("left") },
	"Goexit": runtime.Goexit,
}

// inEachLeaving runs test in a bubble, with each kind of context and each leaving.
func inEachLeaving(t *testing.T, test func(t *testing.T, ctx context.Context, leave func())) {
	for name, leave := range leavings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) { test(t, ctx, leave) })
		})
	}
}

// leaves runs wait on a goroutine of its own. wait must not return. The goroutine closes gone at
// its end.
func leaves(t *testing.T, wait func()) (gone <-chan struct{}) {
	c := make(chan struct{})
	go func() {
		defer close(c)
		defer func() {
			if p := recover(); p != nil && p != "left" {
				panic(p)
			}
		}()
		wait()
		t.Error("it returned")
	}()
	return c
}

// A leaver is a lock whose methods first call a function, once. That function does not return.
type leaver struct {
	sync.Locker
	inLock, inUnlock func()
}

func (l *leaver) Lock() {
	if f := l.inLock; f != nil {
		l.inLock = nil
		f()
	}
	l.Locker.Lock()
}

func (l *leaver) Unlock() {
	if f := l.inUnlock; f != nil {
		l.inUnlock = nil
		f()
	}
	l.Locker.Unlock()
}

// A Wait of a Cond without an L panics, and the next Signal is for the next
// waiter.
func TestCondWithoutAnLLeavesNobodyBehind(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var c waitqueue.Cond
		require.Panics(t, func() { _ = c.Wait(ctx) })
		require.False(t, c.Active())
		require.Panics(t, func() { _ = c.WaitFor(ctx, never) })
		require.False(t, c.Active())
		c.L = newGate()
		result := condWait(t, ctx, &c)
		c.Signal()
		require.NoError(t, <-result)
	})
}

// An Unlock that does not return leaves no waiter on the queue.
func TestUnlockThatPanicsLeavesNobodyBehind(t *testing.T) {
	inEachLeaving(t, func(t *testing.T, ctx context.Context, leave func()) {
		g := newGate()
		l := &leaver{Locker: g}
		c := waitqueue.NewCond(l)
		var q waitqueue.Queue
		for _, wait := range []func() error{
			func() error { return c.Wait(ctx) },
			func() error { return c.WaitFor(ctx, never) },
			func() error { return q.WaitLocked(ctx, l, never) },
			func() error { return q.WaitExclusiveLocked(ctx, l, never) },
			func() error { return new(waitqueue.Task).WaitLocked(&q, l, never) },
			func() error { return new(waitqueue.Task).WaitExclusiveLocked(&q, l, never) },
			func() error { return new(waitqueue.Task).WaitLockedTimeout(&q, l, 1, never) },
		} {
			l.Lock()
			l.inUnlock = leave
			<-leaves(t, func() { _ = wait() })
			l.Unlock()
			require.False(t, c.Active())
			require.False(t, q.Active())
			c.L = g
			result := condWait(t, ctx, c)
			c.L = l
			c.Signal()
			require.NoError(t, <-result)
		}
	})
}

// A Signal picks A, and then a method of L does not return: Unlock before the sleep, or Lock
// after it. B gets the Signal.
func TestCondWaitThatPanicsPassesTheSignalOn(t *testing.T) {
	inEachLeaving(t, func(t *testing.T, ctx context.Context, leave func()) {
		for _, where := range []string{"Unlock", "Lock"} {
			g := newGate()
			l := &leaver{Locker: g}
			c := waitqueue.NewCond(l)
			var b <-chan error
			l.Lock()
			var gone <-chan struct{}
			if where == "Unlock" {
				l.inUnlock = func() {
					g.Unlock()
					b = asleep(func() error { g.Lock(); defer g.Unlock(); return c.Wait(ctx) })
					c.Signal() // picks A
					leave()
				}
				gone = leaves(t, func() { _ = c.Wait(ctx) })
			} else {
				gone = leaves(t, func() { _ = c.Wait(ctx) })
				synctest.Wait()
				b = asleep(func() error { g.Lock(); defer g.Unlock(); return c.Wait(ctx) })
				l.inLock = leave
				c.Signal()
			}
			<-gone
			require.True(t, ended(b), where)
			require.False(t, c.Active())
		}
	})
}

// If pred does not return, WaitFor passes on the Signal that has reached it.
func TestPredThatPanicsPassesTheSignalOn(t *testing.T) {
	inEachLeaving(t, func(t *testing.T, ctx context.Context, leave func()) {
		c := waitqueue.NewCond(newGate())
		tests := 0
		a := leaves(t, func() {
			c.L.Lock()
			defer c.L.Unlock()
			_ = c.WaitFor(ctx, func() bool {
				if tests++; tests == 2 {
					leave()
				}
				return false
			})
		})
		synctest.Wait()
		b := condWait(t, ctx, c)
		c.Signal()
		<-a
		require.True(t, ended(b))
		require.False(t, c.Active())
	})
}

// A wake-up picks A, and then its condition or its lock does not return. Then the wake-up is for
// B, which waits behind A.
func TestExclusiveWaitThatPanicsPassesTheWakeUpOn(t *testing.T) {
	inEachLeaving(t, func(t *testing.T, ctx context.Context, leave func()) {
		var task waitqueue.Task
		for name, wait := range map[string]func(q *waitqueue.Queue, l *leaver, cond func() bool) error{
			"WaitExclusive": func(q *waitqueue.Queue, _ *leaver, cond func() bool) error { return q.WaitExclusive(ctx, cond) },
			"WaitExclusiveLocked": func(q *waitqueue.Queue, l *leaver, cond func() bool) error {
				l.Lock()
				return q.WaitExclusiveLocked(ctx, l, cond)
			},
			"lock": func(q *waitqueue.Queue, l *leaver, cond func() bool) error {
				l.Lock()
				l.inLock = leave
				return q.WaitExclusiveLocked(ctx, l, never)
			},
			"Task": func(q *waitqueue.Queue, _ *leaver, cond func() bool) error { return task.WaitExclusive(q, cond) },
			"Task locked": func(q *waitqueue.Queue, l *leaver, cond func() bool) error {
				l.Lock()
				return task.WaitExclusiveLocked(q, l, cond)
			},
			"Task lock": func(q *waitqueue.Queue, l *leaver, cond func() bool) error {
				l.Lock()
				l.inLock = leave
				return task.WaitExclusiveLocked(q, l, never)
			},
		} {
			var q waitqueue.Queue
			var tok tokens
			tests := 0
			a := leaves(t, func() {
				_ = wait(&q, &leaver{Locker: newGate()}, func() bool {
					if tests++; tests == 3 {
						leave()
					}
					return false
				})
			})
			synctest.Wait()
			b := asleep(func() error { return q.WaitExclusive(context.Background(), tok.tryTake) })
			tok.Store(1)
			require.Equal(t, 1, q.WakeUp())
			<-a
			require.True(t, ended(b), name)
			require.Zero(t, tok.Load())
			require.False(t, q.Active())
		}
	})
}

// A condition panics, and no wake-up has picked its waiter. Then nobody is woken.
func TestWaitThatPanicsUnpickedWakesNobody(t *testing.T) {
	inEachLeaving(t, func(t *testing.T, ctx context.Context, leave func()) {
		var q waitqueue.Queue
		var task waitqueue.Task
		var testsOfB atomic.Int32
		b := asleep(func() error {
			return q.WaitExclusive(ctx, func() bool { return testsOfB.Add(1) > 2 })
		})
		for _, wait := range []func(func() bool) error{
			func(cond func() bool) error { return q.WaitExclusive(ctx, cond) },
			func(cond func() bool) error { return task.WaitExclusive(&q, cond) },
		} {
			tests := 0
			<-leaves(t, func() {
				_ = wait(func() bool {
					if tests++; tests == 2 {
						leave()
					}
					return false
				})
			})
			synctest.Wait()
			require.EqualValues(t, 2, testsOfB.Load())
		}
		require.Equal(t, 1, q.WakeUp())
		require.NoError(t, <-b)
	})
}

// After a panic of its condition a task can wait again.
func TestTaskWaitsAgainAfterItsConditionPanicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, other := waitqueue.Queue{Name: "named"}, waitqueue.Queue{}
		var task waitqueue.Task
		for panicAt := 1; panicAt <= 3; panicAt++ {
			tests := 0
			gone := leaves(t, func() {
				_ = task.Wait(&q, func() bool {
					if tests++; tests == panicAt {
						panic("left")
					}
					return false
				})
			})
			synctest.Wait()
			q.WakeUp()
			<-gone
			require.Equal(t, waitqueue.Running, task.State())
			require.Empty(t, task.Wchan())
			var tok tokens
			result := asleep(func() error { return task.Wait(&other, tok.tryTake) })
			require.Empty(t, task.Wchan(), "this queue has no name")
			tok.Store(1)
			other.WakeUp()
			require.NoError(t, <-result)
			require.False(t, q.Active())
		}
	})
}

func TestWaitLockedWithoutALockPanics(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q waitqueue.Queue
		require.Panics(t, func() { _ = q.WaitLocked(ctx, nil, never) })
		require.Panics(t, func() { _ = q.WaitExclusiveLocked(ctx, nil, never) })
		var none *sync.Mutex
		require.Panics(t, func() { _ = q.WaitLocked(ctx, none, never) })
		require.False(t, q.Active())
	})
}
