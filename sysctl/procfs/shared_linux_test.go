//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

// A slow file blocks in Read, until a signal comes.
type slow struct {
	handle
	reads    atomic.Int64
	reader   atomic.Int64 // the last
	active   atomic.Int64
	together atomic.Bool // two have read at once
}

func (s *slow) Read(ctx context.Context, cred vfs.Cred, _ []byte, _ int64) (int, error) {
	if s.active.Add(1) > 1 {
		s.together.Store(true)
	}
	defer s.active.Add(-1)
	s.reader.Store(int64(cred.PID()))
	s.reads.Add(1)
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

func mountSlow(t testing.TB) (path string, file *slow, server *procfs.Server) {
	file = &slow{}
	dir, server := mount(t, vfs.Static(map[string]vfs.Node{
		"slow": fileOf(func(context.Context) (vfs.Handle, error) { return file, nil }),
	}), procfs.Options{})
	return filepath.Join(dir, "slow"), file, server
}

func TestSignalEndsAReadThatSleeps(t *testing.T) {
	path, file, _ := mountSlow(t)
	for n, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		cat := start(t, "cat", path)
		processes.Eventually(t, "cat reads", func() bool { return file.reads.Load() == int64(n+1) })
		end(t, cat, signal)
		processes.Eventually(t, "the handle is released", func() bool { return file.released.Load() == int64(n+1) })
	}
}

func TestCloseEndsAReadThatSleeps(t *testing.T) {
	path, file, server := mountSlow(t)
	cat := start(t, "cat", path)
	processes.Eventually(t, "cat reads", func() bool { return file.reads.Load() == 1 })
	require.NoError(t, server.Close())
	require.Equal(t, 1, cat.Wait(t))
	require.Contains(t, cat.Out.String(), path+": Cannot send after transport endpoint shutdown\n")
	require.Equal(t, int64(1), file.released.Load())
}

// Two processes that share an open file read one after the other. When a signal ends the
// first read, the second begins.
func TestReadersOfOneOpenFile(t *testing.T) {
	path, file, _ := mountSlow(t)
	shell := start(t, "bash", "-c", "exec 3< "+path+"; cat <&3 & cat <&3 & exec 3<&-; wait")
	processes.Eventually(t, "a cat reads", func() bool { return file.reads.Load() == 1 })
	first := file.reader.Load()
	require.NoError(t, syscall.Kill(int(first), syscall.SIGTERM))
	processes.Eventually(t, "the other reads", func() bool { return file.reads.Load() == 2 })
	second := file.reader.Load()
	require.NotEqual(t, first, second)
	require.NoError(t, syscall.Kill(int(second), syscall.SIGTERM))
	require.Equal(t, 0, shell.Wait(t))
	require.False(t, file.together.Load(), "the kernel lets only one read")
	processes.Eventually(t, "the handle is released", func() bool { return file.released.Load() == 1 })
}
