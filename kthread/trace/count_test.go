package trace_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

func counting(t *testing.T, run func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		trace.StartCounting()
		defer trace.StopCounting()
		run(t)
	})
}

func TestNothingCounts(t *testing.T) {
	require.Nil(t, trace.Queues())
	require.Nil(t, trace.Tasks())
	var b bytes.Buffer
	require.NoError(t, trace.WriteMetrics(&b))
	require.Zero(t, b.Len())
	trace.StopCounting()
}

// A thundering herd: each of four takers needs one of four things, and all are woken each time.
func TestHerdIsCounted(t *testing.T) {
	counting(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "doorbell"}
		var things atomic.Int32
		take := func() bool {
			n := things.Load()
			return n > 0 && things.CompareAndSwap(n, n-1)
		}
		for i := range 4 {
			kthread.Run(fmt.Sprint("waiter/", i), func(cur *kthread.Current) error { return cur.Wait(&q, take) })
		}
		woken := uint64(0)
		for i := range 4 {
			synctest.Wait()
			require.Equal(t, 4-i, stat(t, "doorbell").Waiters)
			time.Sleep(time.Second)
			things.Add(1)
			woken += uint64(q.WakeUp())
		}
		synctest.Wait()
		require.Equal(t, uint64(10), woken)
		require.Equal(t, trace.QueueStat{Name: "doorbell", WakeUps: 10, Spurious: 6, Longest: time.Second}, stat(t, "doorbell"))
	})
}

func stat(t *testing.T, name string) trace.QueueStat {
	t.Helper()
	for _, q := range trace.Queues() {
		if q.Name == name {
			return q
		}
	}
	return trace.QueueStat{Name: name}
}

// A sleep that is not over counts for the longest one.
func TestSleepThatIsNotOver(t *testing.T) {
	counting(t, func(t *testing.T) {
		th := kthread.Run("sleeper", func(cur *kthread.Current) error { return cur.Sleep(time.Hour) })
		synctest.Wait()
		time.Sleep(time.Minute)
		require.Equal(t, time.Minute, stat(t, "").Longest)
		require.Equal(t, 1, stat(t, "").Waiters)
		require.Error(t, th.Stop())
		require.Equal(t, trace.QueueStat{WakeUps: 1, Longest: time.Minute}, stat(t, ""))
	})
}

// A bubble has a clock of its own. A reader outside of it cannot tell how long a sleep of the
// bubble takes, so only the sleeps that are over count for it.
func TestReaderWithAnotherClock(t *testing.T) {
	ask, answers := make(chan bool), make(chan []trace.QueueStat)
	go func() {
		for range ask {
			answers <- trace.Queues()
		}
	}()
	defer close(ask)
	counting(t, func(t *testing.T) {
		th := kthread.Run("sleeper", func(cur *kthread.Current) error {
			_ = cur.WaitTimeout(&waitqueue.Queue{Name: "door"}, time.Second, func() bool { return false })
			return cur.Wait(&waitqueue.Queue{Name: "door"}, cur.ShouldStop)
		})
		time.Sleep(time.Minute)
		require.Equal(t, []trace.QueueStat{{Name: "door", Waiters: 1, WakeUps: 1, Longest: 59 * time.Second}}, trace.Queues())
		ask <- true
		require.Equal(t, []trace.QueueStat{{Name: "door", Waiters: 1, WakeUps: 1, Longest: time.Second}}, <-answers)
		require.NoError(t, th.Stop())
	})
}

// Waiters that came before the start never make the number wrong.
func TestWaitersBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "door"}
		var state atomic.Int32
		for range 3 {
			go func() { _ = q.Wait(t.Context(), func() bool { return state.Load() == 2 }) }()
		}
		th := kthread.Run("thread", func(cur *kthread.Current) error { return cur.Wait(&q, func() bool { return state.Load() == 2 }) })
		synctest.Wait()
		trace.StartCounting()
		defer trace.StopCounting()
		require.Equal(t, 1, stat(t, "door").Waiters, "the thread")
		state.Store(1)
		q.WakeUp()
		synctest.Wait()
		require.Equal(t, 4, stat(t, "door").Waiters, "they sleep again")
		state.Store(2)
		q.WakeUp()
		require.NoError(t, th.Wait(background))
		synctest.Wait()
		require.Zero(t, stat(t, "door").Waiters)
	})
}

// A wait that is ended or panics is not counted as waiting any more.
func TestNoWaiterIsLeft(t *testing.T) {
	counting(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "door"}
		for _, base := range []context.Context{t.Context(), taskContext(t)} {
			ctx, cancel := context.WithTimeout(base, time.Second)
			require.Error(t, q.Wait(ctx, func() bool { return false }))
			cancel()
			tests := 0
			require.Panics(t, func() {
				_ = q.Wait(base, func() bool {
					if tests++; tests == 2 {
						panic("cond")
					}
					return false
				})
			})
		}
		require.Zero(t, stat(t, "door").Waiters)
		require.Equal(t, time.Second, stat(t, "door").Longest)
	})
}

