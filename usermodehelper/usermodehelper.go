// Package usermodehelper runs a small program in answer to an event, the way
// the kernel runs modprobe.
//
//	status, err := usermodehelper.Call(ctx, "/usr/local/bin/alert", nil,
//		usermodehelper.Environ("TROUBLED_DS=9527"), usermodehelper.WaitProc)
//
// A helper's environment holds exactly the strings of the call, its working
// directory is /, its standard files are /dev/null, and it is named by an
// absolute path, which is looked up nowhere and passed through no shell. User
// and umask are those of the calling program. It runs in a process group of
// its own. When its context ends before the helper does, the whole group is
// ended: the helper and whatever it has started and left in the group. A
// helper that ends by itself may leave daemons, as in the kernel. If your
// program dies, its helpers live on: have the context end on SIGINT and
// SIGTERM, by [os/signal.NotifyContext].
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
// Kernel: envp of call_usermodehelper's callers
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
	Argv []string // with argv[0]; nil means {Path}
	Envp []string // the whole environment, as NAME=VALUE; nil means an empty one

	// Grace is how long the helper has between SIGTERM and SIGKILL when ctx
	// ends. 0 means one second.
	Grace time.Duration

	// Cleanup, if not nil, is called once for each Exec, when all is over:
	// the helper has ended and was reaped, or could not be started. It gets
	// what WaitProc would have returned. With WaitProc, and when Exec fails,
	// it is called before Exec returns; otherwise later, on a goroutine that
	// ends with it.
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
// When ctx ends, the process group gets SIGTERM. As soon as the helper itself has ended,
// or Grace has passed, the group gets SIGKILL. The error of such a helper is
// that of [waitqueue.ContextErr], and its status is the final one; with any
// other error the status means nothing. Processes that have left the group are
// out of reach, and a helper that has become another user is waited for, if it
// may not be signalled.
//
// A program that is just being written, by another process or by one that this
// program is about to start, is tried again for up to two seconds.
//
// A helper whose ctx has ended already is not started. A bad call gives an
// error that matches [syscall.EINVAL] in every mode: a path that is not
// absolute, a NUL byte, a string in Envp that is not NAME=VALUE, or two of the
// same name.
//
// Kernel: call_usermodehelper_setup, call_usermodehelper_exec
//
// Differs: an empty path is an error, not a success that ran nothing; nil Argv is allowed; the end of ctx ends the helper, where a killed caller leaves it running; the standard files are open on /dev/null, where the kernel leaves them closed; the helper runs as the caller's user with its umask, not as root with 022.
func (h *Helper) Exec(ctx context.Context, mode Mode) (Status, error) {
	if err := h.check(mode); err != nil {
		return h.finish(0, err)
	}
	h = h.clone()
	switch mode {
	case WaitProc:
		return h.run(ctx)
	case NoWait:
		go h.run(ctx)
		return 0, nil
	}
	cmd, err := h.start(ctx)
	if err != nil {
		return h.finish(0, err)
	}
	go func() { h.finish(h.wait(ctx, cmd)) }()
	return 0, nil
}

// run is Exec in the mode WaitProc, of a helper that was checked and copied.
func (h *Helper) run(ctx context.Context) (Status, error) {
	cmd, err := h.start(ctx)
	if err != nil {
		return h.finish(0, err)
	}
	return h.finish(h.wait(ctx, cmd))
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
		if seen[name] { // os/exec would drop one of them
			return h.invalid("envp[%d] sets %s a second time", i, name)
		}
		seen[name] = true
	}
	return nil
}

func (h *Helper) invalid(format string, args ...any) error {
	return fmt.Errorf("usermodehelper: %q: %s: %w", h.Path, fmt.Sprintf(format, args...), syscall.EINVAL)
}
