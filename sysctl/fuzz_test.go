package sysctl_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// Each target does the same to a handler and to the model of it. A
// choice is an input modulo the number of choices, so that no input is wasted.
//
//	go test ./sysctl -run - -fuzz FuzzIntVec -fuzztime 60s

// pad brings the length of a text near the 4095 bytes that a call looks at. It puts fill
// before the text or after it, or leaves the text as it is.
func pad(text, fill string, how uint8) string {
	switch {
	case how < 56:
		return text
	case how < 156: // 4056 to 4155 before it; 95 is 4095
		return filled(fill, 4000+int(how)) + text
	}
	return text + filled(fill, 3900+int(how)) // 4056 to 4155; 195 is 4095
}

func filled(fill string, n int) string { return strings.Repeat(fill, n/len(fill)+1)[:n] }

func choose[T any](n uint8, list ...T) T { return list[int(n)%len(list)] }

func modeOf(n uint8) sysctl.WriteMode { return choose(n, sysctl.Strict, sysctl.Warn, sysctl.Legacy) }

// writesOf leaves the second write out if it is not wanted.
func writesOf(first, second string, again bool) []string {
	if again {
		return []string{first, second}
	}
	return []string{first}
}

// numbers are texts with numbers that each handler has an opinion on.
var numbers = []string{
	"", "\n", " ", "0", "1", "2", "5", "5\n", "  5", "\t\v\f\r5", "\xa05", "-5", "-", "- 5", "--5", "+5", "-0",
	"0x10", "0X1f", "0x", "0x\n", "0x 5", "0xg", "-0x10", "010", "08", "0b11", "0o17", "00", "1_0", "1e3", "5.0",
	"5 x", "5x", "5,6", "5\r\n", "5\v", "5\f", "5\xa0", "5\x00", "5 \x00", "5 6\n", "5  6", "5 6 7", "5 6 7 8 9 10 11",
	"4097 x", "1 2 x", "1\t2\t3\n", "1\n2\n3", "x 2 3", "1 2 3 x", "1 \xa0 2",
	"127", "128", "255", "256", "-128", "101", "2147483647", "2147483648", "-2147483648", "-2147483649",
	"4294967295", "4294967296", "4294967301", "-4294967291", "9223372036854775807", "9223372036854775808",
	"18446744073709551615", "18446744073709551616", "-18446744073709551615", "0xffffffffffffffff", "0x10000000000000000",
	"00000000000000000005", "000000000000000000005", "-0000000000000000005", "-00000000000000000005",
	"0x000000000000000005", "0x0000000000000000005",
	"8589934", "8589935", "-8589934", "2147483", "2147484", "21474836", "21474837", "1717986919", "1717986918",
	"3689348814741910300", "3689348814741910301", "73786976294838207", "73786976294838206",
	"90", "91", "100", "9", "10", "1000", "999", "184467440737095517", "18446744073709552", "36893488147419104",
	"9 -9", "100 5000000000 1", "1 -1 1",
}

// long are pads of texts that end near the last byte that a call looks at.
var long = []uint8{93, 94, 95, 96, 193, 194, 195, 196}

