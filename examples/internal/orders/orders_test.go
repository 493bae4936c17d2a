package orders_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/internal/explore"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ExampleSearch() {
	fmt.Print(orders.Search(func(m *orders.Model) {
		var queue waitqueue.Queue
		var ready atomic.Bool
		m.Thread("waiter", func(th *orders.Thread) {
			wait := waitqueue.Entry{Task: &th.Task}
			for !th.Test(ready.Load) {
				th.Step("queue myself and sleep")
				queue.Prepare(&wait, waitqueue.Uninterruptible)
				th.Schedule()
				queue.Finish(&wait)
			}
		})
		m.Thread("waker", func(th *orders.Thread) {
			th.Step("set condition")
			ready.Store(true)
			th.Step("wake_up")
			queue.WakeUp()
		})
	}))
	// Output:
	// 5 orders, 1 bad, the shortest:
	//   waiter: test condition
	//   waker: set condition
	//   waker: wake_up
	//   waiter: queue myself and sleep
	//   HANG: waiter asleep
}

// A thread is what loops need of a thread of either explorer.
type thread struct {
	task     *waitqueue.Task
	step     func(name string)
	schedule func()
}

// An event is what they wait for, and how the end of an order is judged.
type event struct {
	queue      waitqueue.Queue
	happened   atomic.Bool
	token      waitqueue.Completion
	consumable bool
}

func (e *event) wrong(asleep []string) bool {
	return len(asleep) > 0 && (!e.consumable || e.token.Done())
}

type loop func(e *event, th thread)

func testThenSleep(e *event, th thread) {
	wait := waitqueue.Entry{Task: th.task}
	for {
		th.step("test condition")
		if e.happened.Load() {
			return
		}
		th.step("queue myself and sleep")
		e.queue.Prepare(&wait, waitqueue.Uninterruptible)
		th.schedule()
		e.queue.Finish(&wait)
	}
}

func queueThenTest(e *event, th thread) {
	wait := waitqueue.Entry{Task: th.task}
	defer e.queue.Finish(&wait)
	for {
		th.step("queue myself")
		e.queue.Prepare(&wait, waitqueue.Uninterruptible)
		th.step("test condition")
		if e.happened.Load() {
			return
		}
		th.step("sleep")
		th.schedule()
	}
}

// article is the loop of the first article, which sleeps before it tests.
func article(e *event, th thread) {
	wait := waitqueue.Entry{Task: th.task}
	e.queue.Add(&wait)
	defer e.queue.Remove(&wait)
	for {
		th.step("set state")
		th.task.SetState(waitqueue.Interruptible)
		th.step("sleep")
		th.schedule()
		if e.happened.Load() {
			return
		}
	}
}

// take leaves when it is interrupted, with or without a last test.
func take(lastTest bool) loop {
	return func(e *event, th thread) {
		wait := waitqueue.Entry{Task: th.task}
		for {
			th.step("queue myself")
			e.token.Queue().PrepareExclusive(&wait, waitqueue.Interruptible)
			th.step("test condition")
			if e.token.TryWait() {
				e.token.Queue().Finish(&wait)
				return
			}
			th.step("look for a signal, or sleep")
			if th.task.Interrupted() {
				break
			}
			th.schedule()
		}
		e.token.Queue().Finish(&wait)
		if lastTest {
			th.step("test condition")
			e.token.TryWait()
		}
	}
}

// A way is one explorer's way to make a thread, to be run later.
type way func(name string, run func(thread))

// oneEvent has waiters, and one who wakes them.
func oneEvent(waiters int, l loop) func(*event, way) {
	return func(e *event, add way) {
		for i := range waiters {
			add(fmt.Sprint("waiter ", i+1), func(th thread) { l(e, th) })
		}
		add("waker", func(th thread) {
			th.step("set condition")
			e.happened.Store(true)
			th.step("wake_up")
			e.queue.WakeUp()
		})
	}
}

