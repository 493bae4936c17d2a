package vfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

func groups(list ...uint32) func() ([]uint32, error) {
	return func() ([]uint32, error) { return list, nil }
}

func unreadable() ([]uint32, error) { return []uint32{0, 50}, syscall.ESRCH }

// naive is the rule of the kernel, for callers whose groups are known.
func naive(mode fs.FileMode, owner, member bool, want fs.FileMode) bool {
	digits := fmt.Sprintf("%03o", uint32(mode.Perm()))
	digit := digits[2]
	if member {
		digit = digits[1]
	}
	if owner {
		digit = digits[0]
	}
	return strings.ContainsRune(map[fs.FileMode]string{
		0: "01234567", 1: "1357", 2: "2367", 3: "37", 4: "4567", 5: "57", 6: "67", 7: "7",
	}[want], rune(digit))
}

func TestMayIsTheRuleOfTheModeForEveryMode(t *testing.T) {
	callers := []struct {
		cred          vfs.Cred
		owner, member bool
	}{
		{vfs.Process(40, 50, 1, groups()), true, true},
		{vfs.Process(40, 9, 1, nil), true, false},
		{vfs.Process(0, 50, 1, groups()), false, true}, // user 0 overrides nothing
		{vfs.Process(9, 9, 1, groups(1, 50, 2)), false, true},
		{vfs.Process(9, 9, 1, groups(1, 2)), false, false},
		{vfs.Process(0, 0, 1, groups()), false, false},
	}
	for mode := range fs.FileMode(0o1000) {
		attr := vfs.Attr{Mode: mode | fs.ModeDir | fs.ModeSetuid, UID: 40, GID: 50}
		for want := range fs.FileMode(8) {
			for _, c := range callers {
				require.Equal(t, naive(mode, c.owner, c.member, want), attr.May(c.cred, want), "%#o %v %d", mode, c.cred, want)
			}
			both := naive(mode, false, true, want) && naive(mode, false, false, want)
			for _, c := range []vfs.Cred{{}, vfs.Process(9, 9, 0, nil), vfs.Process(9, 9, 1, unreadable)} {
				require.Equal(t, both, attr.May(c, want), "unknown groups: %#o %v %d", mode, c, want)
			}
		}
	}
	for _, want := range []fs.FileMode{8, 12, fs.ModeDir, fs.ModeDir >> 3, fs.ModeDir >> 6, fs.ModeSetuid | 4} {
		for _, c := range callers {
			require.False(t, vfs.Attr{Mode: math.MaxUint32, UID: 40, GID: 50}.May(c.cred, want), "%#o", want)
		}
	}
}

func TestRightsOfAnOpening(t *testing.T) {
	const r, w = vfs.MayRead, vfs.MayWrite
	for flag, want := range map[int][2]fs.FileMode{
		os.O_RDONLY:                              {r, r},
		os.O_WRONLY:                              {w, w},
		os.O_RDWR:                                {r | w, r | w},
		os.O_WRONLY | os.O_RDWR:                  {r | w, 0},
		os.O_RDONLY | os.O_TRUNC:                 {r | w, r},
		os.O_WRONLY | os.O_CREATE | os.O_TRUNC:   {w, w},
		os.O_RDONLY | os.O_APPEND | vfs.NonBlock: {r, r},
	} {
		need, open := vfs.Rights(flag)
		require.Equal(t, want, [2]fs.FileMode{need, open}, "%#x", flag)
	}
}

func TestPollEventsPrintAsTheirNames(t *testing.T) {
	for events, want := range map[vfs.PollEvents]string{
		0:                                  "0",
		vfs.PollIn | vfs.PollRdNorm:        "POLLIN|POLLRDNORM",
		vfs.PollErr | vfs.PollHup | 0x2000: "POLLERR|POLLHUP|0x2000",
		0x20:                               "0x20",
		0x15f:                              "POLLIN|POLLPRI|POLLOUT|POLLERR|POLLHUP|POLLRDNORM|POLLWRNORM",
	} {
		require.Equal(t, want, fmt.Sprint(events))
	}
}

// The groups of a process cost a file in /proc to read. They are read only if the
// answer depends on them.
func TestMayReadsTheGroupsOnlyIfTheyMatter(t *testing.T) {
	calls := 0
	count := func() ([]uint32, error) { calls++; return nil, nil }
	attr := vfs.Attr{Mode: 0o640}
	require.False(t, attr.May(vfs.Process(9, 9, 1, count), vfs.MayWrite))
	require.False(t, attr.May(vfs.Process(0, 9, 1, count), vfs.MayExec))
	require.True(t, attr.May(vfs.Process(9, 0, 1, count), vfs.MayRead))
	require.Zero(t, calls)
	require.False(t, attr.May(vfs.Process(9, 9, 1, count), vfs.MayRead))
	require.Equal(t, 1, calls)
}

