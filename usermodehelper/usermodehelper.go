// Package usermodehelper runs a small program in answer to an event, the way
// the kernel runs modprobe.
//
//	status, err := usermodehelper.Call(ctx, "/usr/local/bin/alert", nil,
//		usermodehelper.Environ("TROUBLED_DS=9527"), usermodehelper.WaitProc)
//
// A helper's environment holds exactly the strings of the call, its working
// directory is /, its standard files are /dev/null, and it is named by an
// absolute path, which is looked up nowhere and passed through no shell. On
// Linux its umask is 022 and it inherits no other descriptor, where unshare(2)
// is allowed; elsewhere both are as for any program that is started. Its user is
// that of the program. What the calling thread alone has, such as a namespace that
// it has entered, the helper does not get.
//
// It runs in a process group of its own. When its context ends before the
// helper does, or its Timeout passes, the whole group is ended: the helper and
// whatever it has started and left in the group. A helper that ends by itself
// may leave daemons, as in the kernel, unless Sweep is set. If your program
// dies, its helpers live on: have the context end on SIGINT and SIGTERM, by
// [os/signal.NotifyContext].
//
// # What is out of reach
//
// A process that has left the group, by setsid(2), setpgid(2) or as a daemon
// does, gets no signal. If such programs have to be contained, put each helper
// into a control group of its own, by Init and the fields UseCgroupFD and CgroupFD
// of [syscall.SysProcAttr], and write to its cgroup.kill in Cleanup; or make your
// program a subreaper, by prctl(2), so that what was left becomes its child, to be
// reaped by its own pid.
//
// A helper that may not be signalled, because it has become another user, is
// waited for, and so is one that hangs in the kernel, and an exec that does.
//
// On Linux each start takes a thread, for a moment. Where there can be no more of
// them, at a limit of processes, the Go runtime ends the program, as whenever it
// needs one; os/exec, which needs none, returns EAGAIN there.
//
// Helpers are reaped one by one, by their pids. Nothing else in the program may
// reap them, as a loop over wait4(-1) would, nor may SIGCHLD be ignored: their
// status would be lost, and Exec returns [syscall.ECHILD].
//
// # Which tool
//
//   - Use [os/exec.Cmd] to talk with a program through pipes, to give it your
//     environment or a terminal, or on systems other than Unix.
//   - Use this package for a program that handles an event: it must not see
//     your secrets or outlive its context.
//
// On systems other than Linux, macOS and FreeBSD every call fails with
// [errors.ErrUnsupported].
//
// Kernel: include/linux/umh.h, kernel/umh.c
package usermodehelper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A Mode says how long the caller of a helper waits.
//
// Kernel: UMH_NO_WAIT, UMH_WAIT_EXEC, UMH_WAIT_PROC
//
// Differs: the zero value is WaitExec. The kernels of before 2012 had WAIT_EXEC 0 too, later ones have NO_WAIT 0: so never write the number.
type Mode int

const (
	WaitExec Mode = iota // until the program has been started, or could not be
	WaitProc             // until it has ended
	NoWait               // not at all
)

// String returns the name of the constant.
func (m Mode) String() string {
	switch m {
	case WaitExec:
		return "WaitExec"
	case WaitProc:
		return "WaitProc"
	case NoWait:
		return "NoWait"
	}
	return fmt.Sprintf("Mode(%d)", int(m))
}

