package main

import (
	_ "embed"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 200 {
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, transcript, out.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestConsoleThatFails(t *testing.T) {
	require.EqualError(t, session(broken{}), "broken")
	goleak.VerifyNone(t)
}

// The waker comes before each of the waiter's steps. Only one of these moments
// loses the wake-up, and only in one loop.
func TestTheWindow(t *testing.T) {
	for _, test := range []struct {
		name   string
		waiter func(*event, *orders.Thread)
		woke   []int // by a wake-up before a step
		lost   int   // at which of them
	}{
		{"sleepOn", sleepOn, []int{0, 0}, 1},
		{"prepare", prepare, []int{0, 1, 1}, -1},
		{"waitEvent", waitEvent, []int{0, 1}, -1},
	} {
		for steps, woke := range test.woke {
			var e event
			th := orders.Go(func(th *orders.Thread) { test.waiter(&e, th) }, steps, e.waker)
			asleep := orders.Settle(th)
			require.Equal(t, steps == test.lost, asleep == 1, "%s after %d steps", test.name, steps)
			require.Equal(t, woke, e.woke, "%s after %d steps", test.name, steps)
			require.True(t, e.condition.Load())
			if asleep == 1 {
				require.Equal(t, waitqueue.Interruptible, th.Task.State())
				require.Equal(t, 1, e.queue.WakeUp(), "a stray one sets it free")
				require.Zero(t, orders.Settle(th))
			}
			require.False(t, e.queue.Active())
		}
	}
}

// search is inEveryOrder with another waker.
func search(waiter func(*event, *orders.Thread), waker func(*event, *orders.Thread)) orders.Result {
	return orders.Search(func(m *orders.Model) {
		var e event
		m.Thread("waiter", func(th *orders.Thread) { waiter(&e, th) })
		m.Thread("waker", func(th *orders.Thread) { waker(&e, th) })
	})
}

// The first answer of the README.
func TestWakeUpBeforeTheCondition(t *testing.T) {
	found := search(prepare, func(e *event, th *orders.Thread) {
		th.Step("wake_up")
		e.queue.WakeUp()
		th.Step("set condition")
		e.condition.Store(true)
	})
	require.Equal(t, orders.Result{Orders: 19, Bad: 8, Shortest: []string{
		"waker: wake_up",
		"waiter: queue myself",
		"waiter: test condition",
		"waiter: sleep",
		"waker: set condition",
		"HANG: waiter asleep",
	}}, found)
}

// The second answer: the loop of articles 1 and 2.
func TestSleepThenTest(t *testing.T) {
	found := search(func(e *event, th *orders.Thread) {
		wait := waitqueue.Entry{Task: &th.Task}
		e.queue.Add(&wait)
		for {
			th.Step("set state and sleep")
			th.Task.SetState(waitqueue.Interruptible)
			th.Schedule()
			if th.Test(e.condition.Load) {
				break
			}
		}
		e.queue.Remove(&wait)
	}, (*event).waker)
	require.Equal(t, orders.Result{Orders: 3, Bad: 1, Shortest: []string{
		"waker: set condition",
		"waker: wake_up",
		"waiter: set state and sleep",
		"HANG: waiter asleep",
	}}, found)
}