// oneToken has two who would take a token, of whom one gets a signal.
func oneToken(l loop) func(*event, way) {
	return func(e *event, add way) {
		e.consumable = true
		var signalled *waitqueue.Task
		add("A", func(th thread) {
			signalled = th.task
			l(e, th)
		})
		add("B", func(th thread) { l(e, th) })
		add("waker", func(th thread) {
			th.step("complete")
			e.token.Complete()
		})
		add("signal", func(th thread) {
			th.step("to A")
			signalled.Interrupt()
		})
	}
}

// The other explorer has threads that really sleep, and learns from synctest
// whether they do. Both have to find the same orders and the same bad ones.
func TestSleepsAreReal(t *testing.T) {
	real := explore.Explorer{SetYield: func(func(string)) {}}
	for _, test := range []struct {
		name   string
		orders int
		bad    int
		model  func(*event, way)
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
			if test.orders > 1000 && (testing.Short() || explore.Race) {
				t.Skip("takes its time")
			}
			found := orders.Search(func(m *orders.Model) {
				var e event
				test.model(&e, func(name string, run func(thread)) {
					m.Thread(name, func(th *orders.Thread) { run(thread{&th.Task, th.Step, th.Schedule}) })
				})
				m.Wrong = e.wrong
			})
			require.Equal(t, []int{test.orders, test.bad}, []int{found.Orders, found.Bad})
			explored, bad, first := real.Search(t, "", func(_ *testing.T, s *explore.Schedule) {
				e := new(event)
				test.model(e, func(name string, run func(thread)) {
					s.Thread(name, func(th *explore.Thread) {
						task := new(waitqueue.Task)
						run(thread{task, th.At, task.Schedule})
					})
				})
				s.Wrong = func() string {
					if e.wrong(s.Asleep()) {
						return "HANG"
					}
					return ""
				}
				s.Release = func() {
					e.happened.Store(true)
					e.queue.WakeUpAll()
					e.token.CompleteAll()
				}
			})
			require.Equal(t, []int{found.Orders, found.Bad}, []int{explored, bad}, first)
			if bad == 1 {
				text := ""
				for i, line := range found.Shortest[:len(found.Shortest)-1] {
					text += fmt.Sprintf("%2d %s\n", i+1, line)
				}
				require.Contains(t, first, text)
			}
		})
	}
}

// The first order that is tried is bad, too, and longer. Two are as short as
// the third.
func TestShortestIsNotTheFirst(t *testing.T) {
	found := orders.Search(func(m *orders.Model) {
		told := false
		m.Thread("talker", func(th *orders.Thread) {
			for i := 0; i < 3 && !told; i++ {
				th.Step(fmt.Sprint("word ", i+1))
			}
		})
		m.Event("other", "interrupt", func() { told = true })
		m.Wrong = func([]string) bool { return true }
	})
	require.Equal(t, 4, found.Orders)
	require.Equal(t, 4, found.Bad)
	require.Equal(t, []string{"other: interrupt", "talker: word 1", "WRONG"}, found.Shortest)
}

// Two threads of three steps can take them in 20 orders: 6 over 3.
func TestEachOrderOnce(t *testing.T) {
	seen := map[string]int{}
	found := orders.Search(func(m *orders.Model) {
		log := ""
		for _, name := range []string{"a", "b"} {
			m.Thread(name, func(th *orders.Thread) {
				for range 3 {
					th.Step("")
					log += name
				}
			})
		}
		m.Wrong = func([]string) bool {
			seen[log]++
			return log == "bbbaaa"
		}
	})
	require.Equal(t, 20, found.Orders)
	require.Len(t, seen, 20)
	for log, times := range seen {
		require.Equal(t, 1, times, log)
	}
	require.Equal(t, 1, found.Bad)
	require.Equal(t, []string{"b: ", "b: ", "b: ", "a: ", "a: ", "a: ", "WRONG"}, found.Shortest, "the last that is tried")
}

func sleeper(queue *waitqueue.Queue, s waitqueue.State, next func()) func(*orders.Thread) {
	return func(th *orders.Thread) {
		wait := waitqueue.Entry{Task: &th.Task}
		queue.Prepare(&wait, s)
		th.Schedule()
		queue.Finish(&wait)
		next()
	}
}

