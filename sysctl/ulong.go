package sysctl

import (
	"slices"
	"sync/atomic"
)

// A Ulong is a variable that holds an unsigned C long, of 64 bits. Load costs
// one atomic load. The zero value is 0, ready to use. A Ulong must not be copied
// after first use.
//
// Kernel: an unsigned long that is the data of a ctl_table
type Ulong struct{ v atomic.Uint64 }

// Load returns the value.
func (u *Ulong) Load() uint64 { return u.v.Load() }

// Store replaces the value. It is for the program itself: the bounds of a
// handler do not apply.
func (u *Ulong) Store(v uint64) { u.v.Store(v) }

func (u *Ulong) values() []uint64 { return []uint64{u.Load()} }

func (u *Ulong) change(f func([]uint64) int) {
	v := []uint64{0}
	if f(v) > 0 {
		u.Store(v[0])
	}
}

func (u *Ulong) check() error { return checkData(u == nil, 1) }

// A Ulongs is a variable that holds several unsigned C longs, as [Ints] holds
// ints. A Ulongs must not be copied after first use.
//
// Kernel: an unsigned long array that is the data of a ctl_table
type Ulongs struct{ list list[uint64] }

// Load returns a copy of the values.
func (u *Ulongs) Load() []uint64 { return slices.Clone(u.values()) }

// Store replaces the values with a copy of the arguments. It is for the program
// itself: the bounds of a handler do not apply.
func (u *Ulongs) Store(values ...uint64) { u.list.store(slices.Clone(values)) }

func (u *Ulongs) values() []uint64 { return u.list.values() }

func (u *Ulongs) change(f func([]uint64) int) { u.list.change(f) }

func (u *Ulongs) check() error {
	if u == nil {
		return ErrNoData
	}
	return checkData(false, len(u.values()))
}

// A UlongData is a [*Ulong] or a [*Ulongs].
type UlongData interface { // a vector[uint64], written out for go doc
	values() []uint64
	change(f func(values []uint64) (n int))
	check() error
}

// DoUlongVecMinMax is [DoIntVecMinMax] for numbers of 64 bits without a sign,
// not even in -0.
//
// Kernel: proc_doulongvec_minmax
//
// Differs: as DoIntVec.
func DoUlongVecMinMax(data UlongData, min, max uint64) Handler {
	return &ulongVec{data, false, min, max}
}

// DoUlongVecMsJiffiesMinMax is [DoUlongVecMinMax] for times that are stored in
// jiffies and written in milliseconds. It rounds down. The bounds are in
// jiffies. As in the kernel, a number that overflows when it is multiplied is
// stored as its low 64 bits.
//
// Kernel: proc_doulongvec_ms_jiffies_minmax
//
// Differs: as DoIntVec.
func DoUlongVecMsJiffiesMinMax(data UlongData, min, max uint64) Handler {
	return &ulongVec{data, true, min, max}
}

type ulongVec struct {
	data     UlongData
	ms       bool
	min, max uint64 // of a stored value
}

func (h *ulongVec) fault() error {
	if h.data == nil {
		return checkData(true, 0)
	}
	return h.data.check()
}

func (h *ulongVec) Read(r *Request, p []byte) (int, error) {
	return readVector(r, p, vector[uint64](h.data), func(v uint64) figure {
		if h.ms {
			v = 1000 * v / r.hz()
		}
		return figure{magnitude: v}
	})
}

func (h *ulongVec) Write(r *Request, p []byte) (int, error) {
	return writeVector(r, p, vector[uint64](h.data), func(f figure) (uint64, error) {
		if err := f.unsigned(); err != nil {
			return 0, err
		}
		v := f.magnitude
		if h.ms {
			v = v * r.hz() / 1000
		}
		return v, within(v, h.min, h.max)
	})
}
