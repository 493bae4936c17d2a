package sysctl_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kprim/kprim/internal/models"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/waitqueue/explore"
)

// orders is how many orders the model of each test has.
var orders = models.Pins{
	"TestInterleavingsChangesOfAnEntry":      24,
	"TestInterleavingsChangesOfADirectory":   3500,
	"TestInterleavingsDirectoryThatGoesAway": 1928,
	"TestInterleavingsApplyAndAWriter":       50,
}

// modelTree returns a tree with ints at these paths, which need no parser that takes long.
func modelTree(m *explore.Model, paths ...string) (*sysctl.Tree, []*sysctl.Header) {
	tree := new(sysctl.Tree)
	var headers []*sysctl.Header
	for _, path := range paths {
		h, err := tree.Register("n", sysctl.Entry{Name: path, Mode: 0o600, Handler: new(sysctl.Var[int])})
		if err != nil {
			panic(err)
		}
		headers = append(headers, h)
	}
	return tree, headers
}

// writes adds a goroutine that writes each of the numbers.
func writes(m *explore.Model, tree *sysctl.Tree, path string, numbers ...int) {
	m.Go("writer of "+path, func(th *explore.Thread) {
		for _, n := range numbers {
			th.Step("write")
			if err := tree.WriteFile(sysctl.Root, path, fmt.Appendln(nil, n)); err != nil {
				panic(err)
			}
		}
	})
}

// loops adds a goroutine that loops over the changes until the last text of each path is
// the wanted one. It sleeps for ever if it misses one. No text comes after a newer one.
func loops(m *explore.Model, tree *sysctl.Tree, dir string, want map[string]int) {
	changes := tree.Changes(m.Context(), dir)
	m.Go("loop", func(th *explore.Thread) {
		th.Step("range")
		last := map[string]int{}
		for path, text := range changes {
			var n int
			if _, err := fmt.Sscan(text, &n); err != nil || n < last[path] {
				panic(fmt.Sprint(path, " ", text, last))
			}
			last[path] = n
			if fmt.Sprint(last) == fmt.Sprint(want) {
				return
			}
		}
	})
}

// A loop sees the last of several writes.
func TestInterleavingsChangesOfAnEntry(t *testing.T) {
	orders.Explore(t, "tested, changed", func(m *explore.Model) {
		tree, _ := modelTree(m, "a")
		loops(m, tree, "n/a", map[string]int{"n/a": 2})
		writes(m, tree, "n/a", 1, 2)
	})
}

// A loop over a directory sees the last write of each entry.
func TestInterleavingsChangesOfADirectory(t *testing.T) {
	orders.Explore(t, "tested, changed, found", func(m *explore.Model) {
		tree, _ := modelTree(m, "a", "b")
		loops(m, tree, "n", map[string]int{"n/a": 1, "n/b": 1})
		writes(m, tree, "n/a", 1)
		writes(m, tree, "n/b", 0, 1)
	})
}

// A loop over a directory ends with it. One of its entries may go before.
func TestInterleavingsDirectoryThatGoesAway(t *testing.T) {
	orders.Explore(t, "tested, changed, removed, found", func(m *explore.Model) {
		tree, headers := modelTree(m, "a", "b")
		loops(m, tree, "n", nil)
		m.Go("writer", func(th *explore.Thread) {
			th.Step("write")
			_ = tree.WriteFile(sysctl.Root, "n/b", []byte("1")) // it may be gone
		})
		m.Go("remover", func(th *explore.Thread) {
			for _, h := range headers {
				th.Step("unregister")
				h.Unregister()
			}
		})
	})
}

// Apply stores all or none, and does not take back the value of another writer. Between its
// check and its writes, another goroutine may make the last setting one that is refused.
func TestInterleavingsApplyAndAWriter(t *testing.T) {
	orders.Explore(t, "apply", func(m *explore.Model) {
		tree, a, b, closed := new(sysctl.Tree), new(sysctl.Var[int]), new(sysctl.Var[int]), false
		door := sysctl.NewVar(0, func(_, _ int) error {
			if closed {
				return syscall.EBUSY
			}
			return nil
		})
		_, err := tree.Register("", sysctl.Entry{Name: "a", Mode: 0o600, Handler: a}, sysctl.Entry{Name: "b", Mode: 0o600, Handler: b},
			sysctl.Entry{Name: "door", Mode: 0o600, Handler: door})
		if err != nil {
			panic(err)
		}
		var refused error
		wrote := "" // in which order a was written
		a.Changed = func(c sysctl.Change[int]) { wrote += fmt.Sprint(c.New) }
		m.Go("apply", func(th *explore.Thread) {
			th.Step("begin")
			refused = settings("a=1\nb=1\na=2\ndoor=1").Apply(tree, sysctl.Root)
		})
		m.Go("writer", func(th *explore.Thread) {
			th.Step("write")
			if err := tree.WriteFile(sysctl.Root, "a", []byte("7")); err != nil {
				panic(err)
			}
		})
		m.Go("closer", func(th *explore.Thread) {
			th.Step("close")
			closed = true
		})
		m.Check(func() error {
			want := []int{2, 1, 1}
			switch {
			case refused != nil:
				want = []int{7, 0, 0}
			case strings.HasSuffix(wrote, "7"):
				want[0] = 7
			}
			if is := []int{a.Load(), b.Load(), door.Load()}; !slices.Equal(is, want) {
				return fmt.Errorf("%v, and not %v, after %s", is, want, wrote)
			}
			return nil
		})
	})
}
