package kthread_test

import (
	"context"
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

const usr1 = syscall.Signal(10) // SIGUSR1, which not every platform has

func TestSignalEndsSleepsUntilFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		never := func() bool { return false }
		interrupted := make(chan error, 1)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			require.NoError(t, cur.Allow(usr1))
			err := cur.Wait(&q, never)
			require.True(t, cur.Interrupted())
			require.ErrorIs(t, cur.WaitExclusive(&q, never), syscall.EINTR)
			require.ErrorIs(t, cur.Sleep(time.Hour), syscall.EINTR)
			require.NoError(t, cur.Wait(&q, func() bool { return true }), "a true condition beats it")
			interrupted <- err
			cur.Flush()
			require.False(t, cur.Interrupted())
			return cur.Sleep(time.Minute)
		})
		synctest.Wait()
		start := time.Now()
		require.NoError(t, thread.Signal(usr1))
		require.NoError(t, thread.Signal(usr1), "merges with the first")
		err := <-interrupted
		require.ErrorIs(t, err, syscall.EINTR)
		require.NotErrorIs(t, err, kthread.ErrStopped)
		require.NoError(t, thread.Wait(context.Background()))
		require.Equal(t, time.Minute, time.Since(start), "the flushed thread sleeps in full")
	})
}

func TestSignalDoesNotEndTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			require.NoError(t, cur.Allow(usr1))
			require.ErrorIs(t, cur.Sleep(time.Hour), syscall.EINTR)
			return cur.Context().Err()
		})
		synctest.Wait()
		require.NoError(t, thread.Signal(usr1))
		require.NoError(t, thread.Wait(context.Background()))
	})
}

// Nothing that has not been allowed becomes pending, SIGKILL included, and
// nothing that was sent before is remembered.
func TestSignalThatIsNotAllowedIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		allow := make(chan struct{})
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			<-allow
			require.NoError(t, cur.Allow(usr1))
			require.NoError(t, cur.Allow(syscall.SIGKILL))
			require.False(t, cur.Interrupted())
			return cur.Sleep(time.Hour)
		})
		synctest.Wait()
		require.NoError(t, thread.Signal(usr1))
		require.NoError(t, thread.Signal(syscall.SIGKILL))
		close(allow)
		synctest.Wait()
		require.NoError(t, thread.Signal(syscall.SIGTERM), "dropped, and the sender is not told")
		require.False(t, isDone(thread))
		require.NoError(t, thread.Signal(syscall.SIGKILL))
		require.ErrorIs(t, thread.Wait(context.Background()), syscall.EINTR)
	})
}

func TestSignalNumbers(t *testing.T) {
	number := -1
	negative := syscall.Signal(number) // no constant: a signal is a byte on some systems
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			for _, bad := range []syscall.Signal{negative, 0, 65} {
				require.ErrorIs(t, cur.Allow(bad), syscall.EINVAL)
			}
			require.NoError(t, cur.Allow(1))
			require.NoError(t, cur.Allow(64))
			require.ErrorIs(t, cur.Sleep(time.Hour), syscall.EINTR)
			cur.Flush()
			require.ErrorIs(t, cur.Sleep(time.Hour), syscall.EINTR)
			return nil
		})
		synctest.Wait()
		require.ErrorIs(t, thread.Signal(negative), syscall.EINVAL)
		require.ErrorIs(t, thread.Signal(65), syscall.EINVAL)
		require.NoError(t, thread.Signal(0), "it is there")
		require.False(t, isDone(thread))
		require.NoError(t, thread.Signal(64))
		synctest.Wait()
		require.NoError(t, thread.Signal(1))
		require.NoError(t, thread.Wait(context.Background()))
		require.ErrorIs(t, thread.Signal(1), syscall.ESRCH)
		require.ErrorIs(t, thread.Signal(0), syscall.ESRCH)
	})
}

// A thread that flushes all the time must not flush away a stop: it would
// sleep for ever here.
func TestHammerFlushAgainstStop(t *testing.T) {
	never := func() bool { return false }
	rounds := 20000
	if testing.Short() {
		rounds = 2000
	}
	for range rounds {
		var flushing atomic.Bool
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			for !cur.ShouldStop() {
				flushing.Store(true)
				for range 500 {
					cur.Flush()
				}
				runtime.Gosched()
			}
			var q waitqueue.Queue
			return cur.Wait(&q, never)
		})
		for !flushing.Load() {
			runtime.Gosched()
		}
		require.Equal(t, kthread.ErrStopped, thread.Stop())
	}
}

// answer is an error that differs from every other.
type answer struct{ _ byte }

func (*answer) Error() string { return "mine" }
