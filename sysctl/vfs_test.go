package sysctl_test

import (
	"context"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/vfs"
)

var (
	rootProcess = vfs.Process(0, 0, 1, nil)
	member      = vfs.Process(9, 9, 1, func() ([]uint32, error) { return []uint32{5, 0}, nil })
	stranger    = vfs.Process(9, 9, 1, func() ([]uint32, error) { return nil, nil })
	unknown     = vfs.Process(9, 9, 0, nil)
)

func TestMayKnowsThreeKinds(t *testing.T) {
	for mode := range fs.FileMode(0o1000) {
		for want := range fs.FileMode(8) {
			require.Equal(t, mode>>6&want == want, sysctl.Root.May(want, mode))
			require.Equal(t, mode>>3&want == want, sysctl.Group.May(want, mode))
			require.Equal(t, mode&want == want, sysctl.Nobody.May(want, mode))
		}
	}
	// 3*86 does not fit into 8 bits.
	for c := sysctl.Root + 1; c != 0; c++ {
		require.False(t, c.May(4, fs.ModeDir|fs.ModeSymlink|0o777), "%d", c)
		require.False(t, c.May(2, math.MaxUint32), "%d", c)
	}
	require.False(t, sysctl.Nobody.May(8, math.MaxUint32))
}

// Two processes that share an open file may have different rights. So each call brings its
// own Cred.
func TestVFSHandleIsSharedByProcesses(t *testing.T) {
	var v sysctl.Var[int32]
	var tree sysctl.Tree
	_, err := tree.Register("a", sysctl.Entry{Name: "x", Mode: 0o640, Handler: sysctl.DoIntVec(&v)})
	require.NoError(t, err)
	h := openX(t, &tree, os.O_RDWR)
	defer h.Release()
	var done sync.WaitGroup
	for _, c := range []vfs.Cred{rootProcess, member, stranger} {
		done.Go(func() {
			for range 1000 {
				n, err := h.Read(t.Context(), c, make([]byte, 10), 0)
				if in, _ := c.InGroup(0); in || c.IsUser(0) {
					require.NoError(t, err)
					require.Equal(t, 2, n)
				} else {
					require.ErrorIs(t, err, syscall.EPERM)
				}
				n, err = h.Write(t.Context(), c, []byte("7\n"), 0)
				if c.IsUser(0) {
					require.NoError(t, err)
					require.Equal(t, 2, n)
				} else {
					require.ErrorIs(t, err, syscall.EPERM)
					require.Zero(t, n)
				}
			}
		})
	}
	done.Wait()
}

func TestStatOfAFile(t *testing.T) {
	var v sysctl.Var[int32]
	var tree sysctl.Tree
	entry := sysctl.Entry{Name: "x", Mode: 0o640, Handler: sysctl.DoIntVec(&v)}
	h, err := tree.Register("a", entry)
	require.NoError(t, err)
	f, err := tree.OpenFile(sysctl.Root, "a/x", os.O_RDONLY)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	require.Equal(t, "x", info.Name())
	require.Equal(t, fs.FileMode(0o640), info.Mode())
	require.Zero(t, info.Size())
	h.Unregister()
	_, err = tree.Register("a", entry)
	require.NoError(t, err)
	_, err = f.Stat()
	require.ErrorIs(t, err, syscall.ENOENT)
	require.EqualError(t, err, "stat a/x: "+syscall.ENOENT.Error())
}

// at returns the node at a path of names.
func at(t *testing.T, tree *sysctl.Tree, names ...string) vfs.Node {
	var node vfs.Node = tree.VFS()
	for _, name := range names {
		var err error
		node, err = node.(vfs.Dir).Lookup(name)
		require.NoError(t, err)
	}
	return node
}

// openX opens the entry x of the directory a.
func openX(t *testing.T, tree *sysctl.Tree, flag int) vfs.Handle {
	h, err := at(t, tree, "a", "x").(vfs.File).Open(t.Context(), rootProcess, flag)
	require.NoError(t, err)
	return h
}

