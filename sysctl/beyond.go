package sysctl

import (
	"bytes"
	"sync/atomic"
	"syscall"
	"time"
)

// What follows has no counterpart in the kernel. It is for new code, which need
// not count in jiffies or live with half a vector.

// A Duration is a variable that holds a time. Load costs one atomic load. The
// zero value is 0, ready to use. A Duration must not be copied after first use.
type Duration struct{ v atomic.Int64 }

// Load returns the value.
func (d *Duration) Load() time.Duration { return time.Duration(d.v.Load()) }

// Store replaces the value. It is for the program itself: the bounds of a
// handler do not apply.
func (d *Duration) Store(v time.Duration) { d.v.Store(int64(v)) }

// DoDuration makes a handler for a time with its unit, as in 1.5s or 2h45m: see
// [time.ParseDuration]. White space around it is dropped. Whatever else is
// written, or is outside the bounds, is [syscall.EINVAL] and changes nothing.
// Positions are as for [DoIntVec].
func DoDuration(data *Duration, min, max time.Duration) Handler { return &doDuration{data, min, max} }

type doDuration struct {
	data     *Duration
	min, max time.Duration
}

func (h *doDuration) check() error { return checkData(h.data == nil, 1) }

func (h *doDuration) Read(r *Request, p []byte) (int, error) {
	return readText(r, p, []byte(h.data.Load().String()+"\n"))
}

func (h *doDuration) Write(r *Request, p []byte) (int, error) {
	return writeWhole(r, p, func(text []byte) bool {
		v, err := time.ParseDuration(string(text))
		ok := err == nil && v >= h.min && v <= h.max
		if ok {
			h.data.Store(v)
		}
		return ok
	})
}

// DoIntVecWhole makes a handler for a vector that is written as a whole: as many
// numbers as there are values, each within the bounds, and nothing else but white
// space. What is not is [syscall.EINVAL], and changes nothing. Reads and positions
// are as for [DoIntVec].
func DoIntVecWhole(data *Ints, min, max int32) Handler {
	if data == nil {
		return &intVecWhole{} // not an IntData that holds a nil
	}
	return &intVecWhole{intVec{data, func(*Request) intUnit { return plain }, min, max}}
}

type intVecWhole struct{ intVec }

func (h *intVecWhole) Write(r *Request, p []byte) (int, error) {
	return writeWhole(r, p, func(text []byte) bool {
		var values []int32
		for len(text) > 0 {
			magnitude, negative, rest, err := number(text, isBlank)
			if err != nil {
				return false
			}
			v, ok := plain.parse(figure{negative, magnitude})
			if !ok || v < int64(h.min) || v > int64(h.max) {
				return false
			}
			values = append(values, int32(v))
			text = skipSpaces(rest)
		}
		ints := h.data.(*Ints)
		ok := false
		ints.change(func(old []int32) int {
			if ok = len(values) == len(old); !ok {
				return 0
			}
			return copy(old, values)
		})
		return ok
	})
}

// writeWhole sets a value from all of the text at position 0.
func writeWhole(r *Request, p []byte, set func(text []byte) bool) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case r.positioned():
	case !set(bytes.TrimSpace(p)):
		return 0, syscall.EINVAL
	}
	r.Pos += int64(len(p))
	return len(p), nil
}