// One who is woken runs on to its next step at once, and so does one that it
// wakes, whichever was added first.
func TestWokenRunOn(t *testing.T) {
	found := orders.Search(func(m *orders.Model) {
		var one, two, three waitqueue.Queue
		ran := ""
		m.Thread("a", sleeper(&two, waitqueue.Interruptible, func() { ran += "a"; three.WakeUp() }))
		m.Thread("b", sleeper(&one, waitqueue.Uninterruptible, func() { ran += "b"; two.WakeUp() }))
		m.Thread("c", sleeper(&three, waitqueue.Interruptible, func() { ran += "c" }))
		m.Event("waker", "wake_up", func() { one.WakeUp() })
		m.Wrong = func(asleep []string) bool { return asleep != nil || ran != "bac" }
	})
	require.Equal(t, orders.Result{Orders: 1}, found)
}

// An interrupt ends an interruptible sleep only, and a sleep that was undone
// is none.
func TestWhoSleeps(t *testing.T) {
	var found []string
	orders.Search(func(m *orders.Model) {
		interrupted := func(s waitqueue.State) func(*orders.Thread) {
			return func(th *orders.Thread) {
				th.Task.Interrupt()
				th.Task.SetState(s)
				th.Schedule()
				require.Equal(t, waitqueue.Running, th.Task.State())
			}
		}
		m.Thread("S", interrupted(waitqueue.Interruptible))
		m.Thread("D", interrupted(waitqueue.Uninterruptible))
		m.Thread("both", interrupted(waitqueue.Normal))
		m.Thread("undone", func(th *orders.Thread) {
			th.Task.SetState(waitqueue.Uninterruptible)
			th.Task.WakeUp(waitqueue.Normal)
			th.Schedule()
		})
		m.Thread("unannounced", func(th *orders.Thread) { th.Schedule() })
		m.Wrong = func(asleep []string) bool {
			found = asleep
			return false
		}
	})
	require.Equal(t, []string{"D"}, found)
}

// Whoever sleeps at the end, or stands before a step when another panics, is
// made to end, and its deferred calls are made.
func TestNobodyIsLeft(t *testing.T) {
	const sleepers = 3
	cleanedUp := 0
	search := func(happen func()) func() {
		return func() {
			orders.Search(func(m *orders.Model) {
				var queue waitqueue.Queue
				for i := range sleepers {
					m.Thread(fmt.Sprint(i), func(th *orders.Thread) {
						defer func() {
							cleanedUp++
							th.Step("too late")
							t.Error("went on")
						}()
						sleeper(&queue, waitqueue.Interruptible, func() {})(th)
					})
				}
				m.Event("last", "happens", happen)
			})
		}
	}
	search(func() {})()
	require.Equal(t, sleepers, cleanedUp)
	require.PanicsWithValue(t, "a thread's own", search(func() { panic("a thread's own") }))
	require.Equal(t, 2*sleepers, cleanedUp)
	goleak.VerifyNone(t)
}

func TestNoEnd(t *testing.T) {
	require.PanicsWithValue(t, "orders: there is no end to an order", func() {
		orders.Search(func(m *orders.Model) {
			m.Thread("runs wild", func(th *orders.Thread) {
				for {
					th.Step("on and on")
				}
			})
		})
	})
}

func TestModelThatIsNotTheSameAgain(t *testing.T) {
	times := 0
	require.PanicsWithValue(t, "orders: a model that is repeated acts differently", func() {
		orders.Search(func(m *orders.Model) {
			times++
			for i := range 2 + times {
				m.Event(fmt.Sprint(i), "happens", func() {})
			}
		})
	})
}

func TestResultShowsItself(t *testing.T) {
	require.Equal(t, "8 orders, 0 bad\n", orders.Result{Orders: 8}.String())
	found := orders.Search(func(m *orders.Model) {
		var queue waitqueue.Queue
		m.Thread("A", sleeper(&queue, waitqueue.Interruptible, func() {}))
		m.Thread("B", sleeper(&queue, waitqueue.Interruptible, func() {}))
		m.Event("one", "happens", func() {})
		m.Event("two", "happens", func() {})
	})
	require.Equal(t, "2 orders, 2 bad, the shortest:\n  one: happens\n  two: happens\n  HANG: A, B asleep\n", found.String())
}
