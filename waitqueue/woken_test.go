package waitqueue_test

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A wake-up that comes while the task is awake makes the next Wait return at once,
// and only that one. Two such wake-ups count as one.
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

// unless and an interrupt keep an entry from sleeping.
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

// A copy would remember in the first one. Reflection stands for what go vet forbids.
func TestWokenEntryMustBeMade(t *testing.T) {
	const want = "waitqueue: a WokenEntry that NewWokenEntry has not made, or a copy of one"
	first := waitqueue.NewWokenEntry(new(waitqueue.Task))
	second := new(waitqueue.WokenEntry)
	reflect.ValueOf(second).Elem().Set(reflect.ValueOf(first).Elem())
	for _, e := range []*waitqueue.WokenEntry{new(waitqueue.WokenEntry), second} {
		require.PanicsWithValue(t, want, func() { e.Wait(waitqueue.Interruptible, time.Second, nil) })
	}
}
