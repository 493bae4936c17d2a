package sysctl_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// demo is a tree with one entry, an int.
func demo(t *testing.T, mode fs.FileMode) (*sysctl.Tree, *sysctl.Var[int32], *sysctl.Header) {
	tree, limit := new(sysctl.Tree), new(sysctl.Var[int32])
	header, err := tree.Register("kernel", sysctl.Entry{Name: "limit", Mode: mode, Handler: sysctl.DoIntVecMinMax(limit, 0, 100)})
	require.NoError(t, err)
	return tree, limit, header
}

func open(t *testing.T, tree *sysctl.Tree, path string) *sysctl.File {
	f, err := tree.OpenFile(sysctl.Root, path, os.O_RDWR)
	require.NoError(t, err)
	return f
}

func TestFileOfWhoGaveUpItsRights(t *testing.T) {
	for mode, reads := range map[fs.FileMode]bool{0o644: true, 0o600: false} {
		tree, limit, _ := demo(t, mode)
		f := open(t, tree, "kernel/limit")
		f.SetCred(sysctl.Nobody)
		_, err := f.Write([]byte("5\n"))
		require.ErrorIs(t, err, syscall.EPERM)
		require.Zero(t, limit.Load())
		buf := make([]byte, 8)
		n, err := f.Read(buf)
		if reads {
			require.NoError(t, err)
			require.Equal(t, "0\n", string(buf[:n]))
		} else {
			require.ErrorIs(t, err, syscall.EPERM)
		}
		f.SetCred(sysctl.Root)
		_, err = f.WriteAt([]byte("5\n"), 0)
		require.NoError(t, err)
	}
}

func TestFileDoesWhatItWasOpenedFor(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	r, err := tree.OpenFile(sysctl.Nobody, "kernel/limit", os.O_RDONLY)
	require.NoError(t, err)
	_, err = r.Write([]byte("5\n"))
	require.ErrorIs(t, err, syscall.EBADF)
	w, err := tree.OpenFile(sysctl.Root, "kernel/limit", os.O_WRONLY)
	require.NoError(t, err)
	_, err = w.Read(make([]byte, 8))
	require.ErrorIs(t, err, syscall.EBADF)
	_, err = w.WriteAt([]byte("5\n"), -1)
	require.ErrorIs(t, err, syscall.EINVAL)
	_, err = w.Seek(0, 3)
	require.ErrorIs(t, err, syscall.EINVAL)
}

// Who may not write does not learn more than that the name is there.
func TestExclusiveCreationFailsBeforeTheRightsAreLookedAt(t *testing.T) {
	tree, _, _ := demo(t, 0o000)
	const create = os.O_CREATE | os.O_EXCL
	for path, want := range map[string]error{
		"kernel/limit": syscall.EEXIST, "kernel": syscall.EEXIST, "": syscall.EEXIST,
		"kernel/none": syscall.ENOENT, "kernel/limit/x": syscall.ENOTDIR, "kernel/limit/": syscall.ENOTDIR,
	} {
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR} {
			_, err := tree.OpenFile(sysctl.Nobody, path, flag|create)
			require.ErrorIs(t, err, want, path)
		}
	}
	for _, flag := range []int{os.O_CREATE, os.O_EXCL, 0} {
		_, err := tree.OpenFile(sysctl.Nobody, "kernel/limit", flag)
		require.ErrorIs(t, err, syscall.EACCES)
		_, err = tree.OpenFile(sysctl.Nobody, "kernel", flag)
		require.ErrorIs(t, err, syscall.EISDIR)
	}
}

// As it is with /proc/sys/kernel/ostype, of mode 0444.
func TestTruncationAsksForTheRightToWrite(t *testing.T) {
	tree, limit, _ := demo(t, 0o446)
	limit.Store(7)
	_, err := tree.OpenFile(sysctl.Root, "kernel/limit", os.O_RDONLY|os.O_TRUNC)
	require.ErrorIs(t, err, syscall.EACCES)
	f, err := tree.OpenFile(sysctl.Nobody, "kernel/limit", os.O_RDONLY|os.O_TRUNC)
	require.NoError(t, err)
	buf := make([]byte, 8)
	n, err := f.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "7\n", string(buf[:n]), "it has no effect")
	_, err = f.Write([]byte("5\n"))
	require.ErrorIs(t, err, syscall.EBADF, "it opens for nothing more")
}

