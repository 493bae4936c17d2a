package explore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A wait loop waits for an event: that it happened, or a token.
type event struct {
	queue    waitqueue.Queue
	happened atomic.Bool
	token    waitqueue.Completion
}

// A loop waits for an event.
type loop func(e *event, th *explore.Thread, task *waitqueue.Task)

func testThenSleep(e *event, th *explore.Thread, task *waitqueue.Task) {
	wait := waitqueue.Entry{Task: task}
	for {
		th.Step("test condition")
		if e.happened.Load() {
			return
		}
		th.Step("queue myself and sleep")
		e.queue.Prepare(&wait, waitqueue.Uninterruptible)
		task.Schedule()
		e.queue.Finish(&wait)
	}
}

func queueThenTest(e *event, th *explore.Thread, task *waitqueue.Task) {
	wait := waitqueue.Entry{Task: task}
	defer e.queue.Finish(&wait)
	for {
		th.Step("queue myself")
		e.queue.Prepare(&wait, waitqueue.Uninterruptible)
		th.Step("test condition")
		if e.happened.Load() {
			return
		}
		th.Step("sleep")
		task.Schedule()
	}
}

// sleepThenTest is the loop of the first article.
func sleepThenTest(e *event, th *explore.Thread, task *waitqueue.Task) {
	wait := waitqueue.Entry{Task: task}
	e.queue.Add(&wait)
	defer e.queue.Remove(&wait)
	for {
		th.Step("set state")
		task.SetState(waitqueue.Interruptible)
		th.Step("sleep")
		task.Schedule()
		if e.happened.Load() {
			return
		}
	}
}

// take leaves when it is interrupted, with or without a last test.
func take(lastTest bool) loop {
	return func(e *event, th *explore.Thread, task *waitqueue.Task) {
		wait := waitqueue.Entry{Task: task}
		for {
			th.Step("queue myself")
			e.token.WaitQueue().PrepareExclusive(&wait, waitqueue.Interruptible)
			th.Step("test condition")
			if e.token.TryWait() {
				e.token.WaitQueue().Finish(&wait)
				return
			}
			th.Step("look for a signal, or sleep")
			if task.Interrupted() {
				break
			}
			task.Schedule()
		}
		e.token.WaitQueue().Finish(&wait)
		if lastTest {
			th.Step("test condition")
			e.token.TryWait()
		}
	}
}

// oneEvent has waiters, and one waker.
func oneEvent(waiters int, l loop) func(m *explore.Model) {
	return func(m *explore.Model) {
		e := new(event)
		for i := range waiters {
			m.Go(fmt.Sprint("waiter ", i+1), func(th *explore.Thread) { l(e, th, new(waitqueue.Task)) })
		}
		m.Go("waker", func(th *explore.Thread) {
			th.Step("set condition")
			e.happened.Store(true)
			th.Step("wake_up")
			e.queue.WakeUp()
		})
		m.Release(func() { e.queue.WakeUpAll() })
	}
}

// oneToken has two goroutines that would take a token. One of them gets a signal. The other
// one may sleep if the token is gone.
func oneToken(l loop) func(m *explore.Model) {
	return func(m *explore.Model) {
		e := new(event)
		signalled := new(waitqueue.Task)
		m.Go("A", func(th *explore.Thread) { l(e, th, signalled) })
		m.Go("B", func(th *explore.Thread) { l(e, th, new(waitqueue.Task)) })
		m.Event("complete", e.token.Complete)
		m.Event("signal to A", signalled.Interrupt)
		m.MaySleep("A", "B")
		m.Check(func() error { return isWrong(len(m.Asleep()) > 0 && e.token.IsDone()) })
		m.Release(e.token.CompleteAll)
	}
}

// An earlier explorer, in which threads did not really sleep, had the same counts.
func TestWaitLoops(t *testing.T) {
	for _, c := range []struct {
		name        string
		model       func(m *explore.Model)
		orders, bad int
	}{
		{"test, then sleep", oneEvent(1, testThenSleep), 5, 1},
		{"queue, then test", oneEvent(1, queueThenTest), 8, 0},
		{"sleep, then test", oneEvent(1, sleepThenTest), 6, 1},
		{"test, then sleep, two of them", oneEvent(2, testThenSleep), 82, 30},
		{"queue, then test, two of them", oneEvent(2, queueThenTest), 990, 0},
		{"leave at a signal", oneToken(take(false)), 2727, 121},
		{"leave after a last test", oneToken(take(true)), 4498, 0},
	} {
		if testing.Short() && c.orders > 1000 {
			continue
		}
		r := full.Find(t, c.model)
		require.Equal(t, []int{c.orders, c.bad}, []int{r.Orders, r.Bad}, c.name)
		if c.orders < 100 {
			r = full.Run(c.model)
			require.Equal(t, []int{c.orders, c.bad}, []int{r.Orders, r.Bad}, c.name)
		}
	}
}

func TestSimplestOfAWaitLoop(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, oneEvent(1, testThenSleep))
		require.Equal(t, `5 orders, 1 bad, the simplest:
   1  waiter 1: test condition
   2  waker: set condition
   3  waker: wake_up
   4  waiter 1: queue myself and sleep
asleep: waiter 1
replay 1.2.2.1
`, r.String())
	})
}
