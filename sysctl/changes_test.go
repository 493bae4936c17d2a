package sysctl_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// A pair is a struct whose halves belong together.
type pair struct{ A, B int }

// Writers of all kinds change one Var at once. Changed is told of each change once, in the
// order of the stores: the old value of each is the new one of the change before. Its calls
// do not overlap, which the race detector sees: seen has no lock of its own.
func TestHammerChangedIsToldInOrder(t *testing.T) {
	const writers, each = 8, 300
	var seen []sysctl.Change[pair]
	v := sysctl.NewVar(pair{})
	v.Changed = func(c sysctl.Change[pair]) {
		seen = append(seen, c)
		if c.New != v.Load() {
			t.Error("it is not stored, or there is another value already")
		}
		runtime.Gosched()
	}
	tree := put(t, v)
	var all, readers sync.WaitGroup
	ctx, end := context.WithCancel(t.Context())
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if p := v.Load(); p.A != p.B {
					t.Error("half of a change", p)
				}
				runtime.Gosched()
			}
		})
	}
	for w := range writers {
		all.Go(func() {
			for i := range each {
				n := w*each + i + 1
				text := fmt.Sprintf(`{"A": %d, "B": %d}`, n, n)
				switch w % 4 {
				case 0:
					v.Store(pair{n, n})
				case 1:
					_ = v.Set(text)
				case 2:
					_ = tree.WriteFile(sysctl.Root, "x", []byte(text))
				case 3:
					_ = tree.WriteFile(sysctl.Root, "x", []byte(text+"x")) // a fault
				}
			}
		})
	}
	all.Wait()
	end()
	readers.Wait()
	require.Len(t, seen, writers/4*3*each)
	last := pair{}
	for _, c := range seen {
		require.Equal(t, last, c.Old)
		last = c.New
	}
	require.Equal(t, last, v.Load())
}

// Check sees the value that the new one would replace, although others write too.
func TestHammerCheckSeesTheValueBefore(t *testing.T) {
	v := sysctl.NewVar(0, func(old, new int) error {
		if new <= old {
			return fmt.Errorf("%d is not above %d", new, old)
		}
		return nil
	})
	highest := 0
	v.Changed = func(c sysctl.Change[int]) {
		if c.New <= highest {
			t.Error("it went down", c)
		}
		highest = c.New
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 1000 {
				_ = v.Set(fmt.Sprint(n + 1))
			}
		})
	}
	all.Wait()
	require.Equal(t, 1000, v.Load())
}

// A write waits for the Changed of another one, and a Load does not.
func TestLoadDoesNotWaitForChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := sysctl.NewVar(1)
		hold := make(chan struct{})
		v.Changed = func(c sysctl.Change[int]) {
			if c.New == 2 {
				<-hold
			}
		}
		go v.Store(2)
		synctest.Wait()
		require.Equal(t, 2, v.Load())
		close(hold)
		v.Store(3)
		require.Equal(t, 3, v.Load())
	})
}

// A loop over a directory tells of all entries below it, and of no others.
func TestChangesOfADirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree, headers := forest(t, "net/a", "net/deep/er/b", "netx/c", "d")
		write := func(path, text string) {
			require.NoError(t, tree.WriteFile(sysctl.Root, path, []byte(text)))
		}
		changes := tree.Changes(t.Context(), "/net/")
		write("net/a", "0") // before the loop, after Changes
		go func() {
			for _, path := range []string{"d", "net/deep/er/b", "netx/c", "net/a", "net/a"} {
				time.Sleep(time.Second)
				write(path, "1")
			}
			time.Sleep(time.Second)
			for _, h := range headers {
				h.Unregister()
			}
		}()
		var got []string
		for path, text := range changes {
			got = append(got, path+"="+text)
			if len(got) == 4 { // the loop itself writes, so it looks at none of them before the last
				write("net/a", "2")
				write("net/deep/er/b", "3")
				write("net/a", "4")
			}
		}
		require.Equal(t, []string{
			"net/a=0\n", "net/deep/er/b=1\n", "net/a=1\n", "net/a=1\n", "net/deep/er/b=3\n", "net/a=4\n",
		}, got, "in the order of the last changes")
		got = nil
		for path := range changes {
			got = append(got, path)
		}
		require.Empty(t, got, "nothing is there")
	})
}

// forest returns a tree with a string at each of the paths.
func forest(t *testing.T, paths ...string) (*sysctl.Tree, []*sysctl.Header) {
	tree := new(sysctl.Tree)
	var headers []*sysctl.Header
	for _, path := range paths {
		headers = append(headers, plant(t, tree, path))
	}
	return tree, headers
}

func plant(t *testing.T, tree *sysctl.Tree, path string) *sysctl.Header {
	dir, name := "", path
	for i, c := range path {
		if c == '/' {
			dir, name = path[:i], path[i+1:]
		}
	}
	h, err := tree.Register(dir, sysctl.Entry{Name: name, Mode: 0o600, Handler: sysctl.NewVar("")})
	require.NoError(t, err)
	return h
}

