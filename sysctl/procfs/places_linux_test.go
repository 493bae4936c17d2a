//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

// stacks skips the test of an ordinary user. fusermount3 mounts only on a directory that
// the user may write, and the root of a mount of ours is none.
func stacks(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: only user 0 mounts over a mount of ours")
	}
}

// place returns a directory in which a test mounts. It skips without FUSE.
func place(t testing.TB) string {
	mount(t, vfs.Static(nil), procfs.Options{})
	return t.TempDir()
}

// serveAt mounts /sleep at dir.
func serveAt(t testing.TB, dir string) *procfs.Server {
	server, err := procfs.Mount(dir, vfs.Static(map[string]vfs.Node{"sleep": &sleepfile.File{}}), procfs.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) }) // again, or after a failure
	return server
}

func requireReads(t testing.TB, dir string) {
	out, code := run(t, "cat", dir+"/sleep")
	require.Zero(t, code)
	require.Equal(t, emptyOutput, out)
}

// requireFree requires that nothing is mounted at dir.
func requireFree(t testing.TB, dir string) {
	require.Empty(t, mountedUnder(t, dir))
	require.NoError(t, os.WriteFile(dir+"/free", nil, 0o600))
}

func TestMountAtTheWrongPlace(t *testing.T) {
	dir := place(t)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Symlink("nowhere", dir+"/dangling"))
	onlyNode := struct{ vfs.Node }{}
	t.Chdir(dir)
	for _, c := range []struct {
		path string
		root vfs.Node
		want syscall.Errno
	}{
		{"", vfs.Static(nil), syscall.ENOENT},
		{dir + "/none", vfs.Static(nil), syscall.ENOENT},
		{dir + "/dangling", vfs.Static(nil), syscall.ENOENT},
		{file, vfs.Static(nil), syscall.ENOTDIR},
		{file + "/below", vfs.Static(nil), syscall.ENOTDIR},
		{dir, &sleepfile.File{}, syscall.ENOTDIR},
		{dir, onlyNode, syscall.EINVAL},
		{dir, nil, syscall.EINVAL},
	} {
		_, err := procfs.Mount(c.path, c.root, procfs.Options{})
		require.ErrorIs(t, err, c.want, "%s, %T", c.path, c.root)
		require.ErrorContains(t, err, "procfs: mount "+c.path+": ")
		var pathError *fs.PathError
		require.ErrorAs(t, err, &pathError)
	}
	require.Empty(t, mountedUnder(t, dir))
}

// mountedUnder returns the mounts at dir and below it.
func mountedUnder(t testing.TB, dir string) (found []string) {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	require.NoError(t, err)
	for _, m := range mounts {
		found = append(found, m.Mountpoint)
	}
	return found
}

// The kernel writes some characters of a path as numbers in its list of mounts.
func TestNamesOfDirectories(t *testing.T) {
	top := place(t)
	for _, name := range []string{"two words", "ünïcödé", `back\slash`, `\040`, "tab\tand\nnewline", "#", "a,b", "--"} {
		dir := filepath.Join(top, name)
		require.NoError(t, os.Mkdir(dir, 0o700))
		server := serveAt(t, dir)
		requireReads(t, dir)
		require.Equal(t, []string{dir}, mountedUnder(t, top))
		require.NoError(t, server.Close())
		requireFree(t, dir)
	}
}

func TestMountThroughASymbolicLink(t *testing.T) {
	top := place(t)
	require.NoError(t, os.Mkdir(top+"/real", 0o700))
	require.NoError(t, os.Symlink("real", top+"/link"))
	server := serveAt(t, top+"/link")
	requireReads(t, top+"/real")

	require.NoError(t, os.Remove(top+"/link"))
	require.NoError(t, server.Close(), "the link is not needed any more")
	requireFree(t, top+"/real")
}

