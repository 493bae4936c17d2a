package waitqueue_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A taskWait is a locked wait of a task.
type taskWait func(*waitqueue.Task, *waitqueue.Queue, sync.Locker, func() bool) error

var taskWaits = map[string]taskWait{
	"WaitLocked":          (*waitqueue.Task).WaitLocked,
	"WaitExclusiveLocked": (*waitqueue.Task).WaitExclusiveLocked,
	"WaitLockedTimeout": func(t *waitqueue.Task, q *waitqueue.Queue, l sync.Locker, cond func() bool) error {
		return t.WaitLockedTimeout(q, l, time.Hour, cond)
	},
}

func eachTaskWait(t *testing.T, test func(t *testing.T, wait taskWait)) {
	for name, wait := range taskWaits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, wait) })
		})
	}
}

// The lock is held when the condition runs and on return, and free during the sleep.
func TestTaskWaitsLocked(t *testing.T) {
	eachTaskWait(t, func(t *testing.T, wait taskWait) {
		var q waitqueue.Queue
		var task waitqueue.Task
		g := newGate()
		ready := false
		start := func() <-chan error {
			return locked(t, g, func() error {
				return wait(&task, &q, g, func() bool {
					require.True(t, g.held())
					return ready
				})
			})
		}
		result := start()
		require.False(t, g.held(), "free while it sleeps")
		require.Equal(t, waitqueue.Interruptible, task.State())
		require.Equal(t, 1, q.WakeUp(), "in vain")
		require.False(t, ended(result))
		require.False(t, g.held())
		g.Lock()
		ready = true
		q.WakeUp()
		g.Unlock()
		require.NoError(t, <-result)
		task.Interrupt()
		require.NoError(t, <-start(), "a true condition beats the interrupt")
		ready = false
		require.ErrorIs(t, <-start(), syscall.EINTR, "on entry")
		task.ClearInterrupt()
		result = start()
		require.False(t, ended(result))
		task.Interrupt()
		require.ErrorIs(t, <-result, syscall.EINTR)
		require.False(t, q.Active())
		require.Panics(t, func() { _ = wait(&task, &q, nil, func() bool { return true }) })
	})
}

// A condition panics or ends its goroutine. The lock is held then, and no waiter is left.
func TestTaskWaitsLockedLeft(t *testing.T) {
	for name, leave := range leavings {
		t.Run(name, func(t *testing.T) {
			eachTaskWait(t, func(t *testing.T, wait taskWait) {
				var q waitqueue.Queue
				var task waitqueue.Task
				g := newGate()
				for leaveAt := 1; leaveAt <= 3; leaveAt++ {
					tests := 0
					gone := leaves(t, func() {
						g.Lock()
						defer func() {
							require.True(t, g.held())
							g.Unlock()
						}()
						_ = wait(&task, &q, g, func() bool {
							if tests++; tests == leaveAt {
								leave()
							}
							return false
						})
					})
					synctest.Wait()
					q.WakeUp()
					<-gone
					require.False(t, q.Active())
					require.Equal(t, waitqueue.Running, task.State())
				}
			})
		})
	}
}

// One wake-up is for all ordinary waiters and for one exclusive waiter.
func TestTaskWaitExclusiveLockedIsExclusive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		g := newGate()
		open := false
		isOpen := func() bool { return open }
		results := map[string][]<-chan error{}
		for range 2 {
			for name, wait := range taskWaits {
				results[name] = append(results[name], locked(t, g, func() error { return wait(new(waitqueue.Task), &q, g, isOpen) }))
			}
		}
		g.Lock()
		open = true
		g.Unlock()
		require.Equal(t, 2+2+1, q.WakeUp())
		require.NoError(t, <-results["WaitExclusiveLocked"][0])
		require.False(t, ended(results["WaitExclusiveLocked"][1]))
		require.Equal(t, 1, q.WakeUp())
		require.NoError(t, <-results["WaitExclusiveLocked"][1])
		for _, name := range []string{"WaitLocked", "WaitLockedTimeout"} {
			require.NoError(t, <-results[name][0])
			require.NoError(t, <-results[name][1])
		}
	})
}

// Both timeout forms, without a lock and with one.
func eachTimeout(t *testing.T, test func(t *testing.T, wait func(task *waitqueue.Task, q *waitqueue.Queue, d time.Duration, cond func() bool) error)) {
	t.Run("WaitTimeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, (*waitqueue.Task).WaitTimeout) })
	})
	t.Run("WaitLockedTimeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			test(t, func(task *waitqueue.Task, q *waitqueue.Queue, d time.Duration, cond func() bool) error {
				g.Lock()
				defer func() {
					require.True(t, g.held())
					g.Unlock()
				}()
				return task.WaitLockedTimeout(q, g, d, cond)
			})
		})
	})
}

