//go:build linux || darwin || freebsd

package usermodehelper

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

const supported = true

// start starts the program. It returns as soon as the exec has gone well or
// wrong.
//
// A file that was written a moment ago may still be open for writing in a
// child of this process that has not come to its own exec yet. The kernel then
// refuses to run it (ETXTBSY), and all there is to do is to try again.
func (h *Helper) start(ctx context.Context) (*exec.Cmd, error) {
	for pause := time.Millisecond; ; pause *= 2 {
		if err := waitqueue.ContextErr(ctx); err != nil {
			return nil, fmt.Errorf("usermodehelper: %s was not started: %w", h.Path, err)
		}
		cmd := h.command()
		err := cmd.Start()
		if err == nil {
			return cmd, nil
		}
		if !errors.Is(err, syscall.ETXTBSY) || pause > time.Second {
			return nil, fmt.Errorf("usermodehelper: %w", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (h *Helper) command() *exec.Cmd {
	envp := h.Envp
	if envp == nil {
		envp = []string{} // to exec.Cmd, nil would mean all of ours
	}
	return &exec.Cmd{
		Path:        h.Path,
		Args:        h.Argv,
		Env:         envp,
		Dir:         "/",
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
}

// wait waits for the program and reaps it; when ctx ends it ends the group.
//
// The program is reaped last. Until then its pid, which is also the number of
// its group, cannot be given to anybody else, so no signal hits a stranger.
func (h *Helper) wait(ctx context.Context, cmd *exec.Cmd) (Status, error) {
	pid := cmd.Process.Pid
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		blockUntilExit(pid)
	}()
	var interrupted error
	select {
	case <-exited:
	case <-ctx.Done():
		if !hasExited(pid) { // it may have, and exited be closed next
			interrupted = waitqueue.ContextErr(ctx)
			h.endGroup(pid, exited)
		}
	}
	status, err := reap(cmd)
	if interrupted != nil {
		err = fmt.Errorf("usermodehelper: %s was ended: %w", h.Path, interrupted)
	}
	return status, err
}

// endGroup ends the helper's process group and waits for the helper itself.
// The second signal is sent even if the helper has gone by then, for what it
// left behind.
func (h *Helper) endGroup(pid int, exited <-chan struct{}) {
	signalGroup(pid, syscall.SIGTERM)
	grace := h.Grace
	if grace == 0 {
		grace = time.Second
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-exited:
	case <-timer.C:
	}
	signalGroup(pid, syscall.SIGKILL)
	<-exited
}

// signalGroup signals the group, and the helper itself if it has moved to
// another one. That a group is empty by now is no error.
func signalGroup(pid int, sig syscall.Signal) {
	_ = syscall.Kill(-pid, sig)
	if group, err := syscall.Getpgid(pid); err == nil && group != pid {
		_ = syscall.Kill(pid, sig)
	}
}

// reap collects the status of a program that has ended.
func reap(cmd *exec.Cmd) (Status, error) {
	err := cmd.Wait()
	if cmd.ProcessState == nil {
		return 0, fmt.Errorf("usermodehelper: %w", err)
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ws.Signaled() {
		return Status(ws.ExitStatus()) << 8, nil
	}
	status := Status(ws.Signal())
	if ws.CoreDump() {
		status |= 0x80
	}
	return status, nil
}