func TestVFSHasTheRightsOfTheKernel(t *testing.T) {
	var v sysctl.Var[int32]
	for mode := range fs.FileMode(0o1000) {
		if mode&^0o666 != 0 {
			continue
		}
		var tree sysctl.Tree
		_, err := tree.Register("a", sysctl.Entry{Name: "x", Mode: mode, Handler: sysctl.DoIntVec(&v)})
		require.NoError(t, err)
		node := at(t, &tree, "a", "x").(vfs.File)
		for _, c := range []struct {
			cred vfs.Cred
			mode fs.FileMode // whose last digit the caller has
		}{{rootProcess, mode >> 6}, {member, mode >> 3}, {stranger, mode}, {unknown, mode & (mode >> 3)}, {vfs.Cred{}, mode & (mode >> 3)}} {
			for flag, want := range map[int]fs.FileMode{
				os.O_RDONLY: 4, os.O_WRONLY: 2, os.O_RDWR: 6, os.O_WRONLY | os.O_RDWR: 6, os.O_RDONLY | os.O_TRUNC: 6,
				os.O_WRONLY | os.O_CREATE | os.O_EXCL: 2, os.O_WRONLY | os.O_APPEND | vfs.NonBlock: 2,
			} {
				may := c.mode&want == want
				h, err := node.Open(t.Context(), c.cred, flag)
				if asked := node.May(c.cred, want); !may {
					require.ErrorIs(t, asked, syscall.EACCES)
					require.ErrorIs(t, err, syscall.EACCES, "%#o %v %#x", mode, c.cred, flag)
					require.Nil(t, h)
				} else {
					require.NoError(t, asked)
					require.NoError(t, err, "%#o %v %#x", mode, c.cred, flag)
				}
			}
			require.NoError(t, node.May(c.cred, 0))
			require.ErrorIs(t, node.May(c.cred, vfs.MayExec), syscall.EACCES)
		}
	}
}

// The rights are checked again at each call, for the caller of that call.
func TestVFSChecksEachCall(t *testing.T) {
	var v sysctl.Var[int32]
	for mode, refused := range map[fs.FileMode]map[string][2]bool{ // to read, to write
		0o644: {"member": {false, true}, "stranger": {false, true}, "unknown": {false, true}},
		0o640: {"member": {false, true}, "stranger": {true, true}, "unknown": {true, true}},
		0o646: {"member": {false, true}, "stranger": {false, false}, "unknown": {false, true}},
		0o624: {"member": {true, false}, "stranger": {false, true}, "unknown": {true, true}},
		0o666: {},
	} {
		var tree sysctl.Tree
		_, err := tree.Register("a", sysctl.Entry{Name: "x", Mode: mode, Handler: sysctl.DoIntVec(&v)})
		require.NoError(t, err)
		h := openX(t, &tree, os.O_RDWR)
		for name, cred := range map[string]vfs.Cred{"root": rootProcess, "member": member, "stranger": stranger, "unknown": unknown} {
			_, err := h.Read(t.Context(), cred, make([]byte, 9), 0)
			requireRefused(t, err, refused[name][0])
			_, err = h.Write(t.Context(), cred, []byte("1"), 0)
			requireRefused(t, err, refused[name][1])
		}
	}
}

func requireRefused(t *testing.T, err error, refused bool) {
	t.Helper()
	if refused {
		require.ErrorIs(t, err, syscall.EPERM)
	} else {
		require.NoError(t, err)
	}
}

// seen is a handler that keeps the kind of its last caller.
type seen struct{ cred sysctl.Cred }

func (s *seen) Read(r *sysctl.Request, _ []byte) (int, error) { s.cred = r.Cred; return 0, nil }
func (s *seen) Write(r *sysctl.Request, p []byte) (int, error) {
	s.cred = r.Cred
	return len(p), nil
}

