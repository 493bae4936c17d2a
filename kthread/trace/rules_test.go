package trace_test

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// text returns the trace of a run in a bubble.
func text(t *testing.T, run func(t *testing.T)) string {
	t.Helper()
	var b bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, trace.Start(&b))
		defer func() { require.NoError(t, trace.Stop()) }()
		run(t)
	})
	return b.String()
}

func traced(t *testing.T, run func(t *testing.T)) []line {
	t.Helper()
	return parse(t, text(t, run))
}

// sleeper runs a thread that waits on the queue of the name, wakes it, and lets it end.
func sleeper(name, queue string) {
	q := waitqueue.Queue{Name: queue}
	var ready atomic.Bool
	th := kthread.Run(name, func(cur *kthread.Current) error { return cur.Wait(&q, ready.Load) })
	synctest.Wait()
	time.Sleep(time.Millisecond)
	ready.Store(true)
	q.WakeUp()
	_ = th.Wait(context.Background())
}

// lineForm is the form that Chromium's trace viewer reads.
var lineForm = regexp.MustCompile(`^\s*(.+)-(\d+)\s+\(\s*(\d+|-+)\)\s\[(\d+)\]\s+[dX.][Nnp.][Hhs.][0-9a-f.]\s+(\d+\.\d+):\s+(\S+):\s(.*)$`)

// Rule 1: the header, and four flags.
func TestRuleOfTheHeader(t *testing.T) {
	out := text(t, func(*testing.T) { sleeper("waiter/0", "doorbell") })
	require.True(t, strings.HasPrefix(out, "# tracer: nop\n#\n"))
	for text := range strings.Lines(out) {
		if !strings.HasPrefix(text, "#") {
			require.Regexp(t, lineForm, strings.TrimSuffix(text, "\n"))
		}
	}
	parse(t, out)
	require.Regexp(t, `(?m)^ +waiter/0-\d+ +\(      1\) \[\d{3}\] \.\.\.\.     0\.00\d{7}: sched_switch: prev_comm=waiter/0 `+
		`prev_pid=\d+ prev_prio=120 prev_state=S ==> next_comm=swapper/\d+ next_pid=0 next_prio=120$`, out)
	require.Regexp(t, `(?m)^ +<idle>-0 +\(  -----\) \[\d{3}\] \.\.\.\.     0\.00\d{7}: sched_switch: prev_comm=swapper/\d+ `+
		`prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=waiter/0 next_pid=\d+ next_prio=120$`, out)
}

// Rule 2: a wake-up is a waking for Perfetto, and a wakeup for the others.
// Rule 6: the reason is behind the waking, with the name of the queue.
func TestRuleOfTheWakeUp(t *testing.T) {
	lines := traced(t, func(*testing.T) { sleeper("waiter/0", "doorbell") })
	found := false
	for i, l := range lines {
		if l.event != "sched_blocked_reason" {
			continue
		}
		found = true
		waking, wakeup := lines[i-1], lines[i+1]
		require.Equal(t, "sched_waking", waking.event)
		require.Equal(t, "sched_wakeup", wakeup.event)
		require.Equal(t, waking.details, wakeup.details)
		require.Equal(t, "waiter/0", waking.args["comm"])
		require.Equal(t, map[string]string{"pid": waking.args["pid"], "iowait": "0", "caller": "doorbell"}, l.args)
	}
	require.True(t, found)
}

// Rule 3: the sleep is before the wake-up that ends it, also if the waker comes before the
// waiter sleeps. parse checks the order.
func TestRuleOfTheOrder(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		var q waitqueue.Queue
		tests := 0
		require.NoError(t, q.Wait(context.Background(), func() bool {
			if tests++; tests == 2 { // on the queue, and not asleep
				woken := make(chan int)
				go func() { woken <- q.WakeUp() }()
				require.Equal(t, 1, <-woken)
			}
			return tests == 3
		}))
	})
	require.Equal(t, "goroutine/2 runs\ngoroutine/1 sleeps D\ngoroutine/2 wakes goroutine/1\ngoroutine/1 runs", story(lines))
}

