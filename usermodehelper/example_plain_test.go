//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// This file has the part that the three programs with os/exec share. Package os/exec has no
// call for the rest of a process group, so these guarantees are weaker:
//
//   - plainSweep sends signals to the number of a group whose leader was reaped. Another
//     group can have the number by then.
//   - It asks again and again whether there is a member. A zombie counts as one. So the end takes
//     until process 1 has reaped it, or five seconds.
//   - A script that ends in the same moment as its context counts as interrupted.
//   - Wait returns when the last Write has returned, so a Write that blocks holds it up for ever.
//   - A script has the umask of the program, and every descriptor without close-on-exec.

// plainCommand returns a command that runs a script in a session of its own.
func plainCommand(ctx context.Context, script string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", script)
	cmd.Dir = "/"
	cmd.Env = append([]string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error {
		defer syscall.Kill(-cmd.Process.Pid, syscall.SIGCONT)
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	cmd.WaitDelay = plainGrace
	return cmd
}

const plainGrace = time.Second

// plainRun runs the command, and leaves no process of its group behind. If ctx has
// ended, its cause is the error.
func plainRun(ctx context.Context, cmd *exec.Cmd) error {
	err := cmd.Run()
	if cmd.Process != nil {
		plainSweep(cmd.Process.Pid)
	}
	if errors.Is(err, exec.ErrWaitDelay) { // a child has held the output: it is gone now
		err = nil
	}
	return cmp.Or(context.Cause(ctx), err)
}

// plainSweep ends the processes that a script has left behind.
func plainSweep(group int) {
	sig := syscall.SIGTERM
	for wait := time.Duration(0); syscall.Kill(-group, sig) == nil && wait < 5*time.Second; wait += time.Millisecond {
		time.Sleep(time.Millisecond)
		sig = 0
		if wait >= plainGrace {
			sig = syscall.SIGKILL
		}
	}
}

// plainResult returns how a script ended, for a log. state is nil if it was not started.
func plainResult(state *os.ProcessState, err error) slog.Value {
	var attrs []slog.Attr
	if state != nil {
		attrs = append(attrs, slog.Int("pid", state.Pid()), slog.String("status", state.String()),
			slog.Duration("user", state.UserTime()), slog.Duration("system", state.SystemTime()))
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		attrs = append(attrs, slog.Any("error", err))
	}
	return slog.GroupValue(attrs...)
}

// A plainTail keeps the last bytes.
type plainTail struct {
	size, total int
	kept        []byte
}

func (t *plainTail) Write(p []byte) (int, error) {
	t.total += len(p)
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-t.size):]
	return len(p), nil
}

func (t *plainTail) String() string {
	if lost := t.total - len(t.kept); lost > 0 {
		return fmt.Sprintf("[cut: %d bytes more]%s", lost, t.kept)
	}
	return string(t.kept)
}
