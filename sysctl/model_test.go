package sysctl_test

import (
	"errors"
	"fmt"
	"io"
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

// A model has the kernel's rules, written a second time and in another way, with regular
// expressions, big integers and loops over single bytes. The fuzz tests compare the
// handlers with it. It is slow, and shares nothing with the code.
type model interface {
	write(mode sysctl.WriteMode, pos int64, text string) modelResult
	value() string    // the result of Load
	text() string     // the text to read
	readAtOnce() bool // whether nothing can be read but at position 0
}

// A modelResult is the result of a write.
type modelResult struct {
	n   int
	pos int64 // after it
	err error
}

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

// A trial does the same to an entry and to its model.
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

// modelTime parses a time with its unit, in exact fractions. A fraction of
// a nanosecond is dropped from each part.
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
