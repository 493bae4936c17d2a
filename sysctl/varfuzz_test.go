package sysctl_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// FuzzVar compares a Var with a naive model of one file: a text that a write replaces as
// a whole, if a rule of the type takes it.
func FuzzVar(f *testing.F) {
	for kind := range uint8(7) {
		for mode := range uint8(3) {
			for _, texts := range [][3]string{
				{"5", "6", "x"}, {" 7\n", "0x10", "010"}, {"101", "-6", "-5"}, {"+5", "1_000", "0b11"}, {"", "\n", " "}, {"9223372036854775808", "5.0", "٣"},
				{"on", "OFF\n", "maybe"}, {"True", "no", "1"}, {"abcdefgh", "abcdefghi", "ab\n\n"}, {" ab ", "a\r\n", "a\x00"},
				{"a,b", "a, b ,c", "a,,b"}, {"a,", ",", `""`}, {`"a,b", c`, `"a" b`, `a"b`}, {`"a`, `"\n"`, `"\x"`}, {` "a" `, `"a",`, `'a'`},
				{"64K", "1.5GiB", "1.5g"}, {"16E", "-9E", "-8.5E"}, {"5B", "5iB", "9.5B"}, {"18446744073709551616", "18446744073709551615K", "0.00000000000000000001"}, {"64KB", "0.5", "0.5K"}, {"8E", "7.9E", "-8E"}, {"1.", ".5K", "1..5K"}, {"K", "-", "1 MiB"}, {"00.250000K", "+1K", "1e3"},
				{`{"A":1,"B":2}`, `{"A":1}`, `{"C":1}`}, {`{"A":1} {}`, `null`, `[]`}, {`{"a":3}`, `{"A":"1"}`, `{"A":1.5}`},
			} {
				f.Add(kind, mode, uint8(0), texts[0], texts[1], texts[2])
				f.Add(kind, mode, uint8(1), texts[0], texts[1], texts[2])
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind, mode, pos uint8, first, second, third string) {
		c := trial{
			cred: sysctl.Root, pos: int64(pos), writes: []string{first, second, third}, size: 1 + int(pos)%9,
			mode: []sysctl.WriteMode{sysctl.Strict, sysctl.Warn, sysctl.Legacy}[mode%3],
		}
		for i := range c.writes {
			if len(c.writes[i]) > 1<<12 {
				return
			}
		}
		switch kind % 7 {
		case 0:
			c.of(sysctl.NewVar(7, sysctl.Between(-5, 100)), "7", naiveInt)
		case 1:
			c.of(sysctl.NewVar(true), "true", naiveBool)
		case 2:
			c.of(sysctl.NewVar("x", sysctl.MaxLen(8), sysctl.Matches(`[^r]*`)), "x", func(text string) (string, bool) {
				return text, len(text) <= 8 && !strings.Contains(text, "r") && utf8.ValidString(text) // the expression takes no other
			})
			if !utf8.ValidString(first + second + third) {
				return
			}
		case 3:
			c.of(sysctl.NewVar([]string{"x"}), "x", naiveList)
		case 4:
			c.of(sysctl.NewVar[sysctl.Bytes](1<<20, sysctl.Between[sysctl.Bytes](math.MinInt64, math.MaxInt64)), "1MiB", naiveBytes)
		case 5:
			c.of(sysctl.NewVar(pair{}), `{"A":0,"B":0}`, naiveJSON)
		case 6:
			c.of(&sysctl.Var[[]byte]{
				Parse:  func(text string) ([]byte, error) { return []byte(text), nil },
				Format: func(v []byte) string { return string(v) },
			}, "", func(text string) (string, bool) { return text, true })
		}
		c.run(t)
	})
}

// of sets the trial of a Var, with a model that has the rule naive.
func (c *trial) of(v interface {
	sysctl.Handler
	fmt.Stringer
}, shown string, naive func(text string) (string, bool),
) {
	c.handler, c.load, c.model = v, v.String, &modelWhole{shown, naive}
}

func naiveInt(text string) (string, bool) {
	v, ok := new(big.Int).SetString(strings.TrimFunc(text, unicode.IsSpace), 0)
	if !ok || v.Cmp(big.NewInt(-5)) < 0 || v.Cmp(big.NewInt(100)) > 0 {
		return "", false
	}
	return v.String(), true
}

func naiveBool(text string) (string, bool) {
	switch strings.ToLower(strings.TrimFunc(text, unicode.IsSpace)) {
	case "1", "on", "yes", "true":
		return "true", true
	case "0", "off", "no", "false":
		return "false", true
	}
	return "", false
}

// naiveList reads a list byte by byte.
func naiveList(text string) (string, bool) {
	var items []string
	rest := strings.TrimFunc(text, unicode.IsSpace)
	if rest == "" {
		return "", true
	}
	for {
		rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		item := ""
		if strings.HasPrefix(rest, `"`) {
			end := 1
			for end < len(rest) && rest[end] != '"' {
				if rest[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(rest) {
				return "", false
			}
			if _, err := fmt.Sscanf(rest[:end+1], "%q", &item); err != nil {
				return "", false
			}
			rest = strings.TrimLeftFunc(rest[end+1:], unicode.IsSpace)
			if rest != "" && rest[0] != ',' {
				return "", false
			}
		} else {
			for rest != "" && rest[0] != ',' {
				item, rest = item+rest[:1], rest[1:]
			}
			item = strings.TrimFunc(item, unicode.IsSpace)
			if item == "" || strings.Contains(item, `"`) {
				return "", false
			}
		}
		if items = append(items, shownItem(item)); rest == "" {
			return strings.Join(items, ","), true
		}
		rest = rest[1:]
	}
}

func shownItem(item string) string {
	if item == "" || strings.ContainsAny(item, ",\"\n") || strings.TrimFunc(item, unicode.IsSpace) != item {
		return fmt.Sprintf("%q", item)
	}
	return item
}

var naiveSize = regexp.MustCompile(`^(-?)([0-9]+)(\.[0-9]+)?\s*(?i:([KMGTPE])(?:iB)?|B)?$`)

func naiveBytes(text string) (string, bool) {
	parts := naiveSize.FindStringSubmatch(strings.TrimFunc(text, unicode.IsSpace))
	if parts == nil {
		return "", false
	}
	v, _ := new(big.Rat).SetString(parts[1] + parts[2] + parts[3])
	for range 1 + strings.Index("KMGTPE", strings.ToUpper(parts[4])) {
		if parts[4] != "" {
			v.Mul(v, big.NewRat(1024, 1))
		}
	}
	if !v.IsInt() || !v.Num().IsInt64() {
		return "", false
	}
	n, unit := v.Num().Int64(), 0
	for n != 0 && n%1024 == 0 {
		n, unit = n/1024, unit+1
	}
	return fmt.Sprint(n) + []string{"", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}[unit], true
}

// naiveJSON has two readings of the text: as a map, and as the struct.
func naiveJSON(text string) (string, bool) {
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) != nil {
		return "", false
	}
	for name := range fields {
		if !strings.EqualFold(name, "A") && !strings.EqualFold(name, "B") {
			return "", false
		}
	}
	var p pair
	if json.Unmarshal([]byte(text), &p) != nil {
		return "", false
	}
	return fmt.Sprintf(`{"A":%d,"B":%d}`, p.A, p.B), true
}

// Any value of these types is shown in a text that gives the same value again.
func FuzzVarShowsWhatItTakes(f *testing.F) {
	for _, text := range []string{"", " ", "a", "a,b", "\"", "\n", "a\n", "\xff", "\\", " é ", "\x00"} {
		for _, n := range []int64{0, 1, -1, 1024, 1 << 40, 1536, math.MinInt64, math.MaxInt64} {
			f.Add(text, text+"b", n, float64(n)/3)
		}
	}
	f.Fuzz(func(t *testing.T, a, b string, n int64, x float64) {
		again(t, a)
		again(t, []byte(a))
		again(t, []string{})
		again(t, []string{a})
		again(t, []string{a, b, a})
		again(t, n)
		again(t, sysctl.Bytes(n))
		again(t, []sysctl.Bytes{sysctl.Bytes(n), 0})
		again(t, []bool{n < 0, true})
		if x == x {
			again(t, x)
			again(t, []float32{float32(x)})
		}
		if utf8.ValidString(a) && !math.IsInf(x, 0) && x == x { // JSON has no others
			again(t, struct {
				S string
				F float64
				L []string
				M map[string]sysctl.Bytes
			}{a, x, []string{a, a}, map[string]sysctl.Bytes{a: sysctl.Bytes(n)}})
		}
	})
}

// again requires that the text of v, as it is read, gives v.
func again[T any](t *testing.T, v T) {
	t.Helper()
	tree := put(t, sysctl.NewVar(v))
	text := shown(t, tree)
	var other sysctl.Var[T]
	require.NoError(t, write(put(t, &other), text), "%q", text)
	require.Equal(t, v, other.Load(), "%q", text)
	require.NoError(t, other.UnmarshalText([]byte(strings.TrimSuffix(text, "\n"))))
	require.Equal(t, v, other.Load(), "%q", text)
}
