package sysctl_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

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
			require.Equal(t, "6\n", text, "the text that is there, because there was a change")
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

// A woken reader finds the change. A reader would sleep through a change that is counted
// after the wake-up.
func TestChangeIsCountedBeforeTheWakeUp(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	f := open(t, tree, "kernel/limit")
	var polled []vfs.PollEvents
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
	require.Equal(t, []vfs.PollEvents{report, report, report}, polled)
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

// isChanged is File.Changed of an entry that is there.
func isChanged(f *sysctl.File) bool {
	changed, gone := f.Changed()
	return changed && !gone
}
