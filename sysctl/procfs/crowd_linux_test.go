//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

// crowd starts n cats, and waits until all sleep in open.
func crowd(t testing.TB, path string, file *counted, n int) []*client {
	cats := make([]*client, n)
	for i := range cats {
		cats[i] = start(t, "cat", path)
	}
	processes.Eventually(t, "all sleep in open", func() bool { return file.UseCount() == 1+n })
	return cats
}

func requireServed(t testing.TB, cats []*client) {
	for _, cat := range cats {
		require.Equal(t, 0, cat.Wait(t))
		require.Equal(t, "Last input:\n", cat.Out.String())
	}
}

func TestCrowdIsServed(t *testing.T) {
	path, file := sleep(t)
	holder := hold(t, path, file)
	cats := crowd(t, path, file, 200)
	end(t, holder, syscall.SIGINT)
	requireServed(t, cats)
}

// A killed cat must not take a wake-up away from the others. Half of the kills come after
// the file is free for the first time.
func TestHalfOfACrowdIsKilled(t *testing.T) {
	path, file := sleep(t)
	holder := hold(t, path, file)
	cats := crowd(t, path, file, 200)
	for _, cat := range cats[:50] {
		require.NoError(t, cat.Process.Kill())
	}
	require.NoError(t, holder.Process.Kill())
	for _, cat := range cats[50:100] {
		_ = cat.Process.Kill() // it may have been served
	}
	for _, cat := range cats[:100] {
		require.Contains(t, []int{0, -9}, cat.Wait(t))
	}
	requireServed(t, cats[100:])
}
