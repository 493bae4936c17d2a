package sysctl_test

import (
	"fmt"
	"io/fs"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/paired"
	"github.com/kprim/kprim/sysctl"
)

// TestPairedContests prints how long each way takes, as a ratio to the first
// way of its contest.
//
//	go test ./sysctl -run Paired -paired -v -cpu 1,2
func TestPairedContests(t *testing.T) {
	paired.Test(t, load(), readFile(), readWrapped(), readAny(), walk(), register(inOne), register(inItsOwn))
}

func BenchmarkLoad(b *testing.B)     { load().Bench(b) }
func BenchmarkReadFile(b *testing.B) { readFile().Bench(b) }
func BenchmarkReadAny(b *testing.B)  { readAny().Bench(b) }
func BenchmarkWrapped(b *testing.B)  { readWrapped().Bench(b) }
func BenchmarkWalk(b *testing.B)     { walk().Bench(b) }

var sink int64

// load is a look at a variable in the hot path.
func load() paired.Contest {
	var plain atomic.Int64
	var pointer atomic.Pointer[int64]
	plain.Store(9527)
	pointer.Store(new(plain.Load()))
	limit := sysctl.NewVar(plain.Load())
	var three sysctl.Vec[int32]
	three.Store(1, 2, 3)
	return paired.Contest{Name: "Load", Ways: []paired.Way{
		{Name: "atomic.Int64", Run: func(n int) {
			var sum int64
			for range n {
				sum += plain.Load()
			}
			sink = sum
		}},
		{Name: "atomic.Pointer", Run: func(n int) {
			var sum int64
			for range n {
				sum += *pointer.Load()
			}
			sink = sum
		}},
		{Name: "sysctl.Var", Run: func(n int) {
			var sum int64
			for range n {
				sum += limit.Load()
			}
			sink = sum
		}},
		{Name: "sysctl.Vec", Run: func(n int) {
			var sum int64
			for range n {
				sum += int64(three.At(1))
			}
			sink = sum
		}},
	}}
}

// realWays are those that only a system with a /proc/sys has.
var realWays []paired.Way

// readFile is a read of a whole entry with a short text, by name. It takes
// ten entries from all over the tree. So only the tree differs, and the processor's
// cache does not.
func readFile() paired.Contest {
	tenOf := func(size int) func(i int) int { return func(i int) int { return i % 10 * (size / 10) } }
	return paired.Contest{Name: "ReadFile", Ways: append([]paired.Way{
		treeOf(10, tenOf(10)), treeOf(100_000, tenOf(100_000)),
	}, realWays...)}
}

// readWrapped is a read of a stock handler, and of the same one in a wrapper and in
// twenty wrappers.
func readWrapped() paired.Contest {
	var s sysctl.Var[string]
	s.Store("Linux")
	c := paired.Contest{Name: "ReadWrapped"}
	for _, name := range []string{"itself", "wrap", "twenty"} {
		tree := new(sysctl.Tree)
		_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o444, Handler: wraps(sysctl.DoString(&s, 65))[name]})
		if err != nil {
			panic(err)
		}
		c.Ways = append(c.Ways, paired.Way{Name: name, Run: func(n int) {
			for range n {
				text, err := tree.ReadFile(sysctl.Nobody, "x")
				if err != nil || string(text) != "Linux\n" {
					panic(fmt.Sprint(string(text), err))
				}
			}
		}})
	}
	return c
}

// walk is a walk through 10,000 entries, ten in a directory.
func walk() paired.Contest {
	const entries = 10_000
	var tree *sysctl.Tree
	open := func() {
		tree = new(sysctl.Tree)
		for i := range entries {
			dir, name := place(i)
			mustRegister(tree, dir, name)
		}
	}
	drop := func() { tree = nil }
	found := func(n int) {
		if n != entries {
			panic(n)
		}
	}
	return paired.Contest{Name: "Walk", Ways: []paired.Way{
		{Name: "fs.WalkDir", Open: open, Close: drop, Run: func(n int) {
			for range n {
				seen := 0
				_ = fs.WalkDir(tree.FS(sysctl.Nobody), ".", func(_ string, d fs.DirEntry, err error) error {
					if !d.IsDir() {
						seen++
					}
					return err
				})
				found(seen)
			}
		}},
		{Name: "Tree.Walk", Open: open, Close: drop, Run: func(n int) {
			for range n {
				seen := 0
				_ = tree.Walk(func(string, sysctl.Entry) error {
					seen++
					return nil
				})
				found(seen)
			}
		}},
	}}
}

func TestWalkCostsNoMoreThanWalkDir(t *testing.T) {
	var allocs, bytes []uint64
	for _, way := range walk().Ways {
		way.Open()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		way.Run(1)
		runtime.ReadMemStats(&after)
		way.Close()
		t.Logf("%s: %d allocations, %d bytes", way.Name, after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc)
		allocs, bytes = append(allocs, after.Mallocs-before.Mallocs), append(bytes, after.TotalAlloc-before.TotalAlloc)
	}
	require.LessOrEqual(t, allocs[1], allocs[0])
	require.LessOrEqual(t, bytes[1], bytes[0])
}

