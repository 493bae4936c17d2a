package sysctl_test

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

func TestWalkSeesEveryEntryInOrder(t *testing.T) {
	var tree sysctl.Tree
	for _, dir := range []string{"b", "a.b", "a/c", "", "a"} {
		_, err := tree.Register(dir, entry("y"), entry("x"))
		require.NoError(t, err)
	}
	var paths []string
	require.NoError(t, tree.Walk(func(path string, e sysctl.Entry) error {
		require.EqualValues(t, 0o644, e.Mode)
		_, err := tree.Register("new/"+path, entry("z")) // no lock is held
		paths = append(paths, path)
		return err
	}))
	require.Equal(t, "a/c/x a/c/y a/x a/y a.b/x a.b/y b/x b/y x y", strings.Join(paths, " "))
	stop := fmt.Errorf("enough")
	require.Equal(t, stop, tree.Walk(func(string, sysctl.Entry) error { return stop }))
}

func TestNamesAreListedInOrder(t *testing.T) {
	var tree sysctl.Tree
	for _, name := range []string{"b", "a", "ab", "aa", "B", "a.b", "_"} {
		_, err := tree.Register("d/"+name, entry("x"))
		require.NoError(t, err)
		_, err = tree.Register("d", entry(name+"~"))
		require.NoError(t, err)
	}
	entries, err := fs.ReadDir(tree.FS(sysctl.Nobody), "d")
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.Equal(t, "B B~ _ _~ a a.b a.b~ aa aa~ ab ab~ a~ b b~", strings.Join(names, " "))
}

func TestTreeIsAFileSystem(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	_, err := tree.Register("net/ipv4/conf/eth0.100", entry("x"), entry("y"))
	require.NoError(t, err)
	_, err = tree.Register("empty")
	require.NoError(t, err)
	require.NoError(t, fstest.TestFS(tree.FS(sysctl.Nobody), "kernel/limit", "net/ipv4/conf/eth0.100/x", "empty"))
	require.NoError(t, fstest.TestFS(new(sysctl.Tree).FS(sysctl.Nobody)))
	_, err = tree.Register("kernel", sysctl.Entry{Name: "secret", Mode: 0o600, Handler: entry("").Handler})
	require.NoError(t, err)
	_, err = fs.ReadFile(tree.FS(sysctl.Nobody), "kernel/secret")
	require.ErrorIs(t, err, fs.ErrPermission)
	info, err := fs.Stat(tree.FS(sysctl.Nobody), "kernel/secret")
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode())
	require.Error(t, fstest.TestFS(tree.FS(sysctl.Nobody), "kernel/limit"), "it opens each listed name")
	require.NoError(t, fstest.TestFS(tree.FS(sysctl.Root), "kernel/secret"))
	_, err = tree.FS(sysctl.Nobody).Open("kernel/none")
	require.ErrorIs(t, err, fs.ErrNotExist)
	for name, want := range map[string]error{"kernel/limit": syscall.ENOTDIR, "kernel/limit/x": syscall.ENOTDIR, "none": syscall.ENOENT, "../x": fs.ErrInvalid} {
		_, err = fs.ReadDir(tree.FS(sysctl.Nobody), name)
		require.ErrorIs(t, err, want, name)
	}
	entries, err := fs.ReadDir(tree.FS(sysctl.Nobody), "kernel")
	require.NoError(t, err)
	require.Equal(t, []string{"- limit -rw-r--r--", "- secret -rw-------"}, listed(t, entries))
	entries, err = fs.ReadDir(tree.FS(sysctl.Nobody), "net")
	require.NoError(t, err)
	require.Equal(t, []string{"d ipv4 dr-xr-xr-x"}, listed(t, entries))
}

func listed(t *testing.T, entries []fs.DirEntry) (list []string) {
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		list = append(list, fmt.Sprintf("%.1s %s %s", e.Type(), e.Name(), info.Mode()))
	}
	return list
}

func TestMountPointStaysEmpty(t *testing.T) {
	var tree sysctl.Tree
	mount, err := tree.RegisterMountPoint("fs/binfmt_misc")
	require.NoError(t, err)
	for _, dir := range []string{"fs/binfmt_misc", "fs/binfmt_misc/below"} {
		_, err = tree.Register(dir, entry("x"))
		require.ErrorIs(t, err, syscall.EROFS)
	}
	_, err = tree.Register("fs", entry("x"))
	require.NoError(t, err)
	_, err = tree.RegisterMountPoint("fs")
	require.ErrorIs(t, err, sysctl.ErrNotEmpty)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.EqualError(t, err, `sysctl: register in "fs": `+sysctl.ErrNotEmpty.Error())
	_, err = tree.RegisterMountPoint("fs/binfmt_misc")
	require.ErrorIs(t, err, syscall.EROFS, "it is one")
	var all sysctl.Tree
	_, err = all.RegisterMountPoint("")
	require.NoError(t, err)
	_, err = all.Register("fs", entry("x"))
	require.ErrorIs(t, err, syscall.EROFS)
	entries, err := fs.ReadDir(tree.FS(sysctl.Root), "fs/binfmt_misc")
	require.NoError(t, err)
	require.Empty(t, entries)
	mount.Unregister()
	_, err = tree.Register("fs/binfmt_misc", entry("x"))
	require.NoError(t, err)
}

// The first of the two may go first, and either may go last.
func TestMountPointIsOneAsLongAsTheDirectoryLives(t *testing.T) {
	for _, order := range [][]string{
		{"directory", "mount", "-directory", "-mount"},
		{"directory", "mount", "-mount", "-directory"},
		{"directory", "directory", "mount", "-mount", "-directory", "-directory"},
		{"mount", "-mount"},
	} {
		var tree sysctl.Tree
		headers := map[string][]*sysctl.Header{}
		is := false
		for i, step := range order {
			name := strings.TrimPrefix(step, "-")
			switch {
			case step != name:
				last := len(headers[name]) - 1
				headers[name][last].Unregister()
				headers[name] = headers[name][:last]
			case name == "mount":
				h, err := tree.RegisterMountPoint("fs/m")
				require.NoError(t, err)
				headers[name] = append(headers[name], h)
				is = true
			default:
				h, err := tree.Register("fs/m")
				require.NoError(t, err)
				headers[name] = append(headers[name], h)
			}
			if is && i < len(order)-1 {
				for _, dir := range []string{"fs/m", "fs/m/below"} {
					_, err := tree.Register(dir, entry("x"))
					require.ErrorIs(t, err, syscall.EROFS, "%v %d", order, i)
				}
				_, err := tree.RegisterMountPoint("fs/m")
				require.ErrorIs(t, err, syscall.EROFS)
				_, err = tree.Register("fs/m")
				require.ErrorIs(t, err, syscall.EROFS)
			}
		}
		_, err := tree.ReadFile(sysctl.Root, "fs")
		require.ErrorIs(t, err, syscall.ENOENT)
		_, err = tree.Register("fs/m", entry("x"))
		require.NoError(t, err, "a new one is an ordinary one")
	}
}
