//go:build linux || darwin || freebsd

package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/printed"
	"github.com/kprim/kprim/examples/internal/shell"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

//go:embed testdata/transcript.txt
var transcript string

// The test binary is the program too, if it is started by that name.
func TestMain(m *testing.M) {
	patience = time.Minute // a helper may wait for long on a busy machine
	if filepath.Base(os.Args[0]) == "program" {
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			fmt.Println("a child was left, or not reaped:", err)
			code = 1
		}
		os.Exit(code)
	}))
}

// program makes the test binary runnable as the program.
func program(t *testing.T) string {
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.Symlink(self, path))
	return path
}

// mask replaces the path of the helper, which is new in each run.
func mask(text string) string {
	helper := regexp.MustCompile(`/[^ ]*/kprim-[0-9]+/helper\b`)
	return helper.ReplaceAllLiteralString(text, "/path/to/helper")
}

func requireNothingIn(t *testing.T, dir string) {
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "the helper's directory is removed")
}

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	runs := 200
	if testing.Short() {
		runs = 20
	}
	for range runs {
		var out strings.Builder
		require.NoError(t, session(t.Context(), &out, nil))
		require.Equal(t, transcript, mask(out.String()))
		require.Empty(t, kthread.Tasks())
	}
	requireNothingIn(t, temp)
}

// The table in the README of the article has all differences.
func TestTranscriptIsTheKernels(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	linux, err := os.ReadFile("../linux/printed.txt")
	require.NoError(t, err)
	want, err := printed.InGo(string(readme), string(linux))
	require.NoError(t, err)
	require.Equal(t, want, transcript)
}

func TestProgramSucceeds(t *testing.T) {
	out, err := exec.Command(program(t)).Output()
	require.NoError(t, err)
	require.Equal(t, transcript, mask(string(out)))
}

func TestUsage(t *testing.T) {
	var stderr strings.Builder
	cmd := exec.Command(program(t), "-h")
	cmd.Stderr = &stderr
	require.Error(t, cmd.Run())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, "monitor-and-helper/faulty: usage: faulty, without arguments\n", stderr.String())
}

// A full is a screen that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputThatCannotBeWritten(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	require.ErrorIs(t, session(t.Context(), full{}, nil), syscall.ENOSPC)
	require.Empty(t, kthread.Tasks())
	requireNothingIn(t, temp)
}

func TestNoRoomForTheHelper(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	var out strings.Builder
	require.ErrorIs(t, session(t.Context(), &out, nil), os.ErrNotExist)
	require.Empty(t, out.String())
}

// Ctrl-C ends the session in order: each helper fails, and the threads stop.
func TestInterruptedSession(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	require.ErrorIs(t, session(ctx, &out, nil), syscall.EINTR)
	require.Empty(t, kthread.Tasks())
	requireNothingIn(t, temp)
}

// The last two parts of the session have a helper that must not start.
func TestHelperThatIsThereThoughItMustNotBe(t *testing.T) {
	sh, err := shell.New(new(strings.Builder))
	require.NoError(t, err)
	require.ErrorContains(t, noHelper(t.Context(), sh, "title", sh.Helper()), "was started")
	require.NoError(t, sh.Close())
}

// A watcher is a screen that calls a function for each text.
type watcher func(text string)

func (w watcher) Write(text []byte) (int, error) {
	w(string(text))
	return len(text), nil
}

// Otherwise an event would end the sleep of the helper's start. The thread that
// tests first has announced a sleep by then, and has not slept.
func TestThreadRunsWhenTheHelperIsStarted(t *testing.T) {
	var states []waitqueue.State
	screen := watcher(func(text string) {
		if strings.Contains(text, "is starting") {
			states = append(states, stateOf("josephthread"))
		}
	})
	require.NoError(t, session(t.Context(), screen, nil))
	running := waitqueue.Running
	require.Equal(t, []waitqueue.State{running, running, running, running}, states)
}

func stateOf(name string) waitqueue.State {
	for _, info := range kthread.Tasks() {
		if info.Name == name {
			return info.State
		}
	}
	return waitqueue.Dead
}
