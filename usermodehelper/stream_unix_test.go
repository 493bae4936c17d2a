//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func TestBothOutputsApart(t *testing.T) {
	const script = "echo one; echo two >&2; echo three"
	shared := new(usermodehelper.Output)
	for name, c := range map[string]struct{ output, errors *usermodehelper.Output }{
		"one\nthree\n|two\n":                  {new(usermodehelper.Output), new(usermodehelper.Output)},
		"<nil>|two\n":                         {nil, new(usermodehelper.Output)},
		"one\ntwo\nthree\n|one\ntwo\nthree\n": {shared, shared},
	} {
		h := shell(script)
		h.Output, h.Errors = c.output, c.errors
		status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Zero(t, status)
		require.Equal(t, name, fmt.Sprintf("%v|%v", c.output, c.errors))
	}
}

// Two pipes would lose the order of so many lines.
func TestSameOutputTwiceIsOnePipe(t *testing.T) {
	h := shell(`i=0; while [ $i -lt 1000 ]; do echo o; echo e >&2; i=$((i+1)); done`)
	h.Output = new(usermodehelper.Output)
	h.Errors = h.Output
	_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("o\ne\n", 1000), h.Output.String())
}

// numbers returns the text 0, 1, 2, ... of n bytes, where each place looks different.
func numbers(n int) string {
	var text strings.Builder
	for i := 0; text.Len() < n; i++ {
		fmt.Fprintln(&text, i)
	}
	return text.String()[:n]
}

func TestOutputKeepsHeadAndTail(t *testing.T) {
	for _, c := range []struct{ max, tail, written, head, end int }{
		{10, 10, 5, 5, 0},
		{10, 10, 10, 10, 0},
		{10, 10, 15, 10, 5},
		{10, 10, 20, 10, 10},
		{10, 10, 21, 10, 10},
		{10, 10, 1_000_000, 10, 10},
		{-1, 10, 1_000_000, 0, 10},
		{-1, -1, 100, 0, 0},
		{10, -1, 100, 10, 0},
		{0, 100_000, 1_000_000, 1 << 16, 100_000},
		{0, 1_000_000, 1_000_000, 1 << 16, 1_000_000 - 1<<16},
	} {
		text := numbers(c.written)
		h := shell("exec cat")
		h.Input, h.Output = []byte(text), &usermodehelper.Output{Max: c.max, Tail: c.tail}
		_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		head, end, note := text[:c.head], text[len(text)-c.end:], ""
		if lost := c.written - c.head - c.end; lost > 0 {
			note = fmt.Sprintf("[cut: %d bytes more]", lost)
		}
		require.True(t, head+end == string(h.Output.Bytes()), "%+v: %.200s", c, h.Output)
		require.True(t, head+note+end == h.Output.String(), "%+v: %.200s", c, h.Output)
		require.Equal(t, note != "", h.Output.Cut())
		require.False(t, h.Output.Broken())
	}
}

// Each byte is moved about once. If each part of the output moved all the others, this
// would take many times as long.
func TestTailMayBeLargeAndMayBeAll(t *testing.T) {
	const parts, size = 200_000, 16
	for _, tail := range []int{math.MaxInt, parts * size / 2} {
		o := usermodehelper.Output{Max: -1, Tail: tail}
		part := make([]byte, size)
		start := time.Now()
		for range parts {
			usermodehelper.Add(&o, part)
		}
		require.Less(t, time.Since(start), soon)
		require.Len(t, o.Bytes(), min(tail, parts*size))
		require.Equal(t, tail < parts*size, o.Cut())
	}
}

// linesOf returns the lines that Line gets of a script.
func linesOf(t *testing.T, script string) (got []string) {
	h := shell(script)
	h.Output = &usermodehelper.Output{Line: func(line string) { got = append(got, line) }}
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Zero(t, status)
	return got
}