func TestTheZeroCredIsNoUser(t *testing.T) {
	var c vfs.Cred
	require.False(t, c.IsUser(0))
	in, known := c.InGroup(0)
	require.False(t, in)
	require.False(t, known)
	require.Zero(t, c.PID())
	require.Equal(t, "nobody", c.String())
	require.Equal(t, "uid 0, gid 0, pid 7", vfs.Process(0, 0, 7, nil).String())
	require.Equal(t, 7, vfs.Process(0, 0, 7, nil).PID())
}

func TestInGroupKnowsWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		cred      vfs.Cred
		in, known bool
	}{
		{vfs.Process(9, 50, 1, unreadable), true, true},
		{vfs.Process(9, 9, 1, unreadable), false, false}, // though the list has it
		{vfs.Process(9, 9, 1, nil), false, false},
		{vfs.Process(9, 9, 1, groups(50)), true, true},
		{vfs.Process(9, 9, 1, groups()), false, true},
	} {
		in, known := c.cred.InGroup(50)
		require.Equal(t, c.in, in)
		require.Equal(t, c.known, known)
	}
}

func TestErrnoIsANumberThatAProcessMaySee(t *testing.T) {
	small := syscall.EIO < 512 // not on Windows
	ctx, cancel := context.WithCancelCause(t.Context())
	closing := errors.New("the server closes")
	cancel(closing)
	waited := new(waitqueue.Queue).Wait(ctx, func() bool { return false })
	for _, c := range []struct {
		err  error
		want syscall.Errno
		only bool // where numbers are small
	}{
		{nil, 0, false},
		{syscall.EINVAL, syscall.EINVAL, false},
		{&fs.PathError{Op: "write", Path: "x", Err: fmt.Errorf("bad: %w", syscall.EINVAL)}, syscall.EINVAL, false},
		{errors.Join(errors.New("x"), syscall.ENOSPC, syscall.EIO), syscall.ENOSPC, false},
		{errors.New("no number"), syscall.EIO, false},
		{syscall.Errno(0), syscall.EIO, false}, // or an error is a success
		{fmt.Errorf("x: %w", syscall.Errno(0)), syscall.EIO, false},
		{context.Canceled, syscall.EINTR, false},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), syscall.ETIMEDOUT, false},
		{waited, syscall.EINTR, false},
		{syscall.Errno(511), 511, true},
		{syscall.Errno(512), syscall.EINTR, true},
		{syscall.Errno(513), syscall.EINTR, true},
		{syscall.Errno(514), syscall.EINTR, true},
		{syscall.Errno(515), syscall.ENOTTY, true},
		{syscall.Errno(516), syscall.EINTR, true},
		{syscall.Errno(517), syscall.EIO, true},
		{syscall.Errno(4095), syscall.EIO, true},
		{syscall.Errno(1 << 15), syscall.EIO, true},
	} {
		if small || !c.only {
			require.Equal(t, c.want, vfs.Errno(c.err), "%v", c.err)
		}
	}
	require.ErrorIs(t, waited, closing, "the cause can be found, too")
}

func TestStaticHasItsNodes(t *testing.T) {
	inner := vfs.Static(nil)
	nodes := map[string]vfs.Node{"b": inner, "a": vfs.Static(nil)}
	dir := vfs.Static(nodes)
	delete(nodes, "b") // of the caller's map, not of the directory's

	names, err := dir.Names()
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
	slices.Reverse(names)
	again, _ := dir.Names()
	require.Equal(t, []string{"a", "b"}, again, "the slice is the caller's")

	b, err := dir.Lookup("b")
	require.NoError(t, err)
	require.True(t, b == vfs.Node(inner), "a node can be compared")
	a, err := dir.Lookup("a")
	require.NoError(t, err)
	require.False(t, a == b)
	for _, name := range []string{"", ".", "..", "c", "a/b"} {
		_, err = dir.Lookup(name)
		require.ErrorIs(t, err, syscall.ENOENT)
	}

	attr, err := dir.Stat()
	require.NoError(t, err)
	require.Equal(t, vfs.Attr{Mode: fs.ModeDir | 0o555}, attr)
	require.NoError(t, dir.May(vfs.Cred{}, vfs.MayRead|vfs.MayExec))
	require.NoError(t, dir.May(vfs.Cred{}, 0))
	require.ErrorIs(t, dir.May(vfs.Process(0, 0, 1, nil), vfs.MayWrite), syscall.EACCES)
}
