//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

func TestKilledHolderFreesTheFile(t *testing.T) {
	path, file := sleep(t)
	holder := hold(t, path, file)
	cat := sleeping(t, file, 2, "cat", path)
	end(t, holder, syscall.SIGKILL)
	require.Equal(t, 0, cat.Wait(t))
	require.Equal(t, "Last input:\n", cat.Out.String())
}

// close(2) returns before the release reaches the server. A process that has closed the
// file, and opens it without blocking, must not find it in use.
func TestCloseAndOpenWithoutBlocking(t *testing.T) {
	path, file := sleep(t)
	client := startCmd(t, probing("reopen", path, "500"))
	require.Equal(t, 0, client.Wait(t), "%s", &client.Out)
	require.Equal(t, int64(500), file.opens.Load())
}

// The release is in progress when the opener comes. It goes on when the opener has got its
// first EAGAIN.
func TestOpenWithoutBlockingDuringARelease(t *testing.T) {
	tried := make(chan struct{})
	var held atomic.Bool
	var once sync.Once
	h := &handle{release: func() {
		once.Do(func() { <-tried })
		held.Store(false)
	}}
	file := fileOf(func(context.Context) (vfs.Handle, error) {
		if held.Swap(true) {
			close(tried)
			return nil, syscall.EAGAIN
		}
		return h, nil
	})
	dir, _ := mount(t, vfs.Static(map[string]vfs.Node{"file": file}), procfs.Options{})
	client := startCmd(t, probing("reopen", filepath.Join(dir, "file"), "2"))
	require.Equal(t, 0, client.Wait(t), "%s", &client.Out)
}

// The end of a process closes its files too, also if a signal ends it.
func TestExitAndOpenWithoutBlocking(t *testing.T) {
	path, _ := sleep(t)
	out, code := bash(t, filepath.Dir(path), `
		for i in {1..50}; do
			cat sleep > /dev/null
			dd if=sleep iflag=nonblock of=/dev/null status=none || exit
			(exec 9< sleep; kill -KILL $BASHPID)
			dd if=sleep iflag=nonblock of=/dev/null status=none || exit
		done 2>&1 | grep -v Killed; exit ${PIPESTATUS[0]}`)
	require.Equal(t, 0, code, out)
	require.Empty(t, out)
}

// A flush does not prove that the file is closed: the holder has a second descriptor. The
// opener waits for a moment, asks again, and gets EAGAIN.
func TestClosedDupLeavesTheFileHeld(t *testing.T) {
	path, file := sleep(t)
	out, code := bash(t, filepath.Dir(path), `
		exec 8< sleep 9<&8 8<&-
		dd if=sleep iflag=nonblock 9<&-
		exec 9<&-
		dd if=sleep iflag=nonblock status=none`)
	require.Equal(t, 0, code, out)
	require.Equal(t, "dd: failed to open 'sleep': Resource temporarily unavailable\nLast input:\n", out)
	require.GreaterOrEqual(t, file.calls.Load(), int64(4), "holder 1, first dd 2, second dd 1 or 2")
}

// While the holder has closed no descriptor, EAGAIN comes at once, without a second try.
func TestHeldFileIsEAGAINAtOnce(t *testing.T) {
	path, file := sleep(t)
	hold(t, path, file)
	probe := startCmd(t, probing("nonblock", path))
	require.Equal(t, 1, probe.Wait(t))
	require.Equal(t, int64(2), file.calls.Load())
}

// A read after the close of a dup shows that the file is still in use.
func TestReadAfterTheCloseOfADup(t *testing.T) {
	path, file := sleep(t)
	holder := start(t, "bash", "-c", "exec 8< "+path+" 9<&8 8<&-; read -u 9 -n 4; kill -STOP $$")
	processes.Eventually(t, "the holder has read", func() bool { return processes.State(holder.Process.Pid) == "T" })
	probe := startCmd(t, probing("nonblock", path))
	require.Equal(t, 1, probe.Wait(t))
	require.Equal(t, int64(2), file.calls.Load())
}