func TestVFSTellsTheHandlerTheKindOfTheCaller(t *testing.T) {
	var tree sysctl.Tree
	var s seen
	_, err := tree.Register("a", sysctl.Entry{Name: "x", Mode: 0o666, Handler: &s})
	require.NoError(t, err)
	h := openX(t, &tree, os.O_RDWR)
	for cred, want := range map[*vfs.Cred]sysctl.Cred{
		&rootProcess: sysctl.Root, &member: sysctl.Group, &stranger: sysctl.Nobody, &unknown: sysctl.Nobody, {}: sysctl.Nobody,
	} {
		_, err := h.Read(t.Context(), *cred, make([]byte, 1), 0)
		require.NoError(t, err)
		require.Equal(t, want, s.cred)
		_, err = h.Write(t.Context(), *cred, []byte("x"), 0)
		require.NoError(t, err)
		require.Equal(t, want, s.cred)
	}
}

// half is a handler that uses half of each write, and fails as the text says.
type half struct{}

func (half) Read(*sysctl.Request, []byte) (int, error) { return 3, syscall.ENOSPC }
func (half) Write(_ *sysctl.Request, p []byte) (int, error) {
	if string(p) == "short" {
		return 2, io.ErrShortWrite // an error of its own, with no errno
	}
	return len(p) / 2, nil
}

func TestVFSGivesCountsAsASystemCallDoes(t *testing.T) {
	ctx := t.Context()
	var v sysctl.Var[int32]
	var tree sysctl.Tree
	_, err := tree.Register("a", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoIntVec(&v)})
	require.NoError(t, err)
	_, err = tree.Register("a", sysctl.Entry{Name: "half", Mode: 0o644, Handler: half{}})
	require.NoError(t, err)

	h := openX(t, &tree, os.O_RDWR|os.O_TRUNC)
	buf := make([]byte, 10)
	for _, c := range []struct {
		text string
		pos  int64
		n    int
		err  error
	}{
		{"42\n", 0, 3, nil},
		{"5 6", 0, 2, nil}, // short, without an error
		{"6", 2, 1, nil},   // ignored
		{"x", 0, 0, syscall.EINVAL},
		{"", 0, 0, nil},
		{"5", -1, 0, syscall.EINVAL},
	} {
		n, err := h.Write(ctx, rootProcess, []byte(c.text), c.pos)
		require.ErrorIs(t, err, c.err)
		require.Equal(t, c.n, n, c.text)
	}
	n, err := h.Read(ctx, rootProcess, buf, 0)
	require.NoError(t, err)
	require.Equal(t, "5\n", string(buf[:n]))
	n, err = h.Read(ctx, rootProcess, buf, 2)
	require.NoError(t, err, "the end of the file is no error")
	require.Zero(t, n)
	n, err = h.Read(ctx, rootProcess, buf, 0)
	require.NoError(t, err, "the Handle has no position")
	require.Equal(t, 2, n)
	n, err = h.Read(ctx, rootProcess, nil, 0)
	require.NoError(t, err)
	require.Zero(t, n)
	_, err = h.Write(ctx, rootProcess, make([]byte, 4<<20), 0)
	require.ErrorIs(t, err, syscall.ENOMEM)
	require.NoError(t, h.Flush())
	h.Release()

	halves, err := at(t, &tree, "a", "half").(vfs.File).Open(ctx, rootProcess, os.O_RDWR)
	require.NoError(t, err)
	n, err = halves.Write(ctx, rootProcess, []byte("abcd"), 0)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = halves.Write(ctx, rootProcess, []byte("a"), 0)
	require.NoError(t, err, "a write that uses nothing is 0")
	require.Zero(t, n)
	n, err = halves.Write(ctx, rootProcess, []byte("short"), 0)
	require.Error(t, err, "the handler's own error is one")
	require.Zero(t, n)
	n, err = halves.Read(ctx, rootProcess, buf, 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Zero(t, n, "an error goes before a count")
}