func taskContext(t *testing.T) context.Context {
	ctx, stop := waitqueue.WithTask(t.Context(), "worker")
	t.Cleanup(stop)
	return ctx
}

func TestTasks(t *testing.T) {
	counting(t, func(t *testing.T) {
		var q waitqueue.Queue
		var ready atomic.Bool
		th := kthread.Run("a name of more than 15 bytes", func(cur *kthread.Current) error { return cur.Wait(&q, ready.Load) })
		ctx, stop := waitqueue.WithTask(t.Context(), "worker")
		defer stop()
		go func() { _ = q.Wait(ctx, ready.Load) }()
		synctest.Wait()
		q.WakeUp()
		synctest.Wait()
		tasks := trace.Tasks()
		require.Len(t, tasks, 2)
		require.Equal(t, trace.TaskStat{Pid: th.Info().Pid, Name: th.Name(), WakeUps: 2, Spurious: 1}, tasks[0])
		require.Equal(t, "worker", tasks[1].Name)
		require.Equal(t, uint64(1), tasks[1].Spurious)
		ready.Store(true)
		q.WakeUp()
		require.NoError(t, th.Wait(background))
		synctest.Wait()
		require.Len(t, trace.Tasks(), 1, "the thread is gone")
	})
}

// A program that makes up names of queues does not fill the memory.
func TestManyQueues(t *testing.T) {
	counting(t, func(t *testing.T) {
		for i := range 5000 {
			q := waitqueue.Queue{Name: fmt.Sprint("queue ", i)}
			var ready atomic.Bool
			go func() { _ = q.Wait(background, ready.Load) }()
			synctest.Wait()
			ready.Store(true)
			q.WakeUp()
		}
		synctest.Wait()
		queues := trace.Queues()
		require.Len(t, queues, 4097)
		byName := func(a, b trace.QueueStat) int { return strings.Compare(a.Name, b.Name) }
		require.True(t, slices.IsSortedFunc(queues, byName))
		require.Equal(t, uint64(5000-4096), stat(t, "(others)").WakeUps)
	})
}

func TestMetrics(t *testing.T) {
	counting(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "a \"b\"\\\n\xff"}
		var ready atomic.Bool
		go func() { _ = q.Wait(background, ready.Load) }()
		synctest.Wait()
		time.Sleep(1500 * time.Millisecond)
		ready.Store(true)
		q.WakeUp()
		synctest.Wait()
		var b bytes.Buffer
		require.NoError(t, trace.WriteMetrics(&b))
		const label = `{queue="a \"b\"\\\n` + "\uFFFD" + `"}`
		require.Equal(t, `# HELP kprim_queue_waiters Waiters that are in a wait now.
# TYPE kprim_queue_waiters gauge
kprim_queue_waiters`+label+` 0
# HELP kprim_queue_wakeups_total Wake-ups that found a waiter.
# TYPE kprim_queue_wakeups_total counter
kprim_queue_wakeups_total`+label+` 1
# HELP kprim_queue_spurious_wakeups_total Wake-ups after which the waiter had to sleep again.
# TYPE kprim_queue_spurious_wakeups_total counter
kprim_queue_spurious_wakeups_total`+label+` 0
# HELP kprim_queue_longest_sleep_seconds The longest sleep since the counting began.
# TYPE kprim_queue_longest_sleep_seconds gauge
kprim_queue_longest_sleep_seconds`+label+` 1.5
`, b.String())
		require.ErrorIs(t, trace.WriteMetrics(writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe })), io.ErrClosedPipe)
	})
}

// A parser of the text format finds each name again.
func TestMetricsOfAnyName(t *testing.T) {
	counting(t, func(t *testing.T) {
		names := []string{"", "\n", "\r\x00\u2028", "\"} 7\n# TYPE kprim_queue_waiters gauge", `\`, `\"`, `\n`, "é", `{a="b",c="d"}`}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, name := range names {
			q := waitqueue.Queue{Name: name}
			go func() { _ = q.Wait(ctx, func() bool { return false }) }()
		}
		synctest.Wait()
		var b bytes.Buffer
		require.NoError(t, trace.WriteMetrics(&b))
		sample := regexp.MustCompile(`^(kprim_queue_[a-z_]+){queue="((?:[^"\\\n]|\\[\\"n])*)"} ([0-9.e-]+)$`)
		comment := regexp.MustCompile(`^# (?:HELP kprim_queue_[a-z_]+ [A-Za-z .-]+|TYPE kprim_queue_[a-z_]+ (?:gauge|counter))$`)
		found := map[string][]string{}
		for line := range strings.SplitSeq(strings.TrimSuffix(b.String(), "\n"), "\n") {
			if comment.MatchString(line) {
				continue
			}
			parts := sample.FindStringSubmatch(line)
			require.NotNil(t, parts, "%q", line)
			found[parts[1]] = append(found[parts[1]], strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(parts[2]))
		}
		require.Len(t, found, 4)
		for _, labels := range found {
			require.ElementsMatch(t, names, labels)
		}
	})
}

