package sysctl

import (
	"math"
	"time"
)

// userHZ is how many clock ticks a second has for programs.
const userHZ = 100

// DoJiffies is [DoIntVecMinMax] for times that are stored in jiffies and written in a
// unit. The bounds are in jiffies. The units are the kernel's:
//
//   - [time.Second]. A part of a second is not shown.
//   - 10 * [time.Millisecond], the clock tick of programs. It rounds down. There is no test
//     that the jiffies fit: a large number is stored as its low 32 bits. With more than a
//     hundred jiffies a second, each negative number is stored as -1.
//   - [time.Millisecond]. It rounds up. As in the kernel before 6.19, only the low 32 bits
//     of a number count, and the highest of them must be 0.
//   - [time.Millisecond] for a uint64. It rounds down. A number that overflows when it is
//     multiplied is stored as its low 64 bits.
//
// Register refuses all other units. For new code, a [Var] of [time.Duration] is a handler
// itself, with the unit in the text.
//
// Kernel: proc_dointvec_jiffies, proc_dointvec_userhz_jiffies, proc_dointvec_ms_jiffies, proc_dointvec_ms_jiffies_minmax, proc_doulongvec_ms_jiffies_minmax
//
// Differs: as DoIntVecMinMax. Register refuses a nil data, where an entry with proc_dointvec_ms_jiffies_minmax does nothing.
func DoJiffies[T int32 | uint64](data Vector[T], unit time.Duration, min, max T) Handler {
	return &numbers[T]{data, jiffies[T](unit), min, max}
}

// jiffies returns the unit for a time, or nil if the kernel has none.
func jiffies[T int32 | uint64](t time.Duration) func(*Request) scale[T] {
	for _, u := range jiffyUnits {
		if of, ok := u.of.(func(uint64) scale[T]); ok && u.length == t {
			return func(r *Request) scale[T] { return of(r.hz()) }
		}
	}
	return nil
}

var jiffyUnits = []struct {
	length time.Duration
	of     any // func(hz uint64) scale[T]
}{
	{time.Second, seconds},
	{time.Second / userHZ, ticks},
	{time.Millisecond, milliseconds},
	{time.Millisecond, longMilliseconds},
}

func seconds(hz uint64) scale[int32] {
	return scale[int32]{
		parse: func(f figure) (int32, error) {
			if f.magnitude > math.MaxInt32/hz {
				return 0, tooLong(f, hz)
			}
			return int32(f.sign(int64(f.magnitude * hz))), nil
		},
		show: func(v int32) figure { return figure{v < 0, magnitude(v) / hz} },
	}
}

func ticks(hz uint64) scale[int32] {
	return scale[int32]{
		parse: func(f figure) (int32, error) {
			if userHZ < hz && f.magnitude > math.MaxInt64/hz*userHZ {
				return 0, tooLong(f, hz)
			}
			return int32(clockToJiffies(uint64(f.sign(int64(f.magnitude))), hz)), nil
		},
		show: func(v int32) figure { return figure{v < 0, magnitude(v) * userHZ / hz} },
	}
}

// clockToJiffies converts as the kernel does, which takes a negative number for
// a large one.
//
// Kernel: clock_t_to_jiffies
func clockToJiffies(x, hz uint64) uint64 {
	if hz%userHZ == 0 {
		if x >= math.MaxUint64/(hz/userHZ) {
			return math.MaxUint64
		}
		return x * (hz / userHZ)
	}
	if x >= math.MaxUint64/hz*userHZ {
		return math.MaxUint64
	}
	return x * hz / userHZ // which may overflow
}

func milliseconds(hz uint64) scale[int32] {
	return scale[int32]{
		parse: func(f figure) (int32, error) {
			ms := uint32(f.sign(int64(f.magnitude)))
			jiffies := (uint64(ms)*hz + 999) / 1000
			if int32(ms) < 0 || jiffies > math.MaxInt32 {
				return 0, tooLong(f, hz)
			}
			return int32(jiffies), nil
		},
		show: func(v int32) figure { return figure{v < 0, uint64(uint32(magnitude(v) * 1000 / hz))} },
	}
}

func longMilliseconds(hz uint64) scale[uint64] {
	return scale[uint64]{
		parse: func(f figure) (uint64, error) { return f.magnitude * hz / 1000, f.unsigned() },
		show:  func(v uint64) figure { return figure{magnitude: 1000 * v / hz} },
	}
}

func tooLong(f figure, hz uint64) error {
	return invalid("%v is not a time that can be counted in jiffies of 1/%d s", f, hz)
}