func TestLinesOfAHelper(t *testing.T) {
	require.Empty(t, linesOf(t, `:`))
	require.Equal(t, []string{"a", "", "b\r", "last"}, linesOf(t, `printf 'a\n\nb\r\nlast'`))
	require.Equal(t, []string{"a", ""}, linesOf(t, `printf 'a\n'; printf '\n'`))
	long := linesOf(t, `head -c 200000 /dev/zero; echo; echo next`)
	sizes := []int{}
	for _, line := range long {
		sizes = append(sizes, len(line))
	}
	require.Equal(t, []int{65536, 65536, 65536, 3392, 4}, sizes)
	many := linesOf(t, `i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done`)
	require.Len(t, many, 20000)
	for i, line := range many {
		require.Equal(t, fmt.Sprint("line ", i), line)
	}
}

// The helper waits after each of them.
func TestLinesAndBytesComeAsTheyAreWritten(t *testing.T) {
	next := fifo(t)
	h := shell(`exec 4<>"$1"; printf 'half'; read x <&4; printf ' and half\n'; read x <&4; echo end; read x <&4`, next)
	bytes, lines := make(chan string, 10), make(chan string, 10)
	h.Output = &usermodehelper.Output{
		Writer: writeFunc(func(text []byte) (int, error) { bytes <- string(text); return len(text), nil }),
		Line:   func(line string) { lines <- line },
	}
	result := started(t, t.Context(), h)
	goOn, err := os.OpenFile(next, os.O_RDWR, 0)
	require.NoError(t, err)
	tell := func() {
		_, err := goOn.WriteString("\n")
		require.NoError(t, err)
	}
	require.Equal(t, "half", <-bytes)
	require.Empty(t, lines)
	tell()
	require.Equal(t, " and half\n", <-bytes)
	require.Equal(t, "half and half", <-lines)
	tell()
	require.Equal(t, "end", <-lines)
	require.Empty(t, result, "it runs still")
	tell()
	require.Equal(t, ended{}, <-result)
	require.NoError(t, goOn.Close())
}

type writeFunc func(text []byte) (int, error)

func (f writeFunc) Write(text []byte) (int, error) { return f(text) }

func TestCallsMayUseTheOutput(t *testing.T) {
	h := shell("echo one; echo two")
	o := new(usermodehelper.Output)
	var seen []string
	look := func() { seen = append(seen, fmt.Sprint(o, len(o.Bytes()), o.Cut(), o.Broken())) }
	o.Writer = writeFunc(func(text []byte) (int, error) { look(); return len(text), nil })
	o.Line = func(string) { look() }
	h.Output = o
	_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\n 8 false false", seen[len(seen)-1])
}

// Each helper writes its lines in two halves.
func TestLinesOfSeveralHelpersAreNotMixed(t *testing.T) {
	var got []string
	var text bytes.Buffer
	inside := false // a plain variable: with -race two calls at once would be found
	once := func(f func()) {
		require.False(t, inside)
		inside = true
		f()
		inside = false
	}
	o := &usermodehelper.Output{
		Writer: writeFunc(func(p []byte) (n int, err error) { once(func() { n, err = text.Write(p) }); return n, err }),
		Line:   func(line string) { once(func() { got = append(got, line) }) },
	}
	var all sync.WaitGroup
	var want []string
	const helpers, each = 8, 50
	for i := range helpers {
		h := shell(`i=0; while [ $i -lt 50 ]; do printf "this is "; printf "$1\n"; i=$((i+1)); done; exec >/dev/null; echo "error $1" >&2`, strconv.Itoa(i))
		h.Output = o
		if i%2 == 1 {
			h.Output, h.Errors = nil, o // another stream of the same Output
			h.Argv[2] = strings.Replace(h.Argv[2], "exec >/dev/null", "exec 1>&2", 1)
			h.Argv[2] = "exec 1>&2; " + h.Argv[2]
		}
		want = append(want, slices.Repeat([]string{"this is " + h.Argv[4]}, each)...)
		want = append(want, "error "+h.Argv[4])
		all.Go(func() {
			if status, err := h.Exec(t.Context(), usermodehelper.WaitProc); status != 0 || err != nil {
				t.Error(status, err)
			}
		})
	}
	all.Wait()
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
	inAnyOrder := func(text []byte) string {
		slices.Sort(text)
		return string(text)
	}
	require.Equal(t, inAnyOrder(text.Bytes()), inAnyOrder(o.Bytes()))
}
