package onecpu_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// While one thread sleeps, the other runs. A wake-up makes the first ready, but
// it runs only when the other gives up the CPU.
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
	cpu.Unlock()
	require.Panics(t, cpu.Unlock, "it is idle")
}

// One wake-up wakes ten threads. They run in the order in which it finds them: the
// last to come is the first. A thread that comes later runs after them.
func TestWokenRunInTheOrderOfTheWalk(t *testing.T) {
	for range 200 {
		var cpu onecpu.CPU
		var queue waitqueue.Queue
		var log []int
		var all sync.WaitGroup
		cpu.Lock()
		for n := range 10 {
			running := make(chan bool)
			all.Go(func() {
				cpu.Lock()
				defer cpu.Unlock()
				close(running)
				var task waitqueue.Task
				wait := waitqueue.Entry{Task: &task, Func: cpu.Enqueue}
				queue.Add(&wait)
				task.SetState(waitqueue.Uninterruptible)
				cpu.Schedule(&task)
				queue.Remove(&wait)
				log = append(log, n)
			})
			cpu.Sleep(func() { <-running })
		}
		require.Equal(t, 10, queue.WakeUpAll())
		require.Zero(t, queue.WakeUpAll(), "they are awake already")
		cpu.Unlock()
		cpu.Lock() // comes later
		require.Equal(t, []int{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, log)
		cpu.Unlock()
		all.Wait()
	}
}

// A sleeper that is woken without the wake function has no place, and goes to
// the end.
func TestSleeperWithoutAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cpu onecpu.CPU
		var task waitqueue.Task
		var log []string
		go func() {
			cpu.Lock()
			defer cpu.Unlock()
			task.SetState(waitqueue.Interruptible)
			cpu.Schedule(&task)
			log = append(log, "sleeper")
		}()
		synctest.Wait()
		cpu.Lock()
		go func() {
			cpu.Lock()
			defer cpu.Unlock()
			log = append(log, "other")
		}()
		synctest.Wait()
		task.Interrupt()
		synctest.Wait()
		cpu.Unlock()
		synctest.Wait()
		require.Equal(t, []string{"other", "sleeper"}, log)
	})
}
