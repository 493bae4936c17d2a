//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func TestWriterThatFailsEndsTheHelper(t *testing.T) {
	for name, c := range map[string]struct {
		writer io.Writer
		want   error
	}{
		"fails":            {writeFunc(func([]byte) (int, error) { return 0, errDisk }), errDisk},
		"fails at the end": {writeFunc(func(p []byte) (int, error) { return len(p), errDisk }), errDisk},
		"writes short":     {writeFunc(func(p []byte) (int, error) { return len(p) - 1, nil }), io.ErrShortWrite},
		"writes long":      {writeFunc(func(p []byte) (int, error) { return len(p) + 1, nil }), usermodehelper.ErrInvalidWrite},
		"writes -1":        {writeFunc(func([]byte) (int, error) { return -1, nil }), usermodehelper.ErrInvalidWrite},
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
