package oldkernel_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/oldkernel"
	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitFor waits as code of the old kernels did.
func waitFor(cpu *onecpu.CPU, queue *waitqueue.Queue, task *waitqueue.Task, ready *bool, window func()) {
	for !*ready {
		window()
		oldkernel.SleepOn(cpu, queue, task)
	}
}

func TestWakeUpBetweenTestAndSleepIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var queue waitqueue.Queue
		var task waitqueue.Task
		ready, returned, woke := false, false, -1
		go func() {
			waitFor(nil, &queue, &task, &ready, func() {
				ready = true
				woke = queue.WakeUp()
			})
			returned = true
		}()
		synctest.Wait()
		require.Zero(t, woke, "the queue was empty")
		require.False(t, returned)
		require.Equal(t, waitqueue.Uninterruptible, task.State())
		require.Equal(t, 1, queue.WakeUp(), "a stray wake-up wakes it")
		synctest.Wait()
		require.True(t, returned)
		require.False(t, queue.Active())
	})
}

// The waker comes in the window, and has to wait until the sleeper sleeps.
func TestOneCPULosesNoWakeUp(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var cpu onecpu.CPU
			var queue waitqueue.Queue
			var task waitqueue.Task
			ready, woke := false, -1
			cpu.Lock()
			waitFor(&cpu, &queue, &task, &ready, func() {
				go func() {
					cpu.Lock()
					defer cpu.Unlock()
					ready = true
					woke = queue.WakeUp()
				}()
			})
			cpu.Unlock()
			require.Equal(t, 1, woke)
			require.False(t, queue.Active())
		})
	}
}

// A signal ends the interruptible sleep only.
func TestASignalEndsTheInterruptibleSleepOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var queue waitqueue.Queue
		var deaf, hears waitqueue.Task
		go oldkernel.SleepOn(nil, &queue, &deaf)
		go oldkernel.InterruptibleSleepOn(nil, &queue, &hears)
		synctest.Wait()
		deaf.Interrupt()
		hears.Interrupt()
		synctest.Wait()
		require.Equal(t, waitqueue.Uninterruptible, deaf.State())
		require.Equal(t, waitqueue.Running, hears.State())
		require.Equal(t, 1, queue.WakeUp(), "the other one")
	})
}

func TestTimeout(t *testing.T) {
	for name, cpu := range map[string]*onecpu.CPU{"one CPU": new(onecpu.CPU), "more": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var queue waitqueue.Queue
				left := func(task *waitqueue.Task) time.Duration {
					if cpu != nil {
						cpu.Lock()
						defer cpu.Unlock()
					}
					return oldkernel.InterruptibleSleepOnTimeout(cpu, &queue, task, time.Second)
				}
				require.Zero(t, left(new(waitqueue.Task)), "no wake-up came")
				var signalled, woken waitqueue.Task
				time.AfterFunc(300*time.Millisecond, signalled.Interrupt)
				require.Equal(t, 700*time.Millisecond, left(&signalled))
				time.AfterFunc(400*time.Millisecond, func() {
					if cpu != nil {
						cpu.Lock()
						defer cpu.Unlock()
					}
					queue.WakeUp()
				})
				require.Equal(t, 600*time.Millisecond, left(&woken))
				require.False(t, queue.Active())
			})
		})
	}
}
