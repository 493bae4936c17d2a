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

func BenchmarkCall(b *testing.B) { call().Bench(b) }

// TestPairedContests prints how long a helper takes, as a ratio to os/exec.
//
//	go test ./usermodehelper -run Paired -paired -v -cpu 1,2
func TestPairedContests(t *testing.T) { paired.Test(t, call()) }

// call runs a program that does nothing and waits for its end, under a context
// that could end it.
func call() paired.Contest {
	const program = "/bin/true"
	return paired.Contest{Name: "Call", Ways: []paired.Way{
		{Name: "os-exec", Run: func(n int) {
			for range n {
				ctx, cancel := context.WithCancel(context.Background())
				cmd := exec.CommandContext(ctx, program)
				cmd.Dir = "/"
				cmd.Env = []string{}
				cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
				if err := cmd.Run(); err != nil {
					panic(err)
				}
				cancel()
			}
		}},
		{Name: "usermodehelper", Run: func(n int) {
			for range n {
				ctx, cancel := context.WithCancel(context.Background())
				status, err := usermodehelper.Call(ctx, program, nil, nil, usermodehelper.WaitProc)
				if status != 0 || err != nil {
					panic(err)
				}
				cancel()
			}
		}},
	}}
}