// The end of what is read or written is a position too.
func TestPositionsEndWhereTheTypeDoes(t *testing.T) {
	var tree sysctl.Tree
	var s sysctl.Var[string]
	_, err := tree.Register("", sysctl.Entry{Name: "s", Mode: 0o644, Handler: sysctl.DoString(&s, 8)})
	require.NoError(t, err)
	f := open(t, &tree, "s")
	for _, pos := range []int64{math.MaxInt64, math.MaxInt64 - 4} {
		_, err := f.ReadAt(make([]byte, 5), pos)
		require.ErrorIs(t, err, syscall.EINVAL, pos)
		_, err = f.WriteAt(make([]byte, 5), pos)
		require.ErrorIs(t, err, syscall.EINVAL, pos)
	}
	_, err = f.ReadAt(make([]byte, 5), math.MaxInt64-5)
	require.Equal(t, io.EOF, err)
	n, err := f.WriteAt(make([]byte, 5), math.MaxInt64-5)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	_, err = f.ReadAt(make([]byte, 4<<20), math.MaxInt64-5)
	require.ErrorIs(t, err, syscall.EINVAL, "before the size is looked at")
	_, err = f.ReadAt(nil, math.MaxInt64)
	require.NoError(t, err)
	_, err = f.Seek(math.MaxInt64, io.SeekStart)
	require.NoError(t, err)
	_, err = f.Seek(1, io.SeekCurrent)
	require.ErrorIs(t, err, syscall.EINVAL)
	_, err = f.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.EINVAL)
}

func TestRequestsThatAreTooLarge(t *testing.T) {
	var tree sysctl.Tree
	var s sysctl.Var[string]
	_, err := tree.Register("", sysctl.Entry{Name: "s", Mode: 0o644, Handler: sysctl.DoString(&s, 8)})
	require.NoError(t, err)
	f := open(t, &tree, "s")
	large := make([]byte, 4<<20)
	copy(large, "abc")
	_, err = f.Write(large)
	require.ErrorIs(t, err, syscall.ENOMEM)
	_, err = f.Read(large)
	require.ErrorIs(t, err, syscall.ENOMEM)
	require.ErrorIs(t, tree.WriteFile(sysctl.Root, "s", large), syscall.ENOMEM)
	require.ErrorIs(t, tree.WriteFile(sysctl.Nobody, "s", large), syscall.EACCES, "that comes first")
	require.Equal(t, "", s.Load())
	require.NoError(t, tree.WriteFile(sysctl.Root, "s", append([]byte("def"), make([]byte, 4<<20-4)...)))
	require.Equal(t, "def", s.Load())
	n, err := f.Write(large[:len(large)-1])
	require.NoError(t, err)
	require.Equal(t, len(large)-1, n)
	require.Equal(t, "abc", s.Load())
}

// Files do not delay Unregister, nor do they come back to life.
func TestFilesOfAnEntryThatHasGone(t *testing.T) {
	tree, _, header := demo(t, 0o644)
	f := open(t, tree, "kernel/limit")
	r, err := tree.OpenFile(sysctl.Root, "kernel/limit", os.O_RDONLY)
	require.NoError(t, err)
	header.Unregister()
	_, _, again := demo(t, 0o644)
	defer again.Unregister()
	_, err = tree.Register("kernel", entry("limit"))
	require.NoError(t, err)
	_, err = f.Read(make([]byte, 8))
	require.ErrorIs(t, err, syscall.ENOENT)
	_, err = f.Write([]byte("5\n"))
	require.ErrorIs(t, err, syscall.ENOENT)
	changed, gone := f.Changed()
	require.False(t, changed)
	require.True(t, gone)
	pos, err := f.Seek(3, io.SeekStart)
	require.NoError(t, err)
	require.EqualValues(t, 3, pos)
	f.SetCred(sysctl.Nobody)
	_, err = f.Write([]byte("5\n"))
	require.ErrorIs(t, err, syscall.ENOENT)
	_, err = f.ReadAt(make([]byte, 8), -1)
	require.ErrorIs(t, err, syscall.EINVAL, "what is wrong with the call is wrong first")
	_, err = r.Write([]byte("5\n"))
	require.ErrorIs(t, err, syscall.EBADF)
}

func TestShortWriteSaysSo(t *testing.T) {
	tree, limit, _ := demo(t, 0o644)
	f := open(t, tree, "kernel/limit")
	n, err := f.Write([]byte("5 6\n"))
	require.Equal(t, 2, n)
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.EqualError(t, err, "write kernel/limit: 2 bytes of 4 were used: short write")
	var pathError *fs.PathError
	require.ErrorAs(t, err, &pathError)
	n, err = f.Write([]byte("6\n")) // as echo goes on: ignored
	require.Equal(t, 2, n)
	require.NoError(t, err)
	require.EqualValues(t, 5, limit.Load())
}

