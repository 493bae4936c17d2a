package sysctl_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// The model is what the fuzz tests compare the handlers with: the kernel's rules,
// written a second time and in another way, with regular expressions, big
// integers and loops over single bytes. It is slow, and shares nothing with the
// code.
type model interface {
	write(mode sysctl.WriteMode, pos int64, text string) modelResult
	value() string    // what Load gives
	text() string     // what there is to read
	readAtOnce() bool // whether nothing can be read but at position 0
}

// A modelResult is what comes of a write.
type modelResult struct {
	n   int
	pos int64 // after it
	err error
}

// modelPage is what is looked at of a write of numbers: a page less the NUL.
const modelPage = 4095

// modelNumber is one number as it may be written, without what comes after it.
const modelNumber = `-?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)`

var (
	modelNumberHere = regexp.MustCompile(`^` + modelNumber)
	model64Bits     = new(big.Int).Lsh(big.NewInt(1), 64)
)

// parseModelNumber parses a whole number. One of 21 bytes is too long, whatever
// it is worth.
func parseModelNumber(token string) (magnitude *big.Int, minus, ok bool) {
	digits, minus := strings.CutPrefix(token, "-")
	magnitude, ok = new(big.Int).SetString(digits, 0)
	return magnitude, minus, ok && len(token) <= 20 && magnitude.Cmp(model64Bits) < 0
}

