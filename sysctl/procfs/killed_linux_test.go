//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

// A daemon is a server in a process of its own.
type daemon struct {
	*client
	dir string
}

// daemonOf starts a daemon, and waits until it serves.
func daemonOf(t testing.TB, dir string, cmd *exec.Cmd) *daemon {
	d := &daemon{startCmd(t, cmd), dir}
	detachAtEnd(t, dir) // before its process is killed
	processes.Eventually(t, "the daemon serves", func() bool { return d.state() != "" })
	return d
}

// detachAtEnd removes the mount of a process that may be stuck.
func detachAtEnd(t testing.TB, dir string) {
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_FORCE|unix.MNT_DETACH) })
}

func (d *daemon) path() string { return filepath.Join(d.dir, "sleep") }

// state returns the counts of the daemon, or nothing if it does not serve.
func (d *daemon) state() string {
	text, _ := os.ReadFile(filepath.Join(d.dir, "state"))
	return string(text)
}

// users waits until the file of the daemon has n users.
func (d *daemon) users(t testing.TB, n int) {
	want := fmt.Sprintf("%d users,", n)
	processes.Eventually(t, want, func() bool { return strings.HasPrefix(d.state(), want) })
}

// crowd starts a holder and two cats that sleep in open.
func (d *daemon) crowd(t testing.TB) []*client {
	start(t, "tail", "-f", d.path())
	d.users(t, 1)
	cats := []*client{start(t, "cat", d.path()), start(t, "cat", d.path())}
	d.users(t, 3)
	return cats
}

// kill kills the daemon, and waits for the cats that slept. Their open fails at once.
func (d *daemon) kill(t testing.TB, cats []*client) {
	end(t, d.client, syscall.SIGKILL)
	for _, cat := range cats {
		require.Equal(t, 1, cat.Wait(t))
		require.Equal(t, "cat: "+d.path()+": Software caused connection abort\n", cat.Out.String())
	}
}

// needFUSE skips the test without FUSE.
func needFUSE(t testing.TB) {
	_, server := mount(t, (&counted{}).dir(), procfs.Options{})
	require.NoError(t, server.Close())
}

func TestDaemonEndsCleanly(t *testing.T) {
	needFUSE(t)
	dir := t.TempDir()
	d := daemonOf(t, dir, inRole("serve", dir))
	d.crowd(t)
	require.NoError(t, d.Process.Signal(syscall.SIGINT))
	require.Equal(t, 0, d.Wait(t), "%s", &d.Out)
	require.Empty(t, mountsBelow(d.dir))
}

// Not even stat(2) works on the mount of a killed server. The next server removes it, also
// if it knows the directory by a symbolic link.
func TestServerAfterAKilledServer(t *testing.T) {
	needFUSE(t)
	dir := t.TempDir()
	d := daemonOf(t, dir, inRole("serve", dir))
	d.kill(t, d.crowd(t))
	_, err := os.Stat(dir)
	require.ErrorIs(t, err, syscall.ENOTCONN)
	file, link := &counted{}, filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink("../"+filepath.Base(dir), link))
	server, err := procfs.Mount(link, file.dir(), procfs.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.Equal(t, []string{dir}, mountsBelow(dir))
	out, code := run(t, "cat", filepath.Join(dir, "sleep"))
	require.Equal(t, 0, code, out)
	require.Equal(t, "Last input:\n", out)
	require.NoError(t, server.Close())
	require.Empty(t, mountsBelow(dir))
	require.NoError(t, os.Remove(dir))
}

// A helper of the server lives on when the server is killed. It must not have the device
// open, because the connection lives as long as a process has the device open.
func TestHelperOfAKilledServer(t *testing.T) {
	needFUSE(t)
	dir := t.TempDir()
	cmd := inRole("serve", dir, "with a helper")
	theirs, ours, err := os.Pipe()
	require.NoError(t, err)
	defer ours.Close() // ends the helper
	cmd.Stdin = theirs
	d := daemonOf(t, dir, cmd)
	require.NoError(t, theirs.Close())
	d.kill(t, d.crowd(t))
	_, err = ours.Write([]byte("x"))
	require.NoError(t, err, "the helper lives: it has the other end")
}

// A dead mount that is not ours stays, because its owner may still need it.
func TestDeadMountOfAnotherKind(t *testing.T) {
	needFUSE(t)
	dir := t.TempDir()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0", fd, unix.S_IFDIR)
	err = unix.Mount("other", dir, "fuse.other", 0, options)
	require.NoError(t, unix.Close(fd))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	_, err = procfs.Mount(dir, (&counted{}).dir(), procfs.Options{})
	require.ErrorIs(t, err, syscall.ENOTCONN)
	require.EqualError(t, err, "procfs: mount "+dir+": a server of another kind has died there: "+syscall.ENOTCONN.Error())
	require.Equal(t, []string{dir}, mountsBelow(dir))
}
