//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/usermodehelper"
)

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

// The program itself holds a copy of the output. A call that is not slow has time, although
// there is no Grace. The same reason is told once.
func TestLastLineOfAnOutputThatIsHeldComesWithoutGrace(t *testing.T) {
	var got []string
	o := &usermodehelper.Output{Line: func(line string) {
		for range 1000 { // lets Exec go on, if it would
			runtime.Gosched()
		}
		got = append(got, line)
	}}
	for range 2 {
		h, dup := shell(`printf 'no newline'`), -1
		h.Grace, h.Output = -1, o
		h.Init = func(attr *os.ProcAttr) (err error) {
			dup, err = syscall.Dup(int(attr.Files[1].Fd()))
			return err
		}
		_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.NoError(t, syscall.Close(dup))
	}
	require.Equal(t, []string{"no newline", "no newline"}, got)
	require.Equal(t, "no newlineno newline[cut: it was held open]", o.String())
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
