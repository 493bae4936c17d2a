package sysctl_test

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// Each test here reads a variable that another goroutine has set, both without a lock or
// an atomic. Only the order that the package doc promises lies between. With -race a test
// fails if that order is lost.

// A write is before the Load that returns its value.
func TestWriteIsBeforeTheLoadThatReturnsItsValue(t *testing.T) {
	b := sysctl.NewBitmap(8)
	var i sysctl.Var[int32]
	var u sysctl.Var[uint32]
	var u8 sysctl.Var[uint8]
	var l sysctl.Var[uint64]
	var is sysctl.Vec[int32]
	var ls sysctl.Vec[uint64]
	var bo sysctl.Var[bool]
	var s sysctl.Var[string]
	var d sysctl.Var[time.Duration]
	is.Store(0)
	ls.Store(0)
	for name, c := range map[string]struct {
		handler sysctl.Handler
		text    string
		loaded  func() bool
	}{
		"Int":      {sysctl.DoIntVec(&i), "7", func() bool { return i.Load() == 7 }},
		"Ints":     {sysctl.DoIntVec(&is), "7", func() bool { return is.Load()[0] == 7 }},
		"Uint":     {sysctl.DoUint(&u), "7", func() bool { return u.Load() == 7 }},
		"Uint8":    {sysctl.DoUintMinMax(&u8, 0, 9), "7", func() bool { return u8.Load() == 7 }},
		"Ulong":    {sysctl.DoUlongVecMinMax(&l, 0, 9), "7", func() bool { return l.Load() == 7 }},
		"Ulongs":   {sysctl.DoUlongVecMinMax(&ls, 0, 9), "7", func() bool { return ls.Load()[0] == 7 }},
		"Bool":     {sysctl.DoBool(&bo), "1", bo.Load},
		"String":   {sysctl.DoString(&s, 8), "7", func() bool { return s.Load() == "7" }},
		"Duration": {sysctl.Bounded(&d, 0, 9), "7ns", func() bool { return d.Load() == 7 }},
		"Bitmap":   {sysctl.DoLargeBitmap(b), "7", func() bool { return b.Has(7) }},
	} {
		t.Run(name, func(t *testing.T) {
			tree, _ := treeWith(t, c.handler)
			var set int
			var writer sync.WaitGroup
			writer.Go(func() {
				set = 1
				if err := tree.WriteFile(sysctl.Root, "x", []byte(c.text)); err != nil {
					t.Error(err)
				}
			})
			for !c.loaded() && !t.Failed() {
				runtime.Gosched()
			}
			require.Equal(t, 1, set)
			writer.Wait()
		})
	}
}

// A write is before the read that returns its text.
func TestWriteIsBeforeTheReadThatReturnsItsText(t *testing.T) {
	tree, _, _ := demo(t, 0o644)
	var set int
	var writer sync.WaitGroup
	writer.Go(func() {
		set = 1
		_ = tree.WriteFile(sysctl.Root, "kernel/limit", []byte("7"))
	})
	for {
		text, err := tree.ReadFile(sysctl.Root, "kernel/limit")
		require.NoError(t, err)
		if string(text) == "7\n" {
			break
		}
		runtime.Gosched()
	}
	require.Equal(t, 1, set)
	writer.Wait()
}

// Register is before each call of a handler.
func TestRegisterIsBeforeEachCallOfItsHandlers(t *testing.T) {
	var tree sysctl.Tree
	var set int
	var caller sync.WaitGroup
	caller.Go(func() {
		for {
			if _, err := tree.ReadFile(sysctl.Root, "x"); err == nil {
				return
			}
			runtime.Gosched()
		}
	})
	set = 1
	_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o400, Handler: reads(func(*sysctl.Request, []byte) (int, error) {
		if set != 1 {
			t.Error("it runs before Register")
		}
		return 0, nil
	})})
	require.NoError(t, err)
	caller.Wait()
}

// The call of a handler's Write is before the Poll that reports it, and before the
// loop's body. Notify is as well.
func TestWriteAndNotifyAreBeforeTheReportOfAChange(t *testing.T) {
	var set int
	tree, _ := treeWith(t, handmade{write: func(r *sysctl.Request, p []byte) (int, error) {
		for range 100 {
			runtime.Gosched() // so that a report that comes too early is seen
		}
		set = 1
		return len(p), nil
	}})
	for name, change := range map[string]func() error{
		"a write":  func() error { return tree.WriteFile(sysctl.Root, "x", []byte("1")) },
		"a Notify": func() error { set = 1; return tree.Notify("x") },
	} {
		t.Run(name, func(t *testing.T) {
			changes := tree.Changes(context.Background(), "x")
			polled, slept := open(t, tree, "x"), open(t, tree, "x")
			set = 0
			var all sync.WaitGroup
			all.Go(func() {
				for range changes {
					if set != 1 {
						t.Error("the loop runs before the change")
					}
					return
				}
			})
			all.Go(func() {
				for !isChanged(polled) {
					runtime.Gosched()
				}
				if set != 1 {
					t.Error("Poll reports before the change")
				}
			})
			all.Go(func() {
				_ = slept.WaitQueue().Wait(context.Background(), func() bool { return isChanged(slept) })
				if set != 1 {
					t.Error("the wake-up is before the change")
				}
			})
			require.NoError(t, change())
			all.Wait()
		})
	}
}

// All of a handler's calls are before the return of Unregister.
func TestCallsAreBeforeTheReturnOfUnregister(t *testing.T) {
	var set int
	entered, leave := make(chan struct{}), make(chan struct{})
	tree, header := treeWith(t, reads(func(*sysctl.Request, []byte) (int, error) {
		close(entered)
		<-leave
		set = 1
		return 0, nil
	}))
	var caller, gone sync.WaitGroup
	caller.Go(func() { _, _ = tree.ReadFile(sysctl.Root, "x") })
	<-entered
	for range 2 { // the second call waits as well
		gone.Go(func() {
			header.Unregister()
			if set != 1 {
				t.Error("a handler runs after Unregister")
			}
		})
	}
	close(leave)
	gone.Wait()
	caller.Wait()
}

// The calls of Read and Write on one File are one after the other.
func TestCallsOnOneFileAreOneAfterTheOther(t *testing.T) {
	var calls int
	count := func(r *sysctl.Request, p []byte) (int, error) {
		calls++
		r.Pos++
		return 1, nil
	}
	tree, _ := treeWith(t, handmade{count, count})
	f, err := tree.OpenFile(sysctl.Root, "x", os.O_RDWR)
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				_, _ = f.Write([]byte("1"))
				_, _ = f.Read(make([]byte, 1))
			}
		})
	}
	all.Wait()
	require.Equal(t, 800, calls)
}
