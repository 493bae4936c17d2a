package sysctl

import (
	"strings"
	"sync/atomic"
	"time"
)

// The types and handlers of this file have no counterpart in the kernel. They are for
// new code, which need not count in jiffies or live with half a vector.

// A Duration is a variable that holds a time. Load costs one atomic load. The
// zero value is 0, ready to use. A Duration must not be copied after first use.
type Duration struct{ v atomic.Int64 }

// Load returns the value.
func (d *Duration) Load() time.Duration { return time.Duration(d.v.Load()) }

// Store replaces the value. It is for the program itself: the bounds of a
// handler do not apply.
func (d *Duration) Store(v time.Duration) { d.v.Store(int64(v)) }

// DoDuration makes a handler for a time with its unit, as in 1.5s or 2h45m: see
// [time.ParseDuration]. White space around it is dropped. Any other text, or a time
// outside the bounds, is [syscall.EINVAL] and changes nothing. Positions are as for
// [DoIntVec].
func DoDuration(data *Duration, min, max time.Duration) Handler { return &doDuration{data, min, max} }

type doDuration struct {
	data     *Duration
	min, max time.Duration
}

func (h *doDuration) fault() error { return checkData(h.data == nil, 1) }

func (h *doDuration) Read(r *Request, p []byte) (int, error) {
	return readText(r, p, func() []byte { return []byte(h.data.Load().String() + "\n") })
}

func (h *doDuration) Write(r *Request, p []byte) (int, error) {
	return writeWhole(r, p, func(text []byte) error {
		v, err := time.ParseDuration(string(text))
		switch {
		case err != nil:
			return invalid("%s", strings.TrimPrefix(err.Error(), "time: "))
		case v < h.min || v > h.max:
			return invalid("%v is not from %v to %v", v, h.min, h.max)
		}
		h.data.Store(v)
		return nil
	})
}

// DoIntVecWhole makes a handler for a vector that is written as a whole: as many
// numbers as there are values, each within the bounds, and nothing else but white
// space. Any other text is [syscall.EINVAL] and changes nothing. Reads and positions
// are as for [DoIntVec].
func DoIntVecWhole(data *Ints, min, max int32) Handler {
	if data == nil {
		return &intVecWhole{} // not an IntData that holds a nil
	}
	return &intVecWhole{intVec{data, func(*Request) intUnit { return plain }, min, max}}
}

type intVecWhole struct{ intVec }

func (h *intVecWhole) Write(r *Request, p []byte) (int, error) {
	return writeWhole(r, p, func(text []byte) error {
		values, err := h.numbers(text)
		if err != nil {
			return err
		}
		h.data.change(func(old []int32) int {
			if len(values) != len(old) {
				err = invalid("%d numbers for %d values", len(values), len(old))
				return 0
			}
			return copy(old, values)
		})
		return err
	})
}

// numbers returns all numbers in text.
func (h *intVecWhole) numbers(text []byte) (values []int32, err error) {
	for len(text) > 0 {
		var f figure
		if f, text, err = number(text, isBlank); err != nil {
			return nil, err
		}
		v, err := plain.parse(f)
		if err == nil {
			err = within(v, int64(h.min), int64(h.max))
		}
		if err != nil {
			return nil, err
		}
		values = append(values, int32(v))
		text = skipSpaces(text)
	}
	return values, nil
}

// trimSpaces drops white space around the text, as the parser of numbers sees it.
func trimSpaces(p []byte) []byte {
	p = skipSpaces(p)
	for len(p) > 0 && isSpace(p[len(p)-1]) {
		p = p[:len(p)-1]
	}
	return p
}

// writeWhole sets a value from all of the text at position 0.
func writeWhole(r *Request, p []byte, set func(text []byte) error) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !r.Positioned() {
		if err := set(trimSpaces(p)); err != nil {
			return 0, err
		}
	}
	r.Pos += int64(len(p))
	return len(p), nil
}
