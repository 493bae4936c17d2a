//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

// Many processes use a mount at once. Goroutines of the server come and go, and one of
// them always waits for the next request. If none waited, no goroutine would read an
// interrupt. If all were gone, the mount would have ended.
func TestManyProcessesUseAMount(t *testing.T) {
	tree := new(sysctl.Tree)
	_, err := tree.Register("", sysctl.Entry{Name: "value", Mode: 0o644, Handler: sysctl.DoIntVec(new(sysctl.Var[int32]))})
	require.NoError(t, err)
	sleep := &sleepfile.File{}
	dir, server := mount(t, vfs.Static(map[string]vfs.Node{"sys": tree.VFS(), "sleep": sleep}), procfs.Options{})
	hold(t, dir+"/sleep", sleep)
	for range 3 {
		var users []*caller
		for range 6 {
			users = append(users, newCaller(t, "latency", "100", dir+"/sys/value"))
		}
		cat := start(t, "cat", dir+"/sleep")
		processes.Eventually(t, "cat sleeps", func() bool { return sleep.UseCount() == 2 })
		require.NoError(t, cat.Process.Signal(os.Interrupt))
		require.Equal(t, -2, cat.Wait(t))
		for _, c := range users {
			parseLatency(t, c.end(t))
			c.drain()
		}
	}
	select {
	case <-server.Done():
		t.Fatal("the mount has ended")
	default:
	}
}
