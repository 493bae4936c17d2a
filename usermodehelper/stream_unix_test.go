//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

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
func TestTailMayBeAll(t *testing.T) {
	o := usermodehelper.Output{Max: -1, Tail: math.MaxInt}
	part := make([]byte, 16)
	const parts = 200_000
	start := time.Now()
	for range parts {
		usermodehelper.Add(&o, part)
	}
	require.Less(t, time.Since(start), soon)
	require.Len(t, o.Bytes(), parts*len(part))
	require.False(t, o.Cut())
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

// A Writer that is not done holds the helper up, because the pipe is full.
func TestSlowWriterHoldsUpTheHelper(t *testing.T) {
	slow := newHeldCall()
	h := shell(`head -c 1000000 /dev/zero; echo written >&3`)
	l := leashed(t, h)
	h.Output = &usermodehelper.Output{Max: 2_000_000, Writer: slow}
	result := started(t, t.Context(), h)
	<-slow.entered
	require.NoError(t, l.r.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err := l.r.Read([]byte{0})
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it is not done")
	require.Empty(t, result)
	close(slow.release)
	require.Equal(t, "written", l.line())
	require.Equal(t, ended{}, <-result)
	require.Len(t, h.Output.Bytes(), 1_000_000)
	require.False(t, h.Output.Cut())
	l.gone()
}

// It has Grace after the end of the helper or of the context, and no more.
func TestWriterThatBlocksDoesNotKeepExec(t *testing.T) {
	for name, c := range map[string]struct {
		script  string
		timeout time.Duration
		status  usermodehelper.Status
		because error
	}{
		"the helper ends":   {script: `head -c 50000 /dev/zero; exit 3`, status: 3 << 8},
		"the context ends":  {script: `head -c 50000 /dev/zero; exec sleep 1000`, timeout: time.Second, status: 15, because: syscall.ETIMEDOUT},
		"it is in the pipe": {script: `exec head -c 1000000 /dev/zero`, timeout: time.Second, status: 15, because: syscall.ETIMEDOUT},
	} {
		for _, kind := range []string{"Writer", "Line"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				rec := recorded(t)
				slow := newHeldCall()
				slow.err = errDisk // which nobody hears
				h := shell(c.script)
				h.Grace, h.Timeout = 300*time.Millisecond, c.timeout
				h.Output = &usermodehelper.Output{Writer: slow, Max: 100_000}
				if kind == "Line" {
					h.Argv[2] = "echo line; " + c.script
					h.Output.Writer, h.Output.Line = nil, func(string) { _, _ = slow.Write(nil) }
				}
				start := time.Now()
				status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
				passed := time.Since(start) - c.timeout
				require.GreaterOrEqual(t, passed, h.Grace)
				require.Less(t, passed, h.Grace+soon)
				require.ErrorIs(t, err, c.because)
				require.Equal(t, c.status, status)
				require.True(t, h.Output.Broken())
				text := h.Output.String()
				require.Contains(t, text, "[cut: its calls took too long]")
				require.GreaterOrEqual(t, len(h.Output.Bytes()), 50_000, "the pipe is emptied all the same")
				require.Len(t, slow.entered, 1)
				if c.because == nil {
					require.Equal(t, "reap", rec.take(t), "a slow call is no reason for a signal")
				}
				close(slow.release) // and the goroutine ends
				require.Equal(t, text, h.Output.String())
				require.Len(t, slow.entered, 1, "and makes no other call")
			})
		}
	}
}

// Another helper of the same Output waits for its turn, which does not come.
func TestHelperWhoseTurnDoesNotComeIsNotKept(t *testing.T) {
	others := goleak.IgnoreCurrent()
	slow := newHeldCall()
	o := &usermodehelper.Output{Writer: slow}
	h := shell(`echo $$`)
	h.Output, h.Grace = o, 100*time.Millisecond
	for range 2 {
		start := time.Now()
		require.Equal(t, ended{}, <-started(t, t.Context(), h))
		require.Less(t, time.Since(start), h.Grace+soon)
	}
	require.Len(t, strings.Fields(string(o.Bytes())), 2)
	close(slow.release)
	require.NoError(t, goleak.Find(others), "both goroutines end")
	require.Len(t, slow.entered, 1, "the second one makes no call")
}

