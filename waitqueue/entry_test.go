package waitqueue_test

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A budget of 0 reaches all ordinary entries, also an entry behind an exclusive one with
// priority.
func TestBudgetOfNothingPassesOverPriorityExclusive(t *testing.T) {
	var q waitqueue.Queue
	var c calls
	require.NoError(t, q.AddPriorityExclusive(c.entry("P", 1)))
	q.Add(c.entry("N", 1))
	q.AddExclusive(c.entry("X", 1))
	require.Equal(t, 1, q.WakeUpN(0))
	require.Equal(t, []string{"N"}, c.take())
	require.Equal(t, 1, q.WakeUpN(1))
	require.Equal(t, []string{"P"}, c.take())
	require.Equal(t, 3, q.WakeUpN(2))
	require.Equal(t, []string{"P", "N", "X"}, c.take())
}

// A's test is true, and A is still on the queue. A wake-up that picks A now is for the next
// token. A does not need that token, so B must get the wake-up.
func TestWakeUpBetweenSuccessAndLeavingReachesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var tok tokens
		var task waitqueue.Task
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		waits := map[string]func(func() bool) error{
			"background": func(c func() bool) error { return q.WaitExclusive(context.Background(), c) },
			"context":    func(c func() bool) error { return q.WaitExclusive(ctx, c) },
			"locked":     func(c func() bool) error { g := newGate(); g.Lock(); return q.WaitExclusiveLocked(ctx, g, c) },
			"task":       func(c func() bool) error { return task.WaitExclusive(&q, c) },
		}
		for name, wait := range waits {
			var resultB <-chan error
			tests := 0
			require.NoError(t, wait(func() bool { // this is A
				if tests++; tests == 1 {
					return false
				}
				// A is at the head of the queue, and takes a first token.
				resultB = asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) })
				tok.Store(1)
				q.WakeUp()
				return true
			}))
			require.True(t, ended(resultB), name)
			require.Zero(t, tok.Load())
			require.False(t, q.Active())
		}
	})
}

// A is on the queue and finds its condition true. No wake-up has picked A, so A passes none
// on, and no other waiter is woken.
func TestSuccessWakesNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q waitqueue.Queue
		var tok tokens
		var testsOfB atomic.Int32
		b := asleep(func() error {
			return q.WaitExclusive(ctx, func() bool { testsOfB.Add(1); return tok.tryTake() })
		})
		before, tests := testsOfB.Load(), 0
		require.NoError(t, q.WaitExclusive(ctx, func() bool { tests++; return tests == 2 }))
		require.False(t, ended(b))
		require.Equal(t, before, testsOfB.Load())
		tok.Store(1)
		q.WakeUp()
		require.NoError(t, <-b)
	})
}

// The loop of the package doc with Prepare, on a wake function that wakes the
// task before the entry is off the queue.
func TestPrepareWhileAWakeFunctionRuns(t *testing.T) {
	var q waitqueue.Queue
	var turn atomic.Int32
	var task waitqueue.Task
	const rounds = 1000
	done := make(chan struct{})
	go func() {
		defer close(done)
		e := waitqueue.Entry{Task: &task, Func: wake}
		for next := range int32(rounds) {
			for {
				q.Prepare(&e, waitqueue.Interruptible)
				if turn.Load() > next {
					break
				}
				task.Schedule()
			}
			q.Finish(&e)
		}
	}()
	for range rounds {
		for task.State() == waitqueue.Running {
			runtime.Gosched()
		}
		turn.Add(1)
		q.WakeUp()
	}
	<-done
	require.False(t, q.Active())
}

