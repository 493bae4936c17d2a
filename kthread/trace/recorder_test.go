package trace_test

import (
	"bytes"
	"context"
	"fmt"
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
	})
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
		flushd := kthread.Run("flushd", func(*kthread.Current) error { return door.Wait(background, ready.Load) })
		require.NoError(t, f.DumpWhenStuck(background, 8*time.Second, &b))
		require.Equal(t, 9*time.Second, time.Since(start))
		require.Regexp(t, `\n# flushd-\d+ is stuck at "door" for 9s\n`, b.String())
		require.NotContains(t, b.String(), "# sleeper-")
		require.Contains(t, story(parse(t, b.String())), "flushd sleeps D")

		ready.Store(true)
		door.WakeUp()
		require.NoError(t, flushd.Wait(background))
		require.Error(t, sleeper.Stop())
		require.NoError(t, parked.Stop())
		require.NoError(t, idle.Destroy(background))
	})
}