// A process that has left the group holds the standard error, and Writer takes all the
// time that there is. The last line of the standard error comes all the same.
func TestWriterThatBlocksDoesNotCutTheOtherOutput(t *testing.T) {
	for range 2 {
		slow := newHeldCall()
		h := actor(t, "daemon", "/bin/sh", "-c", `echo out; printf "no newline" >&2; exec >/dev/null; echo $$ >&3; exec sleep 1000`)
		l := leashed(t, h)
		var got []string
		h.Grace, h.Output = 300*time.Millisecond, &usermodehelper.Output{Writer: slow}
		h.Errors = &usermodehelper.Output{Line: func(line string) { got = append(got, line) }}
		require.Equal(t, ended{}, <-started(t, t.Context(), h))
		require.Equal(t, []string{"no newline"}, got)
		require.Equal(t, "no newline[cut: it was held open]", h.Errors.String())
		require.Equal(t, "out\n[cut: its calls took too long]", h.Output.String())
		daemon, err := strconv.Atoi(l.line())
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(daemon, syscall.SIGKILL), "it was there still")
		close(slow.release)
		l.gone()
	}
}

// The calls have time for the rest, although the helper has ended.
func TestWriterThatIsInTimeGetsAll(t *testing.T) {
	for name, change := range map[string]func(h *usermodehelper.Helper){
		"by itself": func(*usermodehelper.Helper) {},
		"Sweep":     func(h *usermodehelper.Helper) { h.Sweep = true },
	} {
		t.Run(name, func(t *testing.T) {
			slow, got := newHeldCall(), new(bytes.Buffer)
			h := shell(`head -c 50000 /dev/zero; printf end`)
			change(h)
			h.Grace = time.Minute
			h.Output = &usermodehelper.Output{
				Writer: io.MultiWriter(got, slow),
				Line:   func(line string) { got.WriteString("|" + line[len(line)-3:]) },
			}
			result := started(t, t.Context(), h)
			<-slow.entered
			<-time.After(1200 * time.Millisecond) // longer than Exec waits for a pipe that is held open
			require.Empty(t, result)
			close(slow.release)
			require.Equal(t, ended{}, <-result)
			require.False(t, h.Output.Cut())
			require.Equal(t, 50_000+3+len("|end"), got.Len())
			require.Equal(t, "end|end", got.String()[50_000:])
		})
	}
}

func TestWriterThatFailsEndsTheHelper(t *testing.T) {
	for name, c := range map[string]struct {
		writer io.Writer
		want   error
	}{
		"fails":        {writeFunc(func([]byte) (int, error) { return 0, errDisk }), errDisk},
		"writes short": {writeFunc(func(p []byte) (int, error) { return len(p) - 1, nil }), io.ErrShortWrite},
	} {
		t.Run(name, func(t *testing.T) {
			rec := recorded(t)
			calls := 0
			// The child writes: before its exec it would have the trap too.
			h := shell(`trap 'echo tidy; exit 7' TERM; sh -c 'echo text; exec sleep 1000' & wait`)
			l := leashed(t, h)
			h.Grace = time.Minute
			h.Errors = &usermodehelper.Output{Writer: writeFunc(func(p []byte) (int, error) {
				calls++
				return c.writer.Write(p)
			})}
			h.Argv[2] = "exec >&2; " + h.Argv[2]
			status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
			require.ErrorIs(t, err, c.want)
			require.ErrorIs(t, err, syscall.EIO)
			require.EqualError(t, err, fmt.Sprintf("usermodehelper: /bin/sh was ended (exit status 7): Errors.Writer failed: %v", c.want))
			require.Equal(t, 7, status.ExitCode())
			require.Equal(t, 1, calls)
			require.Equal(t, "text\ntidy\n[cut: Errors.Writer failed]", h.Errors.String())
			require.True(t, h.Errors.Cut())
			require.Equal(t, endedAndReaped, rec.take(t))
			l.gone()
		})
	}
}

// The helper has ended before the failure, and had a status.
func TestWriterThatFailsAfterTheHelper(t *testing.T) {
	rec := recorded(t)
	h := shell(`echo $$; exit 3`)
	h.Grace = time.Minute
	h.Output = &usermodehelper.Output{Writer: writeFunc(func(pid []byte) (int, error) {
		awaitZombie(t, strings.TrimSpace(string(pid)))
		<-time.After(50 * time.Millisecond) // until Exec has noticed it too
		return 0, errDisk
	})}
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, errDisk)
	require.ErrorIs(t, err, syscall.EIO)
	require.EqualError(t, err, "usermodehelper: /bin/sh has ended (exit status 3): Output.Writer failed: the disk has gone")
	require.Equal(t, 3, status.ExitCode())
	require.True(t, h.Output.Broken())
	require.Equal(t, "reap", rec.take(t))
}

