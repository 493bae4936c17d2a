package waitqueue_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A WakeMask with a budget of 0 wakes all waiters of each kind, as __wake_up does. WakeUpN
// with a budget of 0 wakes no exclusive waiter.
func TestWakeWithoutABudgetWakesAll(t *testing.T) {
	for _, key := range []any{nil, "key"} {
		for _, n := range []int{0, -1, -1 << 30, math.MaxInt} {
			var q waitqueue.Queue
			tasks := make([]waitqueue.Task, 4)
			for i := range tasks {
				tasks[i].SetState(waitqueue.Interruptible)
			}
			require.NoError(t, q.AddPriorityExclusive(&waitqueue.Entry{Task: &tasks[0]}))
			q.Add(&waitqueue.Entry{Task: &tasks[1]})
			q.AddExclusive(&waitqueue.Entry{Task: &tasks[2]})
			q.AddExclusive(&waitqueue.Entry{Task: &tasks[3]})
			require.Equal(t, 1, q.WakeUpN(min(0, n)), "the ordinary one")
			tasks[1].SetState(waitqueue.Interruptible)
			require.Equal(t, 4, q.WakeMask(waitqueue.Normal, n, key))
		}
	}
}

// The same for a sole waiter in its Wait, for which wake has a shorter path.
func TestWakeWithoutABudgetWakesASoleExclusiveWaiter(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q waitqueue.Queue
		for _, n := range []int{0, -3} {
			var tok tokens
			result := asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) })
			tok.Store(1)
			require.Zero(t, q.WakeUpN(n))
			require.False(t, ended(result))
			require.Equal(t, 1, q.WakeMask(waitqueue.Normal, n, nil))
			require.NoError(t, <-result)
		}
	})
}

// A scene is a queue with some entries, each with a task that is about to sleep.
type scene struct {
	q       waitqueue.Queue
	tasks   [3]waitqueue.Task
	entries [3]waitqueue.Entry
}

func newScene() *scene {
	s := new(scene)
	for i := range s.entries {
		s.entries[i].Task = &s.tasks[i]
	}
	return s
}

// wake has all tasks announce a sleep, and returns which of them a wake-up with
// a budget of n wakes.
func (s *scene) wake(n int) (woken []int) {
	for i := range s.tasks {
		s.tasks[i].SetState(waitqueue.Interruptible)
	}
	s.q.WakeUpN(n)
	for i := range s.tasks {
		if s.tasks[i].State() == waitqueue.Running {
			woken = append(woken, i)
		}
	}
	return woken
}

// Prepare makes a queued entry ordinary, and PrepareExclusive makes it exclusive. Both leave
// it at its place, as prepare_to_wait does.
func TestPrepareOfAQueuedEntrySetsItsFlagAndKeepsItsPlace(t *testing.T) {
	const s = waitqueue.Interruptible
	for _, test := range []struct {
		name  string
		set   func(*scene)
		order []int // of the entries, before the wake-up
		n     int
		woken []int
		left  int // entries on the queue after the wake-up
	}{
		{"an exclusive one becomes ordinary, at the head", func(sc *scene) {
			sc.q.PrepareExclusive(&sc.entries[0], s)
			sc.q.PrepareExclusive(&sc.entries[1], s)
			sc.q.Prepare(&sc.entries[0], s)
		}, []int{0, 1}, 1, []int{0, 1}, 0},
		{"an exclusive one becomes ordinary, at the tail", func(sc *scene) {
			sc.q.PrepareExclusive(&sc.entries[0], s)
			sc.q.PrepareExclusive(&sc.entries[1], s)
			sc.q.Prepare(&sc.entries[1], s)
		}, []int{0, 1}, 1, []int{0}, 1},
		{"an ordinary one at the tail is reached by a budget of nothing", func(sc *scene) {
			sc.q.PrepareExclusive(&sc.entries[0], s)
			sc.q.PrepareExclusive(&sc.entries[1], s)
			sc.q.Prepare(&sc.entries[1], s)
		}, []int{0, 1}, 0, []int{1}, 1},
		{"an ordinary one of Add becomes exclusive, and stays", func(sc *scene) {
			sc.q.AddExclusive(&sc.entries[1])
			sc.q.Add(&sc.entries[0])
			sc.q.PrepareExclusive(&sc.entries[0], s)
		}, []int{0, 1}, 1, []int{0}, 2},
		{"an exclusive one of AddExclusive becomes ordinary, and stays", func(sc *scene) {
			sc.q.AddExclusive(&sc.entries[0])
			sc.q.AddExclusive(&sc.entries[1])
			sc.q.Prepare(&sc.entries[0], s)
		}, []int{0, 1}, 1, []int{0, 1}, 2},
		{"a priority one becomes exclusive, and keeps its priority", func(sc *scene) {
			sc.q.AddPriority(&sc.entries[1])
			sc.q.PrepareExclusive(&sc.entries[1], s)
			sc.q.Add(&sc.entries[0])
			sc.q.AddExclusive(&sc.entries[2])
		}, []int{1, 0, 2}, 1, []int{1}, 3},
		{"a priority exclusive one becomes ordinary, and keeps its priority", func(sc *scene) {
			if err := sc.q.AddPriorityExclusive(&sc.entries[1]); err != nil {
				panic(err)
			}
			sc.q.Prepare(&sc.entries[1], s)
			sc.q.Add(&sc.entries[0])
			sc.q.AddExclusive(&sc.entries[2])
		}, []int{1, 0, 2}, 1, []int{0, 1, 2}, 3},
		{"twice the same changes nothing", func(sc *scene) {
			for range 2 {
				sc.q.PrepareExclusive(&sc.entries[0], s)
				sc.q.PrepareExclusive(&sc.entries[1], s)
			}
		}, []int{0, 1}, 1, []int{0}, 1},
		{"there and back", func(sc *scene) {
			sc.q.PrepareExclusive(&sc.entries[0], s)
			sc.q.PrepareExclusive(&sc.entries[1], s)
			sc.q.Prepare(&sc.entries[0], s)
			sc.q.PrepareExclusive(&sc.entries[0], s)
		}, []int{0, 1}, 1, []int{0}, 1},
		{"one that was woken meanwhile comes as a new one", func(sc *scene) {
			sc.q.PrepareExclusive(&sc.entries[0], s)
			sc.q.PrepareExclusive(&sc.entries[1], s)
			sc.q.WakeUp() // takes 0 off
			sc.q.PrepareExclusive(&sc.entries[0], s)
		}, []int{1, 0}, 1, []int{1}, 1},
		{"one that was woken meanwhile comes as a new ordinary one", func(sc *scene) {
			sc.q.PrepareExclusive(&sc.entries[1], s)
			sc.q.PrepareExclusive(&sc.entries[0], s)
			sc.q.WakeUp() // takes 1 off
			sc.q.Prepare(&sc.entries[1], s)
		}, []int{1, 0}, 1, []int{0, 1}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			sc := newScene()
			test.set(sc)
			var order []int
			for _, task := range sc.q.Entries() {
				for i := range sc.tasks {
					if task == &sc.tasks[i] {
						order = append(order, i)
					}
				}
			}
			require.Equal(t, test.order, order)
			for i := range sc.entries { // an entry that is not there plays no part
				if len(order) == 2 && i == 2 {
					sc.tasks[i].SetState(waitqueue.Running)
				}
			}
			require.Equal(t, test.woken, sc.wake(test.n))
			require.Len(t, sc.q.Entries(), test.left)
		})
	}
}

