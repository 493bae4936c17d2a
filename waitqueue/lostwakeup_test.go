package waitqueue_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// oldLoop is the wait loop of the first article. It sleeps before it tests. It calls window
// with a number before each step.
func oldLoop(task *waitqueue.Task, q *waitqueue.Queue, event *atomic.Int32, window func(step int)) {
	entry := waitqueue.Entry{Task: task} // DECLARE_WAITQUEUE(wait, current)
	q.Add(&entry)                        // add_wait_queue(&myevent_waitqueue, &wait)
	for {
		window(1)
		task.SetState(waitqueue.Interruptible) // set_current_state(TASK_INTERRUPTIBLE)
		window(2)
		task.Schedule() // schedule()
		if event.Load() != 0 {
			break
		}
	}
	task.SetState(waitqueue.Running) // set_current_state(TASK_RUNNING)
	q.Remove(&entry)                 // remove_wait_queue(&myevent_waitqueue, &wait)
}

// rightLoop has the same steps, with the test between the announcement and
// the sleep.
func rightLoop(task *waitqueue.Task, q *waitqueue.Queue, event *atomic.Int32, window func(step int)) {
	entry := waitqueue.Entry{Task: task}
	window(0)
	q.Add(&entry)
	for {
		window(1)
		task.SetState(waitqueue.Interruptible)
		window(2)
		if event.Load() != 0 {
			break
		}
		window(3)
		task.Schedule()
	}
	task.SetState(waitqueue.Running)
	q.Remove(&entry)
}

// post is the monitor.
func post(q *waitqueue.Queue, event *atomic.Int32) int {
	event.Store(9527)
	return q.WakeUpInterruptible()
}

func TestOldLoopLosesTheWakeUpEveryTime(t *testing.T) {
	for range 1000 {
		synctest.Test(t, func(t *testing.T) {
			var task waitqueue.Task
			var q waitqueue.Queue
			var event atomic.Int32
			woke := -1
			result := asleep(func() error {
				oldLoop(&task, &q, &event, func(step int) {
					if step == 1 && woke < 0 {
						woke = post(&q, &event)
					}
				})
				return nil
			})
			require.False(t, ended(result), "the event is there, and nobody will ever come")
			require.Equal(t, waitqueue.Interruptible, task.State())
			require.Equal(t, int32(9527), event.Load())
			require.Equal(t, 0, woke, "the wake-up found a running task")

			require.Equal(t, 1, q.WakeUp(), "a stray one sets it free")
			<-result
		})
	}
}

// The test above knows the bad order. The explorer finds it by itself.
func TestOldLoopHasABadOrder(t *testing.T) {
	old := explore.Search{}.Find(t, helperAndMonitor(oldLoop))
	require.Equal(t, []int{3, 1, 0}, []int{old.Orders, old.Bad, old.LeftOut})
	require.Equal(t, []string{"monitor: post and wake", "helper: step 1", "helper: step 2"}, old.Simplest.Steps)
	require.Equal(t, "asleep: helper", old.Simplest.Fault)
}

// helperAndMonitor is a model of a loop that waits for the event, and of its waker.
func helperAndMonitor(loop func(*waitqueue.Task, *waitqueue.Queue, *atomic.Int32, func(int))) func(*explore.Model) {
	return func(m *explore.Model) {
		var q waitqueue.Queue
		var event atomic.Int32
		m.Go("helper", func(th *explore.Thread) {
			loop(new(waitqueue.Task), &q, &event, func(step int) { th.Step(fmt.Sprintf("step %d", step)) })
		})
		m.Go("monitor", func(th *explore.Thread) {
			th.Step("post and wake")
			post(&q, &event)
		})
		m.Release(func() { q.WakeUp() })
	}
}

func TestRightLoopNeverLosesTheWakeUp(t *testing.T) {
	for step := range 4 {
		for range 250 {
			synctest.Test(t, func(t *testing.T) {
				var task waitqueue.Task
				var q waitqueue.Queue
				var event atomic.Int32
				result := asleep(func() error {
					rightLoop(&task, &q, &event, func(s int) {
						if s == step {
							post(&q, &event)
						}
					})
					return nil
				})
				require.True(t, ended(result), "posted before step %d", step)
				require.False(t, q.Active())
			})
		}
	}
}
