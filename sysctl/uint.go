package sysctl

import "math"

// DoUint makes a handler for a number without a sign, not even in -0.
//
// A write sets the value to the first number in it and reports that all was
// used, even if more text comes after the number. It does not move the position, so
// the next write to the open file counts as well. A bad number is
// [syscall.EINVAL]. A read gives the value and a newline, at position 0 only.
//
// Kernel: proc_douintvec
func DoUint(data *Var[uint32]) Handler { return DoUintMinMax(data, 0, math.MaxUint32) }

// DoUintMinMax is [DoUint] with bounds, and also for a byte. A number outside the bounds
// is [syscall.EINVAL].
//
// Kernel: proc_douintvec_minmax, proc_dou8vec_minmax
//
// Differs: Register refuses a start value outside the bounds, where the kernel does not look.
func DoUintMinMax[T uint8 | uint32](data *Var[T], min, max T) Handler {
	return &scalar[T]{data, min, max}
}

// A scalar is a handler for one number without a sign.
type scalar[T uint8 | uint32] struct {
	data     *Var[T]
	min, max T
}

func (h *scalar[T]) fault() error {
	if err := h.data.check(); err != nil {
		return err
	}
	return checkBounds(h.min, h.max, h.data.Load())
}

func (h *scalar[T]) Read(r *Request, p []byte) (int, error) {
	return readText(r, p, func(text []byte) []byte {
		return append(figure{magnitude: uint64(h.data.Load())}.append(text), '\n')
	})
}

func (h *scalar[T]) Write(r *Request, p []byte) (int, error) {
	return writeScalar(r, p, func(n uint64) error {
		if err := within(n, uint64(h.min), uint64(h.max)); err != nil {
			return err
		}
		return h.data.replace(r, T(n))
	})
}
