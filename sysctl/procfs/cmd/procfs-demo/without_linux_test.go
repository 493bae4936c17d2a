//go:build !(386 || arm || mips || mipsle)

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"a", "b"}, {"-h"}, {"--help"}} {
		cmd, temp := demoCmd(t, args...)
		p := start(t, cmd)
		require.Equal(t, 2, p.Wait(t))
		require.Equal(t, "usage: procfs-demo DIR\n", p.Out.String())
		left, err := os.ReadDir(temp)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestADirThatCannotBe(t *testing.T) {
	needFUSE(t)
	temp := t.TempDir()
	file := filepath.Join(temp, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for dir, reason := range map[string]string{
		file:                                "procfs-demo: procfs: mount " + file + ": not a directory\n",
		filepath.Join(file, "dir"):          "procfs-demo: mkdir " + file + "/dir: not a directory\n",
		filepath.Join(temp, "none", "deep"): "procfs-demo: mkdir " + temp + "/none/deep: no such file or directory\n",
	} {
		cmd, helpers := demoCmd(t, dir)
		p := start(t, cmd)
		require.Equal(t, 1, p.Wait(t))
		require.Equal(t, reason, p.Out.String())
		left, err := os.ReadDir(helpers)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// prepare is a script for a mount namespace with a /dev of its own. $0 is the program. The
// script copies it to /mnt/demo, where each user can run it.
const prepare = `set -e
	mount -t tmpfs -o mode=1777 tmpfs /mnt
	cp "$0" /mnt/demo
	mount -t tmpfs tmpfs /dev
	mknod -m 666 /dev/null c 1 3
	set +e
`

const nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "

// inside starts a script in the namespace.
func inside(t *testing.T, script string) *process {
	needRoot(t)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := command("unshare", "-m", "sh", "-c", prepare+script, self)
	cmd.Env = append(cmd.Env, "KPRIM_TEST_ROLE=demo", "TMPDIR=/mnt")
	return start(t, cmd)
}

func TestWhereFUSEIsMissingItSaysWhy(t *testing.T) {
	for reason, script := range map[string]string{
		"/dev/fuse is missing: this kernel or container has no FUSE": `/mnt/demo /mnt/dir`,

		"/dev/fuse may not be opened by this user": `mknod -m 600 /dev/fuse c 10 229
			` + nobody + `/mnt/demo /mnt/dir`,

		"mount(2) is not allowed here, and there is no fusermount3": `mknod -m 600 /dev/fuse c 10 229
			setpriv --bounding-set=-sys_admin env PATH=/nowhere /mnt/demo /mnt/dir`,
	} {
		p := inside(t, script+"\necho code $?; ls /mnt")
		require.Zero(t, p.Wait(t), p.Out.String())
		require.Equal(t, "procfs-demo: procfs: mount /mnt/dir: "+reason+"\ncode 1\ndemo\n", p.Out.String())
	}
}

func TestAnotherUserHasTheMountAlone(t *testing.T) {
	if _, err := exec.LookPath("fusermount3"); err != nil {
		unable(t, "fusermount3 is not installed")
	}
	p := inside(t, "mknod -m 666 /dev/fuse c 10 229\nexec "+nobody+"/mnt/demo /mnt/dir")
	p.waitFor(t, "mythread")
	enter := fmt.Sprintf("nsenter -m -t %d ", p.Process.Pid)

	out, code := bash(t, enter+nobody+"cat /mnt/dir/sleep")
	require.Equal(t, "Last input:\n", out)
	require.Zero(t, code)
	out, code = bash(t, enter+nobody+"tee /mnt/dir/sleep < /dev/null")
	require.Equal(t, 1, code, "only user 0 writes")
	require.Contains(t, out, "Permission denied")
	out, code = bash(t, enter+"cat /mnt/dir/sleep")
	require.Equal(t, 1, code, "not even user 0 may enter")
	require.Contains(t, out, "Permission denied")

	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Zero(t, p.Wait(t), p.Out.String())
	require.Contains(t, p.Out.String(), "\n0 /sleep: 1 opens, 1 releases\n")
}
