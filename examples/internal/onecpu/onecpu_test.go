package onecpu_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/onecpu"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// While one sleeps the other runs. A wake-up makes the first ready, but it
// runs only when the other gives up the CPU.
func TestWakeUpDoesNotPreempt(t *testing.T) {
	for range 1000 {
		synctest.Test(t, func(t *testing.T) {
			var cpu onecpu.CPU
			var task waitqueue.Task
			var log []string
			ended := make(chan bool)
			go func() {
				cpu.Lock()
				defer cpu.Unlock()
				log = append(log, "sleeper sleeps")
				task.SetState(waitqueue.Uninterruptible)
				cpu.Sleep(task.Schedule)
				log = append(log, "sleeper runs")
				close(ended)
			}()
			synctest.Wait()
			cpu.Lock()
			log = append(log, "waker wakes it")
			task.WakeUp(waitqueue.Normal)
			log = append(log, "waker runs on")
			cpu.Unlock()
			<-ended
			require.Equal(t, []string{"sleeper sleeps", "waker wakes it", "waker runs on", "sleeper runs"}, log)
		})
	}
}

func TestCPUIsTakenBackThoughTheSleepPanics(t *testing.T) {
	var cpu onecpu.CPU
	cpu.Lock()
	require.Panics(t, func() { cpu.Sleep(func() { panic("in the sleep") }) })
	require.False(t, cpu.TryLock())
	cpu.Unlock()
}
