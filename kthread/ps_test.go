package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/collected"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// listed returns the entries of the list that have this name.
func listed(name string) (found kthread.Infos) {
	for _, i := range kthread.Tasks() {
		if i.Name == name {
			found = append(found, i)
		}
	}
	return found
}

func TestTasksListsWhatLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "mail"}
		created := kthread.Create("created", untilStopped)
		first := kthread.Run("reader", func(cur *kthread.Current) error { return cur.Wait(&q, cur.ShouldStop) })
		second := kthread.Run("reader", func(cur *kthread.Current) error { return cur.Wait(&q, cur.ShouldStop) })
		time.Sleep(time.Minute)
		q.WakeUpAll()
		synctest.Wait()

		require.Equal(t, kthread.Infos{created.Info()}, listed("created"))
		require.Equal(t, waitqueue.Uninterruptible, created.Info().State, "it has not run yet")
		readers := listed("reader")
		require.Len(t, readers, 2)
		require.Less(t, readers[0].Pid, readers[1].Pid, "by pid")
		require.Equal(t, first.Info(), readers[0])
		require.Equal(t, "mail", readers[0].Wchan)
		require.Equal(t, waitqueue.Interruptible, readers[0].State)
		require.Equal(t, time.Minute, readers[0].Age)
		require.EqualValues(t, 2, readers[0].WakeUps, "the first run, and one on the queue")

		require.NoError(t, first.Stop())
		require.NoError(t, second.Stop())
		require.Error(t, created.Stop())
		require.Empty(t, listed("reader"))
		require.Empty(t, listed("created"))
		require.Equal(t, waitqueue.Dead, first.Info().State)
		require.Equal(t, "X", first.Info().State.String())
	})
}

func TestTasksPrintedAreATable(t *testing.T) {
	infos := kthread.Infos{
		{Pid: 1, State: waitqueue.Running, Age: 1500 * time.Millisecond, Name: "short"},
		{Pid: 12, State: waitqueue.Parked, Wchan: "mail", Age: time.Hour, WakeUps: 7, Name: "a name that is too long"},
	}
	require.Equal(t, `  PID S ELAPSED WAKE-UPS WCHAN           COMMAND
    1 R      1s        0 -               [short]
   12 P  1h0m0s        7 mail            [a name that is ]
`, fmt.Sprint(infos))
	infos[1].Wchan = "myevent_waitqueue"
	require.Equal(t, `  PID S ELAPSED WAKE-UPS WCHAN             COMMAND
    1 R      1s        0 -                 [short]
   12 P  1h0m0s        7 myevent_waitqueue [a name that is ]
`, fmt.Sprint(infos))
}

// A long cell widens its column. An age of ten hours has nine characters.
func TestTasksPrintedStayInTheirColumns(t *testing.T) {
	infos := kthread.Infos{
		{Pid: 1, State: waitqueue.Running, Age: 10*time.Hour + 59*time.Minute + 59*time.Second, WakeUps: 1_234_567_890, Name: "old"},
		{Pid: 123456, State: waitqueue.Parked, Wchan: "mail", Age: time.Second, WakeUps: 1, Name: "young"},
	}
	require.Equal(t, `   PID S   ELAPSED   WAKE-UPS WCHAN           COMMAND
     1 R 10h59m59s 1234567890 -               [old]
123456 P        1s          1 mail            [young]
`, fmt.Sprint(infos))
}

// A name is a part of its line, and cannot pass for a line of its own.
func TestTasksPrintedHaveALineEach(t *testing.T) {
	infos := kthread.Infos{
		{Pid: 1, Wchan: "a\n    2 D", Name: "x]\n    3 D"},
		{Pid: 4, Wchan: "\x1b[31mré\xff", Name: "\u202eabc"},
		{Pid: 5, Wchan: strings.Repeat("w", 41), Name: "ünlong"},
	}
	require.Equal(t, `  PID S ELAPSED WAKE-UPS WCHAN                                    COMMAND
    1 R      0s        0 "a\n    2 D"                             ["x]\n    3 D"]
    4 R      0s        0 "\x1b[31mré\xff"                         ["\u202eabc"]
    5 R      0s        0 `+infos[2].Wchan+` [ünlong]
`, fmt.Sprint(infos))
	require.Equal(t, `thread 1 ["x]\n    3 D"]: state R, wchan "a\n    2 D", age 0s, 0 wake-ups`, fmt.Sprint(infos[0]))
}

