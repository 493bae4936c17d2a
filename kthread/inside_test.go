package kthread_test

import (
	"context"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

// A thread that would wait for its own end is told so, at any depth.
func TestThreadCannotWaitForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		self := make(chan *kthread.Thread, 1)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			me := <-self
			require.ErrorIs(t, me.Wait(context.Background()), syscall.EDEADLK)
			require.False(t, cur.ShouldStop())
			require.ErrorIs(t, deep(200, me.Stop), syscall.EDEADLK)
			require.True(t, cur.ShouldStop(), "it has asked")
			require.ErrorIs(t, me.StopContext(context.Background()), syscall.EDEADLK)
			return errMine
		})
		self <- thread
		require.Equal(t, errMine, thread.Wait(t.Context()))
	})
}

func deep(n int, f func() error) error {
	if n == 0 {
		return f()
	}
	return deep(n-1, f)
}

// Others who wait, threads among them, are not taken for it: neither while it
// sleeps nor while it runs.
func TestOthersCanWaitForAThread(t *testing.T) {
	for name, work := range map[string]func(cur *kthread.Current, hold chan struct{}){
		"runs":   func(cur *kthread.Current, hold chan struct{}) { <-hold },
		"sleeps": func(cur *kthread.Current, hold chan struct{}) { _ = untilStopped(cur) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					work(cur, hold)
					return errMine
				})
				synctest.Wait()
				stopper := kthread.Run("stopper", func(*kthread.Current) error {
					return deep(100, thread.Stop)
				})
				synctest.Wait()
				require.Error(t, stopper.Wait(endedContext(t)))
				close(hold)
				require.Equal(t, errMine, stopper.Wait(t.Context()))
			})
		})
	}
}

// A goroutine that a thread has started is not the thread.
func TestGoroutineOfAThreadIsNotTheThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		self := make(chan *kthread.Thread, 1)
		result := make(chan error, 1)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			me := <-self
			go func() { result <- me.Stop() }()
			for !cur.ShouldStop() {
				runtime.Gosched()
			}
			return errMine
		})
		self <- thread
		require.Equal(t, errMine, <-result)
	})
}