// readAny is the same of any entry, in no order. A read of a
// large tree costs more because of cache misses, which a plain map has too.
func readAny() paired.Contest {
	anyOf := func(size int) func(i int) int {
		return func(i int) int { return int(uint32(i) * 2654435761 % uint32(size)) }
	}
	return paired.Contest{Name: "ReadAny", Ways: []paired.Way{
		treeOf(10, anyOf(10)), treeOf(100_000, anyOf(100_000)), mapOf(10, anyOf(10)), mapOf(100_000, anyOf(100_000)),
	}}
}

// place is where the i-th entry is: ten in a directory.
func place(i int) (dir, name string) {
	return fmt.Sprintf("kernel/d%d", i/10), fmt.Sprintf("ostype%d", i%10)
}

// treeOf reads from a tree of so many entries those that pick says.
func treeOf(size int, pick func(i int) int) paired.Way {
	var tree *sysctl.Tree
	return reading(fmt.Sprintf("tree-%d", size), size, pick,
		func() { tree = new(sysctl.Tree) },
		func(dir, name string) { mustRegister(tree, dir, name) },
		func(path string) ([]byte, error) { return tree.ReadFile(sysctl.Nobody, path) })
}

// mapOf is the least that could be done: one map of functions by path.
func mapOf(size int, pick func(i int) int) paired.Way {
	var files map[string]func() []byte
	return reading(fmt.Sprintf("map-%d", size), size, pick,
		func() { files = map[string]func() []byte{} },
		func(dir, name string) {
			s := new(sysctl.Var[string])
			s.Store("Linux")
			files[dir+"/"+name] = func() []byte { return []byte(s.Load() + "\n") }
		},
		func(path string) ([]byte, error) { return files[path](), nil })
}

func reading(name string, size int, pick func(int) int, begin func(), add func(dir, name string), read func(string) ([]byte, error)) paired.Way {
	paths := make([]string, size)
	next := 0 // goes on where the last slice ended
	return paired.Way{
		Name: name,
		Open: func() {
			begin()
			for i := range size {
				dir, name := place(i)
				add(dir, name)
				paths[i] = dir + "/" + name
			}
		},
		Close: begin,
		Run: func(n int) {
			for range n {
				text, err := read(paths[pick(next)])
				if err != nil || string(text) != "Linux\n" {
					panic(fmt.Sprint(string(text), err))
				}
				next++
			}
		},
	}
}

func mustRegister(tree *sysctl.Tree, dir, name string) {
	s := new(sysctl.Var[string])
	s.Store("Linux")
	_, err := tree.Register(dir, sysctl.Entry{Name: name, Mode: 0o444, Handler: sysctl.DoString(s, 65)})
	if err != nil {
		panic(err)
	}
}

// A layout says where the i-th entry is.
type layout struct {
	name  string
	place func(i int) (dir, name string)
}

var (
	inOne    = layout{"in-one", func(i int) (dir, name string) { return "net/ipv4", names100k[i] }}
	inItsOwn = layout{"in-its-own", func(i int) (dir, name string) { return names100k[i], "value" }}
)

// names100k are made before anything is measured.
var names100k = func() []string {
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("eth%d", i)
	}
	return names
}()

// registered makes trees of so many entries each, one Register for each entry,
// until there are as many entries as wanted.
func registered(l layout, size, entries int) {
	handler := sysctl.DoIntVec(new(sysctl.Var[int32]))
	for left := entries; left > 0; left -= size {
		var tree sysctl.Tree
		for i := range min(size, left) {
			dir, name := l.place(i)
			if _, err := tree.Register(dir, sysctl.Entry{Name: name, Mode: 0o644, Handler: handler}); err != nil {
				panic(err)
			}
		}
	}
}

var sizes = []int{1000, 10_000, 100_000}

// register is 100,000 entries that are registered, in a hundred trees, in ten or
// in one. An entry costs more in a larger tree because of the processor's caches
// and the garbage collector. The plain map beside it shows the same.
func register(l layout) paired.Contest {
	c := paired.Contest{Name: "Register-" + l.name}
	for _, size := range sizes {
		c.Ways = append(c.Ways, paired.Way{Name: fmt.Sprint(size), Run: func(n int) {
			for range n {
				registered(l, size, 100_000)
			}
		}})
	}
	for _, size := range sizes {
		c.Ways = append(c.Ways, paired.Way{Name: fmt.Sprintf("map-%d", size), Run: func(n int) {
			for range n {
				mapped(l, size, 100_000)
			}
		}})
	}
	return c
}

// mapped is the least that could be done: one map of entries by path.
func mapped(l layout, size, entries int) {
	handler := sysctl.DoIntVec(new(sysctl.Var[int32]))
	for left := entries; left > 0; left -= size {
		tree := map[string]*sysctl.Entry{}
		for i := range min(size, left) {
			dir, name := l.place(i)
			tree[dir+"/"+name] = &sysctl.Entry{Name: name, Mode: 0o644, Handler: handler}
		}
	}
}

func BenchmarkRegister(b *testing.B) {
	for _, l := range []layout{inOne, inItsOwn} {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("%s/%d", l.name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					registered(l, size, size)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/entry")
			})
		}
	}
}
