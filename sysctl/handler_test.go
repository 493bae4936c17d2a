package sysctl_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/vfs"
)

// A heldUp handler stays in a write until it may leave.
type heldUp struct{ entered, leave chan struct{} }

func (s heldUp) Read(*sysctl.Request, []byte) (int, error) { return 0, nil }
func (s heldUp) Write(_ *sysctl.Request, p []byte) (int, error) {
	s.entered <- struct{}{}
	<-s.leave
	return len(p), nil
}

// It holds up calls at the position.
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
	beyond int // how many more than asked for; below 0, how many it says it has done
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

// A nosy handler keeps a line of each Request.
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

// Writers whose counts are impossible.
func TestWriterThatCountsWrongIsAnErrorThatSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		write func(r *sysctl.Request, p []byte) (int, error)
		text  string
	}{
		"nothing": {func(*sysctl.Request, []byte) (int, error) { return 0, nil }, "the handler used none of the text"},
		"nothing, and a position that moves": {func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos += int64(len(p))
			return 0, nil
		}, "the handler used none of the text"},
		"less than nothing": {func(*sysctl.Request, []byte) (int, error) { return -1, nil }, "the handler says that it has done -1 bytes of 5"},
		"too much":          {func(_ *sysctl.Request, p []byte) (int, error) { return len(p) + 1, nil }, "the handler says that it has done 6 bytes of 5"},
		"a position below 0": {func(r *sysctl.Request, p []byte) (int, error) {
			r.Pos = -1
			return len(p), nil
		}, "the handler moved the position to -1"},
	} {
		t.Run(name, func(t *testing.T) {
			tree, header := treeWith(t, handmade{write: c.write})
			err := tree.WriteFile(sysctl.Root, "x", []byte("text\n"))
			require.ErrorIs(t, err, syscall.EIO)
			require.EqualError(t, err, "write x: "+c.text+": "+syscall.EIO.Error())
			f := open(t, tree, "x")
			_, err = f.Write([]byte("text\n"))
			require.Error(t, err)
			pos, err := f.Seek(0, io.SeekCurrent)
			require.NoError(t, err)
			require.GreaterOrEqual(t, pos, int64(0))
			header.Unregister()
		})
	}
}

// A call that ends by a panic is over: no lock is held and nothing waits for it.
// A write may have stored something before, so it is a change.
func TestHandlerThatPanicsLeavesNothingHeld(t *testing.T) {
	tree, header := treeWith(t, panicky{})
	f, other := open(t, tree, "x"), open(t, tree, "x")
	p := make([]byte, 8)
	for range 2 {
		require.Panics(t, func() { _, _ = f.Read(p) })
		require.Panics(t, func() { _, _ = f.ReadAt(p, 0) })
		require.Panics(t, func() { _, _ = tree.ReadFile(sysctl.Root, "x") })
		require.Panics(t, func() { _, _ = tree.FS(sysctl.Root).Open("x") })
		require.False(t, isChanged(other))
		for _, write := range []func(){
			func() { _, _ = f.Write(p) }, func() { _, _ = f.WriteAt(p, 0) }, func() { _ = tree.WriteFile(sysctl.Root, "x", p) },
		} {
			require.Panics(t, write)
			require.True(t, isChanged(other))
		}
	}
	_, err := f.Seek(0, io.SeekStart)
	require.NoError(t, err)
	changes := tree.Changes(t.Context(), "x")
	require.NoError(t, tree.Notify("x"))
	require.Panics(t, func() {
		for range changes {
			t.Error("there is no text")
		}
	})
	gone := make(chan struct{})
	go func() {
		header.Unregister()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("a call is still in progress")
	}
}

// As a failed require in a handler of a test ends its goroutine.
func TestHandlerThatEndsItsGoroutineLeavesNothingHeld(t *testing.T) {
	goexit := func(*sysctl.Request, []byte) (int, error) {
		runtime.Goexit()
		return 0, nil
	}
	tree, header := treeWith(t, handmade{goexit, goexit})
	f := open(t, tree, "x")
	changes := tree.Changes(t.Context(), "x")
	for _, call := range []func(){
		func() { _, _ = f.Read(make([]byte, 1)) }, func() { _, _ = f.Write(make([]byte, 1)) },
		func() { _, _ = tree.ReadFile(sysctl.Root, "x") }, func() { _ = tree.WriteFile(sysctl.Root, "x", make([]byte, 1)) },
		func() {
			for range changes {
				t.Error("there is no text")
			}
		},
	} {
		var all sync.WaitGroup
		all.Add(1)
		go func() {
			defer all.Done()
			call()
			t.Error("it comes back")
		}()
		all.Wait()
	}
	header.Unregister()
}
