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

func BenchmarkCall(b *testing.B) { call("Call").Bench(b) }

// TestPairedContests prints how long a helper takes, as a ratio to os/exec. In
// the third contest the program has a descriptor without close-on-exec, which
// os/exec passes on.
//
//	go test ./usermodehelper -run Paired -paired -v -cpu 1,2
func TestPairedContests(t *testing.T) {
	many, leak := call("With5000Descriptors"), call("WithALeakAt250")
	many.Ways[0].Open, many.Ways[0].Close = opened(5000, func(fd int) int {
		syscall.CloseOnExec(fd)
		return fd
	})
	leak.Ways[0].Open, leak.Ways[0].Close = opened(1, func(fd int) int {
		defer syscall.Close(fd)
		return fcntl(fd, syscall.F_DUPFD, 250)
	})
	paired.Test(t, call("Call"), many, leak)
}

// call runs a program that does nothing and waits for its end, under a context
// that could end it.
func call(name string) paired.Contest {
	const program = "/bin/true"
	way := func(name string, run func(ctx context.Context) error) paired.Way {
		return paired.Way{Name: name, Run: func(n int) {
			for range n {
				ctx, cancel := context.WithCancel(context.Background())
				if err := run(ctx); err != nil {
					panic(err)
				}
				cancel()
			}
		}}
	}
	osExec := way("os-exec", func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, program)
		cmd.Dir = "/"
		cmd.Env = []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return cmd.Run()
	})
	osExec.Open, osExec.Close = opened(0, nil)
	return paired.Contest{Name: name, Ways: []paired.Way{osExec,
		way("usermodehelper", func(ctx context.Context) error {
			_, err := usermodehelper.Call(ctx, program, nil, nil, usermodehelper.WaitProc)
			return err
		}),
	}}
}

// opened returns a function that opens n descriptors, each changed by change, and a
// function that closes them. First it closes the descriptors that a shell or a tool has left to this
// program: they cost time, and they are not everywhere the same.
func opened(n int, change func(fd int) int) (open, closeAll func()) {
	var fds []int
	open = func() {
		for fd := 3; fd < 1024; fd++ {
			if fcntl(fd, syscall.F_GETFD, 0) == 0 { // open, and without close-on-exec
				_ = syscall.Close(fd)
			}
		}
		for range n {
			fd, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0)
			if err != nil {
				panic(err)
			}
			fds = append(fds, change(fd))
		}
	}
	closeAll = func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
		fds = nil
	}
	return open, closeAll
}

// fcntl returns -1 if the call fails.
func fcntl(fd, command, arg int) int {
	result, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), uintptr(command), uintptr(arg))
	if errno != 0 {
		return -1
	}
	return int(result)
}
