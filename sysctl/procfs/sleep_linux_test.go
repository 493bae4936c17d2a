//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

// sleep mounts /proc/sleep.
func sleep(t testing.TB) (path string, file *sleepfile.File) {
	file = &sleepfile.File{}
	dir, _ := mount(t, vfs.Static(map[string]vfs.Node{"sleep": file}), procfs.Options{})
	t.Cleanup(func() {
		eventually(t, "the file is free", func() bool { return file.UseCount() == 0 })
	})
	return dir + "/sleep", file
}

// hold has tail -f keep the file open.
func hold(t testing.TB, path string, file *sleepfile.File) *client {
	holder := start(t, "tail", "-f", path)
	eventually(t, "the file is open", func() bool { return file.UseCount() == 1 })
	return holder
}

func TestSignalEndsAnOpenThatSleeps(t *testing.T) {
	path, file := sleep(t)
	hold(t, path, file)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGQUIT} {
		cat := start(t, "cat", path)
		eventually(t, "cat sleeps", func() bool { return file.UseCount() == 2 && state(cat.Process.Pid) == "S" })
		require.NoError(t, cat.Process.Signal(signal))
		require.Equal(t, -int(signal), cat.wait(t))
		eventually(t, "it has left", func() bool { return file.UseCount() == 1 })
	}
}
