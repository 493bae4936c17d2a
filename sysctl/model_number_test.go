package sysctl_test

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
	"syscall"

	"github.com/kprim/kprim/sysctl"
)

// modelPage is how many bytes of a write of numbers are looked at: a page less the NUL.
const modelPage = 4095

// modelNumber is one number as it may be written, without the character after it.
const modelNumber = `-?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)`

var (
	modelNumberHere = regexp.MustCompile(`^` + modelNumber)
	model64Bits     = new(big.Int).Lsh(big.NewInt(1), 64)
)

// parseModelNumber parses a whole number. One of 21 bytes is too long, also if
// its value is small.
func parseModelNumber(token string) (magnitude *big.Int, minus, ok bool) {
	digits, minus := strings.CutPrefix(token, "-")
	magnitude, ok = new(big.Int).SetString(digits, 0)
	return magnitude, minus, ok && len(token) <= 20 && magnitude.Cmp(model64Bits) < 0
}

// modelNumberAt parses the number at a place in the text. After it there has to
// be one of the followers, or the end.
func modelNumberAt(text string, at int, followers string) (magnitude *big.Int, minus bool, end int, ok bool) {
	// No number has 30 bytes. The matcher takes long for a long text.
	token := modelNumberHere.FindString(text[at:min(len(text), at+30)])
	if token == "" {
		return nil, false, at, false
	}
	end = at + len(token)
	magnitude, minus, ok = parseModelNumber(token)
	if end < len(text) && strings.IndexByte(followers, text[end]) < 0 {
		ok = false
	}
	return magnitude, minus, end, ok
}

// afterSpaces returns the first place from at on that is not white space, of
// which the kernel has seven kinds.
func afterSpaces(text string, at int) int {
	for at < len(text) && strings.IndexByte("\t\n\v\f\r \xa0", text[at]) >= 0 {
		at++
	}
	return at
}

// A modelUnit says how a number that is written is stored, or nil if it cannot
// be, and how one that is stored is shown.
type modelUnit struct {
	store func(magnitude *big.Int, minus bool) *big.Int
	show  func(*big.Int) string
}

// A modelVector is a vector of ints or of unsigned longs.
type modelVector struct {
	values   []*big.Int
	unit     modelUnit
	min, max *big.Int
	refused  error // each write is, with this, if it is not nil
}

func (m *modelVector) write(mode sysctl.WriteMode, pos int64, text string) modelResult {
	switch {
	case m.refused != nil:
		return modelResult{0, pos, m.refused}
	case text == "":
		return modelResult{0, pos, nil}
	case mode == sysctl.Strict && pos != 0:
		return modelResult{len(text), pos + int64(len(text)), nil}
	}
	looked := text[:min(len(text), modelPage)]
	at := afterSpaces(looked, 0)
	for i := range m.values {
		if at == len(looked) {
			if i == 0 {
				return modelResult{0, pos, syscall.EINVAL} // nothing but white space
			}
			break
		}
		magnitude, minus, end, ok := modelNumberAt(looked, at, " \t\n")
		if !ok {
			return modelResult{0, pos, syscall.EINVAL}
		}
		v := m.unit.store(magnitude, minus)
		if v == nil || v.Cmp(m.min) < 0 || v.Cmp(m.max) > 0 {
			return modelResult{0, pos, syscall.EINVAL}
		}
		m.values[i] = v
		at = afterSpaces(looked, end)
	}
	unread := len(looked) - at // of the looked-at bytes: the kernel forgets the rest
	n := len(text) - unread
	return modelResult{n, pos + int64(n), nil}
}

func (m *modelVector) value() string { return fmt.Sprint(m.values) }

func (m *modelVector) text() string {
	shown := make([]string, len(m.values))
	for i, v := range m.values {
		shown[i] = m.unit.show(v)
	}
	return strings.Join(shown, "\t") + "\n"
}

func (m *modelVector) readAtOnce() bool { return true }

func modelInts(values ...int32) []*big.Int {
	var list []*big.Int
	for _, v := range values {
		list = append(list, big.NewInt(int64(v)))
	}
	return list
}

func modelUlongs(values ...uint64) []*big.Int {
	var list []*big.Int
	for _, v := range values {
		list = append(list, new(big.Int).SetUint64(v))
	}
	return list
}

func signed(v *big.Int, minus bool) *big.Int {
	if minus {
		return new(big.Int).Neg(v)
	}
	return v
}

// cut returns the lowest bits of v, with a sign or without.
func cut(v *big.Int, bits uint, sign bool) *big.Int {
	all := new(big.Int).Lsh(big.NewInt(1), bits)
	v = new(big.Int).Mod(v, all)
	if sign && v.Bit(int(bits)-1) == 1 {
		v.Sub(v, all)
	}
	return v
}

// ratio returns v*up/down without the fraction.
func ratio(v *big.Int, up, down int64) *big.Int {
	v = new(big.Int).Mul(v, big.NewInt(up))
	return v.Quo(v, big.NewInt(down))
}