func TestMountAtARelativePath(t *testing.T) {
	top := place(t)
	require.NoError(t, os.Mkdir(top+"/sub", 0o700))
	t.Chdir(top)
	server := serveAt(t, "sub")
	requireReads(t, top+"/sub")

	t.Chdir("/")
	require.NoError(t, server.Close(), "the directory of the process does not matter any more")
	requireFree(t, top+"/sub")
}

func TestFileIsMountedOnAFile(t *testing.T) {
	path, _ := mount(t, &sleepfile.File{}, procfs.Options{})
	out, code := bash(t, filepath.Dir(path), "cat file; ls -l file | cut -c1-10")
	require.Zero(t, code)
	require.Equal(t, emptyOutput+"-rw-r--r--\n", out)
}

func TestMountHidesAndShowsTheFilesOfADirectory(t *testing.T) {
	dir := place(t)
	require.NoError(t, os.WriteFile(dir+"/mine", []byte("text"), 0o600))
	server := serveAt(t, dir)
	out, _ := run(t, "ls", dir)
	require.Equal(t, "sleep\n", out)
	require.NoError(t, server.Close())
	text, err := os.ReadFile(dir + "/mine")
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
}

// Mounts of ours can lie over each other. Every order of their Closes leaves the
// directory free.
func TestMountsLieOverEachOther(t *testing.T) {
	for name, order := range map[string][]int{
		"the upper closes first": {2, 1, 0}, "the lower closes first": {0, 1, 2},
		"the middle closes first": {1, 0, 2}, "the middle closes last": {2, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			stacks(t)
			dir := place(t)
			servers := []*procfs.Server{serveAt(t, dir), serveAt(t, dir), serveAt(t, dir)}
			requireReads(t, dir)
			for _, i := range order {
				require.NoError(t, servers[i].Close())
				if top := order[len(order)-1]; i != top && top == 2 {
					requireReads(t, dir) // the top one
				}
			}
			requireFree(t, dir)
		})
	}
}

func TestMountsLieOverEachOtherAndCloseAtOnce(t *testing.T) {
	stacks(t)
	dir := place(t)
	for range 30 {
		servers := []*procfs.Server{serveAt(t, dir), serveAt(t, dir), serveAt(t, dir)}
		var closed sync.WaitGroup
		for _, s := range servers {
			closed.Go(func() { _ = s.Close() })
		}
		closed.Wait()
		requireFree(t, dir)
	}
}

// A process that has a file of the lower mount open gets errors after its Close, and the
// upper mount goes on.
func TestCloseOfTheLowerMountEndsItsFiles(t *testing.T) {
	stacks(t)
	dir, file := place(t), &sleepfile.File{}
	lower, err := procfs.Mount(dir, vfs.Static(map[string]vfs.Node{"sleep": file}), procfs.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lower.Close()) })
	holder, sleeper := newCaller(t, "orders"), newCaller(t, "orders")
	fd := holder.do(t, "open %s/sleep 0", dir)
	sleeper.begin(t, "open %s/sleep 0", dir)
	processes.Eventually(t, "the sleeper is in Open", func() bool { return file.UseCount() == 2 })
	upper := serveAt(t, dir)
	require.NoError(t, lower.Close())
	require.Equal(t, atEnd, sleeper.end(t))
	require.Equal(t, afterEnd, holder.do(t, "pread %s", fd))
	requireReads(t, dir)
	require.NoError(t, upper.Close())
	requireFree(t, dir)
}

// A Server that has ended owns no mount any more. Its Close leaves the next mount at the
// same place alone, and its numbers of descriptors, which the next Server can have.
func TestCloseOfAnEndedServerLeavesTheNextAlone(t *testing.T) {
	dir := place(t)
	first := serveAt(t, dir)
	processes.Eventually(t, "the mount is gone", func() bool { return unmountAsUser(t, dir) })
	<-first.Done()
	next := serveAt(t, dir)
	require.NoError(t, first.Close())
	requireReads(t, dir)
	require.NoError(t, next.Close())
	requireFree(t, dir)
}