// Environ returns a minimal environment, followed by extra: HOME=/ and
// PATH=/sbin:/usr/sbin:/bin:/usr/bin.
//
// Kernel: call_modprobe, kobject_uevent_env
func Environ(extra ...string) []string {
	return append([]string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"}, extra...)
}

// Call runs the program at path. It is short for [Helper.Exec].
//
// Kernel: call_usermodehelper
//
// Differs: what fails is an error; a status is never mixed with an errno.
func Call(ctx context.Context, path string, argv, envp []string, mode Mode) (Status, error) {
	h := Helper{Path: path, Argv: argv, Envp: envp}
	return h.Exec(ctx, mode)
}

// A Helper describes a program to run. Path is required; the zero value of
// every other field is a good default. A Helper is not changed by Exec, and
// may be used any number of times, also at once.
//
// Kernel: struct subprocess_info
type Helper struct {
	Path string   // absolute
	Argv []string // with argv[0], which may be any string; nil means {Path}
	Envp []string // the whole environment, as NAME=VALUE; nil means an empty one

	// Grace is how long the helper has between SIGTERM and SIGKILL when ctx
	// ends. 0 means one second.
	Grace time.Duration

	// Timeout is how long the helper may run. When it has passed, all is as if
	// ctx had ended at a deadline. 0 means no limit.
	Timeout time.Duration

	// Sweep ends, by SIGKILL, what is left of the group when the helper has
	// ended by itself. Otherwise the helper may leave daemons.
	Sweep bool

	// Output, if not nil, keeps what the helper writes. A process that the
	// helper leaves behind and that holds the output open has Grace to close
	// it; then what is left of the group gets SIGKILL.
	Output *Output

	// Gate, if not nil, says whether the helper may start and when.
	Gate *Gate

	// Init, if not nil, is called once for each Exec before the program is
	// started. It may change what the process gets: its Files, which are
	// /dev/null or the Output, or the user and the like in Sys, which is not
	// nil. If it returns an error, nothing is started, and Exec returns that
	// error as it is; if it panics, Cleanup is called with [syscall.ECANCELED].
	// The process has a group of its own in any case. What Init opens it has to
	// close itself, in Cleanup. On Linux an Init that sets Pdeathsig, PidFD or
	// Ptrace gets [syscall.EINVAL].
	//
	// Kernel: subprocess_info.init
	//
	// Differs: runs in the program, not in the new process, and not for a helper that is refused.
	Init func(*os.ProcAttr) error

	// Cleanup, if not nil, is called once for each Exec, when all is over:
	// the helper has ended and was reaped, or could not be started. It gets
	// what WaitProc would have returned. With WaitProc, and when Exec fails,
	// it is called before Exec returns; otherwise later, on a goroutine that
	// ends with it.
	//
	// Kernel: subprocess_info.cleanup
	Cleanup func(Status, error)
}

// Exec runs the helper and waits as mode says. ctx governs the helper until its
// end, also when Exec has returned: do not cancel it on return, unless the mode
// is WaitProc. The argument slices are copied before Exec returns.
//
// With WaitProc, Exec returns how the program ended. A program that fails is
// not an error: look at the [Status]. With WaitExec the status is 0, and an
// error says why the program could not be started: [syscall.ENOENT],
// [syscall.EACCES] and [syscall.ENOEXEC] are the usual ones. With NoWait even
// that goes to Cleanup only.
//
// When ctx ends, or Timeout has passed, the process group gets SIGTERM. It gets
// SIGKILL as soon as the helper itself has ended and nobody holds its Output, or
// when Grace has passed. The error of such a helper is
// that of [waitqueue.ContextErr], and its status is the final one; with any
// other error the status means nothing. A helper that had ended when ctx did was
// not interrupted, even if others that hold its Output were. No process is
// signalled after it was reaped.
//
// A program that is just being written, by another process or by one that this
// program is about to start, is tried again for up to two seconds.
//
// A helper whose ctx has ended already is not started. A bad call gives an
// error that matches [syscall.EINVAL] in every mode: a path that is not
// absolute, a NUL byte, an Argv that is empty and not nil, a string in Envp that
// is not NAME=VALUE, or two of the same name, of which a program could see
// either. So do, also in every mode, [syscall.EBUSY] and [syscall.EPERM] from the
// Gate; but one that waits for a place hears of a Disable when it comes, with NoWait
// by Cleanup. What is longer than the system takes is [syscall.E2BIG].
//
// Kernel: call_usermodehelper_setup, call_usermodehelper_exec
//
// Differs: an empty path is an error, not a success that ran nothing, and so are a relative path, a string in Envp that is not NAME=VALUE and two values for one name; what is wrong with the call itself is told with NoWait too; nil Argv is allowed; the end of ctx ends the helper, where a killed caller leaves it running; the standard files are open on /dev/null, where the kernel leaves them closed; the helper runs as the caller's user, not as root, and a signal that the program ignores is ignored in the helper.
func (h *Helper) Exec(ctx context.Context, mode Mode) (Status, error) {
	if err := h.check(mode); err != nil {
		return h.finish(0, err)
	}
	w, err := h.Gate.join(h.Path)
	if err != nil {
		return h.finish(0, err)
	}
	h = h.clone()
	if mode == NoWait {
		go h.run(ctx, w, WaitProc)
		return 0, nil
	}
	return h.run(ctx, w, mode)
}

// run is Exec of a helper that was checked and copied, and stands at its gate.
func (h *Helper) run(ctx context.Context, w *waiter, mode Mode) (Status, error) {
	if err := h.Gate.await(ctx, w, h.Path); err != nil {
		return h.finish(0, err)
	}
	launched := false
	defer func() {
		if !launched { // Init panics, or ends the goroutine: all is over nevertheless
			_, _ = h.leave(0, fmt.Errorf("usermodehelper: %s: Init did not return: %w", h.Path, syscall.ECANCELED))
		}
	}()
	p, err := h.launch(ctx)
	launched = true
	switch {
	case err != nil:
		return h.leave(0, err)
	case mode == WaitExec:
		go func() { h.leave(p.wait(ctx)) }()
		return 0, nil
	}
	return h.leave(p.wait(ctx))
}

// leave is finish for a helper that has passed the gate.
func (h *Helper) leave(status Status, err error) (Status, error) {
	h.Gate.leave()
	defer h.Gate.over()
	return h.finish(status, err)
}

// finish passes the end of a helper to Cleanup and to the caller.
func (h *Helper) finish(status Status, err error) (Status, error) {
	if h.Cleanup != nil {
		h.Cleanup(status, err)
	}
	return status, err
}

// clone copies what a caller may change once Exec has returned.
func (h *Helper) clone() *Helper {
	c := *h
	c.Argv, c.Envp = slices.Clone(h.Argv), slices.Clone(h.Envp)
	if c.Argv == nil {
		c.Argv = []string{h.Path}
	}
	return &c
}

// check refuses what no system could run as it was meant.
func (h *Helper) check(mode Mode) error {
	switch {
	case !supported:
		return fmt.Errorf("usermodehelper: %s: %w", h.Path, errors.ErrUnsupported)
	case mode < WaitExec || mode > NoWait:
		return h.invalid("%v is not a mode", mode)
	case h.Path == "":
		return h.invalid("the path is empty")
	case !filepath.IsAbs(h.Path):
		return h.invalid("the path is not absolute")
	case strings.Contains(h.Path, "\x00"):
		return h.invalid("the path has a NUL byte")
	}
	if h.Argv != nil && len(h.Argv) == 0 {
		return h.invalid("argv is empty")
	}
	for i, arg := range h.Argv {
		if strings.Contains(arg, "\x00") {
			return h.invalid("argv[%d] has a NUL byte", i)
		}
	}
	seen := make(map[string]bool, len(h.Envp))
	for i, env := range h.Envp {
		if strings.Contains(env, "\x00") {
			return h.invalid("envp[%d] has a NUL byte", i)
		}
		name, _, ok := strings.Cut(env, "=")
		if !ok || name == "" {
			return h.invalid("envp[%d] is not of the form NAME=VALUE", i)
		}
		if seen[name] {
			return h.invalid("envp[%d] sets %s a second time", i, name)
		}
		seen[name] = true
	}
	return nil
}

func (h *Helper) invalid(format string, args ...any) error {
	return fmt.Errorf("usermodehelper: %q: %s: %w", h.Path, fmt.Sprintf(format, args...), syscall.EINVAL)
}
