package main

import (
	_ "embed"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

//go:embed README.md
var readme string

//go:embed answers.md
var answers string

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 200 {
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, transcript, out.String())
		require.Empty(t, kthread.Tasks(), "all are gone")
	}
}

// upTo returns 0 to n-1.
func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// ordinary returns the wake-ups of n ordinary waiters, and those for nothing.
func ordinary(n int) (all, forNothing int) { return n * (n + 1) / 2, n * (n - 1) / 2 }

// The answer for a thousand openers is the result of the formula. The next test
// compares the formula with the program.
func TestThousand(t *testing.T) {
	all, forNothing := ordinary(1000)
	require.Contains(t, answers, fmt.Sprintf("that makes %d wake-ups, and %d of them are for nothing.", all, forNothing))
}

// Each close wakes all openers that are left. The last one to come gets the file.
func TestOrdinaryWaiters(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 8, 32} {
		h := &herd{add: (*waitqueue.Queue).Add}
		require.NoError(t, h.handOn(n))
		all, forNothing := ordinary(n)
		require.Equal(t, all, h.wakeUps)
		require.Equal(t, forNothing, h.wakeUps-n, "for nothing")
		wake, owners := upTo(n), upTo(n)
		for i := range wake {
			wake[i]++
		}
		slices.Reverse(wake)
		slices.Reverse(owners)
		require.Equal(t, wake, h.woken)
		require.Equal(t, owners, h.owners)
	}
}

// Each close wakes one opener, which has waited longest.
func TestExclusiveWaiters(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 8, 32} {
		h := &herd{add: (*waitqueue.Queue).AddExclusive}
		require.NoError(t, h.handOn(n))
		require.Equal(t, n, h.wakeUps)
		require.Equal(t, slices.Repeat([]int{1}, n), append([]int{}, h.woken...))
		require.Equal(t, upTo(n), h.owners)
	}
}

// Three counts of the wake-ups agree: the openers' own, the closes', and the
// count in each task.
func TestThreeCountsAgree(t *testing.T) {
	for _, add := range []func(*waitqueue.Queue, *waitqueue.Entry){
		(*waitqueue.Queue).Add, (*waitqueue.Queue).AddExclusive,
	} {
		h := &herd{}
		var tasks []*waitqueue.Task
		h.add = func(q *waitqueue.Queue, e *waitqueue.Entry) {
			tasks = append(tasks, e.Task)
			add(q, e)
		}
		require.NoError(t, h.handOn(8))
		sum, ofTasks := 0, 0
		for i := range 8 {
			sum += h.woken[i]
			ofTasks += int(tasks[i].WakeUps()) - 1 // the first one lets it run
		}
		require.Equal(t, []int{h.wakeUps, h.wakeUps}, []int{sum, ofTasks})
	}
}

// A wake-up of all entries wakes the exclusive ones too, in their order.
func TestWakeAllMakesAHerdOfThem(t *testing.T) {
	h := &herd{}
	h.add = func(q *waitqueue.Queue, e *waitqueue.Entry) {
		wake := e.Func
		// Such an entry does not count as woken, so the walk goes on to the end.
		e.Func = func(e *waitqueue.Entry, mask waitqueue.State, key any) int {
			wake(e, mask, key)
			return 0
		}
		q.AddExclusive(e)
	}
	require.NoError(t, h.handOn(4))
	require.Equal(t, 10, h.wakeUps)
	require.Equal(t, []int{0, 1, 2, 3}, h.owners)
}

// One ordinary waiter among exclusive ones is woken with one of them.
func TestOneOrdinaryAmongExclusive(t *testing.T) {
	h := &herd{}
	n := 0
	h.add = func(q *waitqueue.Queue, e *waitqueue.Entry) {
		if n++; n == 4 {
			q.Add(e)
		} else {
			q.AddExclusive(e)
		}
	}
	require.NoError(t, h.handOn(4))
	require.Equal(t, []int{2, 1, 1, 1}, h.woken)
	require.Equal(t, []int{3, 0, 1, 2}, h.owners)
	require.Equal(t, 5, h.wakeUps)
}

// The program checks how many openers sleep: another sleeper is an error.
func TestNumberOfSleepersIsChecked(t *testing.T) {
	queue := waitqueue.Queue{Name: "WaitQ"}
	awake := false // guarded by the CPU
	h := &herd{add: (*waitqueue.Queue).Add}
	h.cpu.Lock()
	stranger := h.cpu.Start("stranger", func(cur *kthread.Current) error {
		wait := waitqueue.Entry{Task: cur.Task(), Func: h.cpu.Enqueue}
		queue.Add(&wait)
		defer queue.Remove(&wait)
		defer cur.Task().SetState(waitqueue.Running)
		for cur.Task().SetState(waitqueue.Interruptible); !awake; {
			h.cpu.Schedule(cur.Task())
		}
		return nil
	})
	h.cpu.Unlock()
	require.EqualError(t, h.handOn(2), "3 openers are asleep, not 2")

	h.cpu.Lock()
	awake = true
	queue.WakeUp()
	for range 2 {
		h.close()
		h.cpu.Yield()
	}
	h.cpu.Unlock()
	require.NoError(t, stranger.Wait(t.Context()))
	for _, owner := range h.owners {
		require.Contains(t, []int{0, 1}, owner)
	}
	for len(kthread.Tasks()) > 0 { // the threads are about to end
		runtime.Gosched()
	}
}
