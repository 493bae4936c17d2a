//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A stepsForm runs the steps of a build.
type stepsForm func(ctx context.Context, steps []step, stdout, stderr io.Writer) error

func execSteps(ctx context.Context, steps []step, stdout, stderr io.Writer) error {
	var plain []plainStep
	for _, s := range steps {
		plain = append(plain, plainStep(s))
	}
	return runPlainSteps(ctx, plain, stdout, stderr)
}

func TestStepsRunInOrderUntilOneFails(t *testing.T) {
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("SECRET", "seen")
	t.Setenv("HOME", "") // restores it at the end
	require.NoError(t, os.Unsetenv("HOME"))
	eachForm[stepsForm](t, runSteps, execSteps, func(t *testing.T, run stepsForm) {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		require.NoError(t, err)
		steps := []step{
			{name: "one", dir: dir, script: `pwd; echo "made by one" >file`},
			{name: "two", dir: dir, script: `cat file; echo "$LANG ${SECRET-no secret} ${HOME-no home} $PATH"`, env: []string{"PATH=/bin:/usr/bin"}},
			{name: "three", script: `pwd; echo "a problem" >&2; yes "out" | head -1000; exit 3`},
			{name: "four", script: `echo "not reached"`},
		}
		var stdout, stderr bytes.Buffer
		err = run(t.Context(), steps, &stdout, &stderr)
		require.ErrorContains(t, err, "step three: ")
		require.ErrorContains(t, err, "exit status 3")
		require.ErrorContains(t, err, "\n[cut: 3966 bytes more]"+strings.Repeat("out\n", 9)+"a problem\n")
		require.Equal(t, strings.Join([]string{
			"one: " + dir,
			"two: made by one",
			"two: C.UTF-8 no secret no home /bin:/usr/bin",
			"three: /",
		}, "\n")+strings.Repeat("\nthree: out", 1000)+"\n", stdout.String())
		require.Equal(t, "three: a problem\n", stderr.String())
	})
}

func TestStepsPassEachLineOn(t *testing.T) {
	eachForm[stepsForm](t, runSteps, execSteps, func(t *testing.T, run stepsForm) {
		var stdout bytes.Buffer
		require.NoError(t, run(t.Context(), []step{
			{name: "a", script: `printf 'x\n\ny\r\nno newline'`},
			{name: "b", script: `printf '%070000d\n' 0`},
		}, &stdout, io.Discard))
		lines := strings.Split(stdout.String(), "\n")
		require.Equal(t, []string{"a: x", "a: ", "a: y\r", "a: no newline"}, lines[:4])
		digits := 0
		for _, line := range lines[4 : len(lines)-1] { // one form may cut it at another place
			require.True(t, strings.HasPrefix(line, "b: "))
			digits += len(line) - len("b: ")
		}
		require.Equal(t, 70000, digits)
	})
}

// The step waits until its first line was read.
func TestStepsShowALineAtOnce(t *testing.T) {
	eachForm[stepsForm](t, runSteps, execSteps, func(t *testing.T, run stepsForm) {
		hold := fifo(t)
		r, w := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := run(t.Context(), []step{{name: "a", script: `echo "first"; read line <` + hold + `; echo "second"`}}, w, io.Discard)
			_ = w.Close()
			ended <- err
		}()
		lines := bufio.NewScanner(r)
		require.True(t, lines.Scan())
		require.Equal(t, "a: first", lines.Text())
		require.NoError(t, os.WriteFile(hold, []byte("go on\n"), 0))
		require.True(t, lines.Scan())
		require.Equal(t, "a: second", lines.Text())
		require.False(t, lines.Scan())
		require.NoError(t, <-ended)
	})
}

func TestStepsHaveALimitOfTime(t *testing.T) {
	eachForm[stepsForm](t, runSteps, execSteps, func(t *testing.T, run stepsForm) {
		ropes := newRope(t)
		err := run(t.Context(), []step{
			{name: "slow", script: ropes.on(`exec sleep 1000`), limit: 100 * time.Millisecond},
			{name: "next", script: `exit 1`},
		}, io.Discard, io.Discard)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "step slow: ")
		require.ErrorContains(t, err, "signal: terminated")
		ropes.requireFree()
	})
}

// The first step leaves a child that ignores SIGTERM and does not hold the outputs. The
// child of the second step holds them. The third step and its child ignore SIGTERM.
func TestStepsLeaveNoProcess(t *testing.T) {
	eachForm[stepsForm](t, runSteps, execSteps, func(t *testing.T, run stepsForm) {
		skipSlowSweep(t)
		first, second := newRope(t), newRope(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		errGivenUp := errors.New("given up")
		ended := make(chan error, 1)
		go func() {
			ended <- run(ctx, []step{
				{name: "leave", script: first.on(`trap '' TERM; sleep 1000 >/dev/null 2>&1 &`)},
				{name: "hold", script: first.on(`sleep 1000 &`)},
				{name: "hang", script: second.on(`trap '' TERM; sleep 1000 & echo "start" >&9; sleep 1000`)},
			}, io.Discard, io.Discard)
		}()
		require.Equal(t, "start", second.line())
		first.requireFree()
		cancel(errGivenUp)
		err := <-ended
		require.ErrorIs(t, err, errGivenUp)
		require.ErrorContains(t, err, "step hang: ")
		require.ErrorContains(t, err, "signal: killed")
		second.requireFree()
	})
}