// An entry is on one queue at a time, and a Prepare on another one says so.
func TestPrepareOnAnotherQueuePanics(t *testing.T) {
	var q, other waitqueue.Queue
	e := waitqueue.Entry{Task: new(waitqueue.Task)}
	for _, put := range []func(*waitqueue.Entry){
		q.Add, q.AddExclusive, q.AddPriority,
		func(e *waitqueue.Entry) { q.Prepare(e, waitqueue.Interruptible) },
		func(e *waitqueue.Entry) { q.PrepareExclusive(e, waitqueue.Interruptible) },
	} {
		put(&e)
		const text = "waitqueue: Entry is on another queue already"
		require.PanicsWithValue(t, text, func() { other.Prepare(&e, waitqueue.Interruptible) })
		require.PanicsWithValue(t, text, func() { other.PrepareExclusive(&e, waitqueue.Interruptible) })
		require.PanicsWithValue(t, text, func() { other.Add(&e) })
		require.PanicsWithValue(t, text, func() { other.AddExclusive(&e) })
		require.PanicsWithValue(t, text, func() { other.AddPriority(&e) })
		require.PanicsWithValue(t, text, func() { _ = other.AddPriorityExclusive(&e) })
		other.Remove(&e)
		require.True(t, q.Active())
		require.False(t, other.Active())
		q.Remove(&e)
		require.False(t, q.Active())
	}
	q.Prepare(&e, waitqueue.Interruptible)
	require.Equal(t, 1, q.WakeUp(), "takes it off")
	other.Prepare(&e, waitqueue.Interruptible)
	q.Remove(&e) // it is not there any more
	require.True(t, other.Active())
	other.Finish(&e)
	require.False(t, other.Active())
}

// A waker takes an entry off its queue. At the same time the owner removes the entry from
// another queue, or tries to put it there. Only the race detector sees the harm.
func TestEntryOfAnotherQueueIsNoDataRace(t *testing.T) {
	for name, use := range map[string]func(other *waitqueue.Queue, e *waitqueue.Entry){
		"Remove": func(other *waitqueue.Queue, e *waitqueue.Entry) { other.Remove(e) },
		"Finish": func(other *waitqueue.Queue, e *waitqueue.Entry) { other.Finish(e) },
		"Prepare": func(other *waitqueue.Queue, e *waitqueue.Entry) {
			other.Prepare(e, waitqueue.Interruptible)
			other.Finish(e)
		},
		"PrepareExclusive": func(other *waitqueue.Queue, e *waitqueue.Entry) {
			other.PrepareExclusive(e, waitqueue.Interruptible)
			other.Finish(e)
		},
		"Add":                  func(other *waitqueue.Queue, e *waitqueue.Entry) { other.Add(e); other.Remove(e) },
		"AddPriorityExclusive": func(other *waitqueue.Queue, e *waitqueue.Entry) { _ = other.AddPriorityExclusive(e); other.Remove(e) },
	} {
		t.Run(name, func(t *testing.T) {
			var q, other waitqueue.Queue
			for range 200 {
				e := waitqueue.Entry{Task: new(waitqueue.Task)}
				q.Prepare(&e, waitqueue.Interruptible)
				woken := make(chan struct{})
				go func() {
					defer close(woken)
					q.WakeUp()
				}()
				func() {
					// The entry may still be on q. That is a misuse, so Prepare panics.
					defer func() { _ = recover() }()
					use(&other, &e)
				}()
				<-woken
				require.False(t, other.Active())
				q.Finish(&e)
			}
		})
	}
}
