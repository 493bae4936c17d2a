package trace_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	rtrace "runtime/trace"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// go tool trace sees a thread as a task, and its sleep as a region.
func TestRegions(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip(err)
	}
	trace.SetRegions(true)
	defer trace.SetRegions(false)
	var b bytes.Buffer
	require.NoError(t, rtrace.Start(&b))
	q := waitqueue.Queue{Name: "doorbell"}
	var ready atomic.Bool
	flusher := kthread.Run("flusher", func(cur *kthread.Current) error { return cur.Wait(&q, ready.Load) })
	plain := make(chan error)
	go func() { plain <- q.Wait(background, ready.Load) }()
	for q.Len() < 2 {
		select {
		case err := <-plain:
			require.NoError(t, err)
		default:
		}
	}
	ready.Store(true)
	q.WakeUp()
	require.NoError(t, flusher.Wait(background))
	require.NoError(t, <-plain)
	rtrace.Stop()

	file := filepath.Join(t.TempDir(), "trace")
	require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
	out, err := exec.Command(goTool, "tool", "trace", "-d=parsed", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `TaskBegin.*Type="flusher"`, string(out))
	require.Regexp(t, `RegionBegin.*Task=[1-9]\d* Type="sleep at doorbell"`, string(out))
	require.Regexp(t, `RegionBegin.*Task=0 Type="sleep at doorbell"`, string(out), "of the goroutine")
	require.Regexp(t, `RegionEnd.*Type="sleep at doorbell"`, string(out))
	require.Regexp(t, `TaskEnd.*Type="flusher"`, string(out))
}
