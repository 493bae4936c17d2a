//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

// A scene is a mount with a holder and two cats that sleep in open.
type scene struct {
	*counted
	dir    string
	server *procfs.Server
	holder *client
	cats   []*client
}

func newScene(t testing.TB) *scene {
	s := &scene{counted: &counted{}}
	s.dir, s.server = mount(t, s.counted.dir(), procfs.Options{})
	s.holder = hold(t, s.path(), s.counted)
	s.cats = crowd(t, s.path(), s.counted, 2)
	return s
}

func (s *scene) path() string { return filepath.Join(s.dir, "sleep") }

// requireCats waits for the cats, and compares their output.
func (s *scene) requireCats(t testing.TB, text string) {
	for _, cat := range s.cats {
		require.Equal(t, 1, cat.Wait(t))
		require.Equal(t, "cat: "+s.path()+": "+text+"\n", cat.Out.String())
	}
}

// requireEnd waits for the end of the Server, and requires that it leaves nothing.
func (s *scene) requireEnd(t testing.TB) {
	processes.Eventually(t, "the Server has ended", func() bool { return ended(s.server) })
	require.True(t, s.free())
	require.Equal(t, int64(1), s.opens.Load(), "only the holder had the file")
	require.Empty(t, mountsBelow(s.dir))
	require.Equal(t, "0 calls, 0 contexts", procfs.Left(s.server)[:len("0 calls, 0 contexts")])
	require.NoError(t, s.server.Close())
	require.NoError(t, s.server.Close(), "twice")
}

func ended(s *procfs.Server) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

func TestCloseEndsTheSleep(t *testing.T) {
	s := newScene(t)
	require.False(t, ended(s.server))
	require.NoError(t, s.server.Close())
	s.requireCats(t, "Cannot send after transport endpoint shutdown")
	s.requireEnd(t)
	// tail looks at the file once a second.
	processes.Eventually(t, "the holder sleeps", func() bool { return processes.State(s.holder.Process.Pid) == "S" })
}

// Two goroutines may close at once.
func TestCloseAtOnce(t *testing.T) {
	s := newScene(t)
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- s.server.Close() }()
	}
	require.NoError(t, errors.Join(<-errs, <-errs))
	s.requireEnd(t)
}

// A copy of the mount in another mount namespace keeps the connection alive. Close ends
// it for that copy too.
func TestCloseWithACopyInAnotherNamespace(t *testing.T) {
	canUnshare(t)
	file := &counted{}
	dir, server := mount(t, file.dir(), procfs.Options{})
	s := &scene{counted: file, dir: dir, server: server}
	s.holder = start(t, "unshare", "-m", "tail", "-f", s.path())
	processes.Eventually(t, "the file is open", func() bool { return file.UseCount() == 1 })
	for n := range 2 {
		s.cats = append(s.cats, sleeping(t, file, n+2, "unshare", "-m", "cat", s.path()))
	}
	require.NoError(t, server.Close())
	s.requireCats(t, "Cannot send after transport endpoint shutdown")
	s.requireEnd(t)
	out, code := run(t, "nsenter", "-m", "-t", fmt.Sprint(s.holder.Process.Pid), "cat", s.path())
	require.Equal(t, 1, code)
	require.Equal(t, "cat: "+s.path()+": Transport endpoint is not connected\n", out)
}

// canUnshare skips the test if there can be no private mount namespace.
func canUnshare(t testing.TB) {
	if out, code := run(t, "unshare", "-m", "true"); code != 0 {
		t.Skipf("skipped: no mount namespace: %s", out)
	}
}

func TestUnmountOfABusyMountHarmsNobody(t *testing.T) {
	s := newScene(t)
	out, code := run(t, "umount", s.dir)
	require.Equal(t, 32, code)
	require.Contains(t, out, "target is busy")
	require.False(t, ended(s.server))
	end(t, s.holder, syscall.SIGINT)
	requireServed(t, s.cats)
	processes.Eventually(t, "the file is free", s.free)
	processes.Eventually(t, "nobody is left", func() bool { return unix.Unmount(s.dir, 0) == nil })
	processes.Eventually(t, "the Server has ended", func() bool { return ended(s.server) })
	require.NoError(t, s.server.Close())
}

// A lazy unmount takes the name away, and the users go on. The Server ends after the last
// user.
func TestLazyUnmount(t *testing.T) {
	s := newScene(t)
	out, code := run(t, "umount", "-l", s.dir)
	require.Equal(t, 0, code, out)
	require.Empty(t, mountsBelow(s.dir))
	require.False(t, ended(s.server))
	end(t, s.holder, syscall.SIGINT)
	requireServed(t, s.cats)
	processes.Eventually(t, "the Server has ended", func() bool { return ended(s.server) })
	require.True(t, s.free())
	require.Equal(t, int64(3), s.opens.Load())
}

// umount -f says that it has failed, and has ended the connection.
func TestForcedUnmount(t *testing.T) {
	s := newScene(t)
	out, code := run(t, "umount", "-f", s.dir)
	require.Equal(t, 32, code)
	require.Contains(t, out, "target is busy")
	s.requireCats(t, "Software caused connection abort")
	s.requireEnd(t)
}

// The file system of connections is mounted in a private namespace, and only our own
// connection is ended.
func TestAbortedConnection(t *testing.T) {
	canUnshare(t)
	s := newScene(t)
	var st unix.Stat_t
	require.NoError(t, unix.Stat(s.dir, &st))
	out, code := run(t, "unshare", "-m", "bash", "-c", fmt.Sprintf(
		"mount -t fusectl none /sys/fs/fuse/connections && echo 1 > /sys/fs/fuse/connections/%d/abort", unix.Minor(st.Dev)))
	if code != 0 {
		t.Skipf("skipped: no list of connections: %s", out)
	}
	s.requireCats(t, "Software caused connection abort")
	s.requireEnd(t)
}

// tmpfs mounts another file system at dir, with one file.
func tmpfs(t testing.TB, dir string) {
	require.NoError(t, unix.Mount("none", dir, "tmpfs", 0, ""))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kept"), nil, 0o600))
}

// Another file system is mounted over the mount. Close ends the connection, and removes no
// other mount.
func TestCloseUnderAnotherMount(t *testing.T) {
	s := newScene(t)
	tmpfs(t, s.dir)
	require.NoError(t, s.server.Close())
	require.FileExists(t, filepath.Join(s.dir, "kept"))
	s.requireCats(t, "Cannot send after transport endpoint shutdown")
	require.NoError(t, unix.Unmount(s.dir, 0))
	require.ErrorIs(t, unix.Access(s.dir, 0), unix.ENOTCONN, "the dead mount is below")
	require.NoError(t, unix.Unmount(s.dir, unix.MNT_DETACH))
	s.requireEnd(t)
}

func TestMountOverAnotherMount(t *testing.T) {
	dir, file := t.TempDir(), &counted{}
	_, server := mount(t, file.dir(), procfs.Options{}) // skips without FUSE
	require.NoError(t, server.Close())
	tmpfs(t, dir)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	server, err := procfs.Mount(dir, file.dir(), procfs.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.Equal(t, []string{dir, dir}, mountsBelow(dir))
	require.NoError(t, server.Close())
	require.Equal(t, []string{dir}, mountsBelow(dir))
	require.FileExists(t, filepath.Join(dir, "kept"))
}
