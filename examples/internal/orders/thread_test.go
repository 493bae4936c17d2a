package orders_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/waitqueue"
)

// The window opens once, after the right number of steps.
func TestWindowIsBetweenTwoSteps(t *testing.T) {
	for after, want := range []string{"w012", "0w12", "01w2", "012"} {
		log := ""
		th := orders.Go(func(th *orders.Thread) {
			for step := range 3 {
				th.Step("")
				log += fmt.Sprint(step)
			}
		}, after, func(th *orders.Thread) {
			th.Step("no step here, and no window")
			log += "w"
		})
		require.Zero(t, orders.Settle(th))
		require.Equal(t, want, log)
	}
}

// Settle counts the threads that sleep. A second call counts the same, and both are true.
func TestSettle(t *testing.T) {
	for range 1000 {
		var queue waitqueue.Queue
		sleeps := 0
		run := func(th *orders.Thread) {
			wait := waitqueue.Entry{Task: &th.Task}
			for range 3 {
				queue.Prepare(&wait, waitqueue.Uninterruptible)
				th.Task.SetState(waitqueue.Running) // it seemed to sleep, and does not
				queue.Prepare(&wait, waitqueue.Uninterruptible)
				sleeps++ // a race if the test reads it before the thread sleeps
				th.Schedule()
			}
			queue.Finish(&wait)
		}
		th, ended := orders.Go(run, 0, nil), orders.Go(func(*orders.Thread) {}, 0, nil)
		for sleep := range 3 {
			require.Equal(t, 1, orders.Settle(ended, th))
			require.Equal(t, 1, orders.Settle(th, ended), "once more")
			require.Equal(t, sleep+1, sleeps)
			require.Equal(t, waitqueue.Uninterruptible, th.Task.State())
			require.Equal(t, 1, queue.WakeUp())
		}
		require.Zero(t, orders.Settle(th, ended))
		require.Zero(t, orders.Settle(th), "once more")
	}
}

// A thread that has announced a sleep does not sleep yet. This is so before its first sleep
// and after it.
func TestAnnouncedIsNotAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		th := orders.Go(func(th *orders.Thread) {
			for range 2 {
				th.Task.SetState(waitqueue.Uninterruptible)
				<-gate
				th.Schedule()
			}
		}, 0, nil)
		for range 2 {
			asleep := -1
			go func() { asleep = orders.Settle(th) }()
			synctest.Wait()
			require.Equal(t, waitqueue.Uninterruptible, th.Task.State())
			require.Equal(t, -1, asleep, "Settle waits")
			gate <- struct{}{}
			synctest.Wait()
			require.Equal(t, 1, asleep)
			th.Task.WakeUp(waitqueue.Normal)
			synctest.Wait()
		}
	})
}

// A thread that does not sleep need not be settled.
func TestScheduleThatReturnsAtOnce(t *testing.T) {
	ended := make(chan struct{})
	orders.Go(func(th *orders.Thread) {
		th.Schedule()
		close(ended)
	}, 0, nil)
	<-ended
}

// A thread that is woken before Settle has seen it asleep does not count as a sleeper.
func TestWokenBeforeItWasSettled(t *testing.T) {
	for range 1000 {
		announced := make(chan struct{})
		th := orders.Go(func(th *orders.Thread) {
			th.Task.SetState(waitqueue.Interruptible)
			close(announced)
			th.Schedule()
		}, 0, nil)
		<-announced
		th.Task.WakeUp(waitqueue.Normal)
		require.Zero(t, orders.Settle(th))
	}
}

// Settle counts two sleepers.
func TestSettleCounts(t *testing.T) {
	var queue waitqueue.Queue
	run := func(th *orders.Thread) {
		wait := waitqueue.Entry{Task: &th.Task}
		queue.PrepareExclusive(&wait, waitqueue.Interruptible)
		th.Schedule()
		queue.Finish(&wait)
	}
	a := orders.Go(run, 0, nil)
	require.Equal(t, 1, orders.Settle(a))
	b := orders.Go(run, 0, nil)
	require.Equal(t, 2, orders.Settle(a, b))
	require.Equal(t, 1, queue.WakeUp())
	require.Equal(t, 1, orders.Settle(a, b))
	require.Zero(t, orders.Settle(a), "the first waiter is woken first")
	b.Task.Interrupt()
	require.Zero(t, orders.Settle(a, b))
}
