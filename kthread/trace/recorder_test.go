package trace_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
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

// dump returns the text of the recorder.
func dump(t *testing.T, f *trace.FlightRecorder) string {
	t.Helper()
	var b bytes.Buffer
	n, err := f.WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, int64(b.Len()), n)
	return b.String()
}

func TestRecorderKeepsTheLastMoments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &trace.FlightRecorder{Keep: 2 * time.Second}
		require.Empty(t, parse(t, dump(t, f)))
		require.NoError(t, f.Start())
		defer f.Stop()
		require.ErrorIs(t, new(trace.FlightRecorder).Start(), syscall.EBUSY)
		var q waitqueue.Queue
		var ready atomic.Bool
		go func() { _ = q.Wait(t.Context(), ready.Load) }()
		for i := range 10 {
			time.Sleep(time.Second)
			trace.Instant(fmt.Sprint(i))
		}
		want := "goroutine/1 sleeps S\ngoroutine/2 runs\ngoroutine/2 I|1|7\ngoroutine/2 I|1|8\ngoroutine/2 I|1|9"
		require.Equal(t, want, story(parse(t, dump(t, f))), "the other lanes are as they were")
		require.Equal(t, want, story(parse(t, dump(t, f))), "a dump changes nothing")
		time.Sleep(time.Hour)
		require.Equal(t, "goroutine/1 sleeps S\ngoroutine/2 runs", story(parse(t, dump(t, f))))
		ready.Store(true)
		q.WakeUp()
		synctest.Wait()
		f.Stop()
		trace.Instant("after the end")
		require.True(t, strings.HasSuffix(story(parse(t, dump(t, f))), "goroutine/2 wakes goroutine/1\ngoroutine/1 runs"))
		require.NoError(t, f.Start())
		defer f.Stop()
		require.Empty(t, parse(t, dump(t, f)), "a second start drops the recorded events")
		f.Stop()
		f.Stop()
	})
}

func TestRecorderIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &trace.FlightRecorder{MaxBytes: 6400, Keep: time.Hour}
		require.NoError(t, f.Start())
		defer f.Stop()
		defer f.Stop()
		for i := range 1000 {
			trace.Instant(fmt.Sprint(i))
		}
		lines := parse(t, dump(t, f))
		require.Equal(t, "I|1|999", lines[len(lines)-1].details)
		require.InDelta(t, 100, len(lines), 50)
		require.Equal(t, "goroutine/1", lines[0].args["next_comm"], "the lane runs at the beginning")
		for range 37 { // the ring is full at each place of its next event
			trace.Instant("one more")
			require.Len(t, parse(t, dump(t, f)), len(lines))
		}
	})
}

// A Stop of a recorder that does not run changes nothing. The other recorder goes on, and the
// events that were kept stay.
func TestStopOfAnotherRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, other := &trace.FlightRecorder{Keep: -1, MaxBytes: -1}, new(trace.FlightRecorder)
		require.NoError(t, f.Start())
		defer f.Stop()
		require.ErrorIs(t, other.Start(), syscall.EBUSY)
		other.Stop()
		time.Sleep(5 * time.Second)
		trace.Instant("it runs")
		f.Stop()
		time.Sleep(time.Hour)
		f.Stop()
		require.Equal(t, "goroutine/1 runs\ngoroutine/1 I|1|it runs", story(parse(t, dump(t, f))))
		require.Empty(t, parse(t, dump(t, other)))
	})
}

// Keep is also true after Stop, and for a caller outside of the bubble.
func TestKeepAfterStop(t *testing.T) {
	f := &trace.FlightRecorder{Keep: 2 * time.Second}
	said := func(t *testing.T) string { return story(parse(t, dump(t, f))) }
	const want = "goroutine/1 runs\ngoroutine/1 I|1|8\ngoroutine/1 I|1|9"
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, f.Start())
		for i := range 10 {
			time.Sleep(time.Second)
			trace.Instant(fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		f.Stop()
		time.Sleep(time.Hour)
		require.Equal(t, want, said(t))
	})
	require.Equal(t, want, said(t))
}

// The clock of a bubble stands still when the bubble is over.
func TestDumpFromOutsideOfTheBubble(t *testing.T) {
	var f trace.FlightRecorder
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, f.Start())
		trace.Instant("inside")
		time.Sleep(time.Hour)
		trace.Instant("later")
	})
	defer f.Stop()
	const want = "goroutine/1 runs\ngoroutine/1 I|1|later"
	require.Equal(t, want, story(parse(t, dump(t, &f))))
	f.Stop()
	require.Equal(t, want, story(parse(t, dump(t, &f))))
}