// A waiter that wakes itself before it sleeps has not slept.
func TestWaiterThatWakesItself(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		var q waitqueue.Queue
		tests := 0
		require.NoError(t, q.Wait(context.Background(), func() bool {
			if tests++; tests == 2 {
				require.Equal(t, 1, q.WakeUp())
			}
			return tests == 3
		}))
		trace.Instant("over")
	})
	require.Equal(t, "goroutine/1 runs\ngoroutine/1 I|1|over", story(lines))
}

// A waiter that finds its condition true after it has announced its sleep has not slept.
func TestAnnouncementWithoutASleep(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		for _, ctx := range []context.Context{context.Background(), t.Context()} {
			var q waitqueue.Queue
			tests := 0
			require.NoError(t, q.Wait(ctx, func() bool { tests++; return tests == 2 }))
		}
		var task waitqueue.Task
		task.SetState(waitqueue.Interruptible)
		task.SetState(waitqueue.Running)
	})
	require.Empty(t, lines)
}

// A wake-up that finds no waiter is no event.
func TestWakeUpOfNobody(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		var q waitqueue.Queue
		var task waitqueue.Task
		q.Add(&waitqueue.Entry{Task: &task})
		require.Zero(t, q.WakeUp())
		require.False(t, task.WakeUp(waitqueue.Normal))
	})
	require.Empty(t, lines)
}

// Rule 4: the times ascend, also where the clock stands still. parse checks that.
func TestRuleOfTheTimes(t *testing.T) {
	lines := traced(t, func(*testing.T) {
		for range 1000 {
			trace.Instant("now")
		}
		time.Sleep(time.Second)
		trace.Instant("later")
	})
	require.Len(t, lines, 1002)
	require.Equal(t, int64(time.Second), lines[1001].at)
}

// Rule 5: a name has no character that ends it elsewhere, and at most 15 bytes.
func TestRuleOfTheNames(t *testing.T) {
	for name, want := range map[string]string{
		"waiter/0":                  "waiter/0",
		"wait er0":                  "wait_er0",
		"a=b":                       "a_b",
		"0123456789abcdefghij":      "0123456789abcde",
		"0123456789abc\u00e9\u00e9": "0123456789abc\u00e9",
		"0123456789abcd\u00e9":      "0123456789abcd",
		"tab\tnewline\n":            "tab_newline_",
		"bad\xffbyte":               "bad_byte",
		"wide\u3000space":           "wide_space",
		"esc\x1b[2J\u200b":          "esc_[2J_",
		"#1":                        "_1",
		"":                          "-",
	} {
		lines := traced(t, func(*testing.T) { sleeper(name, "a b=c\n") })
		require.Contains(t, story(lines), want+" sleeps S\n", "%q", name)
		require.Contains(t, story(lines), "wakes "+want+" at a_b_c_\n", "%q", name)
	}
}

// Rule 7: marks.
func TestRuleOfTheMarks(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		th := kthread.Run("worker", func(*kthread.Current) error {
			trace.Begin("parse")
			trace.Begin("a|b\n")
			trace.Counter("length", -3)
			trace.End()
			trace.Instant("now")
			trace.End()
			trace.Begin(strings.Repeat("x", 500))
			return nil
		})
		require.NoError(t, th.Wait(context.Background()))
	})
	require.Equal(t, "worker runs\nworker B|1|parse\nworker B|1|a_b_\nworker C|1|length|-3\nworker E|1\nworker I|1|now\nworker E|1\n"+
		"worker B|1|"+strings.Repeat("x", 100)+"\nworker sleeps X", story(lines, "goroutine/1"))
	trace.Begin("while nothing records")
	trace.End()
}

// Rule 8: each lane has a CPU of its own. A lane that ends gives it back. parse checks that no
// two lanes have one CPU.
func TestRuleOfTheCPUs(t *testing.T) {
	lines := traced(t, func(*testing.T) {
		for range 100 {
			sleeper("short", "")
		}
	})
	for _, l := range lines {
		require.Less(t, l.cpu, 3, "%v", l)
	}
}