func TestVFSHandleHasItsDirection(t *testing.T) {
	var v sysctl.Var[int32]
	var tree sysctl.Tree
	_, err := tree.Register("a", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoIntVec(&v)})
	require.NoError(t, err)
	for flag, want := range map[int][2]error{
		os.O_RDONLY:             {nil, syscall.EBADF},
		os.O_WRONLY:             {syscall.EBADF, nil},
		os.O_RDWR:               {nil, nil},
		os.O_WRONLY | os.O_RDWR: {syscall.EBADF, syscall.EBADF},
	} {
		h := openX(t, &tree, flag)
		_, err := h.Read(t.Context(), rootProcess, make([]byte, 9), 0)
		require.ErrorIs(t, err, want[0])
		_, err = h.Write(t.Context(), rootProcess, []byte("1"), 0)
		require.ErrorIs(t, err, want[1])
	}
}

func TestVFSNodeIsOneRegistration(t *testing.T) {
	var v sysctl.Var[int32]
	var tree sysctl.Tree
	entry := sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoIntVec(&v)}
	header, err := tree.Register("a", entry)
	require.NoError(t, err)
	dir, file := at(t, &tree, "a"), at(t, &tree, "a", "x")
	require.True(t, dir == at(t, &tree, "a"))
	require.True(t, file == at(t, &tree, "a", "x"))
	require.True(t, vfs.Node(tree.VFS()) == vfs.Node(tree.VFS()))
	h := openX(t, &tree, os.O_RDWR)

	attr, err := file.Stat()
	require.NoError(t, err)
	require.Equal(t, vfs.Attr{Mode: 0o644, Size: 4096}, attr)
	attr, err = dir.Stat()
	require.NoError(t, err)
	require.Equal(t, vfs.Attr{Mode: fs.ModeDir | 0o555}, attr)
	require.ErrorIs(t, dir.May(rootProcess, vfs.MayWrite), syscall.EACCES)

	header.Unregister()
	requireGone(t, dir, file, h)
	_, err = tree.Register("a", entry)
	require.NoError(t, err)
	requireGone(t, dir, file, h)
	require.False(t, dir == at(t, &tree, "a"))
	require.False(t, file == at(t, &tree, "a", "x"))
	require.NoError(t, at(t, &tree, "a", "x").May(stranger, vfs.MayRead))
}

func requireGone(t *testing.T, dir, file vfs.Node, h vfs.Handle) {
	for _, node := range []vfs.Node{dir, file} {
		_, err := node.Stat()
		require.ErrorIs(t, err, syscall.ENOENT)
		require.ErrorIs(t, node.May(rootProcess, 0), syscall.ENOENT)
		require.ErrorIs(t, node.May(stranger, vfs.MayWrite), syscall.ENOENT, "before EACCES")
	}
	require.ErrorIs(t, dir.May(rootProcess, vfs.MayExec), syscall.ENOENT)
	require.ErrorIs(t, file.May(rootProcess, vfs.MayExec), syscall.EACCES)
	_, err := dir.(vfs.Dir).Names()
	require.ErrorIs(t, err, syscall.ENOENT)
	_, err = dir.(vfs.Dir).Lookup("x")
	require.ErrorIs(t, err, syscall.ENOENT)
	_, err = file.(vfs.File).Open(t.Context(), rootProcess, os.O_RDONLY)
	require.ErrorIs(t, err, syscall.ENOENT)
	_, err = h.Read(t.Context(), stranger, make([]byte, 9), 0)
	require.ErrorIs(t, err, syscall.ENOENT)
	_, err = h.Write(t.Context(), stranger, []byte("1"), 0)
	require.ErrorIs(t, err, syscall.ENOENT, "before EPERM")
	require.Equal(t, vfs.PollEvents(0x018), h.(vfs.Poller).Poll(), "POLLERR and POLLHUP")
}

