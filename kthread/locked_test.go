package kthread_test

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// A lockedWait is a wait of a thread whose condition a lock guards.
type lockedWait func(*kthread.Current, *waitqueue.Queue, sync.Locker, func() bool) error

var lockedWaits = map[string]lockedWait{
	"WaitLocked":          (*kthread.Current).WaitLocked,
	"WaitExclusiveLocked": (*kthread.Current).WaitExclusiveLocked,
	"WaitLockedTimeout": func(cur *kthread.Current, q *waitqueue.Queue, l sync.Locker, cond func() bool) error {
		return cur.WaitLockedTimeout(q, l, time.Hour, cond)
	},
}

// eachLockedWait runs test for each of them, with the queue's name as a label and without.
func eachLockedWait(t *testing.T, test func(t *testing.T, wait lockedWait)) {
	for _, labels := range []bool{false, true} {
		for name, wait := range lockedWaits {
			t.Run(name, func(t *testing.T) {
				kthread.SetProfile(labels)
				defer kthread.SetProfile(false)
				synctest.Test(t, func(t *testing.T) { test(t, wait) })
			})
		}
	}
}

// The lock is free while the thread sleeps and held when it goes on, whether its
// condition came true, a signal came, or a stop. A true condition beats both.
func TestLockedWaits(t *testing.T) {
	eachLockedWait(t, func(t *testing.T, wait lockedWait) {
		q := waitqueue.Queue{Name: "store"}
		var mu sync.Mutex
		n := 0
		errs := make(chan error)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			if err := cur.Allow(usr1); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			take := func() bool {
				require.False(t, mu.TryLock())
				if n == 0 {
					return false
				}
				n--
				return true
			}
			for {
				err := wait(cur, &q, &mu, take)
				require.False(t, mu.TryLock(), "held on every return")
				errs <- err
				if cur.ShouldStop() {
					return err
				}
				cur.Flush()
			}
		})
		synctest.Wait()
		require.Equal(t, "store", thread.Info().Wchan)
		mu.Lock()
		n++
		mu.Unlock()
		q.WakeUp()
		require.NoError(t, <-errs)
		synctest.Wait()
		require.NoError(t, thread.Signal(usr1))
		require.ErrorIs(t, <-errs, syscall.EINTR)
		synctest.Wait()
		mu.Lock()
		n++
		require.NoError(t, thread.Signal(usr1))
		mu.Unlock()
		require.NoError(t, <-errs, "the condition beats the signal")
		synctest.Wait()
		go thread.Stop()
		require.Equal(t, kthread.ErrStopped, <-errs)
		require.Equal(t, kthread.ErrStopped, thread.Stop())
		require.False(t, q.Active())
	})
}

// The time is over at the deadline and not before, and a condition that is true then
// wins.
func TestWaitLockedTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var mu sync.Mutex
		ready := false
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			start := time.Now()
			isReady := func() bool { return ready }
			mu.Lock()
			defer mu.Unlock()
			err := cur.WaitLockedTimeout(&q, &mu, time.Minute, isReady)
			require.ErrorIs(t, err, syscall.ETIMEDOUT)
			require.Equal(t, "kthread: wait timed out", err.Error())
			require.Equal(t, time.Minute, time.Since(start), "a stray wake-up does not shorten it")
			require.ErrorIs(t, cur.WaitLockedTimeout(&q, &mu, 0, isReady), syscall.ETIMEDOUT)
			require.NoError(t, cur.WaitLockedTimeout(&q, &mu, time.Hour, isReady), "nothing wakes it but the time")
			require.Equal(t, time.Hour+time.Minute, time.Since(start))
			return nil
		})
		time.Sleep(time.Second)
		q.WakeUp()
		thread.WakeUp()
		time.Sleep(time.Minute)
		mu.Lock()
		ready = true
		mu.Unlock()
		require.NoError(t, thread.Wait(t.Context()))
	})
}

// A condition that is left without a return leaves the lock held, and the label of the
// queue gone.
func TestLockedWaitThatPanics(t *testing.T) {
	eachLockedWait(t, func(t *testing.T, wait lockedWait) {
		q := waitqueue.Queue{Name: "store"}
		var mu sync.Mutex
		tests := 0
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			mu.Lock()
			defer func() {
				require.False(t, mu.TryLock())
				mu.Unlock()
			}()
			return wait(cur, &q, &mu, func() bool {
				if tests++; tests == 3 {
					runtime.Goexit()
				}
				return false
			})
		})
		synctest.Wait()
		q.WakeUp()
		require.Error(t, thread.Wait(t.Context()))
		require.False(t, q.Active())
	})
}

func TestLockedWaitOfAThreadAllocatesNothing(t *testing.T) {
	var q waitqueue.Queue
	var mu sync.Mutex
	thread := kthread.Run("t", func(cur *kthread.Current) error {
		mu.Lock()
		defer mu.Unlock()
		tests := 0
		third := func() bool {
			tests++
			q.WakeUp() // woken by itself on the way to its sleep
			return tests%3 == 0
		}
		require.Zero(t, testing.AllocsPerRun(100, func() {
			_ = cur.WaitLocked(&q, &mu, third)
			_ = cur.WaitExclusiveLocked(&q, &mu, third)
			_ = cur.WaitLockedTimeout(&q, &mu, time.Hour, func() bool { return true })
		}))
		return nil
	})
	require.NoError(t, thread.Wait(t.Context()))
}

// A locked wait without a lock panics before its condition runs.
func TestLockedWaitWithoutALock(t *testing.T) {
	eachLockedWait(t, func(t *testing.T, wait lockedWait) {
		q := waitqueue.Queue{Name: "store"}
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			require.Panics(t, func() {
				_ = wait(cur, &q, nil, func() bool {
					t.Error("the condition runs")
					return true
				})
			})
			return nil
		})
		require.NoError(t, thread.Wait(t.Context()))
	})
}
