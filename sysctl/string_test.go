package sysctl_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

func TestStringZeroValue(t *testing.T) {
	var s sysctl.Var[string]
	require.Equal(t, "", s.Load())
	buf := make([]byte, 8)
	n, err := sysctl.DoString(&s, 8).Read(new(sysctl.Request), buf)
	require.NoError(t, err)
	require.Equal(t, "\n", string(buf[:n]))
}

// One write at the beginning of the file, as echo does it.
func TestDoStringWrite(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		maxlen      int
		text, value string
	}{
		{8, "abc", "abc"},
		{8, "abc\n", "abc"},
		{8, "abc\n\n", "abc"},
		{8, "abc\ndef\n", "abc"},
		{8, "\n", ""},
		{8, "\x00", ""},
		{8, "\x00abc", ""},
		{8, "abc\x00def\n", "abc"},
		{8, " a\tb\r\n", " a\tb\r"},
		{8, "\xff\xa0", "\xff\xa0"},
		{8, "1234567", "1234567"},
		{8, "12345678", "1234567"},
		{8, "12345678\n", "1234567"},
		{1, "abc\n", ""},
		{256, long[:255], long[:255]}, // 256 counts the NUL
		{256, long[:256], long[:255]},
		{256, long + "\n", long[:255]},
	} {
		var s sysctl.Var[string]
		s.Store("before")
		var r sysctl.Request
		n, err := sysctl.DoString(&s, c.maxlen).Write(&r, []byte(c.text))
		require.NoError(t, err)
		require.Equal(t, len(c.text), n, "the full count, also of a text that was cut")
		require.EqualValues(t, len(c.text), r.Pos)
		require.Equal(t, c.value, s.Load(), "%q into %d", c.text, c.maxlen)
	}
}

// Several writes to one open file, in the strict mode.
func TestDoStringWriteAtAPosition(t *testing.T) {
	for _, c := range []struct {
		before string
		at     int64
		writes []string
		value  string
		pos    int64
	}{
		{"", 0, []string{"abc", "def"}, "abcdef", 6},
		{"", 0, []string{"abc\n", "def"}, "abc", 4},
		{"", 0, []string{"a", "b", "\n", "c"}, "ab", 3},
		{"reset", 1, []string{"XY"}, "rXY", 3},
		{"reset", 5, []string{"XY"}, "resetXY", 7},
		{"reset", 6, []string{"XY"}, "reset", 6},
		{"", 0, []string{"12345678", "9"}, "1234567", 8},
		{"longer than the limit", 0, []string{""}, "longer than the limit", 0},
		{"longer than the limit", 7, []string{"x"}, "longer ", 8},
		{"longer than the limit", 8, []string{"x"}, "longer than the limit", 8},
	} {
		var s sysctl.Var[string]
		s.Store(c.before)
		r := sysctl.Request{Pos: c.at}
		for _, text := range c.writes {
			n, err := sysctl.DoString(&s, 8).Write(&r, []byte(text))
			require.NoError(t, err)
			require.Equal(t, len(text), n)
		}
		require.Equal(t, c.value, s.Load(), "%q at %d", c.writes, c.at)
		require.Equal(t, c.pos, r.Pos, "%q at %d", c.writes, c.at)
	}
}

func TestDoStringRead(t *testing.T) {
	var s sysctl.Var[string]
	s.Store("abc")
	h := sysctl.DoString(&s, 8)
	for _, c := range []struct {
		at   int64
		size int
		text string
	}{
		{0, 100, "abc\n"}, {0, 4, "abc\n"}, {0, 3, "abc"}, {0, 1, "a"}, {1, 1, "b"},
		{3, 1, "\n"}, {3, 100, "\n"}, {4, 100, ""}, {99, 100, ""}, {0, 0, ""},
	} {
		r := sysctl.Request{Pos: c.at}
		buf := make([]byte, c.size)
		n, err := h.Read(&r, buf)
		require.NoError(t, err)
		require.Equal(t, c.text, string(buf[:n]), "%d bytes at %d", c.size, c.at)
		require.Equal(t, c.at+int64(n), r.Pos)
	}
}

// The program may store a text that is longer than maxlen.
func TestDoStringReadsNoMoreThanMaxlen(t *testing.T) {
	var s sysctl.Var[string]
	h := sysctl.DoString(&s, 4)
	for text, want := range map[string]string{"abc": "abc\n", "abcd": "abcd\n", "abcde": "abcd\n", "abcdefgh": "abcd\n"} {
		s.Store(text)
		buf := make([]byte, 100)
		n, err := h.Read(new(sysctl.Request), buf)
		require.NoError(t, err)
		require.Equal(t, want, string(buf[:n]))
		n, err = h.Read(&sysctl.Request{Pos: int64(len(want))}, buf)
		require.NoError(t, err)
		require.Zero(t, n)
		require.Equal(t, text, s.Load())
	}
}

func TestLongStringIsReadWhole(t *testing.T) {
	var tree sysctl.Tree
	var s sysctl.Var[string]
	_, err := tree.Register("", sysctl.Entry{Name: "s", Mode: 0o644, Handler: sysctl.DoString(&s, 1<<20)})
	require.NoError(t, err)
	long := strings.Repeat("0123456789", 5000)
	require.NoError(t, tree.WriteFile(sysctl.Root, "s", []byte(long+"\n")))
	text, err := tree.ReadFile(sysctl.Root, "s")
	require.NoError(t, err)
	require.Equal(t, long+"\n", string(text))
}

func TestHammerStringIsNeverTorn(t *testing.T) {
	var s sysctl.Var[string]
	h := sysctl.DoString(&s, 64)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			text := []byte(strings.Repeat(fmt.Sprint(w), 60) + "\n")
			for range 2000 {
				_, _ = h.Write(new(sysctl.Request), text)
				if v := s.Load(); v != strings.Repeat(v[:1], 60) {
					t.Errorf("torn: %q", v)
				}
			}
		})
	}
	all.Wait()
}
