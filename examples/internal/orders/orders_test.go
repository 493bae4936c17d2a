package orders_test

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/internal/models"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func lostWakeUp(m *explore.Model) {
	var queue waitqueue.Queue
	var ready atomic.Bool
	orders.Add(m, "waiter", func(th *orders.Thread) {
		wait := waitqueue.Entry{Task: &th.Task}
		for !th.Test(ready.Load) {
			th.Step("queue myself and sleep")
			queue.Prepare(&wait, waitqueue.Uninterruptible)
			th.Schedule()
			queue.Finish(&wait)
		}
	})
	orders.Add(m, "waker", func(th *orders.Thread) {
		th.Step("set condition")
		ready.Store(true)
		th.Step("wake_up")
		queue.WakeUp()
	})
}

func ExampleAdd() {
	fmt.Print(explore.Search{}.Run(lostWakeUp))
	// Output:
	// 5 orders, 1 bad, the simplest:
	//    1  waiter: test condition
	//    2  waker: set condition
	//    3  waker: wake_up
	//    4  waiter: queue myself and sleep
	// asleep: waiter
	// replay 1.2.2.1
}

func TestReplay(t *testing.T) {
	found := explore.Search{}.Run(lostWakeUp).Simplest
	again, err := explore.Search{}.Replay(found.Replay, lostWakeUp)
	require.NoError(t, err)
	require.Equal(t, *found, again)
}

// A player loses the wake-up, and types wrong keys on the way.
func TestPlay(t *testing.T) {
	var out strings.Builder
	keys := "1\n3\n2\n\n0\nwaker\n 2 \n2\n1\n"
	order, err := explore.Search{}.Play(strings.NewReader(keys), &out, lostWakeUp)
	require.NoError(t, err)
	require.Equal(t, "1.2.2.1", order.Replay)
	require.Equal(t, "asleep: waiter", order.Fault)
	const (
		test    = "   1  waiter: test condition\n"
		sleep   = "   1  waiter: queue myself and sleep\n"
		set     = "   2  waker: set condition\n"
		wake    = "   2  waker: wake_up\n"
		ask     = "Which goes on? "
		oneOf   = "One of these numbers: 1, 2\n"
		oneOnly = "One of these numbers: 1\n"
	)
	require.Equal(t, test+set+ask+
		sleep+set+ask+oneOf+sleep+set+ask+
		sleep+wake+ask+oneOf+sleep+wake+ask+oneOf+sleep+wake+ask+oneOf+sleep+wake+ask+
		sleep+ask+oneOnly+sleep+ask, out.String())
}

func TestPlayerLeaves(t *testing.T) {
	_, err := explore.Search{}.Play(strings.NewReader("1\n2\n"), io.Discard, lostWakeUp)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	goleak.VerifyNone(t)
}

// The threads of a model wait for an event.
type event struct {
	queue    waitqueue.Queue
	happened atomic.Bool
	token    waitqueue.Completion
}

type loop func(e *event, th *orders.Thread)

func testThenSleep(e *event, th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task}
	for !th.Test(e.happened.Load) {
		th.Step("queue myself and sleep")
		e.queue.Prepare(&wait, waitqueue.Uninterruptible)
		th.Schedule()
		e.queue.Finish(&wait)
	}
}

func queueThenTest(e *event, th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task}
	defer e.queue.Finish(&wait)
	for {
		th.Step("queue myself")
		e.queue.Prepare(&wait, waitqueue.Uninterruptible)
		if th.Test(e.happened.Load) {
			return
		}
		th.Step("sleep")
		th.Schedule()
	}
}

// article is the loop of the first article, which sleeps before it tests.
func article(e *event, th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task}
	e.queue.Add(&wait)
	defer e.queue.Remove(&wait)
	for {
		th.Step("set state")
		th.Task.SetState(waitqueue.Interruptible)
		th.Step("sleep")
		th.Schedule()
		if e.happened.Load() {
			return
		}
	}
}

// take leaves when it is interrupted, with or without a last test.
func take(lastTest bool) loop {
	return func(e *event, th *orders.Thread) {
		wait := waitqueue.Entry{Task: &th.Task}
		defer e.token.WaitQueue().Finish(&wait)
		for {
			th.Step("queue myself")
			e.token.WaitQueue().PrepareExclusive(&wait, waitqueue.Interruptible)
			if th.Test(e.token.TryWait) {
				return
			}
			th.Step("look for a signal, or sleep")
			if th.Task.Interrupted() {
				break
			}
			th.Schedule()
		}
		e.token.WaitQueue().Finish(&wait)
		if lastTest {
			th.Test(e.token.TryWait)
		}
	}
}

// An adder adds a thread to a model.
type adder func(m *explore.Model, name string, run func(*orders.Thread)) *orders.Thread

// A model has an event, and adds its threads.
type model func(m *explore.Model, e *event, add adder)