// Names that look equal as UTF-8 are one label: Prometheus drops the second of two equal
// lines, and JSON has no second member of a name.
func TestNamesThatAreNotUTF8(t *testing.T) {
	counting(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, name := range []string{"\xff", "\xfe", "\uFFFD", "\xff\xff"} { // two such bytes are one U+FFFD
			q := waitqueue.Queue{Name: name}
			go func() { _ = q.Wait(ctx, func() bool { return false }) }()
			synctest.Wait()
			q.WakeUp()
			synctest.Wait()
		}
		require.Equal(t, []trace.QueueStat{{Name: "\uFFFD", Waiters: 4, WakeUps: 4, Spurious: 4}}, trace.Queues())
		var b bytes.Buffer
		require.NoError(t, trace.WriteMetrics(&b))
		require.Equal(t, 1, strings.Count(b.String(), "kprim_queue_waiters{"))
		<-ctx.Done()
		synctest.Wait()
		require.Equal(t, []trace.QueueStat{{Name: "\uFFFD", WakeUps: 4, Spurious: 4, Longest: time.Second}}, trace.Queues())
	})
}

// The first run of a thread is no wake-up of a queue.
func TestFirstRunIsNoWakeUp(t *testing.T) {
	counting(t, func(t *testing.T) {
		require.NoError(t, kthread.Run("short", func(*kthread.Current) error { return nil }).Wait(background))
		for _, q := range trace.Queues() {
			require.Zero(t, q.WakeUps, "the thread's own queues have waiters that end at once")
		}
	})
}

// A thread that has not begun does not wait, nor does one that runs. Both are in the list,
// also without a name.
func TestThreadThatRunsIsNoWaiter(t *testing.T) {
	counting(t, func(t *testing.T) {
		created := kthread.Create("never", func(*kthread.Current) error { return nil })
		require.Empty(t, trace.Queues())
		require.Error(t, created.Stop())
		runs := make(chan bool)
		th := kthread.Run("", func(*kthread.Current) error { <-runs; return nil })
		synctest.Wait()
		require.Empty(t, trace.Queues())
		require.Equal(t, []trace.TaskStat{{Pid: th.Info().Pid, WakeUps: 1}}, trace.Tasks())
		close(runs)
		require.NoError(t, th.Wait(background))
	})
}

// A recorder that runs already has lanes. The numbers begin at the start of the counting all
// the same.
func TestCountingBesideARecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := new(trace.FlightRecorder)
		require.NoError(t, recorder.Start())
		defer recorder.Stop()
		q := waitqueue.Queue{Name: "door"}
		th := kthread.Run("thread", func(cur *kthread.Current) error { return cur.Wait(&q, cur.ShouldStop) })
		for range 2 {
			synctest.Wait()
			q.WakeUp() // the condition is false
			synctest.Wait()
			trace.StartCounting()
			require.Equal(t, []trace.TaskStat{{Pid: th.Info().Pid, Name: "thread"}}, trace.Tasks())
			q.WakeUp()
			synctest.Wait()
			require.Equal(t, []trace.TaskStat{{Pid: th.Info().Pid, Name: "thread", WakeUps: 1, Spurious: 1}}, trace.Tasks())
			trace.StopCounting()
		}
		require.NoError(t, th.Stop())
	})
}

// A second start keeps the numbers. A stop drops them.
func TestStartAndStopCounting(t *testing.T) {
	counting(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "door"}
		go func() {
			tests := 0
			_ = q.Wait(background, func() bool { tests++; return tests > 2 })
		}()
		synctest.Wait()
		q.WakeUp()
		synctest.Wait()
		before := trace.Queues()
		require.Equal(t, []trace.QueueStat{{Name: "door", WakeUps: 1}}, before)
		trace.StartCounting()
		require.Equal(t, before, trace.Queues())
		trace.StopCounting()
		trace.StartCounting()
		require.Empty(t, trace.Queues())
		require.NotNil(t, trace.Queues(), "it counts, from 0")
	})
}

// The same for a wait on several queues, and for one with the queue's own lock.
func TestNoOtherWaiterIsLeft(t *testing.T) {
	counting(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "door"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Error(t, waitqueue.WaitAny(ctx, func() bool { return false }, &q))
		require.Zero(t, stat(t, "door").Waiters)
		var task waitqueue.Task
		stop := time.AfterFunc(time.Second, task.Interrupt)
		defer stop.Stop()
		q.Lock()
		require.Error(t, task.WaitHeld(&q, func() bool { return false }))
		q.Unlock()
		require.Zero(t, stat(t, "door").Waiters)
	})
}