// unmountAsUser unmounts as somebody else would.
func unmountAsUser(t testing.TB, dir string) bool {
	if os.Geteuid() == 0 {
		return unix.Unmount(dir, 0) == nil
	}
	_, code := run(t, "fusermount3", "-u", dir)
	return code == 0
}

// A Close and the next Mount at the same place come in each order. The next Server serves.
func TestMountDuringClose(t *testing.T) {
	stacks(t)
	dir := place(t)
	for range 50 {
		first, mounted := serveAt(t, dir), make(chan *procfs.Server)
		go func() {
			next, err := procfs.Mount(dir, vfs.Static(map[string]vfs.Node{"sleep": &sleepfile.File{}}), procfs.Options{})
			assert.NoError(t, err)
			mounted <- next
		}()
		require.NoError(t, first.Close())
		next := <-mounted
		requireReads(t, dir)
		require.NoError(t, next.Close())
		requireFree(t, dir)
	}
}

// The lists and settings that Mount reads can lie below the mount itself.
func TestMountOverProc(t *testing.T) {
	r := newRoom(t, "")
	for _, dir := range []string{"/proc", "/proc/sys"} {
		server := r.role(t, 0, "unshare -m", "servetree", dir)
		require.Equal(t, "serving", server.end(t))
		requireServerEnds(t, server)
	}
}

// With no descriptor left, Mount fails and leaves no mount.
func TestMountWithoutDescriptors(t *testing.T) {
	stacks(t)
	dir := place(t)
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	for spare := range 3 {
		less := unix.Rlimit{Cur: freeNumber(t, spare), Max: before.Max}
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &less))
		server, err := procfs.Mount(dir, vfs.Static(nil), procfs.Options{})
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
		if spare == 2 { // one for the device, and one for the end
			require.NoError(t, err)
			require.NoError(t, server.Close())
		} else {
			require.ErrorIs(t, err, syscall.EMFILE)
		}
		requireFree(t, dir)
	}
}

// freeNumber returns the number of the next descriptor if n more were open.
func freeNumber(t testing.TB, n int) uint64 {
	fd, err := unix.Open("/dev/null", unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	if n == 0 {
		return uint64(fd)
	}
	return freeNumber(t, n-1)
}

// go-fuse has a file in its roots that ours do not have.
func TestRootHasNoFileOfTheLibrary(t *testing.T) {
	dir, _ := mount(t, vfs.Static(nil), procfs.Options{})
	const name = ".go-fuse-epoll-hack"
	out, _ := bash(t, dir, "cat "+name+"; mkdir "+name+"; ln -s x "+name+"; > "+name)
	require.Equal(t, 4, strings.Count(out, "No such file or directory"), out)
	require.Equal(t, 4, strings.Count(out, "\n"), out)
}

// Close leaves a mount of somebody else alone, above its own and below.
func TestCloseLeavesOtherMountsAlone(t *testing.T) {
	top := place(t)
	dir := top + "/dir"
	require.NoError(t, os.Mkdir(dir, 0o700))
	tmpfs := func() { require.NoError(t, unix.Mount("kprim", dir, "tmpfs", 0, "")) }
	if err := unix.Mount("kprim", dir, "tmpfs", 0, ""); err != nil {
		t.Skip("skipped: a tmpfs cannot be mounted here:", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
	require.NoError(t, os.WriteFile(dir+"/below", nil, 0o600))
	server := serveAt(t, dir)
	tmpfs()
	require.NoError(t, os.WriteFile(dir+"/above", nil, 0o600))

	require.NoError(t, server.Close())
	require.FileExists(t, dir+"/above")
	require.NoError(t, unix.Unmount(dir, 0))
	require.ErrorIs(t, unix.Access(dir, 0), unix.ENOTCONN, "its own mount could not go before")
	serveAt(t, dir).Close()
	require.FileExists(t, dir+"/below")
}
