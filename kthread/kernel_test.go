package kthread_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// The tests named after the kernel are its behaviours, numbered as in other test
// suites of this repository. Number 20, a creator that is killed, cannot happen
// here, because creation does not wait. Numbers 18, 22 and 23 are in the files of
// their subjects.

func TestKernel17Stop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		neverWoken := kthread.Create("a", func(*kthread.Current) error {
			t.Error("(a) called")
			return nil
		})
		require.ErrorIs(t, neverWoken.Stop(), syscall.EINTR)

		returned := kthread.Run("b", func(*kthread.Current) error { return errMine })
		synctest.Wait()
		require.Equal(t, errMine, returned.Stop(), "(b) at once")

		running := kthread.Run("c", func(cur *kthread.Current) error {
			<-cur.Context().Done()
			require.True(t, cur.ShouldStop())
			require.True(t, cur.ShouldStop(), "sticky")
			return errMine
		})
		synctest.Wait()
		require.Equal(t, errMine, running.Stop(), "(c)")
	})
}

func TestKernel19StopEndsSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		never := func() bool { return false }
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			require.ErrorIs(t, cur.Wait(&q, never), syscall.EINTR, "(a)")
			require.NoError(t, cur.Wait(&q, func() bool { return never() || cur.ShouldStop() }), "(b)")
			cur.Flush()
			require.True(t, cur.Interrupted(), "(d)")
			require.Zero(t, cur.Dequeue(), "a pseudo-signal, which has no number")
			return nil
		})
		synctest.Wait()
		require.NoError(t, thread.Stop())
	})
}

func TestKernel21Signals(t *testing.T) {
	const usr1, usr2 = syscall.Signal(10), syscall.Signal(12)
	synctest.Test(t, func(t *testing.T) {
		turn := make(chan struct{})
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			<-turn
			require.False(t, cur.Interrupted(), "SIGKILL and USR1 were dropped: nothing was allowed")
			require.NoError(t, cur.Allow(usr1, usr2, syscall.SIGKILL))
			<-turn
			<-turn
			require.True(t, cur.Interrupted())
			require.Equal(t, usr1, cur.Dequeue(), "two merged, and the lowest number first")
			require.True(t, cur.Interrupted())
			require.Equal(t, usr2, cur.Dequeue())
			require.Zero(t, cur.Dequeue())
			require.False(t, cur.Interrupted(), "so that it can sleep again")
			<-turn
			<-turn
			require.NoError(t, cur.Disallow(usr1))
			require.Equal(t, syscall.SIGKILL, cur.Dequeue(), "readable, not fatal; USR1 is discarded")
			require.False(t, cur.Interrupted())
			<-turn
			<-turn
			require.False(t, cur.Interrupted(), "not allowed any more")
			return nil
		})
		send := func(sigs ...syscall.Signal) {
			for _, sig := range sigs {
				require.NoError(t, thread.Signal(sig))
			}
			turn <- struct{}{}
		}
		synctest.Wait()
		send(syscall.SIGKILL, usr1)
		turn <- struct{}{}
		send(usr2, usr1, usr1)
		turn <- struct{}{}
		send(usr1, syscall.SIGKILL)
		turn <- struct{}{}
		send(usr1)
		require.NoError(t, thread.Wait(t.Context()))
	})
}

// Signals are numbers. The numbers of Linux are there on every system.
func TestNumbersThatNoSignalHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", untilStopped)
		synctest.Wait()
		for number := 1; number < 256; number++ {
			err := thread.Signal(syscall.Signal(number))
			if number <= 64 {
				require.NoError(t, err)
				continue
			}
			require.EqualError(t, err, fmt.Sprint("kthread: no signal has the number ", number))
			require.ErrorIs(t, err, syscall.EINVAL)
		}
		require.Equal(t, errMine, thread.Stop())
	})
}

// All of them or none.
func TestAllowAndDisallowRefuseNumbersWithoutASignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			require.ErrorIs(t, cur.Allow(1, 65), syscall.EINVAL)
			require.ErrorIs(t, cur.Disallow(1, 0), syscall.EINVAL)
			require.ErrorIs(t, cur.Allow(1, 202), syscall.EINVAL, "also on a system that lacks some")
			var q waitqueue.Queue
			return cur.Wait(&q, func() bool { return cur.ShouldStop() })
		})
		synctest.Wait()
		require.NoError(t, thread.Signal(1))
		synctest.Wait()
		require.Error(t, thread.Wait(endedContext(t)), "it was not allowed")
		require.NoError(t, thread.Stop())
	})
}

// A signal that is pending is dropped by Disallow, and the thread can sleep.
func TestDisallowLetsTheThreadSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := make(chan struct{})
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			require.NoError(t, cur.Allow(1))
			<-turn
			require.NoError(t, cur.Disallow(1))
			var q waitqueue.Queue
			return cur.Wait(&q, cur.ShouldStop)
		})
		synctest.Wait()
		require.NoError(t, thread.Signal(1))
		turn <- struct{}{}
		synctest.Wait()
		require.Equal(t, waitqueue.Interruptible, thread.Info().State)
		require.NoError(t, thread.Stop())
	})
}

// A context that is asked for after the stop has ended already.
func TestContextOfAThreadThatWasAskedToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			_ = untilStopped(cur)
			return context.Cause(cur.Context())
		})
		synctest.Wait()
		require.Equal(t, kthread.ErrStopped, thread.Stop())
	})
}

// The stop is asked, and the thread is gone before its context hears of that.
func TestCauseOfAThreadThatWasAskedToStop(t *testing.T) {
	for range 2000 {
		var ctx context.Context
		ready := make(chan struct{})
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			ctx = cur.Context()
			close(ready)
			for !cur.ShouldStop() {
				runtime.Gosched()
			}
			return nil
		})
		<-ready
		require.NoError(t, thread.Stop())
		require.Equal(t, kthread.ErrStopped, context.Cause(ctx))
	}
}

func TestWaitTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var ready atomic.Bool
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			start := time.Now()
			err := cur.WaitTimeout(&q, time.Minute, ready.Load)
			require.ErrorIs(t, err, syscall.ETIMEDOUT)
			require.Equal(t, "kthread: wait timed out", err.Error())
			require.Equal(t, time.Minute, time.Since(start), "a stray wake-up does not shorten it")
			require.ErrorIs(t, cur.WaitTimeout(&q, 0, ready.Load), syscall.ETIMEDOUT, "at once")
			require.ErrorIs(t, cur.WaitTimeout(&q, -1, ready.Load), syscall.ETIMEDOUT)
			require.Equal(t, time.Minute, time.Since(start))
			require.NoError(t, cur.WaitTimeout(&q, 0, func() bool { return true }))
			require.NoError(t, cur.WaitTimeout(&q, time.Hour, ready.Load))
			require.Equal(t, 2*time.Minute, time.Since(start))
			return cur.WaitTimeout(&q, time.Hour, func() bool { return false })
		})
		time.Sleep(time.Second)
		q.WakeUp()
		thread.WakeUp()
		time.Sleep(2*time.Minute - time.Second)
		ready.Store(true)
		q.WakeUp()
		synctest.Wait()
		require.Equal(t, kthread.ErrStopped, thread.Stop())
	})
}

func TestThreadKnowsItsHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handle := make(chan *kthread.Thread, 1)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			handle <- cur.Thread()
			return nil
		})
		require.Same(t, thread, <-handle)
	})
}
