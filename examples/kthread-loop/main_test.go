//go:build linux || darwin || freebsd

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
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

	"github.com/kprim/kprim/kthread"
)

//go:embed testdata/transcript.txt
var transcript string

// The test binary is also the program, and a helper that shows its arguments
// and its environment. Its name decides. The argument of the program is a
// script in place of helper.sh.
func TestMain(m *testing.M) {
	patience = time.Minute // a helper may wait for long on a busy machine
	switch filepath.Base(os.Args[0]) {
	case "program":
		if len(os.Args) > 1 {
			var err error
			if script, err = os.ReadFile(os.Args[1]); err != nil {
				os.Exit(2)
			}
			os.Args = os.Args[:1]
		}
		main()
		os.Exit(0)
	case "helper":
		text := fmt.Sprintf("argv %q\nenv %q\n", os.Args, os.Environ())
		seen := filepath.Join(filepath.Dir(os.Args[0]), "seen")
		if err := os.WriteFile(seen, []byte(text), 0o600); err != nil {
			os.Exit(1)
		}
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

// playing makes the test binary runnable under another name.
func playing(t *testing.T, name string) string {
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink(self, path))
	return path
}

// file makes an executable script, which finds its own directory in $dir.
func file(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "script")
	text = "#!/bin/sh\ndir=${0%/*}\n" + text + "\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	return path
}

// mask replaces the path of the helper, which is new in each run.
func mask(t *testing.T, text string) string {
	temp, err := filepath.Abs(os.TempDir())
	require.NoError(t, err)
	name := regexp.QuoteMeta(filepath.Join(temp, "kthread-loop-")) + `[0-9]+/helper\b`
	return regexp.MustCompile(name).ReplaceAllLiteralString(text, "/path/to/helper")
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
		require.Equal(t, transcript, mask(t, out.String()))
		require.Empty(t, kthread.Tasks())
	}
	requireNothingIn(t, temp)
}

func TestProgramSucceeds(t *testing.T) {
	out, err := exec.Command(playing(t, "program")).Output()
	require.NoError(t, err)
	require.Equal(t, transcript, mask(t, string(out)))
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{""}, {"-h"}, {"-n"}, {"-mail", "-mail"}, {"/path/to/helper"}} {
		var out strings.Builder
		require.ErrorContains(t, session(t.Context(), &out, args), "usage")
		require.Empty(t, out.String())
	}
}

// A reader like "head -1" leaves early. SIGPIPE does not end the program at
// once.
func TestReaderThatHasGone(t *testing.T) {
	temp := t.TempDir()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	defer w.Close()
	cmd := exec.Command(playing(t, "program"))
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	require.Error(t, cmd.Run())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Regexp(t, `^kthread-loop: write .*: broken pipe\n$`, stderr.String())
	requireNothingIn(t, temp)
}

// Ctrl-C, kill and the end of the terminal each end a helper that hangs. No
// process and no file is left.
func TestInterruptedProgramLeavesNothing(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			temp := t.TempDir()
			pipe := filepath.Join(t.TempDir(), "fifo")
			require.NoError(t, syscall.Mkfifo(pipe, 0o600))
			cmd := exec.Command(playing(t, "program"), file(t, "exec > '"+pipe+"'\nsleep 1000"))
			cmd.Env = append(os.Environ(), "TMPDIR="+temp)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			require.NoError(t, cmd.Start())
			f, err := os.Open(pipe) // the helper runs
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, cmd.Process.Signal(sig))
			require.Error(t, cmd.Wait())
			require.Equal(t, 1, cmd.ProcessState.ExitCode())
			require.Equal(t, "kthread-loop: 2 alerts were not sent\n", stderr.String())
			require.Equal(t, 1, strings.Count(stdout.String(), ": no such file or directory\n"), stdout.String())
			require.Equal(t, 2, strings.Count(stdout.String(), sig.String()+" signal received\n"), stdout.String())
			_, err = io.ReadAll(f) // ends when helper and sleep are gone
			require.NoError(t, err)
			requireNothingIn(t, temp)
		})
	}
}
