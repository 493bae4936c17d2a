package sysctl_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// The directory testdata/conf is the root of a system. Each of its files says
// by a and its value that it was read.
func TestSystemFilesAreReadInTheOrderOfTheirNames(t *testing.T) {
	b := newBook(t)
	require.NoError(t, b.LoadSystem(sysctl.Root, os.DirFS("testdata/conf")))
	require.Equal(t, []string{
		"a=run 05\n",
		"a=etc 10\n",
		"a=lib 20\n",
		"kernel/msgmni=usr/lib 30\n",
		"a=usr/local/lib 40\n",
		"kernel/hostname=usr/local/lib 40\n",
		"a=etc 50\n",
		"a=usr/lib 60\n",
		"a=sysctl.conf\n",
		"kernel/msgmax=sysctl.conf\n",
	}, b.written)
}

func TestSystemFiles(t *testing.T) {
	dirs := []string{"etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d"}
	t.Run("a directory hides those after it", func(t *testing.T) {
		for i := range dirs {
			fsys := fstest.MapFS{}
			for _, dir := range dirs[i:] {
				fsys[dir+"/x.conf"] = file("a=" + dir)
			}
			b := newBook(t)
			require.NoError(t, b.LoadSystem(sysctl.Root, fsys))
			require.Equal(t, []string{"a=" + dirs[i] + "\n"}, b.written)
		}
	})
	t.Run("an empty file hides too", func(t *testing.T) {
		b := newBook(t)
		require.NoError(t, b.LoadSystem(sysctl.Root, fstest.MapFS{
			"etc/sysctl.d/x.conf": file(""), "lib/sysctl.d/x.conf": file("a=1"),
		}))
		require.Empty(t, b.written)
	})
	t.Run("the order is by bytes", func(t *testing.T) {
		b := newBook(t)
		require.NoError(t, b.LoadSystem(sysctl.Root, fstest.MapFS{
			"etc/sysctl.d/9.conf": file("a=9"), "run/sysctl.d/10.conf": file("a=10"), "lib/sysctl.d/A.conf": file("a=A"),
			"lib/sysctl.d/a.conf": file("a=a"), "etc/sysctl.d/.conf": file("a=nameless"),
		}))
		require.Equal(t, []string{"a=nameless\n", "a=10\n", "a=9\n", "a=A\n", "a=a\n"}, b.written)
	})
	t.Run("names that do not end in .conf", func(t *testing.T) {
		b := newBook(t)
		require.NoError(t, b.LoadSystem(sysctl.Root, fstest.MapFS{
			"etc/sysctl.d/README": file("a=1"), "etc/sysctl.d/x.conf~": file("a=2"), "etc/sysctl.d/xconf": file("a=3"),
			"etc/sysctl.d/x.CONF": file("a=4"), "etc/sysctl.d/dir.conf/x.conf": file("a=5"), "etc/x.conf": file("a=6"),
		}))
		require.Empty(t, b.written)
	})
	t.Run("a directory, and a link to one, hide the files of their name", func(t *testing.T) {
		b := newBook(t)
		require.NoError(t, b.LoadSystem(sysctl.Root, fstest.MapFS{
			"etc/sysctl.d/x.conf/y": file("a=1"), "etc/sysctl.conf/y": file("a=2"), "lib/sysctl.d/x.conf": file("a=3"),
			"etc/sysctl.d/z.conf": {Data: []byte("../x"), Mode: fs.ModeSymlink}, "etc/x/y": file("a=4"), "lib/sysctl.d/z.conf": file("a=5"),
			"lib/sysctl.d/w.conf/y": file("a=6"), "etc/sysctl.d/w.conf": file("a=7"),
		}))
		require.Equal(t, []string{"a=7\n"}, b.written)
	})
	t.Run("a file that cannot be read hides, and is told of", func(t *testing.T) {
		b := newBook(t)
		err := b.LoadSystem(sysctl.Root, fstest.MapFS{
			"etc/sysctl.d/x.conf": {Data: []byte("none"), Mode: fs.ModeSymlink}, "lib/sysctl.d/x.conf": file("a=3"),
		})
		require.Equal(t, "etc/sysctl.d/x.conf", failures(t, err)[0].File)
		require.Empty(t, b.written)
	})
	t.Run("a hidden file is read", func(t *testing.T) {
		b := newBook(t)
		require.NoError(t, b.LoadSystem(sysctl.Root, fstest.MapFS{"etc/sysctl.d/.x.conf": file("a=1")}))
		require.Equal(t, []string{"a=1\n"}, b.written)
	})
	t.Run("no files", func(t *testing.T) {
		require.NoError(t, newBook(t).LoadSystem(sysctl.Root, fstest.MapFS{}))
	})
	t.Run("a directory that is a file", func(t *testing.T) {
		b := newBook(t)
		err := b.LoadSystem(sysctl.Root, fstest.MapFS{"run/sysctl.d": file(""), "etc/sysctl.conf": file("a=1")})
		require.Equal(t, "run/sysctl.d", failures(t, err)[0].File)
		require.Equal(t, []string{"a=1\n"}, b.written)
	})
}