// A wake-up has taken an entry off its queue. A wake function that runs on that
// queue may put the entry on another one, because the lock that it needs is free.
func TestWakeFunctionMovesAnEntryThatWasWokenHere(t *testing.T) {
	for name, woken := range map[string]func(task *waitqueue.Task) *waitqueue.Entry{
		"its task": func(task *waitqueue.Task) *waitqueue.Entry {
			return &waitqueue.Entry{Task: task}
		},
		"by a Func": func(task *waitqueue.Task) *waitqueue.Entry {
			return &waitqueue.Entry{Task: task, Func: wake}
		},
	} {
		t.Run(name, func(t *testing.T) {
			q, next := waitqueue.Queue{Name: "q"}, waitqueue.Queue{Name: "next"}
			task := new(waitqueue.Task)
			e := woken(task)
			q.Prepare(e, waitqueue.Interruptible)
			require.Equal(t, "q", task.Wchan())
			require.Equal(t, 1, q.WakeUp())
			require.False(t, q.Active())
			task.SetState(waitqueue.Interruptible)
			require.Empty(t, task.Wchan(), "it is on no queue")

			mover := waitqueue.Entry{Func: func(*waitqueue.Entry, waitqueue.State, any) int {
				next.Add(e)
				return 1
			}}
			q.Add(&mover)
			done := make(chan int)
			go func() { done <- q.WakeUp() }()
			select {
			case n := <-done:
				require.Equal(t, 1, n)
			case <-time.After(5 * time.Second):
				t.Fatal("the wake-up hangs")
			}
			require.Equal(t, "next", task.Wchan())
			q.Remove(&mover)
			q.Remove(e) // it is on the other queue
			require.True(t, next.Active())
			next.Finish(e)
			require.False(t, next.Active())
		})
	}
}

// A wake-up takes the entry of a Prepare off. The next Prepare puts it back.
func TestPrepareAndFinish(t *testing.T) {
	var q waitqueue.Queue
	var task, other waitqueue.Task
	q.AddExclusive(&waitqueue.Entry{Task: &other})
	e := waitqueue.Entry{Task: &task}
	q.Finish(&e) // never queued: does nothing

	for _, step := range []struct {
		prepare func(*waitqueue.Entry, waitqueue.State)
		state   waitqueue.State
		order   []*waitqueue.Task
	}{
		{q.Prepare, waitqueue.Interruptible, []*waitqueue.Task{&task, &other}},
		{q.PrepareExclusive, waitqueue.Uninterruptible, []*waitqueue.Task{&other, &task}},
	} {
		for range 2 {
			step.prepare(&e, step.state)
			step.prepare(&e, step.state) // it is there
			require.Equal(t, step.order, q.Entries())
			require.Equal(t, step.state, task.State())
			require.Equal(t, 1, q.WakeUp())
			require.Equal(t, []*waitqueue.Task{&other}, q.Entries())
			require.Equal(t, waitqueue.Running, task.State())
		}
		step.prepare(&e, step.state)
		require.True(t, task.WakeUp(waitqueue.Normal))
		require.Equal(t, step.order, q.Entries(), "woken by others, it stays")
		require.Zero(t, q.WakeUp())
		require.Equal(t, step.order, q.Entries(), "awake, it stays")
		step.prepare(&e, step.state)
		require.Equal(t, step.order, q.Entries())
		q.Finish(&e)
		require.Equal(t, []*waitqueue.Task{&other}, q.Entries())
		require.Equal(t, waitqueue.Running, task.State())
	}
}

func TestRemoveLeavesTheState(t *testing.T) {
	var q waitqueue.Queue
	var task waitqueue.Task
	e := waitqueue.Entry{Task: &task}
	q.Prepare(&e, waitqueue.Uninterruptible)
	q.Remove(&e)
	require.False(t, q.Active())
	require.Equal(t, waitqueue.Uninterruptible, task.State())
}

// The result of a wake function decides whether the walk goes on, whether the budget is
// used, and whether the entry of a Prepare leaves the queue.
func TestResultOfAWakeFunction(t *testing.T) {
	for _, test := range []struct {
		result, woken int
		stays, goesOn bool
	}{
		{result: -1, woken: 0, stays: true, goesOn: false},
		{result: 0, woken: 1, stays: true, goesOn: true},
		{result: 1, woken: 1, stays: false, goesOn: false},
		{result: 7, woken: 1, stays: false, goesOn: false},
	} {
		var q waitqueue.Queue
		var c calls
		var task waitqueue.Task
		first := c.entry("first", test.result)
		first.Task = &task
		q.PrepareExclusive(first, waitqueue.Interruptible)
		q.AddExclusive(c.entry("second", 1))
		require.Equal(t, test.woken, q.WakeUp(), test.result)
		require.Equal(t, waitqueue.Interruptible, task.State(), "the function is called instead of waking the task")
		want := []string{"first"}
		if test.goesOn {
			want = append(want, "second")
		}
		require.Equal(t, want, c.take(), test.result)
		require.Equal(t, test.stays, q.Entries()[0] == &task, test.result)
	}
}

