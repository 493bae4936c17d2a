package trace_test

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/watch"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

func TestStartTwice(t *testing.T) {
	require.NoError(t, trace.Stop(), "nothing runs")
	require.Nil(t, watch.On())
	require.ErrorIs(t, trace.Start(nil), syscall.EINVAL)
	require.NoError(t, trace.Start(io.Discard))
	err := trace.Start(io.Discard)
	require.ErrorIs(t, err, syscall.EBUSY)
	require.EqualError(t, err, "trace: a trace runs already")
	require.NoError(t, trace.Stop())
	require.NoError(t, trace.Start(io.Discard))
	require.NoError(t, trace.Stop())
	require.Nil(t, watch.On(), "a sleep costs no more than before")
}

// A failing writer is not written to again.
func TestErrorOfTheWriter(t *testing.T) {
	broken := errors.New("disk is full")
	writes := 0
	w := writerFunc(func([]byte) (int, error) { writes++; return 0, broken })
	require.NoError(t, trace.Start(w))
	for range 200_000 {
		trace.Instant("now")
	}
	require.Equal(t, broken, trace.Stop())
	require.Equal(t, 1, writes)
}

// A Writer that takes less than it gets has failed.
func TestShortWrite(t *testing.T) {
	writes := 0
	require.NoError(t, trace.Start(writerFunc(func(text []byte) (int, error) { writes++; return len(text) - 1, nil })))
	trace.Instant("now")
	require.ErrorIs(t, trace.Stop(), io.ErrShortWrite)
	require.Equal(t, 1, writes)
}

// A panic of the Writer goes on in Stop. The program runs until then.
func TestWriterThatPanics(t *testing.T) {
	called := make(chan struct{})
	w := writerFunc(func([]byte) (int, error) { defer close(called); panic("full") })
	require.NoError(t, trace.Start(w))
	<-called
	for range 200_000 {
		trace.Instant("now")
	}
	require.PanicsWithValue(t, "full", func() { _ = trace.Stop() })
	require.NoError(t, trace.Start(io.Discard), "the trace is over all the same")
	require.NoError(t, trace.Stop())
}

func TestWriterThatEndsItsGoroutine(t *testing.T) {
	called := make(chan struct{})
	w := writerFunc(func([]byte) (int, error) { defer close(called); runtime.Goexit(); return 0, nil })
	require.NoError(t, trace.Start(w))
	<-called
	trace.Instant("now")
	require.EqualError(t, trace.Stop(), "trace: a Write did not return")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(text []byte) (int, error) { return f(text) }

// A slow writer delays no goroutine. The events that it cannot take are counted, in their place.
func TestLossIsCounted(t *testing.T) {
	var b bytes.Buffer
	goOn, emptied := make(chan struct{}), make(chan struct{})
	writes := 0
	w := writerFunc(func(text []byte) (int, error) {
		<-goOn
		if writes++; writes == 2 { // the first one is the header
			close(emptied)
		}
		return b.Write(text)
	})
	require.NoError(t, trace.Start(w))
	const all = 300_000
	for range all {
		trace.Instant("now")
	}
	close(goOn)
	<-emptied
	for range 1000 {
		trace.Instant("later")
	}
	require.NoError(t, trace.Stop())
	require.Regexp(t, `\|now\n# \d+ events are lost here\n.*\|later\n`, b.String())
	seen, lost := 0, losses(t, b.String())
	for _, l := range parse(t, b.String()) {
		if l.event == "tracing_mark_write" {
			seen++
		}
	}
	require.NotZero(t, lost)
	require.Equal(t, all+1000, seen+lost)
}

// The same at the end of a trace, in a bubble, where nothing is written before Stop.
func TestLossInABubble(t *testing.T) {
	out := text(t, func(*testing.T) {
		for range 70_000 {
			trace.Instant("now")
		}
	})
	require.Regexp(t, `\n# \d{4} events are lost here\n$`, out)
	require.Len(t, parse(t, out), 65_535)
}

// Threads that are there at the start are shown as they are.
func TestThreadsBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := waitqueue.Queue{Name: "door"}
		var ready atomic.Bool
		th := kthread.Run("early", func(cur *kthread.Current) error { return cur.Wait(&q, ready.Load) })
		created := kthread.Create("not yet", func(*kthread.Current) error { return nil })
		runs := kthread.Run("busy", func(cur *kthread.Current) error { <-cur.Context().Done(); return nil })
		synctest.Wait()
		var b bytes.Buffer
		require.NoError(t, trace.Start(&b))
		time.Sleep(time.Millisecond)
		ready.Store(true)
		q.WakeUp()
		require.NoError(t, th.Wait(background))
		require.NoError(t, trace.Stop())
		require.Equal(t, "early sleeps S\nbusy runs\ngoroutine/1 runs\ngoroutine/1 wakes early at door\nearly runs\nearly sleeps X", story(parse(t, b.String())))
		require.NoError(t, runs.Stop())
		require.Error(t, created.Stop())
	})
}

// A plain waiter from before the start has no lane until it acts.
func TestWaiterBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var ready atomic.Bool
		go func() {
			_ = q.Wait(t.Context(), ready.Load)
			trace.Instant("awake")
		}()
		synctest.Wait()
		var b bytes.Buffer
		require.NoError(t, trace.Start(&b))
		ready.Store(true)
		q.WakeUp()
		synctest.Wait()
		require.NoError(t, trace.Stop())
		require.Equal(t, "goroutine/1 runs\ngoroutine/1 I|1|awake", story(parse(t, b.String())))
	})
}