// As SysRq-w does, only the sleepers that no signal wakes.
func TestBlockedAreThoseInStateD(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, mail := waitqueue.Queue{Name: "disk"}, waitqueue.Queue{Name: "mail"}
		answered := false
		created := kthread.Create("created", untilStopped)
		stuck := kthread.Run("stuck", func(cur *kthread.Current) error {
			wait := waitqueue.Entry{Task: cur.Task()}
			defer disk.Finish(&wait)
			for {
				disk.Prepare(&wait, waitqueue.Uninterruptible)
				if answered {
					return nil
				}
				cur.Task().Schedule()
			}
		})
		sleeper := kthread.Run("sleeper", func(cur *kthread.Current) error { return cur.Wait(&mail, cur.ShouldStop) })
		synctest.Wait()
		all := kthread.Infos{sleeper.Info(), stuck.Info(), created.Info()}
		require.Equal(t, kthread.Infos{stuck.Info(), created.Info()}, all.Blocked())
		require.Equal(t, "sleeper", all[0].Name, "the list itself stays")
		require.Equal(t, "disk", stuck.Info().Wchan)
		require.EqualValues(t, 1, stuck.Info().WakeUps)
		require.Zero(t, created.Info().WakeUps)
		stuck.AskStop(nil)
		synctest.Wait()
		require.Equal(t, waitqueue.Uninterruptible, stuck.Info().State, "a stop does not end it")
		answered = true
		disk.WakeUp()
		require.NoError(t, stuck.Stop())
		require.NoError(t, sleeper.Stop())
		require.Error(t, created.Stop())
		require.Empty(t, kthread.Infos{}.Blocked())
	})
}

func TestCommIsCutToFifteenBytes(t *testing.T) {
	for name, comm := range map[string]string{
		"":                  "",
		"exactly fifteen":   "exactly fifteen",
		"one more, sixteen": "one more, sixte",
		"fourteen bytesü":   "fourteen bytes",
		"\xff\xff":          "\xff\xff",
	} {
		require.Equal(t, comm, kthread.Info{Name: name}.Comm())
	}
	thread := kthread.Create("a name that is too long", untilStopped)
	require.Equal(t, "a name that is too long", thread.Name())
	require.Error(t, thread.Stop())
}

// The list does not keep a thread alive that can no longer be started.
func TestListIsWeak(t *testing.T) {
	const name = "never started"
	kthread.Create(name, untilStopped)
	collected := make(chan struct{})
	thread := kthread.Create(name, untilStopped)
	runtime.AddCleanup(thread, func(struct{}) { close(collected) }, struct{}{})
	runtime.KeepAlive(thread)
	for done := false; !done; {
		runtime.GC()
		select {
		case <-collected:
			done = true
		default:
			runtime.Gosched()
		}
	}
	require.Empty(t, listed(name))
}

// Goroutine dumps show the name, and after SetProfile(true) the queue while the
// thread sleeps there.
func TestLabelsShowNameAndQueue(t *testing.T) {
	kthread.SetProfile(true)
	defer kthread.SetProfile(false)
	q := waitqueue.Queue{Name: "the mail"}
	var nameless waitqueue.Queue
	turn := make(chan bool)
	thread := kthread.Run("label reader", func(cur *kthread.Current) error {
		for range turn {
			_ = cur.Wait(&q, cur.ShouldPark)
			cur.ParkMe()
		}
		return cur.Wait(&nameless, cur.ShouldStop)
	})
	labels := func() string {
		var text strings.Builder
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&text, 1))
		return regexp.MustCompile(`labels: {"kthread":"label reader".*`).FindString(text.String())
	}
	for range 2 {
		turn <- true
		for thread.Info().State != waitqueue.Interruptible {
			runtime.Gosched()
		}
		require.Equal(t, `labels: {"kthread":"label reader", "wchan":"the mail"}`, labels())
		require.NoError(t, thread.Park(t.Context()))
		require.Equal(t, `labels: {"kthread":"label reader"}`, labels(), "awake again")
		thread.Unpark()
	}
	close(turn)
	require.NoError(t, thread.Stop())
}

