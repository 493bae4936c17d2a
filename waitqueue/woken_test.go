package waitqueue_test

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A wake-up comes while the task is awake. Only the next Wait returns at once. Two such
// wake-ups count as one.
func TestWokenEntryRemembersOneWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		e := waitqueue.NewWokenEntry(new(waitqueue.Task))
		q.Add(&e.Entry)
		require.Zero(t, q.WakeUp(), "the task is awake")
		require.Zero(t, q.WakeUp())
		start := time.Now()
		require.Equal(t, time.Second, e.Wait(waitqueue.Interruptible, time.Second, nil))
		require.Zero(t, time.Since(start))
		require.Zero(t, e.Wait(waitqueue.Interruptible, time.Second, nil), "nothing is remembered any more")
		require.Equal(t, time.Second, time.Since(start))
		q.Remove(&e.Entry)
		require.False(t, q.Active())
	})
}

// A wake-up through the queue ends the sleep and is not remembered. The entry stays
// on the queue.
func TestWokenEntryIsWokenAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		e := waitqueue.NewWokenEntry(new(waitqueue.Task))
		q.Add(&e.Entry)
		left := make(chan time.Duration)
		go func() {
			left <- e.Wait(waitqueue.Uninterruptible, time.Minute, nil)
			left <- e.Wait(waitqueue.Uninterruptible, time.Second, nil)
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, waitqueue.Uninterruptible, e.Task.State())
		require.Equal(t, 1, q.WakeUp())
		require.Equal(t, 59*time.Second, <-left)
		require.Zero(t, <-left)
		require.True(t, q.Active())
	})
}

// If unless returns true, or an interrupt is set, Wait does not sleep.
func TestWokenEntryDoesNotSleep(t *testing.T) {
	task := new(waitqueue.Task)
	e := waitqueue.NewWokenEntry(task)
	announced := waitqueue.Running
	left := e.Wait(waitqueue.Uninterruptible, time.Hour, func() bool {
		announced = task.State()
		return true
	})
	require.Equal(t, time.Hour, left)
	require.Equal(t, waitqueue.Uninterruptible, announced, "a wake-up after the look undoes the sleep")
	require.Equal(t, waitqueue.Running, task.State())
	task.Interrupt()
	require.Positive(t, e.Wait(waitqueue.Interruptible, time.Hour, nil))
}

// The wake function of a copy would set the flag of the first entry. The test copies by
// reflection, because vet forbids an assignment.
func TestWokenEntryMustBeMade(t *testing.T) {
	const want = "waitqueue: a WokenEntry that NewWokenEntry has not made, or a copy of one"
	first := waitqueue.NewWokenEntry(new(waitqueue.Task))
	second := new(waitqueue.WokenEntry)
	reflect.ValueOf(second).Elem().Set(reflect.ValueOf(first).Elem())
	for _, e := range []*waitqueue.WokenEntry{new(waitqueue.WokenEntry), second} {
		require.PanicsWithValue(t, want, func() { e.Wait(waitqueue.Interruptible, time.Second, nil) })
	}
}
