package sysctl

import "fmt"

// A WriteMode is the rule for a write that is not at the beginning of a file. The second
// of two writes to an open file is such a write. A new [Tree] is Strict.
//
// Kernel: enum sysctl_writes_mode
type WriteMode int32

const (
	Legacy WriteMode = -1 // such a write counts as a write at the beginning
	Warn   WriteMode = 0  // the same, and the tree's Warn is called once
	Strict WriteMode = 1  // the position counts: see the handlers
)

// WriteMode returns the tree's mode.
func (t *Tree) WriteMode() WriteMode { return WriteMode(Strict) - WriteMode(t.lenient.Load()) }

// SetWriteMode sets the tree's mode. It panics if m is none.
func (t *Tree) SetWriteMode(m WriteMode) {
	if m < Legacy || m > Strict {
		panic(fmt.Sprintf("sysctl: SetWriteMode(%d)", m))
	}
	t.lenient.Store(int32(Strict - m))
}

// DoWritesStrict makes a handler for the tree's mode, as a number from -1 to 1.
//
// Kernel: sysctl_writes_strict
func DoWritesStrict(t *Tree) Handler {
	return DoIntVecMinMax((*writesStrict)(t), int32(Legacy), int32(Strict))
}

// A writesStrict is the mode as the only value of a [Vector].
type writesStrict Tree

func (w *writesStrict) values() []int32 { return []int32{int32((*Tree)(w).WriteMode())} }

func (w *writesStrict) set(r *Request, f func([]int32) int) error {
	v := []int32{0}
	if f(v) == 0 || r.dry {
		return nil
	}
	after := int32(Strict) - v[0]
	before := w.lenient.Swap(after)
	if r.batch != nil {
		r.batch.add(func() error { w.lenient.CompareAndSwap(after, before); return nil })
	}
	return nil
}

func (w *writesStrict) check() error { return nilFault(w == nil) }