func FuzzIntVec(f *testing.F) {
	seed := func(kind, mode, pad, pos uint8, first, second string, again bool) {
		f.Add(kind, mode, pad, pos, int32(7), int32(0), int32(100), first, second, again, uint8(4))
	}
	for kind := range uint8(7) {
		for _, text := range numbers {
			seed(kind, 0, 0, 0, text, "", false)
		}
		for mode := range uint8(3) {
			seed(kind, mode, 0, 0, "5 6 7 8", "9 10", true)
			seed(kind, mode, 0, 0, "5", "6", true)
			seed(kind, mode, 0, 1, "rubbish", "", true)
			seed(kind, mode, 0, 200, "0", "1", true)
		}
		for _, pad := range long {
			seed(kind, 0, pad, 0, "5", "", false)
			seed(kind, 0, pad, 0, "5 6\n", "", false)
			seed(kind, 0, pad, 0, "1 2 3 4", "", false)
		}
		seed(kind, 0, 0, 0, "5\n"+strings.Repeat("x", 5000), "", false)
		seed(kind, 0, 0, 0, strings.Repeat("1 ", 3000), "", false)
		seed(kind, 0, 0, 0, strings.Repeat(" ", 4093)+"567", "", false)
	}
	f.Fuzz(func(t *testing.T, kind, mode, padding, pos uint8, start, min, max int32, first, second string, again bool, size uint8) {
		c := trial{cred: sysctl.Root, mode: modeOf(mode), pos: int64(pos), size: int(size)}
		c.writes = writesOf(pad(first, " ", padding), second, again)
		var one sysctl.Var[int32]
		var three sysctl.Vec[int32]
		var truth sysctl.Var[bool]
		one.Store(start)
		three.Store(start, 0, -1)
		truth.Store(start < 0)
		var is int32
		if start < 0 {
			is = 1
		}
		m := &modelVector{unit: modelPlain, min: big.NewInt(math.MinInt32), max: big.NewInt(math.MaxInt32)}
		c.model = m
		single := func() string { return fmt.Sprint([]int32{one.Load()}) }
		several := func() string { return fmt.Sprint(three.Load()) }
		switch kind % 7 {
		case 0:
			c.handler, c.load, m.values = sysctl.DoIntVec(&one), single, modelInts(start)
		case 1:
			c.handler, c.load, m.values = sysctl.DoIntVec(&three), several, modelInts(start, 0, -1)
		case 2:
			c.handler, c.load, m.values = sysctl.DoIntVecMinMax(&one, min, max), single, modelInts(start)
			m.min, m.max = big.NewInt(int64(min)), big.NewInt(int64(max))
		case 3:
			c.handler, c.load, m.values = sysctl.DoIntVecMinMax(&three, min, max), several, modelInts(start, 0, -1)
			m.min, m.max = big.NewInt(int64(min)), big.NewInt(int64(max))
		default:
			m.values, m.unit = modelInts(is), modelTruth
			c.load = func() string {
				if truth.Load() {
					return "[1]"
				}
				return "[0]"
			}
			if c.handler = sysctl.DoBool(&truth); kind%7 > 4 {
				c.handler, m.unit, m.min, m.max = sysctl.DoStaticKey(&truth), modelPlain, big.NewInt(0), big.NewInt(1)
			}
			if kind%7 == 6 {
				c.cred = choose(size, sysctl.Group, sysctl.Nobody)
				m.refused = syscall.EPERM
			}
		}
		c.run(t)
	})
}

func FuzzJiffies(f *testing.F) {
	for kind := range uint8(4) {
		for hz := range uint8(3) {
			for _, text := range numbers {
				f.Add(kind, hz, uint8(0), int32(7), int32(1), int32(1000), text, false)
				f.Add(kind, hz, uint8(0), int32(-1), int32(math.MinInt32), int32(math.MaxInt32), text, true)
			}
			f.Add(kind, hz, uint8(95), int32(7), int32(1), int32(1000), "5", false)
			f.Add(kind, hz, uint8(0), int32(math.MinInt32), int32(1), int32(1000), "", false)
			f.Add(kind, hz, uint8(0), int32(math.MaxInt32), int32(1), int32(1000), "", true)
		}
	}
	f.Fuzz(func(t *testing.T, kind, hz, padding uint8, start, min, max int32, text string, several bool) {
		c := trial{cred: sysctl.Root, mode: sysctl.Strict, hz: choose(hz, 100, 250, 1000), size: 5}
		c.writes = []string{pad(text, " ", padding)}
		var one sysctl.Var[int32]
		var three sysctl.Vec[int32]
		one.Store(start)
		three.Store(start, -start, start/2)
		m := &modelVector{values: modelInts(start), min: big.NewInt(math.MinInt32), max: big.NewInt(math.MaxInt32)}
		c.model = m
		var data sysctl.Vector[int32] = &one
		c.load = func() string { return fmt.Sprint([]int32{one.Load()}) }
		if several {
			data, m.values = &three, modelInts(start, -start, start/2)
			c.load = func() string { return fmt.Sprint(three.Load()) }
		}
		switch kind % 4 {
		case 0:
			c.handler, m.unit = sysctl.DoJiffies(data, time.Second, math.MinInt32, math.MaxInt32), modelSeconds(int64(c.hz))
		case 1:
			c.handler, m.unit = sysctl.DoJiffies(data, 10*time.Millisecond, math.MinInt32, math.MaxInt32), modelUserHZ(int64(c.hz))
		case 2:
			c.handler, m.unit = sysctl.DoJiffies(data, time.Millisecond, math.MinInt32, math.MaxInt32), modelMs(int64(c.hz))
		case 3:
			c.handler, m.unit = sysctl.DoJiffies(data, time.Millisecond, min, max), modelMs(int64(c.hz))
			m.min, m.max = big.NewInt(int64(min)), big.NewInt(int64(max))
		}
		c.run(t)
	})
}

