package sysctl

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// An Int is a variable that holds a C int: 32 bits, with a sign. Load costs one
// atomic load. The zero value is 0, ready to use. An Int must not be copied
// after first use.
//
// Kernel: an int that is the data of a ctl_table
type Int struct{ v atomic.Int32 }

// Load returns the value.
func (i *Int) Load() int32 { return i.v.Load() }

// Store replaces the value. It is for the program itself: the bounds of a
// handler do not apply.
func (i *Int) Store(v int32) { i.v.Store(v) }

func (i *Int) values() []int32 { return []int32{i.Load()} }

func (i *Int) change(f func([]int32) int) {
	v := []int32{0}
	if f(v) > 0 {
		i.Store(v[0])
	}
}

func (i *Int) check() error { return checkData(i == nil, 1) }

// An Ints is a variable that holds several C ints. It has as many values as the
// program's last Store, and none before the first. A write changes all of them at once:
// a reader never sees some of one write and some of another. An Ints must not be
// copied after first use.
//
// Kernel: an int array that is the data of a ctl_table
type Ints struct{ list list[int32] }

// Load returns a copy of the values.
func (i *Ints) Load() []int32 { return slices.Clone(i.values()) }

// Store replaces the values with a copy of the arguments. It is for the program
// itself: the bounds of a handler do not apply.
func (i *Ints) Store(values ...int32) { i.list.store(slices.Clone(values)) }

func (i *Ints) values() []int32 { return i.list.values() }

func (i *Ints) change(f func([]int32) int) { i.list.change(f) }

func (i *Ints) check() error {
	if i == nil {
		return ErrNoData
	}
	return checkData(false, len(i.values()))
}

// An IntData is an [*Int], an [*Ints] or a [*Bool].
type IntData interface { // a vector[int32], written out for go doc
	values() []int32
	change(f func(values []int32) (n int))
	check() error
}

// A list is a vector whose values are replaced all at once.
type list[T any] struct {
	mu sync.Mutex // held over each change
	p  atomic.Pointer[[]T]
}

// store replaces the values, without losing the change that is under way.
func (l *list[T]) store(values []T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p.Store(&values)
}

func (l *list[T]) values() []T {
	if p := l.p.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *list[T]) change(f func([]T) int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := slices.Clone(l.values())
	if f(v) > 0 {
		l.p.Store(&v)
	}
}

func checkData(missing bool, n int) error {
	switch {
	case missing:
		return ErrNoData
	case n == 0:
		return ErrNoMaxlen
	}
	return nil
}

// DoIntVec makes a handler for numbers that fit into a C int.
//
// A write sets as many values as it has numbers, from the first on; the others
// keep their values. With more numbers than values, it stops after the last value and
// reports how much it has used. A bad number is [syscall.EINVAL]; the values before it
// stay set.
//
// The second write to an open file is at a position other than 0. In the mode [Strict]
// such a write is ignored. In the other modes it is a new text for the first value.
// So if 5 x is written to one value, the 5 is stored. The caller writes the x next, and
// that is an error.
//
// A read gives all values, with tabs between them and a newline, at position 0
// only. Text that does not fit into the buffer is lost.
//
// Kernel: proc_dointvec
//
// Differs: the values of one write are stored at once.
func DoIntVec(data IntData) Handler { return DoIntVecMinMax(data, math.MinInt32, math.MaxInt32) }

// DoIntVecMinMax is [DoIntVec] with bounds, which hold for each value. A number
// outside the bounds is [syscall.EINVAL].
//
// Kernel: proc_dointvec_minmax
//
// Differs: as DoIntVec.
func DoIntVecMinMax(data IntData, min, max int32) Handler {
	return &intVec{data, func(*Request) intUnit { return plain }, min, max}
}

// An intVec is a handler for ints that the text has in some unit.
type intVec struct {
	data     IntData
	unit     func(*Request) intUnit
	min, max int32 // of a stored value
}

// An intUnit converts between a number in text and a stored value.
type intUnit struct {
	parse func(figure) (int64, error)
	show  func(int32) figure
}

var plain = intUnit{
	parse: func(f figure) (int64, error) {
		if f.magnitude > 1<<31 || f.magnitude == 1<<31 && !f.negative {
			return 0, invalid("%v does not fit into 32 bits", f)
		}
		return f.sign(int64(f.magnitude)), nil
	},
	show: func(v int32) figure { return figure{v < 0, magnitude(v)} },
}

// magnitude returns the absolute value. The smallest int has one too.
func magnitude(v int32) uint64 { return uint64(max(int64(v), -int64(v))) }

func (h *intVec) fault() error {
	if h.data == nil {
		return checkData(true, 0)
	}
	return h.data.check()
}

func (h *intVec) Read(r *Request, p []byte) (int, error) {
	return readVector(r, p, vector[int32](h.data), h.unit(r).show)
}

func (h *intVec) Write(r *Request, p []byte) (int, error) {
	parse := h.unit(r).parse
	return writeVector(r, p, vector[int32](h.data), func(f figure) (int32, error) {
		v, err := parse(f)
		if err == nil {
			err = within(v, int64(h.min), int64(h.max))
		}
		return int32(v), err
	})
}