// A member that holds the output has its Grace all the same.
func TestWriterThatFailsAfterTheHelperEndsNoMember(t *testing.T) {
	rec := recorded(t)
	h := shell(`(read line < "$1"; echo late) & echo $$; exit 3`, fifo(t))
	failed := make(chan bool)
	h.Grace = time.Minute
	h.Output = &usermodehelper.Output{Writer: writeFunc(func(pid []byte) (int, error) {
		awaitZombie(t, strings.TrimSpace(string(pid)))
		<-time.After(50 * time.Millisecond) // until Exec has noticed it too
		close(failed)
		return 0, errDisk
	})}
	result := started(t, t.Context(), h)
	<-failed
	<-time.After(50 * time.Millisecond)
	require.Empty(t, result)
	require.NoError(t, os.WriteFile(h.Argv[4], []byte("\n"), 0))
	got := <-result
	require.ErrorIs(t, got.err, syscall.EIO)
	require.Equal(t, 3, got.status.ExitCode())
	require.Contains(t, h.Output.String(), "late\n[cut: Output.Writer failed]")
	require.Equal(t, "reap", rec.take(t))
}

// One output is held open and the other is not: only the one is cut.
func TestDaemonHoldsOneOutputOnly(t *testing.T) {
	for _, inside := range []bool{true, false} {
		for _, which := range []string{"", "2"} {
			rec := recorded(t)
			script := fmt.Sprintf(`echo out; echo err >&2; %s>/dev/null; echo $$ >&3; exec sleep 1000`, map[string]string{"": "exec 2", "2": "exec "}[which])
			h := actor(t, "daemon", "/bin/sh", "-c", script)
			if inside {
				h = shell(`(` + script + `) & exit 0`)
			}
			l := leashed(t, h)
			h.Grace, h.Output, h.Errors = 300*time.Millisecond, new(usermodehelper.Output), new(usermodehelper.Output)
			result := started(t, t.Context(), h)
			daemon, err := strconv.Atoi(l.line())
			require.NoError(t, err)
			start := time.Now()
			require.Equal(t, ended{}, <-result)
			require.Less(t, time.Since(start), h.Grace+soon)
			if inside {
				require.Equal(t, "killed reap", rec.take(t))
			} else {
				require.Equal(t, "reap", rec.take(t))
				require.NoError(t, syscall.Kill(daemon, syscall.SIGKILL), "it was there still")
			}
			held, whole := h.Output, h.Errors
			if which == "2" {
				held, whole = whole, held
			}
			require.True(t, held.Broken())
			require.False(t, whole.Cut())
			require.Contains(t, held.String(), "[cut: it was held open]")
			l.gone()
		}
	}
}

// A process outside of the group that writes and writes, and a Writer that is slow.
func TestBusyDaemonAndSlowWriterDoNotKeepExec(t *testing.T) {
	h := actor(t, "daemon", "/bin/sh", "-c", `echo ready >&3; exec cat /dev/zero`)
	l := leashed(t, h)
	slow := newHeldCall()
	h.Grace, h.Output = 50*time.Millisecond, &usermodehelper.Output{Writer: slow}
	result := started(t, t.Context(), h)
	l.line()
	start := time.Now()
	require.Equal(t, ended{}, <-result)
	require.Less(t, time.Since(start), h.Grace+soon)
	require.True(t, h.Output.Broken())
	close(slow.release)
	l.gone()
}

// does returns a helper that ends up in f: its reader, its Writer or its Line.
func does(t *testing.T, what string, f func()) *usermodehelper.Helper {
	h := shell("echo text; exec sleep 1000")
	switch what {
	case "InputFrom":
		h.InputFrom = readFunc(func([]byte) (int, error) { f(); return 0, nil })
	case "Output.Writer":
		h.Output = &usermodehelper.Output{Writer: writeFunc(func([]byte) (int, error) { f(); return 0, nil })}
	case "Output.Line":
		h.Output = &usermodehelper.Output{Line: func(string) { f() }}
	case "Errors.Line, the last one":
		h.Argv[2] = "exec >&2; printf text; exec sleep 1000 >/dev/null 2>&1"
		h.Errors = &usermodehelper.Output{Line: func(string) { f() }}
	}
	return h
}

var calls = []string{"InputFrom", "Output.Writer", "Output.Line", "Errors.Line, the last one"}