func FuzzUint(f *testing.F) {
	seed := func(kind, mode, pad, pos uint8, first, second string, again bool) {
		f.Add(kind, mode, pad, pos, uint32(7), uint32(1), uint32(255), first, second, again)
	}
	for kind := range uint8(4) {
		for _, text := range numbers {
			seed(kind, 0, 0, 0, text, "", false)
		}
		for mode := range uint8(3) {
			seed(kind, mode, 0, 0, "5", "6", true)
			seed(kind, mode, 0, 0, "5", "", true)
			seed(kind, mode, 0, 1, "x", "6", true)
		}
		for _, pad := range long {
			seed(kind, 0, pad, 0, "5", "", false)
			seed(kind, 0, pad, 0, "5 x", "", false)
		}
		seed(kind, 0, 0, 0, strings.Repeat(" ", 4093)+"567", "", false)
		seed(kind, 0, 0, 0, "5\n"+strings.Repeat("x", 5000), "", false)
	}
	f.Fuzz(func(t *testing.T, kind, mode, padding, pos uint8, start, min, max uint32, first, second string, again bool) {
		c := trial{cred: sysctl.Root, mode: modeOf(mode), pos: int64(pos), size: 5}
		c.writes = writesOf(pad(first, " ", padding), second, again)
		var word sysctl.Var[uint32]
		var octet sysctl.Var[uint8]
		word.Store(start)
		octet.Store(uint8(start))
		m := &modelScalar{uint64(start), 0, math.MaxUint32}
		c.model = m
		c.load = func() string { return fmt.Sprint(word.Load()) }
		switch kind % 4 {
		case 0:
			c.handler = sysctl.DoUint(&word)
		case 1:
			c.handler = sysctl.DoUintMinMax(&word, min, max)
			m.min, m.max = uint64(min), uint64(max)
		default:
			m.v, m.max = uint64(uint8(start)), 255
			if kind%4 == 3 {
				m.min, m.max = uint64(uint8(min)), uint64(uint8(max))
			}
			c.handler = sysctl.DoUintMinMax(&octet, uint8(m.min), uint8(m.max))
			c.load = func() string { return fmt.Sprint(octet.Load()) }
		}
		c.run(t)
	})
}

func FuzzUlong(f *testing.F) {
	seed := func(kind, hz, mode, pad, pos uint8, first, second string, again bool) {
		f.Add(kind, hz, mode, pad, pos, uint64(7), uint64(0), uint64(math.MaxUint64), first, second, again)
	}
	for kind := range uint8(4) {
		for _, text := range numbers {
			for hz := range uint8(3) {
				seed(kind, hz, 0, 0, 0, text, "", false)
			}
		}
		for mode := range uint8(3) {
			seed(kind, 1, mode, 0, 0, "5 6 7 8", "9 10", true)
			seed(kind, 1, mode, 0, 3, "5", "6", true)
		}
		for _, pad := range long {
			seed(kind, 1, 0, pad, 0, "1000 2000", "", false)
		}
		for _, text := range []string{"90", "99", "100", "100 150 209", "209 210", "15"} {
			f.Add(kind, uint8(0), uint8(0), uint8(0), uint8(0), uint64(1<<63), uint64(10), uint64(20), text, "", false)
		}
	}
	f.Fuzz(func(t *testing.T, kind, hz, mode, padding, pos uint8, start, min, max uint64, first, second string, again bool) {
		c := trial{cred: sysctl.Root, mode: modeOf(mode), pos: int64(pos), hz: choose(hz, 100, 250, 1000), size: 5}
		c.writes = writesOf(pad(first, " ", padding), second, again)
		var one sysctl.Var[uint64]
		var three sysctl.Vec[uint64]
		one.Store(start)
		three.Store(start, 0, math.MaxUint64)
		m := &modelVector{values: modelUlongs(start), min: new(big.Int).SetUint64(min), max: new(big.Int).SetUint64(max)}
		c.model = m
		var data sysctl.Vector[uint64] = &one
		c.load = func() string { return fmt.Sprint([]uint64{one.Load()}) }
		if kind&1 != 0 {
			data, m.values = &three, modelUlongs(start, 0, math.MaxUint64)
			c.load = func() string { return fmt.Sprint(three.Load()) }
		}
		if kind&2 == 0 {
			c.handler, m.unit = sysctl.DoUlongVecMinMax(data, min, max), modelUnsigned
		} else {
			c.handler, m.unit = sysctl.DoJiffies(data, time.Millisecond, min, max), modelUlongMs(int64(c.hz))
		}
		c.run(t)
	})
}