// What was wrong, in which entry, with the errno; and the old value is there.
func TestErrorsSayWhatWasWrongWhere(t *testing.T) {
	var tree sysctl.Tree
	ints, ulong, d, b := new(sysctl.Vec[int32]), new(sysctl.Var[uint64]), new(sysctl.Var[time.Duration]), sysctl.NewBitmap(64)
	ints.Store(7, 7)
	for name, h := range map[string]sysctl.Handler{
		"int": sysctl.DoIntVecMinMax(ints, -5, 100), "seconds": sysctl.DoJiffies(ints, time.Second, math.MinInt32, math.MaxInt32), "ms": sysctl.DoJiffies(ints, time.Millisecond, math.MinInt32, math.MaxInt32),
		"uint": sysctl.DoUintMinMax(sysctl.NewVar[uint32](1), 1, 9), "ulong": sysctl.DoUlongVecMinMax(ulong, 0, 9),
		"whole": sysctl.Whole(ints, 0, 9), "duration": sysctl.Bounded(d, 0, time.Second), "bitmap": sysctl.DoLargeBitmap(b),
	} {
		_, err := tree.Register("k", sysctl.Entry{Name: name, Mode: 0o644, Handler: h})
		require.NoError(t, err)
	}
	for _, c := range []struct{ name, text, what string }{
		{"int", "101\n", "101 is not from -5 to 100"},
		{"int", "x\n", `"x\n" is not a number`},
		{"int", "5,\n", `"5," is not a number`},
		{"int", " \n", "there is no number"},
		{"int", "2147483648", "2147483648 does not fit into 32 bits"},
		{"int", "000000000000000000005", "is too long for a number"},
		{"int", "18446744073709551616", "18446744073709551616 has more than 64 bits"},
		{"seconds", "99999999", "99999999 is not a time that can be counted in jiffies of 1/250 s"},
		{"ms", "-5", "-5 is not a time"},
		{"uint", "-5", "-5 has a sign"},
		{"uint", " \n", "there is no number"},
		{"ulong", " \n", "there is no number"},
		{"uint", "0", "0 is not from 1 to 9"},
		{"ulong", "-0", "-0 has a sign"},
		{"ulong", "10", "10 is not from 0 to 9"},
		{"whole", "1 2 3", "3 numbers for 2 values"},
		{"duration", "5", `: missing unit in duration "5"`},
		{"duration", "x", `: invalid duration "x"`},
		{"duration", "2s", "2s is not from 0s to 1s"},
		{"bitmap", "7-5", "7-5 is not a range"},
		{"bitmap", "64", "64 is not from 0 to 63"},
	} {
		before, err := tree.ReadFile(sysctl.Root, "k/"+c.name)
		require.NoError(t, err)
		err = tree.WriteFile(sysctl.Root, "k/"+c.name, []byte(c.text))
		require.ErrorIs(t, err, syscall.EINVAL)
		require.ErrorContains(t, err, "write k/"+c.name+": ")
		require.ErrorContains(t, err, c.what)
		require.NotContains(t, err.Error(), "time:", "which no caller has called")
		after, err := tree.ReadFile(sysctl.Root, "k/"+c.name)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after))
	}
}

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

func TestWritesStrictIsAnEntry(t *testing.T) {
	tree, limit, _ := demo(t, 0o644)
	_, err := tree.Register("kernel", sysctl.Entry{Name: "sysctl_writes_strict", Mode: 0o644, Handler: sysctl.DoWritesStrict(tree)})
	require.NoError(t, err)
	for text, mode := range map[string]sysctl.WriteMode{"1\n": sysctl.Strict, "0\n": sysctl.Warn, "-1\n": sysctl.Legacy} {
		require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/sysctl_writes_strict", []byte(text)))
		require.Equal(t, mode, tree.WriteMode())
		got, err := tree.ReadFile(sysctl.Root, "kernel/sysctl_writes_strict")
		require.NoError(t, err)
		require.Equal(t, text, string(got))
		limit.Store(1)
		_, err = open(t, tree, "kernel/limit").WriteAt([]byte("2"), 1)
		require.NoError(t, err)
		require.Equal(t, mode != sysctl.Strict, limit.Load() == 2)
	}
	require.ErrorIs(t, tree.WriteFile(sysctl.Root, "kernel/sysctl_writes_strict", []byte("2")), syscall.EINVAL)
}

func TestWarnIsCalledOnce(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	_, err := tree.Register("kernel", entry("text"))
	require.NoError(t, err)
	var warned []string
	other := open(t, tree, "kernel/limit")
	tree.Warn = func(path string) {
		warned = append(warned, path)
		_, _ = other.WriteAt([]byte("1"), 1) // and does not warn of it
	}
	limit, text := open(t, tree, "kernel/limit"), open(t, tree, "/kernel//text")
	for _, mode := range []sysctl.WriteMode{sysctl.Strict, sysctl.Legacy} {
		tree.SetWriteMode(mode)
		_, err = text.WriteAt([]byte("2"), 1)
		require.NoError(t, err)
	}
	tree.SetWriteMode(sysctl.Warn)
	_, err = text.WriteAt([]byte("2"), 0)
	require.NoError(t, err)
	require.Empty(t, warned)
	for range 2 {
		_, err = text.WriteAt([]byte("2"), 1)
		require.NoError(t, err)
		_, err = limit.WriteAt([]byte("2"), 1)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"kernel/text"}, warned)
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
	require.Error(t, fstest.TestFS(tree.FS(sysctl.Nobody), "kernel/limit"), "it opens what is listed")
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

// What is there first may go first, and what goes last may be either.
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

func TestChangesComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree, _, _ := demo(t, 0o644)
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, text := range tree.Changes(ctx, "kernel/limit") {
				got = append(got, text)
			}
		}()
		for i := range 3 {
			synctest.Wait()
			require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/limit", fmt.Append(nil, i)))
		}
		synctest.Wait()
		require.Error(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("x")))
		synctest.Wait()
		cancel()
		<-done
		require.Equal(t, []string{"0\n", "1\n", "2\n", "2\n"}, got, "a write that failed may have changed something")
	})
}

func TestChangesOfOneThatGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree, _, header := demo(t, 0o644)
		go func() {
			time.Sleep(time.Second)
			header.Unregister()
		}()
		for range tree.Changes(t.Context(), "kernel/limit") {
			t.Error("there was none")
		}
		for range tree.Changes(t.Context(), "kernel/none") {
			t.Error("there is none")
		}
	})
}

// The body of the loop may do anything; the loop may be left.
func TestChangesBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree, limit, _ := demo(t, 0o644)
		go func() {
			time.Sleep(time.Second)
			_ = tree.WriteFile(sysctl.Root, "kernel/limit", []byte("1"))
		}()
		for _, text := range tree.Changes(t.Context(), "kernel/limit") {
			if text == "10\n" {
				break
			}
			require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("10")))
		}
		require.EqualValues(t, 10, limit.Load())
	})
}

// It begins with the call, not with the loop.
func TestChangesBeforeTheLoopAreSeen(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	changes := tree.Changes(t.Context(), "kernel/limit")
	require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("5")))
	for _, text := range changes {
		require.Equal(t, "5\n", text)
		break
	}
}

// The program itself has stored something.
func TestNotifyIsSeenByThoseWhoPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree, limit, header := demo(t, 0o600)
		f, other := open(t, tree, "kernel/limit"), open(t, tree, "kernel/limit")
		limit.Store(5)
		require.False(t, isChanged(f), "nobody is told")
		require.NoError(t, tree.Notify("/kernel/limit"))
		for _, f := range []*sysctl.File{f, other} {
			require.Equal(t, vfs.PollIn|vfs.PollRdNorm|vfs.PollErr|vfs.PollPri, f.Events())
			require.False(t, isChanged(f), "one report")
		}
		go func() {
			time.Sleep(time.Second)
			limit.Store(6)
			_ = tree.Notify("kernel/limit")
		}()
		for _, text := range tree.Changes(t.Context(), "kernel/limit") {
			require.Equal(t, "6\n", text)
			break
		}
		for path, want := range map[string]error{
			"kernel": syscall.EISDIR, "kernel/none": syscall.ENOENT, "kernel/limit/x": syscall.ENOTDIR, "kernel/limit/": syscall.ENOTDIR,
		} {
			require.ErrorIs(t, tree.Notify(path), want)
			require.ErrorContains(t, tree.Notify(path), "notify "+path+": ")
		}
		header.Unregister()
		require.ErrorIs(t, tree.Notify("kernel/limit"), syscall.ENOENT)
	})
}

func TestChangesEndWithTheirContextThoughTheBodyWrites(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes, n := tree.Changes(ctx, "kernel/limit"), 0
	require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("5")))
	for range changes {
		n++
		cancel()
		require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("6")))
	}
	require.Equal(t, 1, n)
}

// A write that fails half-way has changed the first value.
func TestFailedWriteIsAChangeToo(t *testing.T) {
	var tree sysctl.Tree
	var v sysctl.Vec[int32]
	v.Store(1, 2)
	_, err := tree.Register("", sysctl.Entry{Name: "v", Mode: 0o644, Handler: sysctl.DoIntVec(&v)})
	require.NoError(t, err)
	f := open(t, &tree, "v")
	require.Error(t, tree.WriteFile(sysctl.Root, "v", []byte("9 x")))
	require.Equal(t, []int32{9, 2}, v.Load())
	require.True(t, isChanged(f))
}

// A heldUp handler stays in a write until it may leave.
type heldUp struct{ entered, leave chan struct{} }

func (s heldUp) Read(*sysctl.Request, []byte) (int, error) { return 0, nil }
func (s heldUp) Write(_ *sysctl.Request, p []byte) (int, error) {
	s.entered <- struct{}{}
	<-s.leave
	return len(p), nil
}

// It holds up who reads or writes at the position.
func TestSlowHandlerHoldsUpNobodyWhoNeedsNoPosition(t *testing.T) {
	var tree sysctl.Tree
	h := heldUp{make(chan struct{}), make(chan struct{})}
	header, err := tree.Register("", sysctl.Entry{Name: "slow", Mode: 0o644, Handler: h})
	require.NoError(t, err)
	f := open(t, &tree, "slow")
	done := make(chan error)
	go func() {
		_, err := f.Write([]byte("x"))
		done <- err
	}()
	<-h.entered
	require.Equal(t, vfs.PollIn|vfs.PollOut|vfs.PollRdNorm|vfs.PollWrNorm, f.Events())
	_, err = f.ReadAt(make([]byte, 8), 0)
	require.Equal(t, io.EOF, err)
	f.SetCred(sysctl.Root)
	gone := make(chan struct{})
	go func() {
		header.Unregister()
		close(gone)
	}()
	for f.Events() != vfs.PollErr|vfs.PollHup {
		runtime.Gosched() // it is unregistered, and waits for the write
	}
	close(h.leave)
	require.NoError(t, <-done)
	<-gone
}

// A liar says that it has done more or less than it can have.
type liar struct {
	beyond int // what was asked for; or below 0, how many it has done
	err    error
}