// The panic comes out of Exec, after Cleanup.
func TestPanicOfACallGoesOnInExec(t *testing.T) {
	for _, what := range calls {
		t.Run(what, func(t *testing.T) {
			var gate usermodehelper.Gate
			var got []usermodehelper.Result
			h := does(t, what, func() { panic(errDisk) })
			l := leashed(t, h)
			h.Gate, h.Cleanup = &gate, func(r usermodehelper.Result) { got = append(got, r) }
			require.PanicsWithValue(t, errDisk, func() { _, _ = h.Exec(t.Context(), usermodehelper.WaitProc) })
			l.gone()
			require.NoError(t, gate.Disable(t.Context()))
			require.Len(t, got, 1)
			require.ErrorIs(t, got[0].Err, syscall.ECANCELED)
			require.NotErrorIs(t, got[0].Err, syscall.EINTR)
			name, _, _ := strings.Cut(what, ",")
			require.EqualError(t, got[0].Err, "usermodehelper: /bin/sh was ended (signal: terminated): "+name+" did not return: panic: the disk has gone")
			require.Equal(t, syscall.SIGTERM, got[0].Status.Signal())
		})
	}
}

// As a failed require in a test does. Exec returns: it is another goroutine.
func TestCallThatEndsItsGoroutine(t *testing.T) {
	for _, what := range calls {
		for _, mode := range modes {
			h := does(t, what, runtime.Goexit)
			l := leashed(t, h)
			over := make(chan usermodehelper.Result, 2)
			h.Cleanup = func(r usermodehelper.Result) { over <- r }
			status, err := h.Exec(t.Context(), mode)
			r := <-over
			require.ErrorIs(t, r.Err, syscall.ECANCELED)
			require.ErrorContains(t, r.Err, " did not return")
			require.Equal(t, syscall.SIGTERM, r.Status.Signal())
			if mode == usermodehelper.WaitProc {
				require.Equal(t, r.Status, status)
				require.Equal(t, r.Err, err)
			}
			l.gone()
		}
	}
}

// A reader that says it has read more than there is room for.
func TestReaderThatBreaksItsContract(t *testing.T) {
	h := shell("exec cat")
	h.InputFrom = readFunc(func(buf []byte) (int, error) { return len(buf) + 1, nil })
	require.Panics(t, func() { _, _ = h.Exec(t.Context(), usermodehelper.WaitProc) })
}

// Nobody waits for Exec: the panic ends the program, and Cleanup comes first.
func TestPanicOfACallEndsTheProgram(t *testing.T) {
	for _, what := range calls {
		for _, mode := range []usermodehelper.Mode{usermodehelper.WaitExec, usermodehelper.NoWait} {
			h := actor(t, "panic-in-a-call", what, mode.String())
			h.Output, h.Errors = new(usermodehelper.Output), new(usermodehelper.Output)
			status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
			require.NoError(t, err)
			require.Equal(t, 2, status.ExitCode())
			require.Contains(t, h.Output.String(), "Cleanup: true")
			require.Contains(t, h.Errors.String(), "panic: the disk has gone")
		}
	}
}

// A call that was left behind panics when Exec has long returned.
func TestPanicThatComesTooLateEndsTheProgram(t *testing.T) {
	for _, what := range []string{"InputFrom", "Output.Writer", "Output.Line"} {
		h := actor(t, "panic-too-late", what)
		h.Output, h.Errors = new(usermodehelper.Output), new(usermodehelper.Output)
		status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Equal(t, 2, status.ExitCode(), what)
		require.Equal(t, "Exec has returned: <nil>\n", h.Output.String())
		require.Contains(t, h.Errors.String(), "panic: the disk has gone")
	}
}

func init() {
	roles["panic-in-a-call"] = func(args []string) error {
		h := does(nil, args[0], func() { panic(errDisk.Error()) })
		h.Cleanup = func(r usermodehelper.Result) { fmt.Println("Cleanup:", errors.Is(r.Err, syscall.ECANCELED)) }
		mode := usermodehelper.WaitExec
		if args[1] == usermodehelper.NoWait.String() {
			mode = usermodehelper.NoWait
		}
		if _, err := h.Exec(context.Background(), mode); err != nil {
			return err
		}
		<-time.After(late)
		return errors.New("the program did not end")
	}
	roles["panic-too-late"] = func(args []string) error {
		entered, release := make(chan bool, 1), make(chan bool)
		h := does(nil, args[0], func() { entered <- true; <-release; panic(errDisk.Error()) })
		h.Argv[2], h.Grace = "echo text; exit 0", 10*time.Millisecond
		_, err := h.Exec(context.Background(), usermodehelper.WaitProc)
		fmt.Println("Exec has returned:", err)
		<-entered
		close(release)
		<-time.After(late)
		return errors.New("the program did not end")
	}
}
