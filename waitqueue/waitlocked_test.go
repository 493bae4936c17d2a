package waitqueue_test

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A lockedWait is WaitLocked or WaitExclusiveLocked.
type lockedWait func(*waitqueue.Queue, context.Context, sync.Locker, func() bool) error

// eachLockedWait runs test for both, with both kinds of context.
func eachLockedWait(t *testing.T, test func(t *testing.T, ctx context.Context, wait lockedWait)) {
	for name, wait := range map[string]lockedWait{
		"WaitLocked":          (*waitqueue.Queue).WaitLocked,
		"WaitExclusiveLocked": (*waitqueue.Queue).WaitExclusiveLocked,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) { test(t, ctx, wait) })
		})
	}
}

func TestWaitLockedHoldsTheLockWhenCondRuns(t *testing.T) {
	eachLockedWait(t, func(t *testing.T, ctx context.Context, wait lockedWait) {
		var q waitqueue.Queue
		g := newGate()
		ready, tests := false, 0
		result := locked(t, g, func() error {
			return wait(&q, ctx, g, func() bool {
				require.True(t, g.held())
				tests++
				return ready
			})
		})
		for range 3 {
			require.False(t, g.held(), "free while it sleeps")
			before := tests
			require.Equal(t, 1, q.WakeUp())
			require.False(t, ended(result))
			require.Greater(t, tests, before)
		}
		g.Lock()
		ready = true
		require.Equal(t, 1, q.WakeUp(), "with the lock held")
		g.Unlock()
		require.NoError(t, <-result)
		require.False(t, q.Active())
	})
}

// The lock is held on return, without a sleep and after one, with and without an error.
func TestWaitLockedHoldsTheLockOnReturn(t *testing.T) {
	eachLockedWait(t, func(t *testing.T, live context.Context, wait lockedWait) {
		var q waitqueue.Queue
		g := newGate()
		start := func(ctx context.Context, cond func() bool) <-chan error {
			return locked(t, g, func() error { return wait(&q, ctx, g, cond) })
		}
		yes := func() bool { return true }
		require.NoError(t, <-start(live, yes))
		require.NoError(t, <-start(cancelled(t), yes))
		require.ErrorIs(t, <-start(cancelled(t), never), syscall.EINTR)
		require.ErrorIs(t, <-start(expiring(t, time.Hour), never), syscall.ETIMEDOUT)
		ctx, cancel := context.WithCancel(t.Context())
		result := start(ctx, never)
		cancel()
		require.ErrorIs(t, <-result, syscall.EINTR)

		for panicAt := 1; panicAt <= 3; panicAt++ {
			tests := 0
			g.Lock()
			time.AfterFunc(1, func() { q.WakeUp() })
			require.PanicsWithValue(t, "in cond", func() {
				_ = wait(&q, live, g, func() bool {
					if tests++; tests == panicAt {
						panic("in cond")
					}
					return false
				})
			})
			require.True(t, g.held())
			require.False(t, q.Active())
			g.Unlock()
		}
	})
}

func TestWaitLockedWakeUpBetweenUnlockAndSleepIsNotLost(t *testing.T) {
	eachLockedWait(t, func(t *testing.T, ctx context.Context, wait lockedWait) {
		var q waitqueue.Queue
		l := &afterUnlock{Locker: newGate()}
		ready := false
		l.do = func() { ready = true; q.WakeUp() }
		l.Lock()
		require.NoError(t, wait(&q, ctx, l, func() bool { return ready }))
	})
}

// The context ends while another goroutine holds the lock and changes the state. Nobody wakes
// the waiter. Its last test sees the change.
func TestWaitLockedLastTestIsUnderTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wait := range []lockedWait{(*waitqueue.Queue).WaitLocked, (*waitqueue.Queue).WaitExclusiveLocked} {
			var q waitqueue.Queue
			g := newGate()
			ready := false
			ctx, cancel := context.WithCancel(t.Context())
			result := locked(t, g, func() error { return wait(&q, ctx, g, func() bool { return ready }) })
			g.Lock()
			cancel()
			require.False(t, ended(result))
			ready = true
			g.Unlock()
			require.NoError(t, <-result)
		}
	})
}

// One wake-up reaches all waiters in WaitLocked, and the first waiter in WaitExclusiveLocked, in
// any order in which they came.
func TestWaitLockedIsOrdinaryAndWaitExclusiveLockedIsNot(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q waitqueue.Queue
		g := newGate()
		open, free := false, 0
		take := func() bool {
			if free == 0 {
				return false
			}
			free--
			return true
		}
		var ordinary, exclusive []<-chan error
		for range 3 {
			exclusive = append(exclusive, locked(t, g, func() error { return q.WaitExclusiveLocked(ctx, g, take) }))
			ordinary = append(ordinary, locked(t, g, func() error { return q.WaitLocked(ctx, g, func() bool { return open }) }))
		}
		g.Lock()
		open, free = true, 3
		g.Unlock()
		require.Equal(t, 3+1, q.WakeUp())
		for _, result := range ordinary {
			require.NoError(t, <-result)
		}
		for i := range exclusive {
			for j, result := range exclusive {
				require.Equal(t, j <= i, ended(result))
			}
			q.WakeUp()
		}
	})
}