func TestVFSDirectories(t *testing.T) {
	var v sysctl.Var[int32]
	var tree sysctl.Tree
	root := tree.VFS()
	names, err := root.Names()
	require.NoError(t, err)
	require.Empty(t, names)
	_, err = root.Lookup("b")
	require.ErrorIs(t, err, syscall.ENOENT)

	entry := sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoIntVec(&v)}
	for _, dir := range []string{"", "b/c", "a"} {
		_, err := tree.Register(dir, entry)
		require.NoError(t, err)
	}
	_, err = tree.RegisterMountPoint("empty")
	require.NoError(t, err)
	for _, d := range []struct {
		path, names []string
	}{{nil, []string{"a", "b", "empty", "x"}}, {[]string{"b"}, []string{"c"}}, {[]string{"empty"}, nil}} {
		names, err := at(t, &tree, d.path...).(vfs.Dir).Names()
		require.NoError(t, err)
		require.Equal(t, d.names, names)
	}
	for _, name := range []string{"", ".", "..", "/", "b/c", "y", "x/"} {
		_, err := root.Lookup(name)
		require.ErrorIs(t, err, syscall.ENOENT, "%q", name)
	}
	_, isFile := at(t, &tree, "x").(vfs.File)
	require.True(t, isFile)
	_, isDir := at(t, &tree, "b", "c").(vfs.Dir)
	require.True(t, isDir)
}

func TestVFSPollSeesAWriteOfAnotherOpenFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v sysctl.Var[int32]
		var tree sysctl.Tree
		header, err := tree.Register("a", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoIntVec(&v)})
		require.NoError(t, err)
		watched, writer := openX(t, &tree, os.O_RDONLY).(vfs.Poller), openX(t, &tree, os.O_WRONLY)
		require.Equal(t, vfs.PollEvents(0x145), watched.Poll())
		events := make(chan vfs.PollEvents)
		wait := func() {
			var got vfs.PollEvents
			err := watched.WaitQueue().Wait(t.Context(), func() bool { got = watched.Poll(); return got&0x008 != 0 })
			require.NoError(t, err)
			events <- got
		}
		go wait()
		synctest.Wait()
		_, err = writer.Write(t.Context(), rootProcess, []byte("1"), 0)
		require.NoError(t, err)
		require.Equal(t, vfs.PollEvents(0x04b), <-events)
		require.Equal(t, vfs.PollEvents(0x145), watched.Poll(), "a change is reported once")
		go wait()
		synctest.Wait()
		header.Unregister()
		require.Equal(t, vfs.PollEvents(0x018), <-events)
	})
}

// Look-ups, openings and calls go on while the entries come and go. Each call has one
// of its errors, and a text is never torn.
func TestHammerVFS(t *testing.T) {
	var v sysctl.Var[int32]
	var tree sysctl.Tree
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var users, registrar sync.WaitGroup
	var read atomic.Int64
	registrar.Go(func() {
		for ctx.Err() == nil {
			header, err := tree.Register("a/b", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoIntVec(&v)})
			require.NoError(t, err)
			runtime.Gosched() // on js nothing else makes room for the others
			header.Unregister()
		}
	})
	for range 4 {
		users.Go(func() {
			for i := 0; i < 2000 || read.Load() == 0; i++ {
				useOnce(t, tree.VFS(), &read)
				if i >= 2000 {
					runtime.Gosched() // the registrar has not run yet
				}
			}
		})
	}
	users.Wait()
	stop()
	registrar.Wait()
	t.Log(read.Load(), "read it")
}

// useOnce goes down to a file, and uses it as far as it is there.
func useOnce(t *testing.T, dir vfs.Dir, read *atomic.Int64) {
	names, err := dir.Names()
	for i := 0; err == nil && i < len(names); i++ {
		var node vfs.Node
		if node, err = dir.Lookup(names[i]); err != nil {
			break
		}
		if sub, ok := node.(vfs.Dir); ok {
			useOnce(t, sub, read)
			continue
		}
		var h vfs.Handle
		if h, err = node.(vfs.File).Open(t.Context(), rootProcess, os.O_RDWR); err != nil {
			break
		}
		var n int
		buf := make([]byte, 10)
		if n, err = h.Read(t.Context(), stranger, buf, 0); err == nil {
			require.Equal(t, "0\n", string(buf[:n]))
			read.Add(1)
		}
		h.Release()
	}
	if err != nil {
		require.ErrorIs(t, err, syscall.ENOENT)
	}
}