func TestSystemSettingsNeedNotBeThere(t *testing.T) {
	b := newBook(t)
	err := b.LoadSystem(sysctl.Root, fstest.MapFS{"etc/sysctl.conf": file(
		"kernel.none=1\nkernel.hostname.x=1\nkernel.osrelease=1\nkernel.refuses=1\nkernel=1\nkernel.unknown=1\nx\nxx\na=1")})
	require.Equal(t, []string{"a=1\n"}, b.written)
	var lines []int
	for _, e := range failures(t, err) {
		lines = append(lines, e.Line)
	}
	require.Equal(t, []int{7, 8, 3, 4, 5, 6}, lines, "the handler of 6 does not know the value, not the key")
	require.ErrorIs(t, err, syscall.ENOENT)
}

// A link to /dev/null is how a file of another directory is switched off.
func TestLinkToNothingHidesAFile(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		t.Skip("no links, or no /dev/null")
	}
	root := t.TempDir()
	for _, dir := range []string{"etc/sysctl.d", "lib/sysctl.d"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o700))
	}
	require.NoError(t, os.Symlink("/dev/null", filepath.Join(root, "etc/sysctl.d/x.conf")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "lib/sysctl.d/x.conf"), []byte("a=1"), 0o600))
	b := newBook(t)
	require.NoError(t, b.LoadSystem(sysctl.Root, os.DirFS(root)))
	require.Empty(t, b.written)
}

// An os.Root follows no link that leaves it.
func TestLinkToNothingHidesAFileOfAnOsRoot(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		t.Skip("no links")
	}
	dir := t.TempDir()
	for _, sub := range []string{"etc", "lib"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	require.NoError(t, os.Symlink("/dev/null", filepath.Join(dir, "etc/x.conf")))
	require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, "etc/y.conf")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lib/x.conf"), []byte("a=1"), 0o600))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	b := newBook(t)
	errs := failures(t, b.LoadDirs(sysctl.Root, root.FS(), "etc", "lib"))
	require.Empty(t, b.written)
	require.Len(t, errs, 1)
	require.Equal(t, "etc/y.conf", errs[0].File)
	require.NoError(t, b.Load(sysctl.Root, root.FS(), "etc/x.conf"))
}

func TestOwnDirectoriesAreReadLikeThoseOfASystem(t *testing.T) {
	fsys := fstest.MapFS{
		"etc/myapp.d/2.conf": file("a=etc 2"), "usr/lib/myapp.d/2.conf": file("a=usr 2"), "usr/lib/myapp.d/1.conf": file("a=usr 1\nkernel.nome=1"),
		"usr/lib/myapp.d/3.conf": file("a=usr 3"), "etc/myapp.d/3.conf": file(""), "etc/sysctl.conf": file("a=system"), "etc/sysctl.d/1.conf": file("a=system"),
	}
	b := newBook(t)
	err := b.LoadDirs(sysctl.Root, fsys, "etc/myapp.d", "run/myapp.d", "usr/lib/myapp.d")
	require.Equal(t, []string{"a=usr 1\n", "a=etc 2\n"}, b.written)
	errs := failures(t, err)
	require.Len(t, errs, 1, "the misspelt key, and not the directory that is not there")
	require.EqualError(t, errs[0], "sysctl: usr/lib/myapp.d/1.conf:2: open kernel/nome: "+syscall.ENOENT.Error())
	require.Equal(t, "kernel.nome", errs[0].Key)
	require.ErrorIs(t, err, syscall.ENOENT)

	b = newBook(t)
	require.NoError(t, b.LoadDirs(sysctl.Root, fsys))
	require.ErrorIs(t, b.LoadDirs(sysctl.Nobody, fsys, "etc/myapp.d"), syscall.EACCES)
	require.Empty(t, b.written)
}
