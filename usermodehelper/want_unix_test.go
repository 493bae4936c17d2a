//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/readmes"
	"github.com/kprim/kprim/usermodehelper"
)

// The table of the README under "You want, you write" has lines of this file, so each one
// compiles, and does as its row says.

func TestWantedRunBesideTheProgram(t *testing.T) {
	ctx, hold := t.Context(), fifo(t)
	h, end := wanted(`read line <` + hold)
	_, err := h.Exec(ctx, usermodehelper.NoWait)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(hold, []byte("go on\n"), 0)) // Exec has not waited for this
	require.NoError(t, (<-end).Failure())
}

func TestWantedLogLine(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	h, _ := wanted(`exit 3`)
	h.Cleanup = func(r usermodehelper.Result) { log.Info("helper over", "result", r) }
	run(t, h)
	require.Contains(t, text.String(), `msg="helper over" result.path=/bin/sh result.pid=`)
	require.Contains(t, text.String(), ` result.status="exit status 3" `)
}

func TestWantedErrorForEveryFailure(t *testing.T) {
	for script, want := range map[string]string{
		`exit 0`:    "",
		`exit 3`:    "exit status 3",
		`kill $$`:   "signal: terminated",
		"exit \x00": "NUL",
	} {
		h, end := wanted(script)
		_, _ = h.Exec(t.Context(), usermodehelper.WaitProc) // Cleanup gets the same
		result := <-end
		err := result.Failure()
		require.Equal(t, want == "", err == nil)
		if err != nil {
			require.ErrorContains(t, err, want)
		}
	}
}

func TestWantedNoProcessLeftBehind(t *testing.T) {
	ropes := newRope(t)
	h, end := wanted(ropes.on(`sleep 1000 & sleep 1000 &`))
	h.Sweep = true
	run(t, h)
	ropes.requireFree()
	require.NoError(t, (<-end).Failure())
}

func TestWantedInput(t *testing.T) {
	h, end := wanted(`read line; [ "$line" = "disk full" ]`)
	h.Input = []byte("disk full\n")
	run(t, h)
	require.NoError(t, (<-end).Failure())
}

func TestWantedInputFromAReader(t *testing.T) {
	request, err := http.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("disk "), strings.NewReader("full\n")))
	require.NoError(t, err)
	h, end := wanted(`read line; [ "$line" = "disk full" ]`)
	h.InputFrom = request.Body
	run(t, h)
	require.NoError(t, (<-end).Failure())
}

func TestWantedOutputsApart(t *testing.T) {
	var out, errs usermodehelper.Output
	h, _ := wanted(`echo "a result"; echo "a warning" >&2`)
	h.Output, h.Errors = &out, &errs
	run(t, h)
	require.Equal(t, "a result\n", out.String())
	require.Equal(t, "a warning\n", errs.String())
}

func TestWantedTail(t *testing.T) {
	h, _ := wanted(`printf '%010000d' 1`)
	h.Output = &usermodehelper.Output{Max: -1, Tail: 1000}
	run(t, h)
	require.Equal(t, fmt.Sprintf("%01000d", 1), string(h.Output.Bytes()))
}

func TestWantedLines(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, steadyText))
	h, _ := wanted(`echo "one"; echo "two"`)
	h.Output = &usermodehelper.Output{Line: func(line string) { log.Info(line) }}
	run(t, h)
	require.Equal(t, "msg=one\nmsg=two\n", text.String())
}

func TestWantedOutputAsItComes(t *testing.T) {
	hold := fifo(t)
	h, _ := wanted(`echo "first"; read line <` + hold + `; echo "second"`)
	r, w := io.Pipe()
	h.Output = &usermodehelper.Output{Writer: w}
	ended := make(chan error, 1)
	go func() {
		_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		_ = w.Close()
		ended <- err
	}()
	first := make([]byte, len("first\n"))
	_, err := io.ReadFull(r, first)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(hold, []byte("go on\n"), 0))
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "first\nsecond\n", string(first)+string(rest))
	require.NoError(t, <-ended)
}

func TestWantedVariables(t *testing.T) {
	t.Setenv("LANG", "C")
	t.Setenv("SECRET", "seen")
	h, end := wanted(`[ "$LANG ${SECRET-not seen}" = "C not seen" ]`)
	h.Inherit = []string{"LANG", "TZ"}
	run(t, h)
	require.NoError(t, (<-end).Failure())
}

func TestWantedPlaces(t *testing.T) {
	ropes := newRope(t)
	ctx, cancel := context.WithCancel(t.Context())
	h, end := wanted(ropes.on(`echo "start" >&9; exec sleep 1000`))
	h.Gate = &usermodehelper.Gate{Max: 4, Queue: 100}
	for range 104 {
		_, err := h.Exec(ctx, usermodehelper.NoWait)
		require.NoError(t, err)
	}
	_, err := h.Exec(ctx, usermodehelper.NoWait)
	require.ErrorIs(t, err, syscall.ENOBUFS)
	for range 4 {
		require.Equal(t, "start", ropes.line())
	}
	cancel()
	require.Empty(t, ropes.free(), "a fifth one has run")
	for range 105 {
		require.Error(t, (<-end).Err)
	}
}

func TestWantedRate(t *testing.T) {
	h, end := wanted(`:`)
	h.Gate = &usermodehelper.Gate{Burst: 10, Interval: time.Second}
	called, last := time.Now(), time.Time{}
	for range 11 {
		_, err := h.Exec(t.Context(), usermodehelper.NoWait)
		require.NoError(t, err)
	}
	for range 11 {
		if r := <-end; r.Begin.After(last) {
			last = r.Begin
		}
	}
	require.GreaterOrEqual(t, last.Sub(called), time.Second)
}

func TestWantedWaitForAll(t *testing.T) {
	ctx, gate := t.Context(), new(usermodehelper.Gate)
	h, end := wanted(`:`)
	h.Gate = gate
	for range 5 {
		_, err := h.Exec(ctx, usermodehelper.NoWait)
		require.NoError(t, err)
	}
	err := gate.Wait(ctx)
	require.NoError(t, err)
	require.Len(t, end, 5)
}

// wanted returns a helper that runs script, and the results of its calls.
func wanted(script string) (*usermodehelper.Helper, <-chan usermodehelper.Result) {
	h, end := shell(script), make(chan usermodehelper.Result, 200)
	h.Cleanup = func(r usermodehelper.Result) { end <- r }
	return h, end
}

// run runs the helper to its end, which must have begun.
func run(t *testing.T, h *usermodehelper.Helper) {
	t.Helper()
	begun := false
	h.Started = func(int) { begun = true }
	_, _ = h.Exec(t.Context(), usermodehelper.WaitProc)
	require.True(t, begun)
}

func TestWantedLinesAreRun(t *testing.T) {
	rows, faults := readmes.Wanted(os.DirFS("."), "want_unix_test.go")
	require.Empty(t, faults)
	require.GreaterOrEqual(t, rows, 10)
	require.LessOrEqual(t, rows, 15)
}
