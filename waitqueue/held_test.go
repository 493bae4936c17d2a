package waitqueue_test

import (
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A heldWaiter waits for its turn, with the lock of the queue held.
type heldWaiter struct {
	task waitqueue.Task
	turn bool // guarded by the queue's lock
	done chan error
}

func startHeld(q *waitqueue.Queue, wait func(*waitqueue.Task, *waitqueue.Queue, func() bool) error) *heldWaiter {
	w := &heldWaiter{done: make(chan error, 1)}
	go func() {
		q.Lock()
		defer q.Unlock()
		w.done <- wait(&w.task, q, func() bool { return w.turn })
	}()
	synctest.Wait()
	return w
}

// The lock of the queue guards the condition, so the condition may read plain variables. The
// race detector checks that.
func TestWaitHeldTestsWithTheLockOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		w := startHeld(&q, (*waitqueue.Task).WaitHeld)
		require.Equal(t, waitqueue.Interruptible, w.task.State())
		require.Equal(t, 1, q.WakeUp(), "in vain")
		synctest.Wait()
		require.Equal(t, waitqueue.Interruptible, w.task.State(), "it sleeps again")
		q.Lock()
		w.turn = true
		require.Equal(t, 1, q.WakeHeld(waitqueue.Normal, 1))
		q.Unlock()
		require.NoError(t, <-w.done)
		require.False(t, q.Active())
		require.Equal(t, waitqueue.Running, w.task.State())
	})
}

// A task in WaitHeld is behind one in WaitExclusiveHeld that came before. That one uses up the
// wake-up.
func TestWaitHeldQueuesAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		x := startHeld(&q, (*waitqueue.Task).WaitExclusiveHeld)
		n := startHeld(&q, (*waitqueue.Task).WaitHeld)
		require.Equal(t, []*waitqueue.Task{&x.task, &n.task}, q.Entries())
		q.Lock()
		x.turn, n.turn = true, true
		require.Equal(t, 1, q.WakeHeld(waitqueue.Normal, 1))
		q.Unlock()
		require.NoError(t, <-x.done)
		synctest.Wait()
		require.Equal(t, []*waitqueue.Task{&n.task}, q.Entries())
		require.Equal(t, 1, q.WakeUpAll())
		require.NoError(t, <-n.done)
	})
}

// An interrupt ends the wait, which leaves the queue. A true condition beats it.
func TestWaitHeldIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		w := startHeld(&q, (*waitqueue.Task).WaitHeld)
		w.task.Interrupt()
		require.ErrorIs(t, <-w.done, syscall.EINTR)
		require.False(t, q.Active())
		q.Lock()
		defer q.Unlock()
		require.ErrorIs(t, w.task.WaitHeld(&q, func() bool { return false }), syscall.EINTR)
		require.NoError(t, w.task.WaitHeld(&q, func() bool { return true }))
	})
}

// A condition that panics leaves no waiter behind. The wake-up that had picked that waiter goes
// to the next one.
func TestWaitHeldPassesOnTheWakeUpOfAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		tests := 0
		panicked := make(chan any, 1)
		go func() {
			q.Lock()
			defer func() { panicked <- recover(); q.Unlock() }()
			_ = new(waitqueue.Task).WaitExclusiveHeld(&q, func() bool {
				if tests++; tests == 2 {
					panic("mine")
				}
				return false
			})
		}()
		synctest.Wait()
		next := startHeld(&q, (*waitqueue.Task).WaitExclusiveHeld)
		q.Lock()
		next.turn = true
		q.WakeHeld(waitqueue.Normal, 1)
		q.Unlock()
		require.Equal(t, "mine", <-panicked)
		require.NoError(t, <-next.done)
		require.False(t, q.Active())
	})
}

// Task.WaitLocked takes the lock of the caller, and an interrupt ends it.
func TestTaskWaitLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var task waitqueue.Task
		var held locker
		done := make(chan error, 1)
		go func() {
			held.Lock()
			done <- task.WaitLocked(&q, &held, func() bool { require.True(t, held.held); return false })
			require.True(t, held.held)
		}()
		synctest.Wait()
		require.False(t, held.held, "while it sleeps")
		task.Interrupt()
		require.ErrorIs(t, <-done, syscall.EINTR)
		require.Panics(t, func() { _ = task.WaitLocked(&q, nil, func() bool { return true }) })
	})
}

// A locker knows whether it is held.
type locker struct{ held bool }

func (l *locker) Lock()   { l.held = true }
func (l *locker) Unlock() { l.held = false }

// A call without the lock panics. Without that panic the waiter would be left on the queue, and
// package sync would end the program.
func TestHeldWithoutTheLockPanics(t *testing.T) {
	var q waitqueue.Queue
	var task waitqueue.Task
	yes := func() bool { return true }
	for want, call := range map[string]func(){
		"waitqueue: WakeHeld without the lock of the queue":          func() { q.WakeHeld(waitqueue.Normal, 1) },
		"waitqueue: WaitHeld without the lock of the queue":          func() { _ = task.WaitHeld(&q, yes) },
		"waitqueue: WaitExclusiveHeld without the lock of the queue": func() { _ = task.WaitExclusiveHeld(&q, yes) },
	} {
		require.PanicsWithValue(t, want, call)
	}
	require.Zero(t, q.WakeUp(), "the lock is free after that")
}
