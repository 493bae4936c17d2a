package main

import (
	"cmp"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A shell runs the lines of the README, and ps of this machine shows the states
// of the README. The place of a sleep may be hidden.
func TestTheMachineShowsTheStates(t *testing.T) {
	version, _ := exec.Command("ps", "--version").Output()
	if !strings.Contains(string(version), "procps") {
		t.Skip("this machine has no ps of procps")
	}
	lines := strings.Split(blocks(t, "sh")[0], "\n")
	n := len(lines) - 3 // the last are the stop and ps
	command := lines[n+1]
	shown := blocks(t, "text")[1]
	shell := newShell(t)
	shell.run(t, lines[:n]...)
	shell.requireTasks(t, command, tasks(strings.Replace(shown, "T    do_signal_stop  ", "S    hrtimer_nanosleep", 1)))
	shell.run(t, lines[n])
	shell.requireTasks(t, command, tasks(shown))
}

// A task is a line that ps prints.
type task struct{ state, name, wchan string }

// tasks returns the lines in a certain order, without the lines of ps and of the
// shell.
func tasks(text string) (found []task) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] == "STAT" || fields[2] == "ps" || fields[2] == "sh" {
			continue
		}
		found = append(found, task{fields[0][:1], fields[2], fields[1]})
	}
	slices.SortFunc(found, func(a, b task) int {
		return cmp.Or(cmp.Compare(a.state, b.state), cmp.Compare(a.name, b.name))
	})
	return found
}

// A shell has a session of its own, as in a terminal.
type shell struct {
	pid   int
	stdin io.Writer
}

func newShell(t *testing.T) shell {
	cmd := exec.Command("sh")
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		for _, pid := range pids(cmd.Process.Pid) {
			assert.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		}
		_ = cmd.Wait() // killed
	})
	return shell{cmd.Process.Pid, stdin}
}

// pids returns the processes of a session.
func pids(session int) (found []int) {
	out, _ := exec.Command("ps", "-o", "pid=", "--sid", strconv.Itoa(session)).Output()
	for field := range strings.FieldsSeq(string(out)) {
		pid, _ := strconv.Atoi(field)
		found = append(found, pid)
	}
	return found
}

func (s shell) run(t *testing.T, lines ...string) {
	_, err := fmt.Fprintln(s.stdin, strings.Join(lines, "\n"))
	require.NoError(t, err)
}

// requireTasks waits until ps shows these tasks.
func (s shell) requireTasks(t *testing.T, ps string, want []task) {
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		out, _ := exec.Command("sh", "-c", fmt.Sprintf("%s --sid %d", ps, s.pid)).Output()
		got := tasks(string(out))
		require.Len(c, got, len(want))
		for i := range got {
			if got[i].wchan == "-" || got[i].wchan == "0" {
				got[i].wchan = want[i].wchan // it is hidden
			}
		}
		require.Equal(c, want, got)
	}, 20*time.Second, 20*time.Millisecond)
}