// A trace that begins while a recorder runs shows the lanes that the recorder knows.
func TestTraceBesideARecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var recorder trace.FlightRecorder
		require.NoError(t, recorder.Start())
		defer recorder.Stop()
		var q waitqueue.Queue
		var ready atomic.Bool
		go func() { _ = q.Wait(t.Context(), ready.Load) }()
		synctest.Wait()
		time.Sleep(time.Hour)
		var b, c bytes.Buffer
		require.NoError(t, trace.Start(&b))
		time.Sleep(time.Hour)
		ready.Store(true)
		q.WakeUp()
		synctest.Wait()
		require.NoError(t, trace.Stop())
		lines := parse(t, b.String())
		require.Equal(t, "goroutine/1 sleeps S\ngoroutine/2 runs\ngoroutine/2 wakes goroutine/1\ngoroutine/1 runs", story(lines))
		require.Less(t, lines[0].at, int64(time.Second), "the times begin with the trace")
		require.Greater(t, lines[1].at, int64(time.Hour)-int64(time.Second))
		_, err := recorder.WriteTo(&c)
		require.NoError(t, err)
		require.Equal(t, story(lines), story(parse(t, c.String())))
	})
}

// A tracer that was started in a bubble hears nothing of goroutines outside.
func TestTwoClocks(t *testing.T) {
	var q waitqueue.Queue
	begin, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(end)
		<-begin
		tests := 0
		_ = q.Wait(background, func() bool {
			if tests++; tests == 2 {
				go q.WakeUp()
			}
			return tests == 3
		})
		trace.Instant("outside")
	}()
	lines := traced(t, func(t *testing.T) {
		close(begin)
		<-end
		trace.Instant("inside")
	})
	require.Equal(t, "goroutine/1 runs\ngoroutine/1 I|1|inside", story(lines))
}

// A program with a fixed order has the same trace every time.
func TestSameTraceEveryTime(t *testing.T) {
	run := func() string {
		return story(traced(t, func(*testing.T) { sleeper("waiter", "door"); sleeper("second", "") }))
	}
	first := run()
	for range 20 {
		require.Equal(t, first, run())
	}
}

// The threads that are there at the start come in the order of their pids, also if a new one
// has the place of one that ended.
func TestOrderOfThreadsBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(name string) *kthread.Thread {
			return kthread.Run(name, func(cur *kthread.Current) error { return cur.Wait(new(waitqueue.Queue), cur.ShouldStop) })
		}
		for range 20 {
			first, older := run("first"), run("older")
			synctest.Wait()
			require.NoError(t, first.Stop())
			newer := run("newer")
			synctest.Wait()
			var b bytes.Buffer
			require.NoError(t, trace.Start(&b))
			require.NoError(t, trace.Stop())
			lines := parse(t, b.String())
			require.Len(t, lines, 2)
			require.Equal(t, []string{"older", "newer"}, []string{lines[0].task, lines[1].task})
			require.Less(t, lines[0].cpu, lines[1].cpu)
			require.NoError(t, older.Stop())
			require.NoError(t, newer.Stop())
		}
	})
}

// The same trace every time, also if many lanes end at once because there are too many.
func TestSameTraceOfManyNames(t *testing.T) {
	run := func() string {
		return text(t, func(t *testing.T) {
			for range 4200 {
				ctx, _ := waitqueue.WithTask(t.Context(), "worker") // and no stop
				tests := 0
				_ = new(waitqueue.Queue).Wait(ctx, func() bool { tests++; return tests == 2 })
				trace.Instant("now")
			}
		})
	}
	first, second := run(), run()
	require.Contains(t, first, "prev_state=X")
	require.True(t, first == second, "the same text")
}

// Goroutines that come and go leave no lanes behind: their CPUs are used again.
func TestManyNames(t *testing.T) {
	out := text(t, func(t *testing.T) {
		var q waitqueue.Queue
		var ready atomic.Bool
		go func() {
			ctx, stop := waitqueue.WithTask(t.Context(), "sleeper")
			defer stop()
			_ = q.Wait(ctx, ready.Load)
		}()
		synctest.Wait()
		defer synctest.Wait()
		defer q.WakeUp()
		defer ready.Store(true)
		for range 10_000 {
			ctx, _ := waitqueue.WithTask(t.Context(), "worker") // and no stop
			tests := 0
			_ = new(waitqueue.Queue).Wait(ctx, func() bool { tests++; return tests == 2 })
			trace.Instant("now")
		}
	})
	most := 0
	for _, l := range parse(t, out) {
		most = max(most, l.cpu)
	}
	require.Less(t, most, 5000)
	require.Contains(t, out, "pid=1000010000 ")
	require.Equal(t, []string{"sleeper sleeps S", "sleeper runs", "sleeper sleeps X"},
		regexp.MustCompile(`(?m)^sleeper.*`).FindAllString(story(parse(t, out)), -1))
}

// Goroutines that only act on others leave few lanes behind too, also if many live at once.
func TestManySenders(t *testing.T) {
	const senders = 10_000
	var b bytes.Buffer
	require.NoError(t, trace.Start(&b))
	daemon := kthread.Run("daemon", func(cur *kthread.Current) error { <-cur.Context().Done(); return nil })
	end := make(chan struct{})
	var group, sent sync.WaitGroup
	sent.Add(senders)
	for range senders {
		group.Go(func() {
			_ = daemon.Signal(10)
			sent.Done()
			<-end
		})
	}
	sent.Wait()
	close(end)
	group.Wait()
	require.NoError(t, daemon.Stop())
	require.NoError(t, trace.Stop())
	require.Equal(t, senders, strings.Count(b.String(), ": signal_generate: "))
	most := 0
	for _, l := range parse(t, b.String()) {
		most = max(most, l.cpu)
	}
	require.Less(t, most, 5000)
}
