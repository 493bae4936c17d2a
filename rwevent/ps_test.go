package rwevent_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

// The name of a queue is the wait channel of each waiter that has a task.
func TestPsShowsTheNameOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pair
		p.slot.WaitQueue().Name = "trouble"
		p.table.WaitQueue().Name = "trouble"
		for name, wait := range p.waitsBy() {
			var task waitqueue.Task
			over := make(chan error)
			go func() { over <- wait(&task) }()
			synctest.Wait()
			require.Equal(t, "trouble", task.Wchan(), name)
			task.Interrupt()
			require.Error(t, <-over)
			require.Empty(t, task.Wchan(), name)
		}
	})
}

// The doc of Slot.WaitQueue shows these lines.
func TestPsOfATable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trouble rwevent.Table[string, string]
		trouble.WaitQueue().Name = "trouble"
		thread := kthread.Run("handler", func(cur *kthread.Current) (end error) {
			for range trouble.TakesBy(cur, &end) {
			}
			return end
		})
		synctest.Wait()
		shown := kthread.Tasks().String()
		require.Equal(t, kthread.ErrStopped, thread.Stop())
		require.Regexp(t, `^ *PID S ELAPSED WAKE-UPS WCHAN           COMMAND\n *\d+ S      0s        1 trouble         \[handler\]\n$`, shown)
	})
}