// oneEvent has waiters, and a waker.
func oneEvent(waiters int, l loop) model {
	return func(m *explore.Model, e *event, add adder) {
		for i := range waiters {
			add(m, fmt.Sprint("waiter ", i+1), func(th *orders.Thread) { l(e, th) })
		}
		add(m, "waker", func(th *orders.Thread) {
			th.Step("set condition")
			e.happened.Store(true)
			th.Step("wake_up")
			e.queue.WakeUp()
		})
	}
}

// oneToken has two threads that would take a token. One of them gets a signal.
func oneToken(l loop) model {
	return func(m *explore.Model, e *event, add adder) {
		a := add(m, "A", func(th *orders.Thread) { l(e, th) })
		add(m, "B", func(th *orders.Thread) { l(e, th) })
		m.Event("complete", e.token.Complete)
		m.Event("signal to A", a.Task.Interrupt)
		m.MaySleep("A", "B")
	}
}

// explored has search go through the orders of a model, and returns the sleepers at the
// end of each order too.
func (mo model) explored(search func(func(*explore.Model)) explore.Result, add adder) (found explore.Result, asleep []string) {
	found = search(func(m *explore.Model) {
		e := new(event)
		mo(m, e, add)
		m.Check(orders.Fault("the token is free", func() bool {
			asleep = append(asleep, strings.Join(m.Asleep(), ", "))
			return e.token.IsDone()
		}))
		m.Release(func() {
			e.happened.Store(true)
			e.queue.WakeUpAll()
			e.token.CompleteAll()
		})
	})
	return found, asleep
}

// A thread that sleeps as the state of its Task says comes to the same end, in each
// order, as one that really sleeps, in a test and in a program.
func TestSleepsAreReal(t *testing.T) {
	for _, test := range []struct {
		name        string
		orders, bad int
		model       model
	}{
		{"test, then sleep", 5, 1, oneEvent(1, testThenSleep)},
		{"queue, then test", 8, 0, oneEvent(1, queueThenTest)},
		{"sleep, then test", 6, 1, oneEvent(1, article)},
		{"test, then sleep, two of them", 82, 30, oneEvent(2, testThenSleep)},
		{"queue, then test, two of them", 990, 0, oneEvent(2, queueThenTest)},
		{"leave at a signal", 2727, 121, oneToken(take(false))},
		{"leave after a last test", 4498, 0, oneToken(take(true))},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.orders > 1000 && (testing.Short() || models.Race) {
				t.Skip("slow")
			}
			inTest := func(model func(*explore.Model)) explore.Result { return explore.Search{}.Find(t, model) }
			found, asleep := test.model.explored(explore.Search{}.Run, orders.Add)
			require.Equal(t, []int{test.orders, test.bad}, []int{found.Orders, found.Bad})
			for _, search := range []func(func(*explore.Model)) explore.Result{explore.Search{}.Run, inTest} {
				really, reallyAsleep := test.model.explored(search, orders.AddReal)
				require.Equal(t, found, really)
				require.Equal(t, asleep, reallyAsleep)
			}
		})
	}
}

// Woken threads run on to their next step at once. So do the threads that they wake, in any
// order of their numbers.
func TestWokenThreadsRunOn(t *testing.T) {
	require.Equal(t, explore.Result{Orders: 1}, explore.Search{}.Run(func(m *explore.Model) {
		var one, two, three waitqueue.Queue
		ran := ""
		sleeper := func(name string, queue *waitqueue.Queue, s waitqueue.State, wakes *waitqueue.Queue) {
			orders.Add(m, name, func(th *orders.Thread) {
				wait := waitqueue.Entry{Task: &th.Task}
				queue.Prepare(&wait, s)
				th.Schedule()
				queue.Finish(&wait)
				ran += name
				wakes.WakeUp()
			})
		}
		sleeper("a", &two, waitqueue.Interruptible, &three)
		sleeper("b", &one, waitqueue.Uninterruptible, &two)
		sleeper("c", &three, waitqueue.Interruptible, &one)
		m.Event("wake_up", func() { one.WakeUp() })
		m.Check(orders.Fault("another order", func() bool { return ran != "bac" }))
	}))
}

// An interrupt ends an interruptible sleep only, and a sleep that was undone is none.
func TestWhichSleeps(t *testing.T) {
	found := explore.Search{}.Run(func(m *explore.Model) {
		interrupted := func(name string, s waitqueue.State) {
			orders.Add(m, name, func(th *orders.Thread) {
				th.Task.Interrupt()
				th.Task.SetState(s)
				th.Schedule()
				require.Equal(t, waitqueue.Running, th.Task.State())
			})
		}
		interrupted("S", waitqueue.Interruptible)
		interrupted("D", waitqueue.Uninterruptible)
		interrupted("both", waitqueue.Normal)
		orders.Add(m, "undone", func(th *orders.Thread) {
			th.Task.SetState(waitqueue.Uninterruptible)
			th.Task.WakeUp(waitqueue.Normal)
			th.Schedule()
		})
		orders.Add(m, "unannounced", func(th *orders.Thread) { th.Schedule() })
	})
	require.Equal(t, "asleep: D", found.Simplest.Fault)
}