// A recorder in whose time nothing happened shows how the threads sleep.
func TestRecorderWithoutAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace.StartCounting()
		defer trace.StopCounting()
		q := waitqueue.Queue{Name: "door"}
		th := kthread.Run("sleeper", func(cur *kthread.Current) error { return cur.Wait(&q, func() bool { return false }) })
		synctest.Wait()
		var f trace.FlightRecorder
		require.NoError(t, f.Start())
		pid := fmt.Sprint(th.Info().Pid)
		want := "sleeper sleeps S\ngoroutine/1 runs\n" + pid + " still sleeps at door"
		require.Equal(t, want, story(parse(t, dump(t, &f))))
		require.NotContains(t, dump(t, &f), "lost")
		f.Stop()
		require.Equal(t, want, story(parse(t, dump(t, &f))))
		require.Error(t, th.Stop())
	})
}

// A dump begins with the state of a lane before its first event, also if that is the end of a
// sleep without a wake-up, or a signal that does nothing.
func TestBeginningOfADump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace.StartCounting()
		defer trace.StopCounting()
		busy := kthread.Run("busy", func(cur *kthread.Current) error { <-cur.Context().Done(); return nil })
		go func() {
			ctx, cancel := context.WithTimeout(background, time.Minute)
			defer cancel()
			_ = new(waitqueue.Queue).Wait(ctx, func() bool { return false })
		}()
		synctest.Wait()
		var f trace.FlightRecorder
		require.NoError(t, f.Start())
		defer f.Stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NoError(t, busy.Signal(15))
		require.Equal(t, "busy runs\ngoroutine/1 runs\ngoroutine/2 sleeps S\ngoroutine/2 runs\ngoroutine/1 signals busy 15 1",
			story(parse(t, dump(t, &f))))
		require.NoError(t, busy.Stop())
	})
}

// A lane that comes later does not run at the beginning: it may have the CPU of another lane
// that ended. parse checks that no two lanes have one CPU.
func TestNewLaneIsNotAtTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f trace.FlightRecorder
		require.NoError(t, f.Start())
		defer f.Stop()
		require.NoError(t, kthread.Run("first", func(*kthread.Current) error { return nil }).Wait(background))
		nap := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.Error(t, new(waitqueue.Queue).Wait(ctx, func() bool { return false }))
		}
		go nap()
		synctest.Wait()
		require.NotContains(t, story(parse(t, dump(t, &f))), "goroutine/2 runs")
		time.Sleep(time.Hour)
		nap()
		require.Contains(t, story(parse(t, dump(t, &f))), "goroutine/1 runs\n", "it is not new any more")
	})
}

// A long name takes neither memory nor a long line.
func TestLongNames(t *testing.T) {
	long := func(char string) string { return strings.Repeat(char, 1<<20) }
	var f trace.FlightRecorder
	require.NoError(t, f.Start())
	defer f.Stop()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 50 {
		trace.Instant(long("m"))
		q, tests := waitqueue.Queue{Name: long("q")}, 0
		require.NoError(t, q.Wait(background, func() bool {
			if tests++; tests == 2 {
				go q.WakeUp()
			}
			return tests == 3
		}))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc-before.HeapAlloc), int64(10<<20))
	for text := range strings.Lines(dump(t, &f)) {
		require.Less(t, len(text), 300)
	}
	require.Contains(t, dump(t, &f), " caller="+long("q")[:100]+"\n")
}

// The panic goes on with every Writer.
func TestDumpOnPanicToABadWriter(t *testing.T) {
	for name, w := range map[string]io.Writer{
		"panics":             writerFunc(func([]byte) (int, error) { panic("of the writer") }),
		"nil":                nil,
		"fails":              writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe }),
		"ends its goroutine": writerFunc(func([]byte) (int, error) { runtime.Goexit(); return 0, nil }),
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan any, 1)
			go func() {
				defer func() { got <- recover() }()
				defer new(trace.FlightRecorder).DumpOnPanic(w)
				panic("mine")
			}()
			require.Equal(t, "mine", <-got)
		})
	}
}