func FuzzString(f *testing.F) {
	for size := range uint8(3) {
		for mode := range uint8(3) {
			for _, texts := range [][3]string{
				{"abc", "def", ""}, {"abc\n", "def", "\n"}, {"a", "b", "\n"}, {"abc\ndef", "", "x"}, {"abc\x00def", "\x00", "x"},
				{"", "", ""}, {"\n", "abc", "def"}, {" a\tb\r\n", "\xff\xa0", "é"}, {"1234567", "8", "9"}, {"12345678", "9", "0"},
				{strings.Repeat("x", 63), "y", "z"}, {strings.Repeat("x", 64), "y", "z"}, {strings.Repeat("x", 65), "y", "z"},
				{strings.Repeat("x", 5000), "y\n", "z"},
			} {
				for _, pos := range []uint8{0, 1, 5, 6, 7, 8, 64, 65, 255} {
					f.Add(size, mode, pos, "reset", texts[0], texts[1], texts[2])
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, size, mode, pos uint8, start, first, second, third string) {
		maxlen := choose(size, 1, 8, 65)
		var s sysctl.Var[string]
		m := newModelString(start, maxlen)
		s.Store(m.value()) // as much as there is room for
		trial{
			handler: sysctl.DoString(&s, maxlen), model: m, load: s.Load,
			cred: sysctl.Root, mode: modeOf(mode), pos: int64(pos), writes: []string{first, second, third}, size: 5,
		}.run(t)
	})
}

func FuzzBitmap(f *testing.F) {
	seed := func(bits, fill, pad, pos uint8, first, second string, again bool) {
		f.Add(bits, uint8(0), fill, pad, pos, uint8(3), uint8(5), first, second, again)
	}
	for bits := range uint8(4) {
		for _, text := range append(slices.Clone(numbers),
			"1,2,3", "1-3", "3-1", "5-5", "1,2,3\n", "\n\n1\n\n2,\n3\n", "1,", ",1", "1,,2", "1,\n,2", "1\n,2", "1, 2", "1 ,2", " 1",
			"5-", "5-\n7", "5-7-9", "5--7", "-5-7", "5-7\x00", "5-7\x009", "5\x00", "5-7\x00\n9", "5-7,\x00", "0x1-0x5", "010-020",
			"63,64", "62-66", "65", "66", "69", "70", "0-69", "0-70", "255", "0-255", "256", "1-2,3-4,9-8", "99999999999999999999",
			"0-18446744073709551616", "00000000000000000001-00000000000000000003", "000000000000000000001", "1-000000000000000000003",
		) {
			seed(bits, 0, 0, 0, text, "", false)
			seed(bits, 0, 0, 1, text, "9", true)
		}
		for mode := range uint8(3) { // it makes no difference
			f.Add(bits, mode, uint8(0), uint8(0), uint8(1), uint8(3), uint8(5), "7", "0", true)
		}
		seed(bits, 0, 0, 0, "1-3", "5", true)
		seed(bits, 0, 0, 0, "1-3", "\n", true)
		seed(bits, 0, 0, 0, strings.Repeat("\n", 4096)+"5", "", false)
		if bits > 0 { // the number of bits makes no difference to a text that is cut
			continue
		}
		for fill := range uint8(5) {
			for _, text := range []string{"5", "5-7", "15-17,", ",", "-", "\n", "x", "15", "5-x", "7-5", "99999", "5-99999", "", "000000000000000000000"} {
				for _, pad := range []uint8{93, 94, 95} { // the text is at the cut
					seed(bits, fill, pad, 0, text+"\n\n\n", "8", true)
				}
				seed(bits, fill, 195, 0, text, "", false) // the fill is
			}
		}
	}
	f.Fuzz(func(t *testing.T, bits, mode, fill, padding, pos, from, to uint8, first, second string, again bool) {
		n := choose(bits, 256, 70, 1, 0)
		b := sysctl.NewBitmap(n)
		m := &modelBitmap{make([]bool, n)}
		if from <= to && int(to) < n {
			b.Set(int(from), int(to))
			for i := from; i <= to && i >= from; i++ {
				m.has[i] = true
			}
		}
		trial{
			handler: sysctl.DoLargeBitmap(b), model: m, load: func() string {
				var list []string
				for i := -1; i <= n; i++ {
					if b.Has(i) {
						list = append(list, fmt.Sprint(i))
					}
				}
				return strings.Join(list, " ")
			},
			cred: sysctl.Root, mode: modeOf(mode), pos: int64(pos), size: 5,
			writes: writesOf(pad(first, choose(fill, "\n", "0,", "0-0,", "00,", "000,"), padding), second, again),
		}.run(t)
	})
}

// FuzzBeyond is for the handlers that the kernel does not have. A refused text changes
// nothing, and an accepted one is taken whole.
func FuzzBeyond(f *testing.F) {
	for _, text := range append(slices.Clone(numbers), "1.5s\n", " 2m ", "1h2m3s", "-1s", "1us", "5", ".5s", "1s 2s", "1 2 3 4", "1 2 101",
		"0", "+0", "-0", "00", "0s", "+5s", "-", "+", "s", ".", ".s", "1.s", "1..5s", "1.5", "5S", "1s5", "1h1h", "1ns", "1us", "1ms", "2m3", "1.9ns", "1.0015us",
		"0.123456789s", "1.999999ms", "9223372036854775807ns", "9223372036854775808ns", "-9223372036854775808ns", "-9223372036854775809ns",
		"2562047h47m16s", "2562047h47m17s", "2562048h", "00000000000000000000000000001s", "99999999999999999999s", "- 1s", "1 s",
	) {
		f.Add(false, int64(math.MinInt64), int64(math.MaxInt64), text)
		f.Add(false, int64(0), int64(time.Hour), text)
		f.Add(true, int64(0), int64(100), text)
		f.Add(true, int64(math.MinInt32), int64(math.MaxInt32), text)
	}
	f.Fuzz(func(t *testing.T, vector bool, min, max int64, text string) {
		m := &modelWhole{}
		c := trial{model: m, cred: sysctl.Root, mode: sysctl.Strict, writes: []string{text, text}, size: 3}
		if vector {
			var v sysctl.Vec[int32]
			v.Store(7, -8, 9)
			c.handler = sysctl.Whole(&v, int32(min), int32(max))
			c.load = func() string { return strings.Trim(strings.ReplaceAll(fmt.Sprint(v.Load()), " ", "\t"), "[]") }
			m.shown = "7\t-8\t9"
			c.outside = int32(min) > -8 || int32(max) < 9
			m.parse = func(text string) (string, bool) {
				words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n", r) })
				if len(words) != 3 {
					return "", false
				}
				for i, word := range words {
					magnitude, minus, ok := parseModelNumber(word)
					if !ok || modelNumberHere.FindString(word) != word {
						return "", false
					}
					value := signed(magnitude, minus)
					if value.Cmp(big.NewInt(int64(int32(min)))) < 0 || value.Cmp(big.NewInt(int64(int32(max)))) > 0 {
						return "", false
					}
					words[i] = value.String()
				}
				return strings.Join(words, "\t"), true
			}
		} else {
			var d sysctl.Var[time.Duration]
			d.Store(time.Minute)
			c.handler = sysctl.Bounded(&d, time.Duration(min), time.Duration(max))
			c.load = func() string { return d.Load().String() }
			m.shown = "1m0s"
			c.outside = time.Duration(min) > time.Minute || time.Duration(max) < time.Minute
			m.parse = func(text string) (string, bool) {
				v, ok := modelTime(strings.Trim(text, " \t\n"))
				if !ok || v.Cmp(big.NewInt(min)) < 0 || v.Cmp(big.NewInt(max)) > 0 {
					return "", false
				}
				return time.Duration(v.Int64()).String(), true
			}
			if modelFraction.MatchString(text) {
				return // it is computed in floating point, which may be one less
			}
		}
		if strings.ContainsAny(text, "\v\f\r") || strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
			return // which character is white space then is not worth a rule
		}
		c.run(t)
	})
}

func TestPadsReachWhatIsLookedAt(t *testing.T) {
	for _, how := range []uint8{95, 195} {
		require.Len(t, pad("", "1,", how), 4095)
	}
	require.Equal(t, "x", pad("x", " ", 55))
	require.Equal(t, "x", pad("x", " ", 56)[4056:])
	require.Equal(t, 4155, len(pad("", " ", 155)))
	require.Equal(t, 4155, len(pad("", " ", 255)))
}
