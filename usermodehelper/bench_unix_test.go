//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"os/exec"
	"syscall"
	"testing"

	"github.com/kprim/kprim/internal/paired"
	"github.com/kprim/kprim/usermodehelper"
)

func BenchmarkCall(b *testing.B) { call("Call", 0).Bench(b) }

// TestPairedContests prints how long a helper takes, as a ratio to os/exec.
//
//	go test ./usermodehelper -run Paired -paired -v -cpu 1,2
func TestPairedContests(t *testing.T) {
	paired.Test(t, call("Call", 0), call("With5000Descriptors", 5000))
}

// call runs a program that does nothing and waits for its end, under a context
// that could end it. The program has some open descriptors more than it needs.
func call(name string, descriptors int) paired.Contest {
	const program = "/bin/true"
	var open []int
	way := func(name string, run func(ctx context.Context) error) paired.Way {
		return paired.Way{
			Name: name,
			Run: func(n int) {
				for range n {
					ctx, cancel := context.WithCancel(context.Background())
					if err := run(ctx); err != nil {
						panic(err)
					}
					cancel()
				}
			},
		}
	}
	osExec := way("os-exec", func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, program)
		cmd.Dir = "/"
		cmd.Env = []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return cmd.Run()
	})
	osExec.Open = func() {
		for range descriptors {
			fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
			if err != nil {
				panic(err)
			}
			open = append(open, fd)
		}
	}
	osExec.Close = func() {
		for _, fd := range open {
			_ = syscall.Close(fd)
		}
		open = nil
	}
	return paired.Contest{Name: name, Ways: []paired.Way{osExec,
		way("usermodehelper", func(ctx context.Context) error {
			_, err := usermodehelper.Call(ctx, program, nil, nil, usermodehelper.WaitProc)
			return err
		}),
	}}
}
