package kthread_test

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// onThread runs f on a thread that has allowed all signals.
func onThread(t *testing.T, f func(cur *kthread.Current)) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			for sig := syscall.Signal(1); sig <= 64; sig++ {
				require.NoError(t, cur.Allow(sig))
			}
			f(cur)
			return nil
		})
		require.NoError(t, thread.Wait(t.Context()))
	})
}

func send1(t *testing.T, cur *kthread.Current, sigs ...syscall.Signal) {
	for _, sig := range sigs {
		require.NoError(t, cur.Thread().Signal(sig))
	}
}

// dequeue takes all signals, in the order in which they come.
func dequeue(cur *kthread.Current) (sigs []syscall.Signal) {
	for sig := cur.Dequeue(); sig != 0; sig = cur.Dequeue() {
		sigs = append(sigs, sig)
	}
	return sigs
}

func TestSignalsOfTheProgramItselfComeFirst(t *testing.T) {
	onThread(t, func(cur *kthread.Current) {
		send1(t, cur, 1, 2, 3, 31, 11, 8, 7, 5, 4, 9)
		require.Equal(t, []syscall.Signal{4, 5, 7, 8, 11, 31, 1, 2, 3, 9}, dequeue(cur))
	})
}

func TestRealTimeSignalsAreCounted(t *testing.T) {
	onThread(t, func(cur *kthread.Current) {
		send1(t, cur, 40, 31, 31, 32, 40, 64, 32, 40)
		require.Equal(t, []syscall.Signal{31, 32, 32, 40, 40, 40, 64}, dequeue(cur))
		require.False(t, cur.Interrupted())

		send1(t, cur, 40, 40)
		require.NoError(t, cur.Disallow(40))
		require.NoError(t, cur.Allow(40))
		send1(t, cur, 40)
		require.Equal(t, []syscall.Signal{40}, dequeue(cur), "Disallow drops all of them")

		send1(t, cur, 40, 40)
		cur.Flush()
		send1(t, cur, 40)
		require.Equal(t, []syscall.Signal{40}, dequeue(cur), "and so does Flush")
	})
}

func TestContAndStopDropEachOther(t *testing.T) {
	onThread(t, func(cur *kthread.Current) {
		send1(t, cur, 19, 20, 21, 22, 23, 18)
		require.Equal(t, []syscall.Signal{18, 23}, dequeue(cur))
		for _, stop := range []syscall.Signal{19, 20, 21, 22} {
			send1(t, cur, 18, stop)
			require.Equal(t, []syscall.Signal{stop}, dequeue(cur))
		}
		require.NoError(t, cur.Disallow(18))
		send1(t, cur, 19, 18)
		require.True(t, cur.Interrupted(), "until the next Dequeue")
		require.ErrorIs(t, cur.Sleep(time.Hour), syscall.EINTR)
		require.Zero(t, cur.Dequeue(), "dropped also by a CONT that is not allowed")
		require.False(t, cur.Interrupted())
	})
}

// A thread that is asked to stop or to park does not sleep in WaitWoken, in no state.
func TestWaitWokenLooksForAStopAndAPark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slept := make(chan time.Duration, 2)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			e := waitqueue.NewWokenEntry(cur.Task())
			slept <- time.Hour - cur.WaitWoken(e, waitqueue.Uninterruptible, time.Hour)
			require.Equal(t, time.Hour, cur.WaitWoken(e, waitqueue.Uninterruptible, time.Hour), "asked to park")
			cur.ParkMe()
			slept <- time.Hour - cur.WaitWoken(e, waitqueue.Uninterruptible, time.Hour)
			for !cur.ShouldStop() {
				cur.WaitWoken(e, waitqueue.Uninterruptible, time.Hour)
			}
			require.Equal(t, time.Hour, cur.WaitWoken(e, waitqueue.Uninterruptible, time.Hour))
			return nil
		})
		time.Sleep(time.Second)
		require.NoError(t, thread.Park(t.Context()))
		require.Equal(t, time.Second, <-slept)
		thread.Unpark()
		time.Sleep(time.Minute)
		require.NoError(t, thread.Stop())
		require.Equal(t, time.Minute, <-slept)
	})
}