func (l liar) Read(_ *sysctl.Request, p []byte) (int, error) {
	if l.beyond < 0 {
		return l.beyond, l.err
	}
	return len(p) + l.beyond, l.err
}

func (l liar) Write(r *sysctl.Request, p []byte) (int, error) { return l.Read(r, p) }

func TestHandlerThatDoesTooMuchIsAnError(t *testing.T) {
	for _, h := range []liar{{1, nil}, {100, nil}, {-1, nil}, {-1, syscall.ERANGE}, {1, syscall.ERANGE}, {1 << 20, syscall.ERANGE}} {
		want := syscall.EIO
		if h.err != nil {
			want = syscall.ERANGE
		}
		var tree sysctl.Tree
		_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: h})
		require.NoError(t, err)
		f := open(t, &tree, "x")
		require.ErrorIs(t, tree.WriteFile(sysctl.Root, "x", []byte("y")), want)
		n, err := f.Write([]byte("y"))
		require.ErrorIs(t, err, want)
		require.Zero(t, n)
		for _, read := range []func([]byte) (int, error){f.Read, func(p []byte) (int, error) { return f.ReadAt(p, 3) }} {
			n, err := read(make([]byte, 8))
			require.ErrorIs(t, err, want)
			most := 0
			if h.beyond > 0 && h.err != nil {
				most = 8
			}
			require.Equal(t, most, n, "%+v", h)
		}
		_, err = tree.ReadFile(sysctl.Root, "x")
		require.ErrorIs(t, err, want)
		_, err = fs.ReadFile(tree.FS(sysctl.Root), "x")
		require.ErrorIs(t, err, want)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		changes := tree.Changes(ctx, "x")
		require.NoError(t, tree.Notify("x"))
		for range changes {
			t.Error("there is no text")
		}
		cancel()
	}
}

// A moody handler can be read now and then.
type moody struct {
	sysctl.Handler
	bad atomic.Bool
}

func (m *moody) Read(r *sysctl.Request, p []byte) (int, error) {
	if m.bad.Load() {
		return 1, syscall.EAGAIN
	}
	return m.Handler.Read(r, p)
}

func TestChangesGoOnAfterOneThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tree sysctl.Tree
		m := &moody{Handler: sysctl.DoIntVec(new(sysctl.Var[int32]))}
		_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: m})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan struct{})
		changes := tree.Changes(ctx, "x")
		go func() {
			defer close(done)
			for _, text := range changes {
				got = append(got, text)
			}
		}()
		for i := range 4 {
			m.bad.Store(i == 1 || i == 2)
			require.NoError(t, tree.WriteFile(sysctl.Root, "x", fmt.Append(nil, i)))
			synctest.Wait()
		}
		cancel()
		<-done
		require.Equal(t, []string{"0\n", "3\n"}, got)
	})
}

// Each range has a place of its own, at which it begins. The race detector sees it
// if they share one.
func TestRangesOverTheSameChangesShareNothing(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // or it would hang when it fails
	defer cancel()
	changes := tree.Changes(ctx, "kernel/limit")
	for range 2 {
		require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("5")))
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, text := range changes {
				if text == "6\n" {
					return
				}
				if text != "5\n" {
					t.Error(text)
				}
				_ = tree.WriteFile(sysctl.Root, "kernel/limit", []byte("6"))
			}
		})
	}
	all.Wait()
	for range 2 {
		n := 0
		for _, text := range changes {
			require.Equal(t, "6\n", text, "what is there, for there was a change")
			n++
			break
		}
		require.Equal(t, 1, n)
	}
}

func TestThreadThatRangesOverChangesCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree, _, _ := demo(t, 0o644)
		var seen []string
		thread := kthread.Run("watcher", func(cur *kthread.Current) error {
			for _, text := range tree.Changes(cur.Context(), "kernel/limit") {
				seen = append(seen, text)
			}
			return fmt.Errorf("stopped: %t", cur.ShouldStop())
		})
		synctest.Wait()
		require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("1")))
		synctest.Wait()
		require.EqualError(t, thread.Stop(), "stopped: true")
		require.Equal(t, []string{"1\n"}, seen)
	})
}

// Who is woken finds what woke it. A change that is counted after the wake-up is
// slept through.
func TestChangeIsCountedBeforeTheWakeUp(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	f := open(t, tree, "kernel/limit")
	var polled []uint32
	e := &waitqueue.Entry{Func: func(*waitqueue.Entry, waitqueue.State, any) int {
		polled = append(polled, f.Events())
		return 0
	}}
	f.WaitQueue().Add(e)
	defer f.WaitQueue().Remove(e)
	require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("1")))
	require.Error(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("x")))
	require.NoError(t, tree.Notify("kernel/limit"))
	const report = vfs.PollIn | vfs.PollRdNorm | vfs.PollErr | vfs.PollPri
	require.Equal(t, []uint32{report, report, report}, polled)
}

