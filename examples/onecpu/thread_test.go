package onecpu_test

import (
	"context"
	"errors"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// Each thread sleeps or has ended when the next one is started. It goes on only
// when the CPU is given up.
func TestStartReturnsWhenTheThreadSleeps(t *testing.T) {
	for range 200 {
		var cpu onecpu.CPU
		var queue waitqueue.Queue
		var log []string
		cpu.Lock()
		sleeps := func(cur *kthread.Current) error {
			name := cur.Thread().Name()
			log = append(log, name+" sleeps")
			wait := waitqueue.Entry{Task: cur.Task(), Func: cpu.Enqueue}
			queue.AddExclusive(&wait)
			defer queue.Remove(&wait)
			cur.Task().SetState(waitqueue.Uninterruptible)
			cpu.Schedule(cur.Task())
			log = append(log, name+" runs")
			return nil
		}
		var threads []*kthread.Thread
		for n := range 4 {
			threads = append(threads, cpu.Start(strconv.Itoa(n), sleeps))
			require.Equal(t, waitqueue.Uninterruptible, threads[n].Info().State)
		}
		ended := cpu.Start("4", func(*kthread.Current) error {
			log = append(log, "4 ends")
			return errors.New("of fn")
		})
		log = append(log, "wake-up")
		require.Equal(t, 4, queue.WakeUpAll())
		last := cpu.Start("5", func(*kthread.Current) error {
			log = append(log, "5 comes last")
			return nil
		})
		require.Equal(t, []string{
			"0 sleeps", "1 sleeps", "2 sleeps", "3 sleeps", "4 ends", "wake-up",
			"0 runs", "1 runs", "2 runs", "3 runs", "5 comes last",
		}, log)
		cpu.Unlock()
		require.EqualError(t, ended.Wait(t.Context()), "of fn")
		for _, thread := range append(threads, last) {
			require.NoError(t, thread.Wait(t.Context()))
		}
	}
}

// A wake-up with a false condition ends no wait. The condition is tested before a
// signal and a stop.
func TestSleeper(t *testing.T) {
	for name, wait := range map[string]func(onecpu.Sleeper, *waitqueue.Queue, func() bool) error{
		"ordinary":  onecpu.Sleeper.Wait,
		"exclusive": onecpu.Sleeper.WaitExclusive,
	} {
		for _, test := range []struct {
			token, signal, stop bool
			want                error
		}{
			{token: true},
			{signal: true, want: syscall.EINTR},
			{stop: true, want: kthread.ErrStopped},
			{token: true, signal: true},
			{token: true, stop: true},
			{signal: true, stop: true, want: kthread.ErrStopped},
		} {
			t.Run(name, func(t *testing.T) {
				var cpu onecpu.CPU
				queue := waitqueue.Queue{Name: "queue"}
				token := false // guarded by the CPU
				var got error
				cpu.Lock()
				thread := cpu.Start("sleeper", func(cur *kthread.Current) error {
					require.NoError(t, cur.Allow(syscall.SIGTERM))
					got = wait(onecpu.Sleeper{Current: cur, CPU: &cpu}, &queue, func() bool { return token })
					return nil
				})
				queue.WakeUp()
				cpu.Yield()
				require.Equal(t, waitqueue.Interruptible, thread.Info().State)
				require.Equal(t, "queue", thread.Info().Wchan)

				token = test.token
				if test.signal {
					require.NoError(t, thread.Signal(syscall.SIGTERM))
				}
				if test.stop {
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					require.ErrorIs(t, thread.StopContext(ctx), syscall.EINTR, "asked, and not waited for")
				}
				queue.WakeUp()
				cpu.Unlock()
				require.NoError(t, thread.Wait(t.Context()))
				require.Equal(t, test.want, got)
				require.False(t, queue.Active())
			})
		}
	}
}

// There is one token for two threads. The first gets it, and the other sleeps on:
// it was not woken.
func TestExclusiveSleepers(t *testing.T) {
	for range 200 {
		var cpu onecpu.CPU
		var queue waitqueue.Queue
		var log []string
		tokens := 0
		cpu.Lock()
		take := func() bool {
			if tokens == 0 {
				return false
			}
			tokens--
			return true
		}
		var threads []*kthread.Thread
		for n := range 2 {
			threads = append(threads, cpu.Start(strconv.Itoa(n), func(cur *kthread.Current) error {
				err := onecpu.Sleeper{Current: cur, CPU: &cpu}.WaitExclusive(&queue, take)
				log = append(log, cur.Thread().Name())
				return err
			}))
		}
		for n := range 2 {
			require.Len(t, log, n)
			tokens++
			require.Equal(t, 1, queue.WakeUp())
			cpu.Yield()
		}
		require.Equal(t, []string{"0", "1"}, log)
		require.EqualValues(t, 2, threads[1].Info().WakeUps)
		cpu.Unlock()
		for _, thread := range threads {
			require.NoError(t, thread.Wait(t.Context()))
		}
	}
}