// The root is there without entries. An entry that comes later belongs to it. Its
// registration is no change.
func TestChangesOfTheRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tree sysctl.Tree
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		changes := tree.Changes(ctx, "")
		done := make(chan []string)
		go func() {
			var got []string
			for path := range changes {
				got = append(got, path)
			}
			done <- got
		}()
		synctest.Wait()
		plant(t, &tree, "a/b").Unregister()
		h := plant(t, &tree, "a/b")
		synctest.Wait()
		require.NoError(t, tree.WriteFile(sysctl.Root, "a/b", []byte("1")))
		synctest.Wait()
		h.Unregister()
		plant(t, &tree, "c")
		require.NoError(t, tree.Notify("c"))
		synctest.Wait()
		cancel()
		require.Equal(t, []string{"a/b", "c"}, <-done)
	})
}

// A loop over the root goes on when the last entry has gone.
func TestChangesOfARootThatWasEmpty(t *testing.T) {
	tree, headers := forest(t, "a")
	changes := tree.Changes(t.Context(), "/")
	headers[0].Unregister()
	plant(t, tree, "b")
	require.NoError(t, tree.Notify("b"))
	n := 0
	for path := range changes {
		require.Equal(t, "b", path)
		n++
		break
	}
	require.Equal(t, 1, n)
}

// A loop over a directory ends with its ctx, although others write all the time: in the
// directory, or elsewhere.
func TestChangesOfADirectoryEndWhileOthersWrite(t *testing.T) {
	for _, path := range []string{"n/a", "other/a"} {
		tree, _ := forest(t, "n/a", "other/a")
		ctx, cancel := context.WithCancel(t.Context())
		var writer sync.WaitGroup
		stop := make(chan struct{})
		writer.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = tree.Notify(path)
					runtime.Gosched()
				}
			}
		})
		changes := tree.Changes(ctx, "n")
		time.AfterFunc(10*time.Millisecond, cancel)
		for range changes {
			runtime.Gosched()
		}
		for range changes {
			t.Error("it has ended")
		}
		close(stop)
		writer.Wait()
	}
}

// The body of a loop may end ctx. Nothing comes after that.
func TestChangesOfADirectoryEndInTheBody(t *testing.T) {
	tree, _ := forest(t, "n/a", "n/b")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := tree.Changes(ctx, "n")
	require.NoError(t, tree.Notify("n/a"))
	require.NoError(t, tree.Notify("n/b"))
	n := 0
	for range changes {
		n++
		cancel()
	}
	require.Equal(t, 1, n)
}

// The body of a loop may remove an entry and end the loop, or go on.
func TestChangesOfADirectoryWhoseBodyRemovesEntries(t *testing.T) {
	tree, headers := forest(t, "n/a", "n/b", "n/c")
	changes := tree.Changes(t.Context(), "n")
	for _, path := range []string{"n/a", "n/b", "n/c"} {
		require.NoError(t, tree.WriteFile(sysctl.Root, path, []byte("1")))
	}
	var got []string
	for path := range changes {
		got = append(got, path)
		headers[1].Unregister()
		if path == "n/c" {
			headers[0].Unregister()
			headers[2].Unregister()
			break
		}
	}
	require.Equal(t, []string{"n/a", "n/c"}, got)
}

// Writers never stop. Each loop over the directory sees the last text of every entry, no
// older text after a newer one, and ends with its ctx.
func TestHammerChangesOfADirectory(t *testing.T) {
	const entries, writes = 20, 200
	var tree sysctl.Tree
	var vars [entries]sysctl.Var[int]
	for i := range vars {
		_, err := tree.Register(fmt.Sprintf("n/%d", i%3), sysctl.Entry{Name: fmt.Sprint(i), Mode: 0o600, Handler: &vars[i]})
		require.NoError(t, err)
	}
	var loops, writers sync.WaitGroup
	for range 3 {
		changes := tree.Changes(t.Context(), "n")
		loops.Go(func() {
			last := map[string]int{}
			for path, text := range changes {
				var n int
				if _, err := fmt.Sscan(text, &n); err != nil || n < last[path] {
					t.Error(path, text, last[path])
				}
				last[path] = n
				all := slices.Collect(maps.Values(last))
				if len(all) == entries && slices.Min(all) == writes {
					return
				}
			}
		})
	}
	for i := range vars {
		writers.Go(func() {
			for n := range writes {
				if rand.IntN(8) == 0 {
					runtime.Gosched()
				}
				path := fmt.Sprintf("n/%d/%d", i%3, i)
				if err := tree.WriteFile(sysctl.Root, path, fmt.Appendln(nil, n+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	loops.Wait()
}
