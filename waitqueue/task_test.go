package waitqueue_test

import (
	"bytes"
	"context"
	"runtime/pprof"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

func TestOrderOfTheQueue(t *testing.T) {
	var q waitqueue.Queue
	var n1, n2, x1, x2 waitqueue.Task
	entries := map[*waitqueue.Task]*waitqueue.Entry{}
	for _, task := range []*waitqueue.Task{&x1, &n1, &x2, &n2} {
		entries[task] = &waitqueue.Entry{Task: task}
	}
	q.AddExclusive(entries[&x1])
	q.Add(entries[&n1])
	q.AddExclusive(entries[&x2])
	q.Add(entries[&n2])
	require.Equal(t, []*waitqueue.Task{&n2, &n1, &x1, &x2}, q.Entries())
	for _, step := range []struct {
		leaves *waitqueue.Task
		left   []*waitqueue.Task
	}{
		{&n1, []*waitqueue.Task{&n2, &x1, &x2}},
		{&x2, []*waitqueue.Task{&n2, &x1}},
		{&n2, []*waitqueue.Task{&x1}},
		{&x1, nil},
	} {
		require.True(t, q.Active())
		q.Remove(entries[step.leaves])
		q.Remove(entries[step.leaves]) // does nothing
		require.Equal(t, step.left, q.Entries())
	}
	require.False(t, q.Active())
}

func TestAddRefusesMisuse(t *testing.T) {
	var q, other waitqueue.Queue
	require.Panics(t, func() { q.Add(&waitqueue.Entry{}) })
	entry := waitqueue.Entry{Task: new(waitqueue.Task)}
	q.Add(&entry)
	require.Panics(t, func() { q.AddExclusive(&entry) })
	require.Panics(t, func() { other.Add(&entry) })
	other.Remove(&entry) // not there
	require.True(t, q.Active())
	require.False(t, other.Active())
	q.Remove(&entry)
	other.Add(&entry) // free again
	other.Remove(&entry)
}

// A task that is awake uses up no wake-up. An entry of Add stays on the queue.
func TestWakeUpSkipsWhoIsAwake(t *testing.T) {
	var q waitqueue.Queue
	var awake, s waitqueue.Task
	q.AddExclusive(&waitqueue.Entry{Task: &awake})
	q.AddExclusive(&waitqueue.Entry{Task: &s})
	s.SetState(waitqueue.Interruptible)
	require.Equal(t, 1, q.WakeUp())
	require.Equal(t, waitqueue.Running, s.State())
	require.Equal(t, 0, q.WakeUp(), "now both are awake")
	require.Len(t, q.Entries(), 2)
}

func TestScheduleOfWhoWasWokenDoesNotSleep(t *testing.T) {
	var task waitqueue.Task
	task.Schedule() // Running: nothing to wait for
	for _, s := range []waitqueue.State{waitqueue.Interruptible, waitqueue.Uninterruptible} {
		task.SetState(s)
		require.True(t, task.WakeUp(waitqueue.Normal))
		require.False(t, task.WakeUp(waitqueue.Normal), "awake already")
		task.Schedule()
		require.Equal(t, waitqueue.Running, task.State())
	}
}

func TestWakeUpGoesByTheMask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var task waitqueue.Task
		woke := make(chan waitqueue.State, 1)
		sleep := func(s waitqueue.State) {
			go func() {
				task.SetState(s)
				task.Schedule()
				woke <- s
			}()
			synctest.Wait()
			require.Equal(t, s, task.State())
		}
		sleep(waitqueue.Uninterruptible)
		require.False(t, task.WakeUp(waitqueue.Interruptible))
		require.True(t, task.WakeUp(waitqueue.Normal))
		<-woke
		sleep(waitqueue.Interruptible)
		require.False(t, task.WakeUp(waitqueue.Uninterruptible))
		require.True(t, task.WakeUp(waitqueue.Interruptible))
		<-woke
	})
}

func TestInterruptIsALevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var task waitqueue.Task
		result := asleep(func() error { return task.Wait(&q, never) })
		task.Interrupt()
		require.ErrorIs(t, <-result, syscall.EINTR)
		require.True(t, task.Interrupted())
		for range 3 {
			require.ErrorIs(t, task.Wait(&q, never), syscall.EINTR)
			require.ErrorIs(t, task.WaitExclusive(&q, never), syscall.EINTR)
			require.False(t, q.Active())
		}
		require.NoError(t, task.Wait(&q, func() bool { return true }), "a true condition beats it")

		task.ClearInterrupt()
		result = asleep(func() error { return task.Wait(&q, never) })
		require.False(t, ended(result))
		task.Interrupt()
		require.Error(t, <-result)
	})
}

// A task must not sleep if an interrupt comes while its condition is tested.
func TestInterruptBetweenTestAndSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		for window := 1; window <= 2; window++ {
			var task waitqueue.Task
			calls := 0
			err := task.Wait(&q, func() bool {
				if calls++; calls == window {
					task.Interrupt()
				}
				return false
			})
			require.ErrorIs(t, err, syscall.EINTR)
			require.False(t, q.Active())
		}
	})
}

func TestInterruptLeavesUninterruptibleSleepAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var task waitqueue.Task
		result := asleep(func() error {
			task.SetState(waitqueue.Uninterruptible)
			task.Schedule()
			return nil
		})
		task.Interrupt()
		require.False(t, ended(result))
		task.WakeUp(waitqueue.Normal)
		<-result

		result = asleep(func() error {
			task.SetState(waitqueue.Uninterruptible)
			task.Schedule()
			return nil
		})
		require.False(t, ended(result), "though the interrupt was set before")
		task.WakeUp(waitqueue.Normal)
		<-result

		task.SetState(waitqueue.Interruptible)
		task.Schedule() // does not sleep
		require.Equal(t, waitqueue.Running, task.State())
	})
}

