package sysctl_test

import (
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
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

// A caller that may not write learns only that the name is there.
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

// The end of a read or a write is a position too.
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
	require.ErrorIs(t, err, syscall.EINVAL, "a fault of the call goes first")
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

// An error names the fault and the entry, and matches the errno. The old value is there.
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
