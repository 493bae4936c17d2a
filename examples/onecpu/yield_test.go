package onecpu_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/waitqueue"
)

// Three threads that yield take turns, in the order of the run queue.
func TestYieldTakesTurns(t *testing.T) {
	const rounds = 20
	want := slices.Repeat([]int{2, 1, 0}, rounds)
	for range 200 {
		var cpu onecpu.CPU
		var queue waitqueue.Queue
		var log []int
		done := make(chan bool)
		cpu.Lock()
		for n := range 3 {
			running := make(chan bool)
			go func() {
				defer func() { done <- true }()
				cpu.Lock()
				defer cpu.Unlock()
				close(running)
				var task waitqueue.Task
				wait := waitqueue.Entry{Task: &task, Func: cpu.Enqueue}
				queue.Prepare(&wait, waitqueue.Uninterruptible)
				cpu.Schedule(&task)
				queue.Finish(&wait)
				for range rounds {
					log = append(log, n)
					cpu.Yield()
				}
			}()
			cpu.Sleep(func() { <-running })
		}
		require.Equal(t, 3, queue.WakeUpAll()) // the last to come is the first
		cpu.Sleep(func() {
			for range 3 {
				<-done
			}
		})
		require.Equal(t, want, log)
		cpu.Unlock()
	}
}

func TestYieldWithNobodyElse(t *testing.T) {
	var cpu onecpu.CPU
	cpu.Lock()
	cpu.Yield()
	cpu.Unlock()
	require.Panics(t, cpu.Unlock, "it is idle")
}
