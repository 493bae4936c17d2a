package sysctl

import (
	"fmt"
	"math"
)

// DoIntVec makes a handler for numbers that fit into a C int: a [Var] of int32, or a
// [Vec].
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
// The variable's Check sees all values of a write at once, and its Changed is told of
// them. A write that Check refuses sets nothing.
//
// Kernel: proc_dointvec
//
// Differs: the values of one write are stored at once.
func DoIntVec(data Vector[int32]) Handler { return DoIntVecMinMax(data, math.MinInt32, math.MaxInt32) }

// DoIntVecMinMax is [DoIntVec] with bounds, which hold for each value. A number
// outside the bounds is [syscall.EINVAL]. Register refuses a min above max, and a value
// that is outside already, as for every handler with bounds.
//
// Kernel: proc_dointvec_minmax
//
// Differs: as DoIntVec. Register refuses start values outside the bounds, where the kernel does not look.
func DoIntVecMinMax(data Vector[int32], min, max int32) Handler {
	return &numbers[int32]{data, always(plain[int32]()), min, max}
}

// DoUlongVecMinMax is [DoIntVecMinMax] for numbers of 64 bits without a sign,
// not even in -0.
//
// Kernel: proc_doulongvec_minmax
//
// Differs: as DoIntVecMinMax.
func DoUlongVecMinMax(data Vector[uint64], min, max uint64) Handler {
	return &numbers[uint64]{data, always(plain[uint64]()), min, max}
}

// A numbers is a handler for numbers that the text has in some unit.
type numbers[T int32 | uint64] struct {
	data     Vector[T]
	unit     func(*Request) scale[T] // nil if there is no such unit
	min, max T                       // of a stored value
}

// A scale converts between a number in text and a stored value.
type scale[T any] struct {
	parse func(figure) (T, error)
	show  func(T) figure
}

func always[T any](u scale[T]) func(*Request) scale[T] { return func(*Request) scale[T] { return u } }

// plain is the scale of numbers that are stored as they are written.
func plain[T int32 | uint64]() scale[T] {
	var u any = ulongs
	if _, ok := any(T(0)).(int32); ok {
		u = ints
	}
	return u.(scale[T])
}

var ints = scale[int32]{
	parse: func(f figure) (int32, error) {
		if f.magnitude > 1<<31 || f.magnitude == 1<<31 && !f.negative {
			return 0, invalid("%v does not fit into 32 bits", f)
		}
		return int32(f.sign(int64(f.magnitude))), nil
	},
	show: func(v int32) figure { return figure{v < 0, magnitude(v)} },
}

var ulongs = scale[uint64]{
	parse: func(f figure) (uint64, error) { return f.magnitude, f.unsigned() },
	show:  func(v uint64) figure { return figure{magnitude: v} },
}

// magnitude returns the absolute value. The smallest int has one too.
func magnitude(v int32) uint64 { return uint64(max(int64(v), -int64(v))) }

func (h *numbers[T]) fault() error {
	switch {
	case h.data == nil:
		return errNoData
	case h.unit == nil:
		return invalid("the kernel has no jiffies in this unit, or none for this type")
	}
	if err := h.data.check(); err != nil {
		return err
	}
	return checkBounds(h.min, h.max, h.data.values()...)
}

// checkBounds refuses bounds that nothing is within, and start values outside of them.
func checkBounds[T int32 | uint8 | uint32 | uint64](min, max T, start ...T) error {
	if min > max {
		return invalid("the bounds are the wrong way round: from %d to %d", min, max)
	}
	for _, v := range start {
		if err := within(v, min, max); err != nil {
			return fmt.Errorf("the start value %w", err)
		}
	}
	return nil
}

func (h *numbers[T]) Read(r *Request, p []byte) (int, error) {
	return readText(r, p, func(text []byte) []byte {
		if text = appendValues(text, h.data.values(), h.unit(r).show); len(text) > 0 {
			text = append(text, '\n')
		}
		return text
	})
}

func (h *numbers[T]) Write(r *Request, p []byte) (int, error) {
	parse := h.unit(r).parse
	return writeVector(r, p, h.data, func(f figure) (T, error) {
		v, err := parse(f)
		if err == nil {
			err = within(v, h.min, h.max)
		}
		return v, err
	})
}
