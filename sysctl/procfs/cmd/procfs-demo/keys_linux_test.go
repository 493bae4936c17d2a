//go:build !(386 || arm || mips || mipsle)

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

// If the program read its terminal in the background, the kernel would stop it, and each
// client would wait.
func TestItRunsInTheBackgroundAndAfterCtrlZ(t *testing.T) {
	needFUSE(t)
	dir := filepath.Join(t.TempDir(), "procfs-demo")
	self, err := os.Executable()
	require.NoError(t, err)
	noMountAtTheEnd(t, dir)
	t.Cleanup(func() { processes.Eventually(t, "the unmount", func() bool { return !mounted(t, dir) }) })
	s := open(t, "S")
	s.enter(t, "export KPRIM_TEST_ROLE=demo TMPDIR="+t.TempDir())
	s.enter(t, self+" "+dir+" & echo pid $!.")
	s.waitFor(t, "create mythread")
	_, after, _ := strings.Cut(s.screen(), "\npid ")
	before, _, _ := strings.Cut(after, ".")
	pid, err := strconv.Atoi(before)
	require.NoError(t, err)

	s.press(t, "echo the shell has $((40 + 2))\n")
	s.waitFor(t, "the shell has 42")
	out, code := bash(t, "cat "+dir+"/sleep")
	require.Zero(t, code, out)
	require.NotEqual(t, "T", processes.State(pid))

	s.press(t, "fg\n")
	processes.Eventually(t, "it is in the foreground", func() bool { return s.has(t, pid) })
	s.press(t, "what the program does not read\n")
	s.waitFor(t, "does not read\r\n")
	s.press(t, "\x1a")
	processes.Eventually(t, "it has stopped", func() bool { return processes.State(pid) == "T" })
	cat := start(t, command("cat", dir+"/sleep"))
	processes.Eventually(t, "cat waits", func() bool { s := processes.State(cat.Process.Pid); return s == "S" || s == "D" })
	s.waitFor(t, "Stopped")
	s.press(t, "fg\n")
	require.Zero(t, cat.Wait(t))
	require.Equal(t, "Last input:\n", cat.Out.String())

	processes.Eventually(t, "it is in the foreground", func() bool { return s.has(t, pid) })
	s.press(t, "\x03")
	s.waitFor(t, "2 opens, 2 releases")
	s.press(t, "echo code $?.\n")
	s.waitFor(t, "code 0.")
	require.NoDirExists(t, dir)
}