// modelNumberAt parses the number at a place in the text. After it there has to
// be one of the followers, or the end.
func modelNumberAt(text string, at int, followers string) (magnitude *big.Int, minus bool, end int, ok bool) {
	// No number has 30 bytes. The matcher takes its time for what it is given.
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
	unread := len(looked) - at // of what was looked at: the kernel forgets the rest
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

// cut returns what is left of v in so many bits, with a sign or without.
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

// modelUserHZ is clock_t_to_jiffies, which has no idea of negative numbers. What
// it gives is cut to an int.
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

// modelMs cuts what is written to an unsigned int, of which the upper half is
// refused, and rounds up.
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

// A modelString is a C program's array of chars, with a NUL in it.
type modelString struct{ data []byte }

func newModelString(value string, maxlen int) *modelString {
	m := &modelString{make([]byte, maxlen)}
	copy(m.data[:maxlen-1], value)
	return m
}

func (m *modelString) write(mode sysctl.WriteMode, pos int64, text string) modelResult {
	if text == "" {
		return modelResult{0, pos, nil}
	}
	at := 0
	if mode == sysctl.Strict {
		if pos > int64(len(m.value())) {
			return modelResult{len(text), pos, nil}
		}
		at = int(pos)
	}
	for i := 0; i < len(text) && text[i] != 0 && text[i] != '\n' && at < len(m.data)-1; i++ {
		m.data[at] = text[i]
		at++
	}
	m.data[at] = 0
	return modelResult{len(text), pos + int64(len(text)), nil}
}

func (m *modelString) value() string    { return string(m.data[:slices.Index(m.data, 0)]) }
func (m *modelString) text() string     { return m.value() + "\n" }
func (m *modelString) readAtOnce() bool { return false }

// A modelBitmap has a bool for each number.
type modelBitmap struct{ has []bool }

func (m *modelBitmap) write(_ sysctl.WriteMode, pos int64, text string) modelResult {
	if text == "" || len(m.has) == 0 {
		return modelResult{0, pos, nil}
	}
	has := make([]bool, len(m.has))
	if pos != 0 {
		copy(has, m.has)
	}
	n, ok := len(text), false
	if len(text) <= modelPage {
		ok = m.short(text, has)
	} else {
		n, ok = m.long(text[:modelPage], has)
	}
	if !ok {
		return modelResult{0, pos, syscall.EINVAL}
	}
	m.has = has
	return modelResult{n, pos + int64(n), nil}
}

var (
	modelList = regexp.MustCompile(`^\n*(?:` + modelNumber + `(?:[,\n]\n*|$)|` +
		modelNumber + `-` + modelNumber + `(?:[,\n\x00]\n*|$))*$`)
	modelItems = regexp.MustCompile(`[^,\n\x00]+`)
	modelRange = regexp.MustCompile(`^(` + modelNumber + `)-(` + modelNumber + `)$`)
)

// short is a list that is looked at as a whole.
func (m *modelBitmap) short(text string, has []bool) bool {
	if !modelList.MatchString(text) {
		return false
	}
	for _, item := range modelItems.FindAllString(text, -1) {
		ends := []string{item, item}
		if r := modelRange.FindStringSubmatch(item); r != nil {
			ends = r[1:]
		}
		if !m.add(ends[0], ends[1], has) {
			return false
		}
	}
	return true
}

func (m *modelBitmap) add(first, last string, has []bool) bool {
	a, aMinus, aOK := parseModelNumber(first)
	b, bMinus, bOK := parseModelNumber(last)
	bits := big.NewInt(int64(len(has)))
	if !aOK || !bOK || aMinus || bMinus || a.Cmp(bits) >= 0 || b.Cmp(bits) >= 0 || a.Cmp(b) > 0 {
		return false
	}
	for i := a.Int64(); i <= b.Int64(); i++ {
		has[i] = true
	}
	return true
}

// long is a list that goes on after what is looked at. An item that ends there,
// or with one byte more, is left.
func (m *modelBitmap) long(looked string, has []bool) (n int, ok bool) {
	newlines := func(at int) int {
		for at < len(looked) && looked[at] == '\n' {
			at++
		}
		return at
	}
	at := newlines(0)
	for at < len(looked) {
		_, _, end, ok := modelNumberAt(looked, at, "-,\n")
		if !ok {
			return 0, false
		}
		if len(looked)-end <= 1 {
			return at, true
		}
		first, last := looked[at:end], looked[at:end]
		if looked[end] == '-' {
			begin := end + 1
			if _, _, end, ok = modelNumberAt(looked, begin, ",\n\x00"); !ok {
				// What comes first is wrong first, but wrong is wrong.
				return 0, false
			}
			if end == len(looked) {
				// The kernel has looked at the first one already.
				return at, m.add(first, first, make([]bool, len(has)))
			}
			last = looked[begin:end]
		}
		if !m.add(first, last, has) {
			return 0, false
		}
		at = newlines(end + 1)
	}
	return at, true
}

func (m *modelBitmap) value() string {
	var list []string
	for n, is := range m.has {
		if is {
			list = append(list, fmt.Sprint(n))
		}
	}
	return strings.Join(list, " ")
}

func (m *modelBitmap) text() string {
	if len(m.has) == 0 {
		return ""
	}
	all := append(slices.Clone(m.has), false) // so that the last range ends
	var list []string
	for first := 0; first < len(all); first++ {
		last := first + slices.Index(all[first:], false) - 1
		switch {
		case last < first:
		case last == first:
			list = append(list, fmt.Sprint(first))
		default:
			list = append(list, fmt.Sprintf("%d-%d", first, last))
		}
		first = max(first, last)
	}
	return strings.Join(list, ",") + "\n"
}

func (m *modelBitmap) readAtOnce() bool { return true }

// A trial is what is done to an entry and to the model of it.
type trial struct {
	handler sysctl.Handler
	model   model
	load    func() string
	cred    sysctl.Cred
	hz      int
	mode    sysctl.WriteMode
	pos     int64    // of the first write
	writes  []string // to one open file, one after the other
	size    int      // of the buffer for reading
	outside bool     // the start value is, so Register refuses the handler
}

// refused reports whether Register refuses the handler.
func (c trial) refused() bool {
	switch m := c.model.(type) {
	case *modelVector:
		return m.min.Cmp(m.max) > 0 || slices.ContainsFunc(m.values, func(v *big.Int) bool { return v.Cmp(m.min) < 0 || v.Cmp(m.max) > 0 })
	case *modelScalar:
		return m.v < m.min || m.v > m.max
	}
	return c.outside
}

// run requires that both end in the same way.
func (c trial) run(t *testing.T) {
	tree := &sysctl.Tree{HZ: c.hz}
	tree.SetWriteMode(c.mode)
	_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: 0o666, Handler: c.handler})
	if c.refused() {
		require.ErrorIs(t, err, syscall.EINVAL)
		// Register does not look into a wrapper.
		_, err = tree.Register("", sysctl.Entry{Name: "x", Mode: 0o666, Handler: struct{ sysctl.Handler }{c.handler}})
	}
	require.NoError(t, err)
	f, err := tree.OpenFile(c.cred, "x", os.O_RDWR)
	require.NoError(t, err)
	pos, err := f.Seek(c.pos, io.SeekStart)
	require.NoError(t, err)
	require.Equal(t, c.model.value(), c.load(), "at the beginning")
	for i, text := range c.writes {
		what := fmt.Sprintf("write %d, mode %d, %.200q at %d", i+1, c.mode, text[:min(len(text), 200)], pos)
		shown := c.load()
		dryN, dryPos, dryErr := f.DryWrite([]byte(text))
		require.Equal(t, shown, c.load(), "a dry write stores nothing: %s", what)
		want := c.model.write(c.mode, pos, text)
		n, err := f.Write([]byte(text))
		require.Equal(t, fmt.Sprint(n, err), fmt.Sprint(dryN, dryErr), "a dry write tells the same: %s", what)
		if want.err == nil && want.n < len(text) {
			want.err = io.ErrShortWrite
		}
		pos, _ = f.Seek(0, io.SeekCurrent)
		require.Equal(t, pos, dryPos, "a dry write moves the same: %s", what)
		require.Equal(t, want.n, n, what)
		require.Equal(t, want.pos, pos, what)
		require.True(t, errors.Is(err, want.err), "%s: %v", what, err)
		require.Equal(t, c.model.value(), c.load(), what)
		c.read(t, tree, what)
	}
}

