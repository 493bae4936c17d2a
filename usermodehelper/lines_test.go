package usermodehelper

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cut returns the lines of a text that comes in pieces of at most n bytes.
func cut(text string, n int) (got []string) {
	var l lines
	add := func(line string) { got = append(got, line) }
	for piece := range slices.Chunk([]byte(text), n) {
		l.add(piece, add)
	}
	l.flush(add)
	return got
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", longestLine)
	for text, want := range map[string][]string{
		"":                        nil,
		"a":                       {"a"},
		"a\n":                     {"a"},
		"a\nb":                    {"a", "b"},
		"\n":                      {""},
		"\n\na\n\n":               {"", "", "a", ""},
		"a\r\nb\r\n":              {"a\r", "b\r"},
		"\x00\xff\n":              {"\x00\xff"},
		long:                      {long},
		long + "\n":               {long},
		long + "y":                {long, "y"},
		long + "y\nz\n":           {long, "y", "z"},
		long + long:               {long, long},
		long + long + "\n\n":      {long, long, ""},
		"a\n" + long + long + "b": {"a", long, long, "b"},
	} {
		for _, n := range []int{1, 2, 3, 4096, longestLine - 1, longestLine, longestLine + 1, 4 * longestLine} {
			require.Equal(t, want, cut(text, n), "%.20q in pieces of %d", text, n)
		}
	}
}

// A line without an end needs no more memory than its bound and one piece.
func TestLineWithoutEndNeedsLittleMemory(t *testing.T) {
	var l lines
	piece := make([]byte, chunkOfTest)
	for range 1000 {
		l.add(piece, func(string) {})
		require.LessOrEqual(t, len(l.rest), longestLine+chunkOfTest)
	}
	require.LessOrEqual(t, cap(l.rest), 2*(longestLine+chunkOfTest))
}

const chunkOfTest = 1 << 13
