package sysctl

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Bytes is a size for a [Var], written with a suffix: 64K, 1.5GiB. It prints as itself,
// and is a word in a list and in JSON.
//
//   - The suffixes K, M, G, T, P and E are 1024, 1024 times 1024 and so on. Each may have
//     iB behind it.
//   - B or nothing is one byte.
//   - Small letters are allowed.
//   - KB is refused, because it is 1000 in one program and 1024 in another.
//   - The number may have a decimal point, if the size is a whole number of bytes.
type Bytes int64

// String returns the size with the largest suffix that needs no decimal point, as in
// 64KiB and 1536MiB. UnmarshalText takes each of these texts.
func (b Bytes) String() string { return string(b.append(nil)) }

func (b Bytes) append(text []byte) []byte {
	unit := 0
	for b != 0 && b%1024 == 0 {
		b /= 1024
		unit++
	}
	text = strconv.AppendInt(text, int64(b), 10)
	if unit > 0 {
		text = append(text, units[unit-1], 'i', 'B')
	}
	return text
}

const units = "KMGTPE"

// MarshalText returns the text of [Bytes.String].
func (b Bytes) MarshalText() ([]byte, error) { return b.append(nil), nil }

// UnmarshalText sets the size from its text. The error matches [syscall.EINVAL].
func (b *Bytes) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "kKmMgGtTpPeEiIbB")
	shift, ok := shiftOf(string(text[len(number):]))
	number = strings.TrimSpace(number)
	if !ok {
		return invalid("%q has no suffix like K or KiB (KB has two meanings)", text)
	}
	size, wrong := scaled(number, shift)
	if wrong != "" {
		return invalid("%q is %s", text, wrong)
	}
	*b = Bytes(size)
	return nil
}

// shiftOf returns how many bits a suffix shifts a number.
func shiftOf(suffix string) (shift int, ok bool) {
	suffix = strings.ToUpper(suffix)
	if suffix == "" || suffix == "B" {
		return 0, true
	}
	i := strings.IndexByte(units, suffix[0])
	return 10 * (i + 1), i >= 0 && (suffix[1:] == "" || suffix[1:] == "IB")
}

// scaled returns a decimal number times 1<<shift, without rounding, or its fault.
func scaled(number string, shift int) (size int64, wrong string) {
	digits, negative := strings.CutPrefix(number, "-")
	whole, part, point := strings.Cut(digits, ".")
	part = strings.TrimRight(part, "0")
	mantissa, err := strconv.ParseUint(whole+part, 10, 64)
	switch {
	case err != nil && strings.Trim(whole+part, "0123456789") == "" && whole != "":
		return 0, "too large, or has too many digits"
	case err != nil || whole == "" || strings.HasSuffix(digits, ".") && point:
		return 0, "not a size"
	}
	tens := uint64(1)
	for range len(part) { // at most 20, because the mantissa has 64 bits
		hi, lo := bits.Mul64(tens, 10)
		if tens = lo; hi != 0 {
			return 0, "not a whole number of bytes"
		}
	}
	hi, lo := bits.Mul64(mantissa, 1<<shift)
	if hi >= tens {
		return 0, "too large"
	}
	unsigned, rest := bits.Div64(hi, lo, tens)
	switch {
	case rest != 0:
		return 0, "not a whole number of bytes"
	case unsigned > math.MaxInt64 && !(negative && unsigned == 1<<63):
		return 0, "too large"
	case negative:
		return -int64(unsigned), ""
	}
	return int64(unsigned), ""
}

var _ fmt.Stringer = Bytes(0)