// As in Linux, where the two together are for a device that is neither read nor
// written.
func TestFileThatIsOpenForNothing(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	const flag = os.O_WRONLY | os.O_RDWR
	_, err := tree.OpenFile(sysctl.Nobody, "kernel/limit", flag)
	require.ErrorIs(t, err, syscall.EACCES)
	for _, mode := range []fs.FileMode{0o400, 0o200} {
		tree, _, _ := demo(t, mode)
		_, err := tree.OpenFile(sysctl.Root, "kernel/limit", flag)
		require.ErrorIs(t, err, syscall.EACCES, "it asks for both rights")
	}
	f, err := tree.OpenFile(sysctl.Root, "kernel/limit", flag)
	require.NoError(t, err)
	_, err = f.Read(make([]byte, 8))
	require.ErrorIs(t, err, syscall.EBADF)
	_, err = f.Write([]byte("5"))
	require.ErrorIs(t, err, syscall.EBADF)
}

func TestErrorsOfAFileSayWhatIsWrongWithTheCall(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	f := open(t, tree, "kernel/limit")
	r, err := tree.OpenFile(sysctl.Root, "kernel/limit", os.O_RDONLY)
	require.NoError(t, err)
	large := make([]byte, 4<<20)
	_, err = f.Seek(7, io.SeekStart)
	require.NoError(t, err)
	for what, c := range map[string]struct {
		err   error
		errno syscall.Errno
	}{
		"read kernel/limit: 5 bytes at -1 are not within a file":                   {second(f.ReadAt(make([]byte, 5), -1)), syscall.EINVAL},
		"write kernel/limit: 1 bytes at 9223372036854775807 are not within a file": {second(f.WriteAt([]byte("1"), math.MaxInt64)), syscall.EINVAL},
		"seek kernel/limit: -1 from 0 is not within a file":                        {second(f.Seek(-1, io.SeekStart)), syscall.EINVAL},
		"seek kernel/limit: -8 from 7 is not within a file":                        {second(f.Seek(-8, io.SeekCurrent)), syscall.EINVAL},
		"seek kernel/limit: 9223372036854775807 from 7 is not within a file":       {second(f.Seek(math.MaxInt64, io.SeekCurrent)), syscall.EINVAL},
		"seek kernel/limit: whence is 9":                                           {second(f.Seek(0, 9)), syscall.EINVAL},
		"read kernel/limit: 4194304 bytes are too many for one call":               {second(f.ReadAt(large, 0)), syscall.ENOMEM},
		"write kernel/limit: 4194304 bytes are too many for one call":              {tree.WriteFile(sysctl.Root, "kernel/limit", large), syscall.ENOMEM},
		"write kernel/limit: it is not open to write":                              {second(r.Write([]byte("5"))), syscall.EBADF},
	} {
		require.ErrorIs(t, c.err, c.errno)
		require.EqualError(t, c.err, what+": "+c.errno.Error())
	}
	pos, err := f.Seek(0, io.SeekCurrent)
	require.NoError(t, err)
	require.EqualValues(t, 7, pos)
}

// A nosy handler keeps what it was told.
type nosy struct{ calls []string }

func (h *nosy) Read(r *sysctl.Request, _ []byte) (int, error) {
	h.calls = append(h.calls, "read "+r.Path)
	return 0, nil
}

func (h *nosy) Write(r *sysctl.Request, p []byte) (int, error) {
	h.calls = append(h.calls, fmt.Sprint(r.Path, " ", r.Pos, r.Positioned()))
	r.Pos += int64(len(p))
	return len(p), nil
}

// One handler may serve several entries, and keep the rules of the write modes.
func TestHandlerIsToldTheEntryAndWhetherThePositionCounts(t *testing.T) {
	var tree sysctl.Tree
	h := new(nosy)
	_, err := tree.Register("/net//", sysctl.Entry{Name: "a", Mode: 0o666, Handler: h}, sysctl.Entry{Name: "b", Mode: 0o666, Handler: h})
	require.NoError(t, err)
	f := open(t, &tree, "//net/a")
	for _, m := range []sysctl.WriteMode{sysctl.Strict, sysctl.Warn, sysctl.Legacy} {
		tree.SetWriteMode(m)
		_, err = f.WriteAt([]byte("x"), 3)
		require.NoError(t, err)
	}
	_, err = f.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, tree.WriteFile(sysctl.Nobody, "/net/b", []byte("x")))
	_, err = tree.ReadFile(sysctl.Nobody, "/net/b")
	require.NoError(t, err)
	_, err = f.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	changes := tree.Changes(t.Context(), "//net//b")
	require.NoError(t, tree.Notify("net/b"))
	for range changes {
		break
	}
	require.Equal(t, []string{
		"net/a 3 true", "net/a 3 false", "net/a 3 false", "net/a 0 false", "net/b 0 false", "read net/b", "read net/a", "read net/b",
	}, h.calls)
	require.True(t, (&sysctl.Request{Pos: 1}).Positioned())
}

func TestWriteModeThatIsNonePanics(t *testing.T) {
	var tree sysctl.Tree
	for _, m := range []sysctl.WriteMode{-2, 2, 1 << 30} {
		require.Panics(t, func() { tree.SetWriteMode(m) })
		require.Equal(t, sysctl.Strict, tree.WriteMode())
	}
}