// The profile shows the creator of a thread, until the thread is gone.
func TestProfileShowsTheCreatorOfAThread(t *testing.T) {
	kthread.SetProfile(true)
	defer kthread.SetProfile(false)
	profile := func() string {
		var text strings.Builder
		require.NoError(t, pprof.Lookup("kthread").WriteTo(&text, 1))
		return text.String()
	}
	for name, create := range map[string]func() *kthread.Thread{
		"Create": func() *kthread.Thread { return kthread.Create("t", untilStopped) },
		"Run":    func() *kthread.Thread { return kthread.Run("t", untilStopped) },
		"Start": func() *kthread.Thread {
			thread, err := kthread.Start(context.Background(), "t", func(cur *kthread.Current) error {
				cur.Ready()
				return untilStopped(cur)
			})
			require.NoError(t, err)
			return thread
		},
	} {
		thread := create()
		lines := strings.Split(profile(), "\n")
		require.Contains(t, lines[2], "TestProfileShowsTheCreatorOfAThread", "%s: the stack begins at the caller:\n%s", name, profile())
		_ = thread.Stop()
		require.NotContains(t, profile(), "TestProfileShowsTheCreatorOfAThread")
	}
}

// A handle that is kept when its thread is gone keeps no other thread alive.
func TestHandleOfAThreadThatIsGoneKeepsNobodyAlive(t *testing.T) {
	gone := make([]*kthread.Thread, 100)
	for i := range gone {
		gone[i] = kthread.Run("gone", func(*kthread.Current) error { return nil })
		require.NoError(t, ignoreEINTR(gone[i].Stop()))
	}
	collected := make(chan struct{})
	runtime.AddCleanup(kthread.Create("its place", untilStopped), func(struct{}) { close(collected) }, struct{}{})
	for range 100 {
		runtime.GC()
		select {
		case <-collected:
			runtime.KeepAlive(gone)
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Error("a thread without a handle is kept alive")
	runtime.KeepAlive(gone)
}

func ignoreEINTR(err error) error {
	if errors.Is(err, syscall.EINTR) {
		return nil
	}
	return err
}

// A large value is one that a closure or a struct may keep alive.
type large struct {
	queue waitqueue.Queue
	data  [1 << 20]byte
}

// A handle that is kept when its thread is gone keeps nothing of it alive: not
// the captures of the function, not its queues, not the worker.
func TestHandleOfAThreadThatIsGoneKeepsItsFunctionNotAlive(t *testing.T) {
	run := func() (*kthread.Thread, weak.Pointer[large]) {
		captured := &large{queue: waitqueue.Queue{Name: "captured"}}
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			_ = cur.Wait(new(waitqueue.Queue), func() bool { return true })
			captured.data[0] = 1
			return nil
		})
		require.NoError(t, thread.Wait(context.Background()))
		return thread, weak.Make(captured)
	}
	thread, captured := run()
	require.True(t, collected.Soon(captured), "the captured value is kept alive")
	runtime.KeepAlive(thread)

	neverRan := func() (*kthread.Thread, weak.Pointer[large]) {
		captured := new(large)
		thread := kthread.Create("t", func(*kthread.Current) error { captured.data[0] = 1; return nil })
		require.Error(t, thread.Stop())
		return thread, weak.Make(captured)
	}
	thread, captured = neverRan()
	require.True(t, collected.Soon(captured), "the captured value of a thread that never ran is kept alive")
	runtime.KeepAlive(thread)

	work := func() (*kthread.Thread, weak.Pointer[kthread.Worker]) {
		w := kthread.CreateWorker("w")
		require.NoError(t, ignoreEINTR(w.Thread().Stop()))
		return w.Thread(), weak.Make(w)
	}
	thread, worker := work()
	require.True(t, collected.Soon(worker), "the worker is kept alive")
	runtime.KeepAlive(thread)
}