// read reads with buffers that are too small, and from places that are not the
// beginning.
func (c trial) read(t *testing.T, tree *sysctl.Tree, what string) {
	want := c.model.text()
	whole, err := tree.ReadFile(c.cred, "x")
	require.NoError(t, err)
	require.Equal(t, want, string(whole), what)
	f, err := tree.OpenFile(c.cred, "x", os.O_RDONLY)
	require.NoError(t, err)
	for _, size := range []int{1, 2, 3, c.size, len(want) - 1, len(want), len(want) + 1} {
		for _, pos := range []int{0, 1, len(want) - 1, len(want), len(want) + 1} {
			if size < 1 || pos < 0 {
				continue
			}
			rest := want[min(pos, len(want)):]
			if c.model.readAtOnce() && pos != 0 {
				rest = ""
			}
			rest = rest[:min(size, len(rest))]
			buf := make([]byte, size)
			_, _ = f.Seek(int64(pos), io.SeekStart)
			n, err := f.Read(buf)
			after, _ := f.Seek(0, io.SeekCurrent)
			end := error(nil)
			if rest == "" {
				end = io.EOF
			}
			// Millions of times: require's own test is too slow for that.
			if string(buf[:n]) != rest || err != end || after != int64(pos+n) {
				require.Equal(t, rest, string(buf[:n]), "%s, read %d at %d", what, size, pos)
				require.Equal(t, end, err, what)
				require.EqualValues(t, pos+n, after, what)
			}
		}
	}
	n, err := f.ReadAt(nil, 0)
	require.Zero(t, n)
	require.NoError(t, err)
}

var (
	modelTimes    = regexp.MustCompile(`^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|ms|s|m|h))+$`)
	modelTimePart = regexp.MustCompile(`([0-9.]+)(ns|us|ms|s|m|h)`)
	modelFraction = regexp.MustCompile(`\.[0-9]{10}|\.[0-9]{7}[0-9]*ms|\.[0-9]{4}[0-9]*us|\.[0-9]{2}[0-9]*ns`)
	modelUnits    = map[string]int64{"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
)

// modelTime parses a time with its unit, in exact fractions. What is less than a
// nanosecond is dropped from each part.
func modelTime(text string) (v *big.Int, ok bool) {
	v = new(big.Int)
	switch {
	case text == "0" || text == "+0" || text == "-0":
		return v, true
	case !modelTimes.MatchString(text):
		return nil, false
	}
	for _, part := range modelTimePart.FindAllStringSubmatch(text, -1) {
		number, _ := new(big.Rat).SetString("0" + strings.TrimSuffix(part[1], "."))
		number.Mul(number, new(big.Rat).SetInt64(modelUnits[part[2]]))
		v.Add(v, new(big.Int).Quo(number.Num(), number.Denom()))
	}
	v = signed(v, strings.HasPrefix(text, "-"))
	return v, cut(v, 64, true).Cmp(v) == 0
}

// A modelWhole is a value that a write replaces as a whole.
type modelWhole struct {
	shown string
	parse func(text string) (shown string, ok bool) // of a text without its last newline
}

func (m *modelWhole) write(mode sysctl.WriteMode, pos int64, text string) modelResult {
	if text != "" {
		if mode == sysctl.Strict && pos != 0 {
			return modelResult{0, pos, syscall.EINVAL}
		}
		shown, ok := m.parse(strings.TrimSuffix(text, "\n"))
		if !ok {
			return modelResult{0, pos, syscall.EINVAL}
		}
		m.shown = shown
	}
	return modelResult{len(text), pos + int64(len(text)), nil}
}

func (m *modelWhole) value() string    { return m.shown }
func (m *modelWhole) text() string     { return m.shown + "\n" }
func (m *modelWhole) readAtOnce() bool { return false }
