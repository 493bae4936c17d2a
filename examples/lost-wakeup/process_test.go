//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is the program in a process of its own, with an empty home directory.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	// Optimization: a program with the race detector sleeps for a second before it exits.
	cmd.Env = []string{runMain + "=1", "HOME=" + t.TempDir(), "GORACE=atexit_sleep_ms=0"}
	return cmd
}

func TestExitStatus(t *testing.T) {
	for _, test := range []struct {
		args, keys string
		status     int
		stderr     string
	}{
		{"", "", 0, ""},
		{"-show", "", 0, ""},
		{"-step", "1\n2\n2\n1\n", 0, ""},
		{"-step", "q\n", 0, ""},
		{"-step", "1\n", 1, "lost-wakeup: step: the input ends at step 2, before the order does\n"},
		{"-x", "", 2, "lost-wakeup: step: flag provided but not defined: -x\nusage: "},
	} {
		var stderr strings.Builder
		cmd := process(t, strings.Fields(test.args)...)
		cmd.Stdin, cmd.Stderr = strings.NewReader(test.keys), &stderr
		out, err := cmd.Output()
		require.Equal(t, test.status, cmd.ProcessState.ExitCode(), "%s: %v", test.args, err)
		require.True(t, strings.HasPrefix(stderr.String(), test.stderr), stderr.String())
		require.Equal(t, test.stderr == "", stderr.String() == "", stderr.String())
		require.Equal(t, test.status == 2, len(out) == 0, "a wrong flag has no output but the error")
	}
}

// The player presses Ctrl-C in the middle of the game.
func TestCtrlC(t *testing.T) {
	cmd := process(t, "-step")
	in, err := cmd.StdinPipe() // stays open
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	watchdog := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	screen, err := bufio.NewReader(out).ReadString('?') // of "Which goes on?"
	require.NoError(t, err, screen)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.Equal(t, syscall.SIGINT, status.Signal())
	_ = in.Close()
}