// A worker that is gone lets go of the works whose time has not come. Their timers
// would keep them alive until then.
func TestWorkerThatIsGoneKeepsNoDelayedWorkAlive(t *testing.T) {
	stop := map[string]func(*kthread.Worker) error{
		"Destroy": func(w *kthread.Worker) error { return w.Destroy(t.Context()) },
		"Stop":    func(w *kthread.Worker) error { return ignoreEINTR(w.Thread().Stop()) },
	}
	for name, stop := range stop {
		w := kthread.RunWorker("w")
		work := func() weak.Pointer[large] {
			captured := new(large)
			d := &kthread.DelayedWork{Func: func() { captured.data[0] = 1 }}
			require.True(t, w.EnqueueAfter(d, time.Hour))
			require.True(t, w.ModDelayed(d, 2*time.Hour))
			return weak.Make(captured)
		}()
		require.NoError(t, stop(w))
		require.True(t, collected.Soon(work), "after %s the captured value is kept alive", name)
		runtime.KeepAlive(w)
	}
}

// A thread that lives keeps no queue alive on which it has slept, with or
// without labels.
func TestThreadKeepsTheQueueOfItsLastSleepNotAlive(t *testing.T) {
	for _, labels := range []bool{false, true} {
		kthread.SetProfile(labels)
		queues := make(chan weak.Pointer[large])
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			queues <- sleepOn(cur)
			return untilStopped(cur)
		})
		queue := <-queues
		for thread.Info().State != waitqueue.Interruptible {
			runtime.Gosched()
		}
		require.True(t, collected.Soon(queue), "the queue is kept alive")
		require.Equal(t, errMine, thread.Stop())
	}
	kthread.SetProfile(false)
}

// sleepOn sleeps on a queue with a name that is a part of something large.
func sleepOn(cur *kthread.Current) weak.Pointer[large] {
	l := &large{queue: waitqueue.Queue{Name: "large"}}
	_ = cur.WaitTimeout(&l.queue, time.Millisecond, func() bool { return false })
	return weak.Make(l)
}

// labelsOf returns the profiler labels of the goroutine that has a label kthread
// of that value.
func labelsOf(t *testing.T, name string) string {
	var text strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&text, 1))
	return regexp.MustCompile(`labels: {.*"kthread":"` + name + `".*`).FindString(text.String())
}

// A wait on a queue with a name leaves the labels of the function as they are.
func TestWaitLeavesTheLabelsOfTheFunction(t *testing.T) {
	q := waitqueue.Queue{Name: "mail"}
	labels := make(chan string, 2)
	thread := kthread.Run("labelled by itself", func(cur *kthread.Current) error {
		pprof.Do(cur.Context(), pprof.Labels("request", "7"), func(context.Context) {
			_ = cur.WaitTimeout(&q, time.Millisecond, func() bool { return false })
			labels <- labelsOf(t, "labelled by itself")
			time.AfterFunc(time.Millisecond, func() { labels <- labelsOf(t, "labelled by itself"); _ = cur.Thread().Signal(usr1) })
			_ = cur.Allow(usr1)
			_ = cur.Wait(&q, func() bool { return false })
		})
		return nil
	})
	for range 2 {
		require.Equal(t, `labels: {"kthread":"labelled by itself", "request":"7"}`, <-labels)
	}
	require.NoError(t, thread.Wait(t.Context()))
}