// An entry of Add stays, with every result of its function. The function is called in every
// state of the task.
func TestAddedEntryStays(t *testing.T) {
	var q waitqueue.Queue
	var c calls
	for _, result := range []int{1, 0, -1} {
		e := c.entry("e", result)
		e.Task = new(waitqueue.Task) // awake
		q.AddExclusive(e)
		for range 3 {
			require.Equal(t, max(0, result), q.WakeUp())
			require.Equal(t, []string{"e"}, c.take())
		}
		q.Remove(e)
		require.False(t, q.Active())
	}
}

// A wake function gets its entry, the mask and the key. It may pass over a waiter by the
// key: a waiter that waits for something else costs no budget.
func TestWakeFunctionChoosesByKey(t *testing.T) {
	var q waitqueue.Queue
	tasks := map[string]*waitqueue.Task{"in": {}, "out": {}}
	entries := map[string]*waitqueue.Entry{}
	for _, name := range []string{"in", "out"} {
		e := &waitqueue.Entry{Task: tasks[name]}
		e.Func = func(got *waitqueue.Entry, mask waitqueue.State, key any) int {
			require.Same(t, e, got)
			require.Equal(t, waitqueue.Interruptible, mask)
			if key != name {
				return 0
			}
			return wake(got, mask, key)
		}
		entries[name] = e
		q.PrepareExclusive(e, waitqueue.Interruptible)
	}
	require.Zero(t, q.WakeMask(waitqueue.Interruptible, 1, "err"))
	require.Zero(t, q.WakeMask(waitqueue.Interruptible, 1, nil))
	require.Equal(t, 1, q.WakeMask(waitqueue.Interruptible, 1, "out"))
	require.Equal(t, waitqueue.Running, tasks["out"].State())
	require.Equal(t, waitqueue.Interruptible, tasks["in"].State())
	require.Equal(t, []*waitqueue.Task{tasks["in"]}, q.Entries())
	require.Equal(t, 1, q.WakeMask(waitqueue.Interruptible, 1, "in"))
	require.False(t, q.Active())
}

// WakeMask chooses an entry without a wake function by the mask alone, with any key.
func TestWakeGoesByMaskAndBudget(t *testing.T) {
	var q waitqueue.Queue
	states := []waitqueue.State{waitqueue.Interruptible, waitqueue.Uninterruptible, waitqueue.Interruptible, waitqueue.Interruptible}
	tasks := make([]waitqueue.Task, len(states))
	announce := func() {
		for i, s := range states {
			tasks[i].SetState(s)
		}
	}
	for i := range tasks {
		q.AddExclusive(&waitqueue.Entry{Task: &tasks[i]})
	}
	letters := func() (s string) {
		for i := range tasks {
			s += tasks[i].State().String()
		}
		return s
	}
	for _, test := range []struct {
		mask  waitqueue.State
		n     int
		woken int
		want  string
	}{
		{waitqueue.Normal, 1, 1, "RDSS"},
		{waitqueue.Normal, 2, 2, "RRSS"},
		{waitqueue.Interruptible, 2, 2, "RDRS"},
		{waitqueue.Uninterruptible, 2, 1, "SRSS"},
		{waitqueue.Interruptible, math.MaxInt, 3, "RDRR"},
		{waitqueue.Normal, 0, 4, "RRRR"},
		{waitqueue.Normal, -1, 4, "RRRR"},
		{waitqueue.Interruptible, 0, 3, "RDRR"},
		{waitqueue.Running, math.MaxInt, 0, "SDSS"},
		{waitqueue.Normal, math.MaxInt, 4, "RRRR"},
	} {
		announce()
		require.Equal(t, test.woken, q.WakeMask(test.mask, test.n, "key"))
		require.Equal(t, test.want, letters())
	}
}