// The task waits inside the condition of its own wait.
func TestConditionThatWaitsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var outer, inner waitqueue.Queue
		var task waitqueue.Task
		var a, b tokens
		result := asleep(func() error {
			return task.WaitExclusive(&outer, func() bool {
				return task.WaitExclusive(&inner, a.tryTake) == nil && b.tryTake()
			})
		})
		for range 2 {
			a.Store(1)
			require.Equal(t, 1, inner.WakeUp())
			require.False(t, ended(result))
		}
		b.Store(1)
		a.Store(1)
		outer.WakeUp()
		inner.WakeUp()
		require.NoError(t, <-result)
		require.False(t, outer.Active() || inner.Active())
	})
}

func TestScheduleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var task waitqueue.Task
		start := time.Now()

		task.SetState(waitqueue.Uninterruptible)
		require.Zero(t, task.ScheduleTimeout(time.Hour))
		require.Equal(t, time.Hour, time.Since(start))

		time.AfterFunc(time.Minute, func() { task.WakeUp(waitqueue.Normal) })
		task.SetState(waitqueue.Interruptible)
		require.Equal(t, 59*time.Minute, task.ScheduleTimeout(time.Hour))

		task.SetState(waitqueue.Interruptible)
		require.Zero(t, task.ScheduleTimeout(0))
		require.Equal(t, waitqueue.Running, task.State())
		require.Zero(t, task.ScheduleTimeout(-time.Hour))
		require.Equal(t, time.Hour, task.ScheduleTimeout(time.Hour), "Running: does not sleep")

		task.Interrupt()
		task.SetState(waitqueue.Interruptible)
		require.Equal(t, time.Hour, task.ScheduleTimeout(time.Hour))
	})
}

func TestStateLetters(t *testing.T) {
	require.Equal(t, "R", waitqueue.Running.String())
	require.Equal(t, "S", waitqueue.Interruptible.String())
	require.Equal(t, "D", waitqueue.Uninterruptible.String())
}

// Wchan names the queue in each way to wait, until the task has left the queue.
func TestWchanOfAnyLoop(t *testing.T) {
	q := waitqueue.Queue{Name: "pipe_wait"}
	for name, loop := range map[string]func(task *waitqueue.Task){
		"Wait": func(task *waitqueue.Task) {
			require.Error(t, task.Wait(&q, func() bool { return false }))
		},
		"Add": func(task *waitqueue.Task) {
			entry := waitqueue.Entry{Task: task}
			q.Add(&entry)
			task.SetState(waitqueue.Interruptible)
			task.Schedule()
			q.Remove(&entry)
		},
		"AddPriorityExclusive": func(task *waitqueue.Task) {
			entry := waitqueue.Entry{Task: task}
			require.NoError(t, q.AddPriorityExclusive(&entry))
			task.SetState(waitqueue.Interruptible)
			task.Schedule()
			q.Remove(&entry)
		},
		"Prepare": func(task *waitqueue.Task) {
			entry := waitqueue.Entry{Task: task}
			q.Prepare(&entry, waitqueue.Interruptible)
			task.Schedule()
			q.Finish(&entry)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var task waitqueue.Task
				go func() {
					loop(&task)
					task.ClearInterrupt()
					task.SetState(waitqueue.Interruptible)
					task.Schedule() // on no queue
				}()
				synctest.Wait()
				require.Equal(t, "pipe_wait", task.Wchan())
				task.Interrupt()
				synctest.Wait()
				require.Equal(t, waitqueue.Interruptible, task.State())
				require.Empty(t, task.Wchan())
				task.Interrupt()
			})
		})
	}
}

// A mask may have bits that are no state. These bits match no flag and no count in the word of
// a task.
func TestMaskOfAllBitsIsOfStatesOnly(t *testing.T) {
	var task waitqueue.Task
	task.Interrupt()
	require.False(t, task.WakeUp(^waitqueue.State(0)), "it is awake")
	task.SetState(waitqueue.Uninterruptible)
	require.True(t, task.WakeUp(^waitqueue.State(0)))
}

// A goroutine's profiler labels are its own, during a wait on a queue with a name
// and after it.
func TestWaitLeavesProfilerLabelsAlone(t *testing.T) {
	labelled := func() bool {
		var b bytes.Buffer
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&b, 1))
		return bytes.Contains(b.Bytes(), []byte(`"of the caller":"kept"`))
	}
	q := waitqueue.Queue{Name: "pipe_wait"}
	var task waitqueue.Task
	pprof.Do(t.Context(), pprof.Labels("of the caller", "kept"), func(ctx context.Context) {
		for name, wait := range map[string]func(func() bool) error{
			"plain": func(cond func() bool) error { return q.Wait(context.Background(), cond) },
			"ctx":   func(cond func() bool) error { return q.WaitExclusive(ctx, cond) },
			"task":  func(cond func() bool) error { return task.Wait(&q, cond) },
		} {
			tests := 0
			require.NoError(t, wait(func() bool {
				require.True(t, labelled(), name)
				tests++
				return tests == 2
			}))
			require.True(t, labelled(), name)
		}
	})
	require.False(t, labelled())
}

// A task in state Idle sleeps as in Uninterruptible, and shows I.
func TestIdleIsUninterruptible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var task waitqueue.Task
		go func() {
			task.SetState(waitqueue.Idle)
			task.Schedule()
		}()
		synctest.Wait()
		task.Interrupt()
		synctest.Wait()
		require.Equal(t, "I", task.State().String())
		require.False(t, task.WakeUp(waitqueue.Interruptible))
		require.True(t, task.WakeUp(waitqueue.Normal))
	})
}