// After a condition that panics, the thread is not shown as if it slept on the
// queue.
func TestConditionThatPanicsLeavesNoQueueShown(t *testing.T) {
	for _, labels := range []bool{false, true} {
		kthread.SetProfile(labels)
		q := waitqueue.Queue{Name: "mail"}
		turn := make(chan bool)
		thread := kthread.Run("panicked", func(cur *kthread.Current) error {
			calls := 0
			func() {
				defer func() { _ = recover() }()
				_ = cur.Wait(&q, func() bool {
					if calls++; calls > 1 {
						panic("the condition")
					}
					return false
				})
			}()
			turn <- true
			<-turn
			return cur.Sleep(time.Hour)
		})
		<-turn
		require.Equal(t, `labels: {"kthread":"panicked"}`, labelsOf(t, "panicked"))
		require.Empty(t, thread.Info().Wchan)
		turn <- true
		for thread.Info().State != waitqueue.Interruptible {
			runtime.Gosched()
		}
		require.Empty(t, thread.Info().Wchan, "it sleeps elsewhere")
		require.Equal(t, kthread.ErrStopped, thread.Stop())
	}
	kthread.SetProfile(false)
}

// A bubble has a clock of its own, so a reader outside of it cannot tell the age.
func TestAgeIsByTheClockOfTheThread(t *testing.T) {
	outside := kthread.Run("outside", untilStopped)
	inside := make(chan *kthread.Thread, 1)
	read := make(chan bool)
	go func() {
		defer close(read)
		thread := <-inside
		require.Zero(t, thread.Info().Age)
		require.Zero(t, listed("inside")[0].Age)
		require.Contains(t, fmt.Sprint(listed("inside")), " 0s ")
	}()
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("inside", untilStopped)
		time.Sleep(time.Hour)
		require.Equal(t, time.Hour, thread.Info().Age)
		require.Zero(t, outside.Info().Age)
		inside <- thread
		<-read
		require.Equal(t, errMine, thread.Stop())
	})
	require.Less(t, outside.Info().Age, time.Hour)
	require.Positive(t, outside.Info().Age)
	require.Equal(t, errMine, outside.Stop())
}

// With SetProfile the label names the queue of this sleep, not of an earlier one.
// A wait that does not sleep leaves the labels of the function as they are.
func TestLabelNamesTheQueueOfThisSleep(t *testing.T) {
	kthread.SetProfile(true)
	defer kthread.SetProfile(false)
	turn := make(chan string)
	thread := kthread.Run("sleeper", func(cur *kthread.Current) error {
		for _, name := range []string{"mail", "news", "mail"} {
			q := waitqueue.Queue{Name: name}
			var seen atomic.Bool
			time.AfterFunc(time.Millisecond, func() {
				for cur.Thread().Info().State != waitqueue.Interruptible {
					runtime.Gosched()
				}
				turn <- labelsOf(t, "sleeper")
				seen.Store(true)
				q.WakeUp()
			})
			_ = cur.Wait(&q, seen.Load)
		}
		pprof.Do(cur.Context(), pprof.Labels("request", "7"), func(context.Context) {
			_ = cur.Wait(&waitqueue.Queue{Name: "mail"}, func() bool { return true })
			turn <- labelsOf(t, "sleeper")
		})
		return nil
	})
	for _, name := range []string{"mail", "news", "mail"} {
		require.Equal(t, `labels: {"kthread":"sleeper", "wchan":"`+name+`"}`, <-turn)
	}
	require.Equal(t, `labels: {"kthread":"sleeper", "request":"7"}`, <-turn)
	require.NoError(t, thread.Wait(t.Context()))
}

// The profile forgets a thread that never ran when nothing refers to it.
func TestProfileForgetsAThreadThatIsCollected(t *testing.T) {
	kthread.SetProfile(true)
	defer kthread.SetProfile(false)
	before := pprof.Lookup("kthread").Count()
	kthread.Create("t", untilStopped)
	require.Equal(t, before+1, pprof.Lookup("kthread").Count())
	for pprof.Lookup("kthread").Count() > before {
		runtime.GC()
	}
}