// echo goes on with what was not used. In the modes other than the strict one that
// is a new text; and a list that is too long for one call has its end in the next.
func TestWhatEarlierCallsOfAWriteHaveStoredStays(t *testing.T) {
	for mode, refused := range map[sysctl.WriteMode]bool{sysctl.Strict: false, sysctl.Warn: true, sysctl.Legacy: true} {
		tree, limit, _ := demo(t, 0o644)
		tree.SetWriteMode(mode)
		err := tree.WriteFile(sysctl.Root, "kernel/limit", []byte("5 x"))
		if refused {
			require.ErrorIs(t, err, syscall.EINVAL)
		} else {
			require.NoError(t, err, "ignored")
		}
		require.EqualValues(t, 5, limit.Load())
	}
	var tree sysctl.Tree
	b := sysctl.NewBitmap(1 << 16)
	b.Set(9, 9)
	_, err := tree.Register("", sysctl.Entry{Name: "b", Mode: 0o644, Handler: sysctl.DoLargeBitmap(b)})
	require.NoError(t, err)
	require.ErrorIs(t, tree.WriteFile(sysctl.Root, "b", []byte("10,12,x")), syscall.EINVAL)
	require.True(t, b.Has(9), "it was looked at as a whole")
	require.ErrorIs(t, tree.WriteFile(sysctl.Root, "b", []byte(longList(t)+"x")), syscall.EINVAL)
	require.False(t, b.Has(9))
	require.True(t, b.Has(10))
	require.False(t, b.Has(7), "that was in the second call, with what is wrong")
}

func TestThreadThatWaitsForAChangeCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree, _, _ := demo(t, 0o644)
		f := open(t, tree, "kernel/limit")
		seen := 0
		thread := kthread.Run("watcher", func(cur *kthread.Current) error {
			for {
				err := cur.Wait(f.WaitQueue(), func() bool { return isChanged(f) })
				if err != nil {
					return err
				}
				seen++
			}
		})
		synctest.Wait()
		require.NoError(t, tree.WriteFile(sysctl.Root, "kernel/limit", []byte("1")))
		synctest.Wait()
		require.ErrorIs(t, thread.Stop(), kthread.ErrStopped)
		require.Equal(t, 1, seen)
	})
}

func TestReasonsCanBeMatched(t *testing.T) {
	var tree sysctl.Tree
	good := entry("x").Handler
	for _, c := range []struct {
		entry sysctl.Entry
		want  error
	}{
		{sysctl.Entry{Name: "", Handler: good}, sysctl.ErrName},
		{sysctl.Entry{Name: "x", Mode: 0o1000, Handler: good}, sysctl.ErrMode},
		{sysctl.Entry{Name: "x"}, sysctl.ErrNoHandler},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoIntVec(nil)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoIntVec((*sysctl.Var[int32])(nil))}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoIntVec((*sysctl.Vec[int32])(nil))}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoIntVec(new(sysctl.Vec[int32]))}, sysctl.ErrNoMaxlen},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoJiffies[int32](nil, time.Millisecond, 0, 1)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoUint(nil)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoUintMinMax[uint32](nil, 0, 1)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoUlongVecMinMax(nil, 0, 1)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoUlongVecMinMax(new(sysctl.Vec[uint64]), 0, 1)}, sysctl.ErrNoMaxlen},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoBool(nil)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoStaticKey(nil)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoLargeBitmap(nil)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.Bounded(nil, 0, 1)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.Whole(nil, 0, 1)}, sysctl.ErrNoData},
		{sysctl.Entry{Name: "x", Handler: sysctl.Whole(new(sysctl.Vec[int32]), 0, 1)}, sysctl.ErrNoMaxlen},
		{sysctl.Entry{Name: "x", Handler: sysctl.DoWritesStrict(nil)}, sysctl.ErrNoData},
	} {
		_, err := tree.Register("", c.entry)
		require.ErrorIs(t, err, c.want)
		require.ErrorIs(t, err, syscall.EINVAL)
	}
}

func TestDuration(t *testing.T) {
	var tree sysctl.Tree
	var d sysctl.Var[time.Duration]
	d.Store(time.Second)
	_, err := tree.Register("", sysctl.Entry{Name: "d", Mode: 0o644, Handler: sysctl.Bounded(&d, time.Millisecond, time.Hour)})
	require.NoError(t, err)
	for text, want := range map[string]time.Duration{"1.5s\n": 1500 * time.Millisecond, " 2m ": 2 * time.Minute, "1h": time.Hour} {
		require.NoError(t, tree.WriteFile(sysctl.Root, "d", []byte(text)))
		require.Equal(t, want, d.Load())
	}
	d.Store(90 * time.Second)
	for _, text := range []string{"5", "1s 2s", "-1s", "2h", "1us", "\n", "x"} {
		require.ErrorIs(t, tree.WriteFile(sysctl.Root, "d", []byte(text)), syscall.EINVAL, text)
	}
	text, err := tree.ReadFile(sysctl.Root, "d")
	require.NoError(t, err)
	require.Equal(t, "1m30s\n", string(text))
	require.NoError(t, tree.WriteFile(sysctl.Root, "d", nil))
	n, err := open(t, &tree, "d").WriteAt([]byte("5s"), 1)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.Zero(t, n)
	require.Equal(t, 90*time.Second, d.Load())
}

