package sysctl

import (
	"math"
	"sync/atomic"
)

// A Uint is a variable that holds an unsigned C int, of 32 bits. Load costs one
// atomic load. The zero value is 0, ready to use. A Uint must not be copied
// after first use.
//
// Kernel: an unsigned int that is the data of a ctl_table
type Uint struct{ v atomic.Uint32 }

// Load returns the value.
func (u *Uint) Load() uint32 { return u.v.Load() }

// Store replaces the value. It is for the program itself: the bounds of a
// handler do not apply.
func (u *Uint) Store(v uint32) { u.v.Store(v) }

// DoUint makes a handler for a number without a sign, not even in -0.
//
// A write sets the value to the first number in it and reports that all was
// used, even if more text comes after the number. It does not move the position, so
// the next write to the open file counts as well. A bad number is
// [syscall.EINVAL]. A read gives the value and a newline, at position 0 only.
//
// Kernel: proc_douintvec
func DoUint(data *Uint) Handler { return DoUintMinMax(data, 0, math.MaxUint32) }

// DoUintMinMax is [DoUint] with bounds. A number outside them is [syscall.EINVAL].
//
// Kernel: proc_douintvec_minmax
func DoUintMinMax(data *Uint, min, max uint32) Handler {
	if data == nil {
		return &scalar{}
	}
	return newScalar(data.Load, data.Store, min, max)
}

// A Uint8 is a variable that holds a byte. Load costs one atomic load. The zero
// value is 0, ready to use. A Uint8 must not be copied after first use.
//
// Kernel: a u8 that is the data of a ctl_table
type Uint8 struct{ v atomic.Uint32 }

// Load returns the value.
func (u *Uint8) Load() uint8 { return uint8(u.v.Load()) }

// Store replaces the value. It is for the program itself: the bounds of a
// handler do not apply.
func (u *Uint8) Store(v uint8) { u.v.Store(uint32(v)) }

// DoUint8MinMax is [DoUintMinMax] for a byte.
//
// Kernel: proc_dou8vec_minmax
func DoUint8MinMax(data *Uint8, min, max uint8) Handler {
	if data == nil {
		return &scalar{}
	}
	return newScalar(data.Load, data.Store, min, max)
}

// A scalar is a handler for one number without a sign.
type scalar struct {
	load func() uint64
	set  func(uint64) error // if the value is within the bounds
}

func newScalar[T uint8 | uint32](load func() T, store func(T), min, max T) *scalar {
	return &scalar{
		load: func() uint64 { return uint64(load()) },
		set: func(v uint64) error {
			err := within(v, uint64(min), uint64(max))
			if err == nil {
				store(T(v))
			}
			return err
		},
	}
}

func (h *scalar) fault() error { return checkData(h.load == nil, 1) }

func (h *scalar) Read(r *Request, p []byte) (int, error) {
	return readText(r, p, func() []byte { return append(figure{magnitude: h.load()}.append(nil), '\n') })
}

func (h *scalar) Write(r *Request, p []byte) (int, error) { return writeScalar(r, p, h.set) }
