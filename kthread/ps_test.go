package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// listed returns what the list says of the threads of that name.
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

// The list does not keep a thread alive that nobody can start any more.
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

// The profile shows who created a thread, for as long as it is not gone.
func TestProfileShowsWhoCreatedAThread(t *testing.T) {
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
		require.Contains(t, lines[2], "TestProfileShowsWhoCreatedAThread", "%s: the stack begins at who called it:\n%s", name, profile())
		_ = thread.Stop()
		require.NotContains(t, profile(), "TestProfileShowsWhoCreatedAThread")
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
	for done := false; !done; {
		runtime.GC()
		select {
		case <-collected:
			done = true
		default:
			runtime.Gosched()
		}
	}
	runtime.KeepAlive(gone)
}

func ignoreEINTR(err error) error {
	if errors.Is(err, syscall.EINTR) {
		return nil
	}
	return err
}