// minusAnd shows a value as its sign and some magnitude, which may be 0.
func minusAnd(v, magnitude *big.Int) string {
	if v.Sign() < 0 {
		return "-" + magnitude.String()
	}
	return magnitude.String()
}

func abs(v *big.Int) *big.Int { return new(big.Int).Abs(v) }

func fitsInt(v *big.Int) bool { return cut(v, 32, true).Cmp(v) == 0 }

var modelPlain = modelUnit{
	store: func(magnitude *big.Int, minus bool) *big.Int {
		if v := signed(magnitude, minus); fitsInt(v) {
			return v
		}
		return nil
	},
	show: func(v *big.Int) string { return v.String() },
}

var modelTruth = modelUnit{
	store: func(magnitude *big.Int, minus bool) *big.Int {
		if !fitsInt(signed(magnitude, minus)) {
			return nil
		}
		return big.NewInt(int64(magnitude.Cmp(new(big.Int)))) // any but 0 is 1
	},
	show: func(v *big.Int) string { return v.String() },
}

func modelSeconds(hz int64) modelUnit {
	return modelUnit{
		store: func(magnitude *big.Int, minus bool) *big.Int {
			if magnitude.Cmp(big.NewInt(math.MaxInt32/hz)) > 0 {
				return nil
			}
			return signed(ratio(magnitude, hz, 1), minus)
		},
		show: func(v *big.Int) string { return minusAnd(v, ratio(abs(v), 1, hz)) },
	}
}

// modelUserHZ is clock_t_to_jiffies, which has no idea of negative numbers. Its
// result is cut to an int.
func modelUserHZ(hz int64) modelUnit {
	return modelUnit{
		store: func(magnitude *big.Int, minus bool) *big.Int {
			if hz == 100 {
				return cut(signed(magnitude, minus), 32, true)
			}
			if magnitude.Cmp(big.NewInt(math.MaxInt64/hz*100)) > 0 {
				return nil
			}
			if minus && magnitude.Sign() > 0 {
				return big.NewInt(-1)
			}
			if hz%100 != 0 { // it multiplies first, in 64 bits
				most := new(big.Int).SetUint64(math.MaxUint64 / uint64(hz) * 100)
				if magnitude.Cmp(most) >= 0 {
					return big.NewInt(-1)
				}
				product := cut(ratio(magnitude, hz, 1), 64, false)
				return cut(ratio(product, 1, 100), 32, true)
			}
			return cut(ratio(magnitude, hz/100, 1), 32, true)
		},
		show: func(v *big.Int) string { return minusAnd(v, ratio(abs(v), 100, hz)) },
	}
}

// modelMs cuts a number to an unsigned int, refuses the upper half of those, and rounds
// up.
func modelMs(hz int64) modelUnit {
	return modelUnit{
		store: func(magnitude *big.Int, minus bool) *big.Int {
			v := cut(signed(magnitude, minus), 32, false)
			if v.Bit(31) == 1 {
				return nil
			}
			part := 1000 / hz // of a second, in ms
			return ratio(v.Add(v, big.NewInt(part-1)), 1, part)
		},
		show: func(v *big.Int) string { return minusAnd(v, cut(ratio(abs(v), 1000/hz, 1), 32, false)) },
	}
}

var modelUnsigned = modelUnit{
	store: func(magnitude *big.Int, minus bool) *big.Int {
		if minus {
			return nil
		}
		return magnitude
	},
	show: func(v *big.Int) string { return v.String() },
}

func modelUlongMs(hz int64) modelUnit {
	return modelUnit{
		store: func(magnitude *big.Int, minus bool) *big.Int {
			if minus {
				return nil
			}
			return ratio(cut(ratio(magnitude, hz, 1), 64, false), 1, 1000)
		},
		show: func(v *big.Int) string { return ratio(cut(ratio(v, 1000, 1), 64, false), 1, hz).String() },
	}
}

// A modelScalar is one unsigned number.
type modelScalar struct {
	v, min, max uint64
}

func (m *modelScalar) write(mode sysctl.WriteMode, pos int64, text string) modelResult {
	if mode == sysctl.Strict && pos != 0 {
		return modelResult{len(text), pos + int64(len(text)), nil}
	}
	if text == "" {
		return modelResult{0, pos, nil}
	}
	looked := text[:min(len(text), modelPage)]
	at := afterSpaces(looked, 0)
	magnitude, minus, _, ok := modelNumberAt(looked, at, " \t\n")
	if !ok || minus || magnitude.Cmp(new(big.Int).SetUint64(m.min)) < 0 || magnitude.Cmp(new(big.Int).SetUint64(m.max)) > 0 {
		return modelResult{0, pos, syscall.EINVAL}
	}
	m.v = magnitude.Uint64()
	return modelResult{len(text), pos, nil} // the position stays
}

func (m *modelScalar) value() string    { return fmt.Sprint(m.v) }
func (m *modelScalar) text() string     { return fmt.Sprintln(m.v) }
func (m *modelScalar) readAtOnce() bool { return true }
