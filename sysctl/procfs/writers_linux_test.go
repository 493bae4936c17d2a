//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

// A blocker is a file whose Write blocks until a signal comes.
type blocker struct {
	handle
	size    int64
	writers atomic.Int64
}

func (b *blocker) Stat() (vfs.Attr, error) { return vfs.Attr{Mode: 0o666, Size: b.size}, nil }

func (b *blocker) May(vfs.Cred, fs.FileMode) error { return nil }

func (b *blocker) Open(context.Context, vfs.Cred, int) (vfs.Handle, error) { return b, nil }

func (b *blocker) Write(ctx context.Context, _ vfs.Cred, _ []byte, _ int64) (int, error) {
	b.writers.Add(1)
	defer b.writers.Add(-1)
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

// writer starts a shell that writes, and waits until it sleeps in a system call. In state S
// a signal can wake it, in state D not.
func writer(t testing.TB, redirection, path string, call int, inState string) *client {
	c := start(t, "bash", "-c", `echo x `+redirection+` "$1"`, "bash", path)
	processes.Eventually(t, "the writer sleeps", func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", c.Process.Pid))
		return strings.HasPrefix(string(text), strconv.Itoa(call)+" ") && processes.State(c.Process.Pid) == inState
	})
	return c
}

// blockedWriter mounts a file of a size, and starts a writer that blocks in Write.
func blockedWriter(t testing.TB, size int64) (path string, file *blocker, first *client) {
	program(t, "bash")
	file = &blocker{size: size}
	dir, _ := mount(t, vfs.Static(map[string]vfs.Node{"file": file}), procfs.Options{})
	path = filepath.Join(dir, "file")
	first = writer(t, "1<>", path, unix.SYS_WRITE, "S")
	processes.Eventually(t, "the first is in Write", func() bool { return file.writers.Load() == 1 })
	return path, file, first
}

// If the size is 0, each write is longer than the file. The kernel then holds the lock of
// the inode during the call. Not even SIGKILL ends the wait for this lock.
func TestSecondWriterOfAFileOfSize0WaitsInTheKernel(t *testing.T) {
	path, file, first := blockedWriter(t, 0)
	second := writer(t, "1<>", path, unix.SYS_WRITE, "D")
	require.NoError(t, second.Process.Kill())
	bash(t, filepath.Dir(path), "ls -l; ls -l") // time enough to die
	require.Equal(t, "D", processes.State(second.Process.Pid))
	require.EqualValues(t, 1, file.writers.Load())
	end(t, first, syscall.SIGINT)
	require.Equal(t, -9, second.Wait(t))
}

func TestWritersOfALargerFileBlockTogether(t *testing.T) {
	path, file, first := blockedWriter(t, 4096)
	second := writer(t, "1<>", path, unix.SYS_WRITE, "S")
	processes.Eventually(t, "both are in Write", func() bool { return file.writers.Load() == 2 })
	end(t, second, syscall.SIGINT)
	require.Equal(t, "S", processes.State(first.Process.Pid))
	end(t, first, syscall.SIGINT)
}

// The wait ends if the signal kills the shell.
func TestTruncatingOpenWaitsForABlockedWriter(t *testing.T) {
	for _, size := range []int64{0, 4096} {
		path, _, first := blockedWriter(t, size)
		end(t, writer(t, "1>", path, unix.SYS_OPENAT, "D"), syscall.SIGINT)
		require.Equal(t, "S", processes.State(first.Process.Pid))
		end(t, first, syscall.SIGINT)
	}
}