func TestWholeVector(t *testing.T) {
	var tree sysctl.Tree
	var v sysctl.Vec[int32]
	v.Store(1, 2, 3)
	_, err := tree.Register("", sysctl.Entry{Name: "v", Mode: 0o644, Handler: sysctl.Whole(&v, 0, 10)})
	require.NoError(t, err)
	require.NoError(t, tree.WriteFile(sysctl.Root, "v", []byte(" 4\t5 0x6\n")))
	require.Equal(t, []int32{4, 5, 6}, v.Load())
	for _, text := range []string{"1", "1 2", "1 2 3 4", "1 2 11", "1 2 -1", "1 2 x", "1 2 3x", "\n", "1 2 99999999999"} {
		require.ErrorIs(t, tree.WriteFile(sysctl.Root, "v", []byte(text)), syscall.EINVAL, text)
		require.Equal(t, []int32{4, 5, 6}, v.Load())
	}
}

// A wrapper is a handler around another one, of which Register knows nothing.
type wrapper struct {
	sysctl.Handler
	reads []int64
}

func (w *wrapper) Read(r *sysctl.Request, p []byte) (int, error) {
	w.reads = append(w.reads, r.Pos)
	return w.Handler.Read(r, p)
}

func TestWrapperHidesThatThereIsNoData(t *testing.T) {
	var tree sysctl.Tree
	_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: &wrapper{Handler: sysctl.DoIntVec(nil)}})
	require.NoError(t, err)
	require.Panics(t, func() { _, _ = tree.ReadFile(sysctl.Root, "x") })
}

func TestReadFileStartsOverIfTheFirstBufferIsFull(t *testing.T) {
	var tree sysctl.Tree
	b := sysctl.NewBitmap(4000)
	w := &wrapper{Handler: sysctl.DoLargeBitmap(b)}
	_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o644, Handler: w})
	require.NoError(t, err)
	b.Set(0, 0)
	text, err := tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	require.Equal(t, "0\n", string(text))
	require.Equal(t, []int64{0, 2}, w.reads)
	var want []string
	for n := 0; n < 4000; n += 2 {
		b.Set(n, n)
		want = append(want, fmt.Sprint(n))
	}
	w.reads = nil
	text, err = tree.ReadFile(sysctl.Root, "x")
	require.NoError(t, err)
	require.Equal(t, strings.Join(want, ",")+"\n", string(text))
	require.Equal(t, []int64{0, 0, int64(len(text))}, w.reads, "over again, and then the end")
}

func TestReadFileOfAnEntryThatHasToBeReadAtOnce(t *testing.T) {
	var tree sysctl.Tree
	b := sysctl.NewBitmap(1 << 16)
	var want []string
	for n := 0; n < 1<<16; n += 2 {
		b.Set(n, n)
		want = append(want, fmt.Sprint(n))
	}
	_, err := tree.Register("", sysctl.Entry{Name: "b", Mode: 0o644, Handler: sysctl.DoLargeBitmap(b)})
	require.NoError(t, err)
	text, err := tree.ReadFile(sysctl.Root, "b")
	require.NoError(t, err)
	require.Equal(t, strings.Join(want, ",")+"\n", string(text))
}

// As pread64, which looks at the position before it looks at the file. A position
// whose end is beyond the type is looked at after the direction.
func TestNegativePositionIsWrongBeforeTheDirection(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	header, err := tree.Register("kernel", entry("gone"))
	require.NoError(t, err)
	for _, path := range []string{"kernel/limit", "kernel/gone"} {
		r, err := tree.OpenFile(sysctl.Root, path, os.O_RDONLY)
		require.NoError(t, err)
		w, err := tree.OpenFile(sysctl.Root, path, os.O_WRONLY)
		require.NoError(t, err)
		none, err := tree.OpenFile(sysctl.Root, path, os.O_WRONLY|os.O_RDWR)
		require.NoError(t, err)
		if path == "kernel/gone" {
			header.Unregister()
		}
		for _, pos := range []int64{-1, math.MinInt64} {
			for _, err := range []error{
				second(w.ReadAt(make([]byte, 1), pos)), second(r.WriteAt(make([]byte, 1), pos)),
				second(none.ReadAt(nil, pos)), second(none.WriteAt(nil, pos)), second(r.ReadAt(nil, pos)), second(w.WriteAt(nil, pos)),
			} {
				require.ErrorIs(t, err, syscall.EINVAL, path)
			}
		}
		for _, err := range []error{second(w.ReadAt(make([]byte, 1), math.MaxInt64)), second(r.WriteAt(make([]byte, 1), math.MaxInt64))} {
			require.ErrorIs(t, err, syscall.EBADF, path)
		}
	}
}

// isChanged reports what File.Changed does of an entry that is there.
func isChanged(f *sysctl.File) bool {
	changed, gone := f.Changed()
	return changed && !gone
}