// A wait lasts for all of d, also if it is woken in vain meanwhile. The error says that d is
// over.
func TestTaskWaitTimesOut(t *testing.T) {
	eachTimeout(t, func(t *testing.T, wait func(*waitqueue.Task, *waitqueue.Queue, time.Duration, func() bool) error) {
		var q waitqueue.Queue
		var task waitqueue.Task
		start := time.Now()
		result := asleep(func() error { return wait(&task, &q, time.Minute, never) })
		time.Sleep(time.Second)
		require.True(t, task.WakeUp(waitqueue.Normal))
		time.Sleep(time.Second)
		require.Equal(t, 1, q.WakeUpAll())
		err := <-result
		require.Equal(t, time.Minute, time.Since(start))
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, syscall.EINTR)
		require.Equal(t, "waitqueue: wait timed out: context deadline exceeded", err.Error())
		require.False(t, q.Active())
		require.Equal(t, waitqueue.Running, task.State())
	})
}

// With d of 0 or less a wait tests once and does not sleep. If d is over, the timeout beats an
// interrupt. If time is left, the interrupt ends the wait.
func TestTaskWaitWithNoTime(t *testing.T) {
	eachTimeout(t, func(t *testing.T, wait func(*waitqueue.Task, *waitqueue.Queue, time.Duration, func() bool) error) {
		var q waitqueue.Queue
		var task waitqueue.Task
		for _, d := range []time.Duration{0, -1, -1 << 63} {
			tests := 0
			require.ErrorIs(t, wait(&task, &q, d, func() bool { tests++; return false }), syscall.ETIMEDOUT)
			require.Equal(t, 1, tests)
			require.NoError(t, wait(&task, &q, d, func() bool { return true }))
		}
		task.Interrupt()
		require.ErrorIs(t, wait(&task, &q, 0, never), syscall.ETIMEDOUT)
		require.ErrorIs(t, wait(&task, &q, time.Nanosecond, never), syscall.EINTR)
		task.ClearInterrupt()
		result := asleep(func() error { return wait(&task, &q, 1<<63-1, never) })
		require.False(t, ended(result), "292 years")
		task.Interrupt()
		require.ErrorIs(t, <-result, syscall.EINTR)
		require.False(t, q.Active())
	})
}

// A condition that is true when d is over wins, though nobody has woken the waiter.
func TestConditionBeatsTheTimeout(t *testing.T) {
	eachTimeout(t, func(t *testing.T, wait func(*waitqueue.Task, *waitqueue.Queue, time.Duration, func() bool) error) {
		var q waitqueue.Queue
		var task waitqueue.Task
		var ready atomic.Bool
		result := asleep(func() error { return wait(&task, &q, time.Minute, ready.Load) })
		ready.Store(true)
		require.NoError(t, <-result)
	})
}

// The timer of a wait stops with it, and wakes no later wait.
func TestTimerOfAWaitEndsWithIt(t *testing.T) {
	eachTimeout(t, func(t *testing.T, wait func(*waitqueue.Task, *waitqueue.Queue, time.Duration, func() bool) error) {
		var q waitqueue.Queue
		var task waitqueue.Task
		tests := 0
		require.NoError(t, wait(&task, &q, time.Minute, func() bool {
			tests++
			q.WakeUp() // in vain: a later test needs no timer of its own
			return tests == 4
		}))
		require.Panics(t, func() {
			_ = wait(&task, &q, time.Minute, func() bool {
				if tests++; tests == 6 {
					panic("left")
				}
				return false
			})
		})
		woken := task.WakeUps()
		result := asleep(func() error { return task.Wait(&q, never) })
		time.Sleep(time.Hour)
		require.Equal(t, woken, task.WakeUps())
		task.Interrupt()
		require.Error(t, <-result)
	})
}

// A locked wait of a task allocates nothing. The timeout form makes its timer only for a sleep.
func TestTaskWaitsLockedAllocateNothing(t *testing.T) {
	var q waitqueue.Queue
	var task waitqueue.Task
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	yes := func() bool { return true }
	for name, wait := range taskWaits {
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = wait(&task, &q, &mu, yes) }), name)
	}
	tests := 0
	third := func() bool {
		tests++
		q.WakeUp() // woken by itself on the way to its sleep
		return tests%3 == 0
	}
	for _, name := range []string{"WaitLocked", "WaitExclusiveLocked"} {
		wait := taskWaits[name]
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = wait(&task, &q, &mu, third) }), name)
	}
}
