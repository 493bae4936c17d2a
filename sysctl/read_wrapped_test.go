package sysctl_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

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

// A wrapped handler without data panics when it first reads or stores a value.
func TestWrappedHandlerWithoutDataPanics(t *testing.T) {
	for name, c := range map[string]struct {
		h    sysctl.Handler
		text string
	}{
		"Int": {sysctl.DoIntVec((*sysctl.Var[int32])(nil)), "1"}, "Uint": {sysctl.DoUint(nil), "1"}, "String": {sysctl.DoString(nil, 9), "1"},
		"whole": {sysctl.Whole(nil, 0, 9), "0"}, "Duration": {sysctl.Bounded(nil, 0, 9), "1ns"}, "Bitmap": {sysctl.DoLargeBitmap(nil), "1"},
	} {
		tree, _ := treeWith(t, wrap{c.h})
		require.Panics(t, func() { _, _ = tree.ReadFile(sysctl.Root, "x") }, name)
		require.Panics(t, func() { _ = tree.WriteFile(sysctl.Root, "x", []byte(c.text)) }, name)
	}
	var s sysctl.Var[string]
	tree, _ := treeWith(t, wrap{sysctl.DoString(&s, 0)})
	require.Panics(t, func() { _ = tree.WriteFile(sysctl.Root, "x", []byte("1")) })
}

// A wrapped handler costs nearly the same as the handler itself.
func TestWrapperCostsNoMoreThanAnAllocation(t *testing.T) {
	var s sysctl.Var[string]
	s.Store("Linux")
	var v sysctl.Var[int32]
	for _, h := range []sysctl.Handler{
		sysctl.DoString(&s, 64), sysctl.DoIntVec(&v), &s, &v, sysctl.NewVar(sysctl.Bytes(5000)), sysctl.NewVar([]string{"a", "b"}),
		sysctl.NewVar(1.5), sysctl.NewVar(time.Second), sysctl.Func(func() string { return "text" }),
	} {
		cost := func(h sysctl.Handler) (allocs, bytes float64) {
			tree := putAs(t, 0o444, h)
			const n = 2000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range n {
				if _, err := tree.ReadFile(sysctl.Root, "x"); err != nil {
					t.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			return float64(after.Mallocs-before.Mallocs) / n, float64(after.TotalAlloc-before.TotalAlloc) / n
		}
		allocs, bytes := cost(h)
		for name, wrapped := range wraps(h) {
			if name == "copying" {
				continue // it allocates its copies
			}
			a, b := cost(wrapped)
			t.Logf("%T %s: %.1f allocations, %.0f bytes; itself %.1f, %.0f", h, name, a, b, allocs, bytes)
			if raceEnabled {
				continue // the pool drops at random then
			}
			require.LessOrEqual(t, a, 4.5, name)
			require.LessOrEqual(t, a, allocs+1.5, name)
			require.LessOrEqual(t, b, 1.3*bytes+16, name)
		}
	}
}

// A handler of a program may embed a variable, whose methods it then has as well. It
// is no handler of the package for that.
type embedsInt struct{ sysctl.Var[int32] }

func (h *embedsInt) Read(r *sysctl.Request, p []byte) (int, error) {
	n := copy(p[:min(len(p), 10)], strings.Repeat("parts of ten bytes\n", 10)[r.Pos:])
	r.Pos += int64(n)
	return n, nil
}

func (h *embedsInt) Write(_ *sysctl.Request, p []byte) (int, error) { return len(p), nil }

type embedsInts struct{ sysctl.Vec[int32] } // of no values, which Register refuses in DoIntVec

func (h *embedsInts) Read(r *sysctl.Request, p []byte) (int, error)  { return new(embedsInt).Read(r, p) }
func (h *embedsInts) Write(r *sysctl.Request, p []byte) (int, error) { return len(p), nil }

type embedsNil struct{ *sysctl.Var[uint64] }

func (h embedsNil) Read(r *sysctl.Request, p []byte) (int, error)  { return new(embedsInt).Read(r, p) }
func (h embedsNil) Write(r *sysctl.Request, p []byte) (int, error) { return len(p), nil }

func TestHandlerThatEmbedsAVariableIsReadToItsEnd(t *testing.T) {
	for _, h := range []sysctl.Handler{new(embedsInt), new(embedsInts), embedsNil{}} {
		tree, _ := treeWith(t, h)
		text, err := tree.ReadFile(sysctl.Root, "x")
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("parts of ten bytes\n", 10), string(text), "%T", h)
	}
}

// A wrapper may change the text of the handler that it wraps.
type shouts struct{ sysctl.Handler }

func (h shouts) Read(r *sysctl.Request, p []byte) (int, error) {
	n, err := h.Handler.Read(r, p)
	copy(p, bytes.ToUpper(p[:n]))
	return n, err
}

func TestWrapperMayChangeTheText(t *testing.T) {
	for _, size := range []int{3, 60, 5000} {
		text := strings.Repeat("a", size)
		tree, _ := treeWith(t, shouts{sysctl.NewVar(text)})
		for range 2 {
			got, err := tree.ReadFile(sysctl.Root, "x")
			require.NoError(t, err)
			require.Equal(t, strings.ToUpper(text)+"\n", string(got))
		}
	}
}

// A wrapper of a program may embed a variable that is nil.
func TestVariableThatIsNilHasNoSource(t *testing.T) {
	tree, _ := treeWith(t, embedsNil{})
	require.Empty(t, tree.Source("x"))
}
