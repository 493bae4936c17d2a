package sysctl

import "math"

// userHZ is how many clock ticks a second has for programs.
const userHZ = 100

// DoIntVecJiffies is [DoIntVec] for times that are stored in jiffies and
// written in seconds. A part of a second is not shown.
//
// Kernel: proc_dointvec_jiffies
//
// Differs: as DoIntVec.
func DoIntVecJiffies(data IntData) Handler {
	return &intVec{data, func(r *Request) intUnit { return seconds(r.hz()) }, math.MinInt32, math.MaxInt32}
}

// DoIntVecUserHZJiffies is [DoIntVec] for times that are stored in jiffies and
// written in hundredths of a second. It rounds down. As in the kernel there is
// no test that the jiffies fit. A large number is stored as its low 32 bits. With more
// than a hundred jiffies a second, each negative number is stored as -1.
//
// Kernel: proc_dointvec_userhz_jiffies
//
// Differs: as DoIntVec.
func DoIntVecUserHZJiffies(data IntData) Handler {
	return &intVec{data, func(r *Request) intUnit { return ticks(r.hz()) }, math.MinInt32, math.MaxInt32}
}

// DoIntVecMsJiffies is [DoIntVec] for times that are stored in jiffies and
// written in milliseconds. It rounds up. As in the kernel before 6.19, only the low
// 32 bits of a number count, and the highest of them must be 0.
//
// Kernel: proc_dointvec_ms_jiffies
//
// Differs: as DoIntVec.
func DoIntVecMsJiffies(data IntData) Handler {
	return DoIntVecMsJiffiesMinMax(data, math.MinInt32, math.MaxInt32)
}

// DoIntVecMsJiffiesMinMax is [DoIntVecMsJiffies] with bounds, which are in
// jiffies and hold for the stored values.
//
// Kernel: proc_dointvec_ms_jiffies_minmax
//
// Differs: as DoIntVec. Register refuses a nil data, where the kernel's entry does nothing.
func DoIntVecMsJiffiesMinMax(data IntData, min, max int32) Handler {
	return &intVec{data, func(r *Request) intUnit { return milliseconds(r.hz()) }, min, max}
}

func seconds(hz uint64) intUnit {
	return intUnit{
		parse: func(f figure) (int64, error) {
			if f.magnitude > math.MaxInt32/hz {
				return 0, tooLong(f, hz)
			}
			return f.sign(int64(f.magnitude * hz)), nil
		},
		show: func(v int32) figure { return figure{v < 0, magnitude(v) / hz} },
	}
}

func ticks(hz uint64) intUnit {
	return intUnit{
		parse: func(f figure) (int64, error) {
			if userHZ < hz && f.magnitude > math.MaxInt64/hz*userHZ {
				return 0, tooLong(f, hz)
			}
			return int64(int32(clockToJiffies(uint64(f.sign(int64(f.magnitude))), hz))), nil
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

func milliseconds(hz uint64) intUnit {
	return intUnit{
		parse: func(f figure) (int64, error) {
			ms := uint32(f.sign(int64(f.magnitude)))
			jiffies := (uint64(ms)*hz + 999) / 1000
			if int32(ms) < 0 || jiffies > math.MaxInt32 {
				return 0, tooLong(f, hz)
			}
			return int64(jiffies), nil
		},
		show: func(v int32) figure { return figure{v < 0, uint64(uint32(magnitude(v) * 1000 / hz))} },
	}
}

func tooLong(f figure, hz uint64) error {
	return invalid("%v is not a time that can be counted in jiffies of 1/%d s", f, hz)
}

func (f figure) sign(v int64) int64 {
	if f.negative {
		return -v
	}
	return v
}
