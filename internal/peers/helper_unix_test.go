//go:build linux || darwin || freebsd

package peers

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func init() { systemJobs = append(systemJobs, helper()) }

// helper runs a program that ends with status 1, under a context that could end it. The result
// is the sum of the statuses.
func helper() job {
	return job{name: "Helper", want: timesOf(1), ways: []way{
		running("os/exec", runExec), running("usermodehelper", runHelper),
	}}
}

// running is a way whose run returns the exit status.
func running(name string, run func(ctx context.Context, command string) (status int, err error)) way {
	return way{name, func(n int) (sum int) {
		for range n {
			ctx, cancel := context.WithCancel(context.Background())
			status, err := run(ctx, "exit 1")
			cancel()
			if err != nil {
				return -1
			}
			sum += status
		}
		return sum
	}}
}

func runExec(ctx context.Context, command string) (int, error) {
	err := exec.CommandContext(ctx, "/bin/sh", "-c", command).Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return exit.ExitCode(), nil
	}
	return 0, errors.Join(err, ctx.Err())
}

func runHelper(ctx context.Context, command string) (int, error) {
	status, err := usermodehelper.Call(ctx, "/bin/sh", []string{"sh", "-c", command}, nil, usermodehelper.WaitProc)
	return status.ExitCode(), err
}

// Both end the program when the context ends.
func TestContextEndsTheProgram(t *testing.T) {
	for name, run := range map[string]func(context.Context, string) (int, error){"os/exec": runExec, "usermodehelper": runHelper} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := run(ctx, "exec sleep 60")
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}