// The value of a panic may be any text. A comment has one line, which is not too long.
func TestDumpOnPanicOfALongText(t *testing.T) {
	var b bytes.Buffer
	require.Panics(t, func() {
		defer new(trace.FlightRecorder).DumpOnPanic(&b)
		panic("a\r\nb\x1b[2J\x00\xff\u2028" + strings.Repeat("z", 1<<20))
	})
	require.Empty(t, parse(t, b.String()))
	require.Regexp(t, `^# tracer: nop\n#\n# panic: a  b \[2J \? z{980,1000}\.\.\.\n$`, b.String())
}

func TestShortDump(t *testing.T) {
	half := writerFunc(func(text []byte) (int, error) { return len(text) / 2, nil })
	n, err := new(trace.FlightRecorder).WriteTo(half)
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.Equal(t, int64(len("# tracer: nop\n#\n")/2), n)
}

func TestDumpOnPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f trace.FlightRecorder
		require.NoError(t, f.Start())
		defer f.Stop()
		defer f.Stop()
		var b bytes.Buffer
		func() { defer f.DumpOnPanic(&b) }()
		require.Zero(t, b.Len(), "no panic")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer f.DumpOnPanic(&b)
			runtime.Goexit()
		}()
		<-ended
		require.Zero(t, b.Len(), "no panic")
		require.PanicsWithValue(t, "a\nb", func() {
			defer f.DumpOnPanic(&b)
			trace.Instant("the last one")
			panic("a\nb")
		})
		require.Contains(t, b.String(), "\n# panic: a b\n")
		require.Contains(t, story(parse(t, b.String())), "the last one")
	})
}

func TestDumpWhenStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f trace.FlightRecorder
		require.NoError(t, f.Start())
		defer f.Stop()
		defer f.Stop()
		door := waitqueue.Queue{Name: "door"}
		var ready atomic.Bool
		// These are not stuck: an interruptible sleep, an idle worker, a parked thread.
		sleeper := kthread.Run("sleeper", func(cur *kthread.Current) error { return cur.Wait(&door, func() bool { return false }) })
		idle := kthread.AllocWorkqueue("mail", 1)
		idle.Enqueue(&kthread.Work{Func: func() {}})
		asked, isParked := make(chan struct{}), make(chan error)
		parked := kthread.Run("parked", func(cur *kthread.Current) error { <-asked; cur.ParkMe(); return nil })
		go func() { isParked <- parked.Park(background) }()
		synctest.Wait() // or the thread could be gone before it is asked to park
		close(asked)
		require.NoError(t, <-isParked)

		var b bytes.Buffer
		ctx, cancel := context.WithTimeout(background, time.Minute)
		defer cancel()
		require.ErrorIs(t, f.DumpWhenStuck(ctx, 8*time.Second, &b), syscall.ETIMEDOUT)
		require.Zero(t, b.Len())

		start := time.Now()
		var open atomic.Bool
		again := kthread.Run("again", func(cur *kthread.Current) error { // slept in state D, and runs now
			_ = door.Wait(background, open.Load)
			<-cur.Context().Done()
			return nil
		})
		synctest.Wait()
		open.Store(true)
		door.WakeUpAll()
		flushd := kthread.Run("flushd", func(*kthread.Current) error { return door.Wait(background, ready.Load) })
		require.NoError(t, f.DumpWhenStuck(background, 8*time.Second, &b))
		require.Equal(t, 9*time.Second, time.Since(start))
		require.Regexp(t, `\n# flushd-\d+ is stuck at "door" for 9s\n`, b.String())
		require.NotContains(t, b.String(), "# sleeper-")
		require.NotContains(t, b.String(), "# again-")
		require.NoError(t, again.Stop())
		require.Contains(t, story(parse(t, b.String())), "flushd sleeps D")

		ready.Store(true)
		door.WakeUp()
		require.NoError(t, flushd.Wait(background))
		require.Error(t, sleeper.Stop())
		require.NoError(t, parked.Stop())
		require.NoError(t, idle.Destroy(background))
	})
}

// Without a time of its own, DumpWhenStuck has the kernel's.
func TestDumpWhenStuckAfterTheDefault(t *testing.T) {
	for _, after := range []time.Duration{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			var f trace.FlightRecorder
			require.NoError(t, f.Start())
			defer f.Stop()
			var done waitqueue.Completion
			flushd := kthread.Run("flushd", func(*kthread.Current) error { return done.Wait(background) })
			var b bytes.Buffer
			require.NoError(t, f.DumpWhenStuck(background, after, &b))
			require.Regexp(t, `\n# flushd-\d+ is stuck at "" for 2m15s\n`, b.String())
			done.Complete()
			require.NoError(t, flushd.Wait(background))
		})
	}
}
