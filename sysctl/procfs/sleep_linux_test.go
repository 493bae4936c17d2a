//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

// A counted is /proc/sleep with counters of its calls.
type counted struct {
	sleepfile.File
	calls    atomic.Int64 // of Open
	opens    atomic.Int64 // calls that succeeded
	releases atomic.Int64
}

func (c *counted) Open(ctx context.Context, cred vfs.Cred, flag int) (vfs.Handle, error) {
	c.calls.Add(1)
	h, err := c.File.Open(ctx, cred, flag)
	if err != nil {
		return nil, err
	}
	c.opens.Add(1)
	return &countedHandle{h, c}, nil
}

type countedHandle struct {
	vfs.Handle
	file *counted
}

func (h *countedHandle) Release() {
	h.file.releases.Add(1)
	h.Handle.Release()
}

// free reports whether no process has the file, and each handle was released.
func (c *counted) free() bool { return c.UseCount() == 0 && c.opens.Load() == c.releases.Load() }

func (c *counted) dir() vfs.Dir { return vfs.Static(map[string]vfs.Node{"sleep": c}) }

// sleep mounts /proc/sleep.
func sleep(t testing.TB) (path string, file *counted) {
	file = &counted{}
	dir, _ := mount(t, file.dir(), procfs.Options{})
	t.Cleanup(func() { processes.Eventually(t, "the file is free", file.free) })
	return filepath.Join(dir, "sleep"), file
}

// hold starts tail -f, which keeps the file open.
func hold(t testing.TB, path string, file interface{ UseCount() int }) *client {
	holder := start(t, "tail", "-f", path)
	processes.Eventually(t, "the file is open", func() bool { return file.UseCount() == 1 })
	return holder
}

// end ends a client by a signal.
func end(t testing.TB, c *client, signal syscall.Signal) {
	require.NoError(t, c.Process.Signal(signal))
	require.Equal(t, -int(signal), c.Wait(t))
}

// sleeping starts a program that opens the file, and waits until n have or want it.
func sleeping(t testing.TB, file *counted, n int, name string, args ...string) *client {
	c := start(t, name, args...)
	processes.Eventually(t, "it sleeps in open", func() bool { return file.UseCount() == n && processes.State(c.Process.Pid) == "S" })
	return c
}

func TestEchoAndCat(t *testing.T) {
	path, _ := sleep(t)
	out, code := bash(t, filepath.Dir(path), "cat sleep; echo hello > sleep; cat sleep; stat -c '%A %U %s' sleep")
	require.Equal(t, 0, code)
	require.Equal(t, "Last input:\nLast input:hello\n\n-rw-r--r-- root 0\n", out)
}

// A write keeps 79 bytes, and the program writes the rest by the next call. So the last
// part stays: 200 - 79 - 79 bytes.
func TestLongMessageComesInParts(t *testing.T) {
	long := strings.Repeat("a", 79) + strings.Repeat("b", 79) + strings.Repeat("c", 42)
	want := "Last input:" + strings.Repeat("c", 42) + "\n"
	for _, writer := range []string{
		"printf %s " + long + " > sleep",
		"printf %s " + long + " | dd bs=200 of=sleep status=none",
		"printf %s " + long + " | tee sleep > /dev/null",
		"printf %s " + long + " >> sleep",
	} {
		path, _ := sleep(t)
		out, code := bash(t, filepath.Dir(path), writer+" && cat sleep")
		require.Equal(t, 0, code, writer)
		require.Equal(t, want, out, writer)
	}
}

// Each write(2) of a process is one Write of the file, and gets its count.
func TestStraceShowsTheCounts(t *testing.T) {
	path, _ := sleep(t)
	canTrace(t)
	out, code := bash(t, filepath.Dir(path), "printf %0100d 0 | strace -e trace=write tee sleep 2>&1 >/dev/null | grep 'write(3'")
	require.Equal(t, 0, code, out)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2, out)
	require.Regexp(t, `, 100\) += 79$`, lines[0])
	require.Regexp(t, `, 21\) += 21$`, lines[1])
}

// canTrace skips the test if this process may not trace another.
func canTrace(t testing.TB) {
	program(t, "strace")
	if out, err := exec.Command("strace", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		t.Skipf("skipped: strace may not trace here: %s", out)
	}
}

// Each read(2) goes on where the last one ended.
func TestPartsOfTheLine(t *testing.T) {
	program(t, "busybox")
	path, _ := sleep(t)
	for command, want := range map[string]string{
		"head -c 4 sleep":                                  "Last",
		"dd if=sleep bs=1 count=6 status=none":             "Last i",
		"dd if=sleep bs=5 count=2 status=none":             "Last input",
		"dd if=sleep bs=5 2>&1 >/dev/null | head -1":       "3+1 records in\n",
		"busybox dd if=sleep bs=5 count=2 2> /dev/null":    "Last input",
		"busybox head -n 1 sleep":                          "Last input:hello\n",
		"busybox wc -c < sleep":                            "18\n",
		"tail -c 5 sleep":                                  "llo\n\n",
		"wc -c < sleep":                                    "18\n",
		"read -r line < sleep; echo \"$line\"":             "Last input:hello\n",
		"exec 3< sleep; head -c 4 <&3; cat <&3; exec 3<&-": "Last input:hello\n\n",
	} {
		out, code := bash(t, filepath.Dir(path), "echo hello > sleep; "+command)
		require.Equal(t, 0, code, command)
		require.Equal(t, want, out, command)
	}
}

// Every user may read, and only user 0 may write.
func TestAnotherUserMayOnlyRead(t *testing.T) {
	program(t, "setpriv")
	if out, code := run(t, "setpriv", "--reuid", "65534", "--clear-groups", "true"); code != 0 {
		t.Skipf("skipped: there is no other user: %s", out)
	}
	path, _ := sleep(t)
	for dir := filepath.Dir(filepath.Dir(path)); dir != filepath.Dir(os.Getenv("TMPDIR")); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755)) // package testing makes directories for one user
	}
	out, code := asNobody(t, "cat "+path)
	require.Equal(t, 0, code, out)
	require.Equal(t, "Last input:\n", out)
	for _, redirection := range []string{">", ">>", "<>"} {
		out, code = asNobody(t, fmt.Sprintf("echo x %s %s", redirection, path))
		require.Equal(t, 1, code)
		require.Contains(t, out, path+": Permission denied")
	}
	out, _ = asNobody(t, "test -w "+path+"; echo $?; test -r "+path+"; echo $?")
	require.Equal(t, "1\n0\n", out)
}

// asNobody runs a script as the user nobody, without groups.
func asNobody(t testing.TB, script string) (string, int) {
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	c := startCmd(t, cmd)
	code := c.Wait(t)
	return c.Out.String(), code
}