func TestPriorityExclusiveIsBusy(t *testing.T) {
	var q waitqueue.Queue
	require.Panics(t, func() { _ = q.AddPriorityExclusive(&waitqueue.Entry{}) })
	require.Panics(t, func() { q.AddPriority(&waitqueue.Entry{}) })
	x, p := &waitqueue.Entry{Task: new(waitqueue.Task)}, &waitqueue.Entry{Task: new(waitqueue.Task)}
	require.NoError(t, q.AddPriorityExclusive(x))
	require.ErrorIs(t, q.AddPriorityExclusive(p), syscall.EBUSY)
	q.Remove(p) // it is not there
	require.Equal(t, []*waitqueue.Task{x.Task}, q.Entries())
	q.Remove(x)
	require.NoError(t, q.AddPriorityExclusive(p), "the place is free")
	require.Panics(t, func() { q.AddPriority(p) }, "on a queue already")
	require.Equal(t, []*waitqueue.Task{p.Task}, q.Entries())
}

// wake does the same as an entry without a wake function.
func wake(e *waitqueue.Entry, mask waitqueue.State, _ any) int {
	if e.Task.WakeUp(mask) {
		return 1
	}
	return 0
}

// Wchan has the queue of the wait that goes on, not the last queue with a name.
func TestWchanNamesTheQueueOfThisWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		named, other, unnamed := waitqueue.Queue{Name: "named"}, waitqueue.Queue{Name: "other"}, waitqueue.Queue{}
		task := waitqueue.Task{Name: "sleeper"}
		require.Empty(t, task.Wchan())
		for _, q := range []*waitqueue.Queue{&named, &unnamed, &other, &unnamed} {
			var tok tokens
			result := asleep(func() error { return task.Wait(q, tok.tryTake) })
			require.Equal(t, q.Name, task.Wchan())
			require.Equal(t, "S", task.State().String())
			tok.Store(1)
			q.WakeUp()
			require.NoError(t, <-result)
			require.Empty(t, task.Wchan())
		}
		result := asleep(func() error { return task.Wait(&named, never) })
		task.Interrupt()
		require.Error(t, <-result)
		own := asleep(func() error {
			task.SetState(waitqueue.Uninterruptible)
			task.Schedule()
			return nil
		})
		require.Empty(t, task.Wchan(), "asleep in no Wait")
		task.WakeUp(waitqueue.Normal)
		<-own
		require.Equal(t, "sleeper", task.Name)
	})
}

// A task that waits is on the queue of an Entry, too.
func TestWchanOfATaskOnTwoQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bell := waitqueue.Queue{Name: "bell"}
		for wait, wchan := range map[*waitqueue.Queue]string{
			{Name: "door"}: "door", // its own Wait goes first
			{}:             "bell", // a queue without a name does not count
		} {
			var task waitqueue.Task
			e := waitqueue.Entry{Task: &task}
			bell.Add(&e)
			var tok tokens
			result := asleep(func() error { return task.Wait(wait, tok.tryTake) })
			require.Equal(t, wchan, task.Wchan())
			tok.Store(1)
			wait.WakeUp()
			require.NoError(t, <-result)
			require.Empty(t, task.Wchan(), "it is awake")
			task.SetState(waitqueue.Interruptible)
			require.Equal(t, "bell", task.Wchan())
			task.SetState(waitqueue.Running)
			bell.Remove(&e)
		}
	})
}

func TestPrepareNeedsATask(t *testing.T) {
	var q waitqueue.Queue
	e := waitqueue.Entry{Func: func(*waitqueue.Entry, waitqueue.State, any) int { return 0 }}
	require.Panics(t, func() { q.Prepare(&e, waitqueue.Interruptible) })
	require.Panics(t, func() { q.PrepareExclusive(&e, waitqueue.Interruptible) })
	require.False(t, q.Active())
}
