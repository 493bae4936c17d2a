package trace_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	rtrace "runtime/trace"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// parsed returns the events of a trace of package runtime/trace.
func parsed(t *testing.T, record []byte) string {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "trace")
	require.NoError(t, os.WriteFile(file, record, 0o600))
	out, err := exec.Command(goTool, "tool", "trace", "-d=parsed", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// recorded returns the record of package runtime/trace of a call.
func recorded(t *testing.T, call func()) []byte {
	var b bytes.Buffer
	require.NoError(t, rtrace.Start(&b))
	defer rtrace.Stop() // call may fail
	call()
	rtrace.Stop()
	return b.Bytes()
}

// regions shows sleeps in the traces of runtime/trace until the test is over. Its recorder is for
// awaitSleeps.
func regions(t *testing.T) *trace.FlightRecorder {
	trace.SetRegions(true)
	t.Cleanup(func() { trace.SetRegions(false) })
	f := new(trace.FlightRecorder)
	require.NoError(t, f.Start())
	t.Cleanup(f.Stop)
	return f
}

// awaitSleeps waits until the recorder has seen n sleeps in state S.
func awaitSleeps(t *testing.T, f *trace.FlightRecorder, n int) {
	for strings.Count(dump(t, f), "prev_state=S") < n {
		runtime.Gosched()
	}
}

// go tool trace sees a thread as a task, and its sleep as a region.
func TestRegions(t *testing.T) {
	f := regions(t)
	out := parsed(t, recorded(t, func() {
		q := waitqueue.Queue{Name: "doorbell"}
		var ready atomic.Bool
		flusher := kthread.Run("flusher", func(cur *kthread.Current) error { return cur.Wait(&q, ready.Load) })
		plain := make(chan error)
		go func() { plain <- q.Wait(t.Context(), ready.Load) }()
		awaitSleeps(t, f, 2)
		ready.Store(true)
		q.WakeUp()
		require.NoError(t, flusher.Wait(background))
		require.NoError(t, <-plain)
	}))
	require.Regexp(t, `TaskBegin.*Type="flusher"`, out)
	require.Regexp(t, `RegionBegin.*Task=[1-9]\d* Type="sleep at doorbell"`, out)
	require.Regexp(t, `RegionBegin.*Task=0 Type="sleep at doorbell"`, out, "of the goroutine")
	require.Regexp(t, `RegionEnd.*Type="sleep at doorbell"`, out)
	require.Regexp(t, `TaskEnd.*Type="flusher"`, out)
}

// A thread that slept between two traces is a task in each of them.
func TestRegionsOfASecondTrace(t *testing.T) {
	f := regions(t)
	var q waitqueue.Queue
	var turn atomic.Int64
	begin, over := make(chan int64), make(chan error)
	flusher := kthread.Run("flusher", func(cur *kthread.Current) error {
		for n := range begin {
			over <- cur.Wait(&q, func() bool { return turn.Load() == n })
		}
		return nil
	})
	sleep := func(n int) {
		begin <- int64(n)
		awaitSleeps(t, f, n)
		turn.Add(1)
		q.WakeUp()
		require.NoError(t, <-over)
	}
	first := recorded(t, func() { sleep(1) })
	sleep(2)
	second := recorded(t, func() { sleep(3); close(begin); require.NoError(t, flusher.Wait(background)) })
	for _, record := range [][]byte{first, second} {
		require.Regexp(t, `TaskBegin.*Type="flusher"`, parsed(t, record))
	}
}