func TestSignals(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		end := make(chan struct{})
		th := kthread.Run("daemon", func(cur *kthread.Current) error {
			if err := cur.Allow(syscall.Signal(1), syscall.Signal(34)); err != nil {
				return err
			}
			_ = cur.Sleep(time.Hour)
			<-end
			return nil
		})
		synctest.Wait()
		require.NoError(t, th.Signal(0)) // asks only
		require.NoError(t, th.Signal(15))
		require.NoError(t, th.Signal(1))
		synctest.Wait() // the signal ends the sleep
		require.NoError(t, th.Signal(1))
		require.NoError(t, th.Signal(34))
		require.NoError(t, th.Signal(34))
		require.Error(t, th.Signal(99))
		close(end)
		require.NoError(t, th.Wait(context.Background()))
		require.Error(t, th.Signal(1))
	})
	require.Equal(t, `goroutine/1 runs
goroutine/1 wakes daemon
daemon runs
daemon sleeps S
goroutine/1 signals daemon 15 1
goroutine/1 signals daemon 1 0
goroutine/1 wakes daemon
daemon runs
goroutine/1 signals daemon 1 2
goroutine/1 signals daemon 34 0
goroutine/1 signals daemon 34 0
daemon sleeps X`, story(lines))
}

func aWork() { trace.Instant("at work") }

func TestWorks(t *testing.T) {
	out := text(t, func(t *testing.T) {
		w := kthread.RunWorker("worker")
		for range 2 {
			synctest.Wait() // it is idle
			require.True(t, w.Enqueue(&kthread.Work{Func: aWork}))
			require.NoError(t, w.Flush(context.Background()))
		}
		synctest.Wait()
		require.NoError(t, w.Destroy(context.Background()))
	})
	require.Equal(t, `worker runs
worker sleeps S
worker runs
worker begins a work
worker I|1|at work
worker ends a work
worker sleeps S
worker runs
worker begins a work
worker I|1|at work
worker ends a work
worker sleeps S
worker runs
worker sleeps X`, story(parse(t, out), "goroutine/1"))
	require.Contains(t, out, ": workqueue_execute_start: work struct 0000000000000001: function github.com/kprim/kprim/kthread/trace_test.aWork\n")
	require.Contains(t, out, ": workqueue_execute_end: work struct 0000000000000002: function github.com/kprim/kprim/kthread/trace_test.aWork\n")
	require.Contains(t, out, " caller=worker\n", "an idle worker sleeps where ps shows it")
}

// A work that ends by Goexit has an end.
func TestWorkThatCallsGoexit(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("mail", 1)
		require.True(t, q.Enqueue(&kthread.Work{Func: func() { t.SkipNow() }}))
		synctest.Wait()
		require.NoError(t, q.Destroy(context.Background()))
	})
	require.Equal(t, "kworker/mail runs\nkworker/mail begins a work\nkworker/mail ends a work\nkworker/mail sleeps X", story(lines, "goroutine/1"))
}

// A parked thread sleeps in state P, an idle member of a workqueue in state I.
func TestOtherStates(t *testing.T) {
	lines := traced(t, func(t *testing.T) {
		asked, isParked := make(chan struct{}), make(chan error)
		th := kthread.Run("parked", func(cur *kthread.Current) error { <-asked; cur.ParkMe(); return nil })
		go func() { isParked <- th.Park(context.Background()) }()
		synctest.Wait() // or the thread could be gone before it is asked to park
		close(asked)
		require.NoError(t, <-isParked)
		synctest.Wait()
		require.NoError(t, th.Stop())
		q := kthread.AllocWorkqueue("mail", 1)
		require.True(t, q.Enqueue(&kthread.Work{Func: func() {}}))
		synctest.Wait()
		require.NoError(t, q.Destroy(context.Background()))
	})
	require.Contains(t, story(lines), "\nparked sleeps P\n")
	require.Contains(t, story(lines), "\nkworker/mail sleeps I\n")
	require.Contains(t, story(lines), "\ngoroutine/1 wakes kworker/mail at workqueue\n")
}
