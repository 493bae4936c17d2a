// Package usermodehelper runs a helper, which is a small program, in answer to an
// event, as the kernel runs modprobe. Names and rules of the kernel are as of Linux
// 7.3.
//
//	status, err := usermodehelper.Call(ctx, "/usr/local/bin/alert", nil,
//		usermodehelper.Environ("TROUBLED_DS=9527"), usermodehelper.WaitProc)
//
// # Which tool
//
//   - Use a channel and a goroutine for work that needs no other program.
//   - Use [os/exec.Cmd] for a dialogue with a program, to give it your environment
//     or a terminal, or on systems other than Unix.
//   - Use this package for a program that handles an event: it must not see
//     your secrets or outlive its context.
//
// On systems other than Linux, macOS and FreeBSD every call fails with
// [errors.ErrUnsupported].
//
// # Added to os/exec
//
// [os/exec] starts the helper. This package adds the following, each for a reason:
//
//   - The path is absolute, and there is no search in PATH and no shell. So your
//     program's environment cannot select another file.
//   - The environment is exactly the strings of the call, and the variables that the
//     call names. So the helper does not see your program's secrets.
//   - The working directory is / or Dir, so the helper keeps no file system busy by
//     chance.
//   - On Linux the umask is 022, so the helper's files do not depend on your
//     program's umask.
//   - The standard files are /dev/null. On Linux every other descriptor is
//     closed, also one that was opened without close-on-exec. "Descriptors" below
//     lists the exceptions.
//   - The helper leads a session of its own, and so a process group. It has no
//     terminal, so it cannot stop there to ask for a password.
//   - When the context ends, the whole group ends, not the helper alone. Exec
//     returns when no member of that group is alive.
//   - Exec limits its wait for a pipe that a grandchild holds open, and for a slow
//     reader or writer of yours.
//   - A waiting Exec holds no thread. On Linux the runtime's poller watches the
//     helper.
//
// The helper runs as your program's user, with its limits and its nice value, unless
// the fields User, Limits and Nice say otherwise. Limits and Nice need Linux. Control
// group and namespaces are your program's too, unless Init changes them. The helper
// does not inherit attributes of the calling thread, such as a namespace that only
// this thread has entered.
//
// # Descriptors
//
// A start can miss a descriptor without close-on-exec in these cases:
//
//   - Another goroutine opens it during the start.
//   - The program has more than 256 open descriptors, and this one has taken the
//     place of another since the last start.
//   - Its number is above the limit of open files, or is one of the last eight
//     that the limit allows.
//   - There is no /proc, and its number is above 65,535.
//
// # The end of a helper
//
// When ctx ends, or Timeout has passed, every process of the group gets SIGTERM, or
// the signal of the field Stop. SIGCONT follows, because a stopped process would not
// notice. The members then have Grace to end. After that the group gets SIGKILL. The
// same happens with Sweep when the helper ends by itself. Without Sweep a helper may
// leave daemons, as in the kernel, and Exec does not wait for them.
//
// After such an end Exec returns, and Cleanup is called, when no member of the
// group is alive. [Gate.Disable] and [Gate.Wait] wait for that too. A zombie is not
// alive: its files are closed and its locks are released. A process that hangs in the
// kernel, or that your program may not signal, outlives SIGKILL. Exec waits five
// seconds for it and then returns an error that matches [syscall.ENOTEMPTY].
//
// A process that has left the group may hold an Output open. Then Exec waits for
// Grace and up to a second more, kills nothing, and marks the Output as cut. The same
// limit holds for a Writer or a Line that is slow. Exec does not wait for a process
// that holds the input.
//
// If your program dies, its helpers live on. Have ctx end on SIGINT and SIGTERM,
// by [os/signal.NotifyContext]. On Linux, an Init that sets Pdeathsig ends the
// helper even if your program is killed.
//
// # Out of reach
//
//   - A process that has left the group, by setsid(2) or setpgid(2), gets no
//     signal. To contain such a program, give each helper a control group of its
//     own: set UseCgroupFD and CgroupFD of [syscall.SysProcAttr] in Init, and write
//     to cgroup.kill in Cleanup.
//   - If your program is pid 1 or a subreaper, the processes that a helper leaves
//     become its children, and their zombies stay until it reaps them. The field
//     Reap does that for a group that was ended. Started tells the group's number.
//   - Members are found in /proc. Without /proc, and on systems other than Linux, Exec
//     gives Grace to the helper alone, and waits for the helper alone. The same holds
//     for members that /proc hides from your program (hidepid=2). In all these cases, a
//     Writer or a Line that takes longer than Grace looks like a member that holds the
//     Output.
//   - Exec can miss a chain of members in which each one starts the next and ends at
//     once. Then SIGKILL comes before Grace is over.
//   - Nothing else in your program may reap helpers, as a loop over wait4(-1) does,
//     and SIGCHLD must not be ignored. The status would be lost, and Exec would
//     return [syscall.ECHILD].
//   - Where unshare(2) is refused, as in many containers, the umask is your
//     program's. A seccomp filter that kills on unshare(2) ends your program.
//   - Do not run helpers in a [testing/synctest] bubble. They are real processes,
//     and they share threads with helpers outside of the bubble.
//   - At a limit of processes a start returns [syscall.EAGAIN]. But the Go runtime
//     ends your program if it needs one more thread then. So starts share at most
//     GOMAXPROCS threads. When a second helper runs, this package makes some spare
//     threads. It makes each thread only if the kernel has just allowed one more
//     process. Your program can still end if there is room for only one to three
//     more processes, or if others take the place in the same moment.
//   - To ask the kernel whether it allows one more process, this package starts a
//     process that ends at once. A program that asks for SIGCHLD gets it for these
//     processes too, and for the stop of a helper with Limits or Nice.
//
// # Memory model
//
// A call of Exec is synchronized before Init, Init before Started, and Started
// before Cleanup. With WaitProc, and when Exec fails, Cleanup is synchronized before
// the return of Exec. Cleanup is also synchronized before the return of a
// [Gate.Disable] or a [Gate.Wait] that waited for it. A helper that gives back its
// place at a Gate is synchronized before the Init of the helper that gets the place.
//
// Init is synchronized before the first Read of InputFrom and before the first call of
// Writer or Line. Each of these calls is synchronized before the next one for the same
// reader or [Output]. The calls that have returned in time are synchronized before
// Cleanup. A call that was left behind is not. The bytes that an Output got are there
// when Cleanup is called.
//
// Kernel: include/linux/umh.h, kernel/umh.c
package usermodehelper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The life of a helper in six steps. The first and the last are on all systems:
//
//	Helper.check     is the call right? Then the helper stands at its Gate
//	Gate.await       waits for a place, in the order of the calls
//	Helper.launch    Init, the pipes, the start, the goroutines beside it
//	process.wait     waits for the end of the helper, or of the context
//	process.end      a signal for the whole group, Grace, SIGKILL
//	Helper.finish    calls Cleanup with the Result, and returns

// A Mode says how long the caller of a helper waits: with WaitExec until the
// helper has been started, with WaitProc until it has ended, with NoWait not at all.
//
// Kernel: UMH_NO_WAIT, UMH_WAIT_EXEC, UMH_WAIT_PROC
//
// Differs: the zero value is WaitExec. In kernels before 2012 WAIT_EXEC was 0 too. In later kernels NO_WAIT is 0. So write the name, never the number.
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

// Environ returns a minimal environment: HOME=/ and
// PATH=/sbin:/usr/sbin:/bin:/usr/bin, followed by extra. Modprobe gets this PATH from
// the kernel. An extra string for HOME or PATH replaces the string
// that Environ would give.
//
// Kernel: call_modprobe, kobject_uevent_env
//
// Differs: a caller may replace both strings.
//
// Differs: call_modprobe: adds TERM=linux, before PATH.
//
// Differs: kobject_uevent_env: has another PATH, which is /sbin:/bin:/usr/sbin:/usr/bin.
func Environ(extra ...string) []string {
	var env []string
	for _, own := range []string{"HOME=/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"} {
		name := own[:strings.Index(own, "=")+1]
		if !slices.ContainsFunc(extra, func(e string) bool { return strings.HasPrefix(e, name) }) {
			env = append(env, own)
		}
	}
	return append(env, extra...)
}

// Call runs the program at path. It is short for [Helper.Exec].
//
// Kernel: call_usermodehelper
//
// Differs: a failed start is an error; a status is never mixed with an errno.
func Call(ctx context.Context, path string, argv, envp []string, mode Mode) (Status, error) {
	h := Helper{Path: path, Argv: argv, Envp: envp}
	return h.Exec(ctx, mode)
}

// A Helper describes a program to run. Path is required; the zero value of
// every other field is a good default. Exec does not change a Helper. Any number
// of calls may use it, also at the same time.
//
// Kernel: struct subprocess_info
//
// Differs: may be used again, also by several calls at once; one call uses up a struct subprocess_info.
type Helper struct {
	Path string   // absolute
	Argv []string // with argv[0], which may be any string; nil means {Path}
	Envp []string // the whole environment, as NAME=VALUE; nil means an empty one

	// Inherit has names of variables that the helper gets from your program's
	// environment, as it is when Exec is called. A variable that is not set there is
	// left out. A variable that Envp sets too keeps the value of Envp. A name that is
	// empty, or has "=" or a NUL byte, gives [syscall.EINVAL].
	Inherit []string

	// Dir is the working directory, which must be absolute, or the call gets
	// [syscall.EINVAL]. "" means /. The helper enters it as its User.
	Dir string

	// User, if not nil, is the user and the group of the helper. A program that may
	// not change its user gets [syscall.EPERM], also if it names its own user. nil
	// means the user, group and supplementary groups of your program. User does not
	// change HOME in the environment.
	User *User

	// Limits are set before the first instruction of the program, on Linux alone. A
	// resource that is not in the list keeps your program's limits. The runtime of Go
	// raises [syscall.RLIMIT_NOFILE] for your program. The helper gets the limit that
	// your program had before that.
	//
	// If the kernel refuses a limit, the program runs no instruction, and the start
	// gets the kernel's error. It is [syscall.EPERM] for a hard limit that your
	// program may not raise, and [syscall.EINVAL] for a resource that does not exist.
	// A Soft above its Hard, and two limits of one resource, give EINVAL in every mode.
	//
	// The limits are set by ptrace(2), so the start gets EPERM in these cases:
	//
	//   - ptrace is refused, as by a seccomp filter or where a debugger or strace
	//     follows the children of your program.
	//   - The program is setuid or setgid, or its file has capabilities. That is
	//     allowed if your program has CAP_SYS_PTRACE, and User is nil.
	//   - User is another user than your program's, and your program does not have
	//     CAP_SYS_RESOURCE, as in most containers. Then have prlimit(1) run the
	//     program.
	//
	// The size of the arguments and the place of the stack are settled earlier, by
	// your program's [syscall.RLIMIT_STACK]. On macOS and FreeBSD the call gets
	// [syscall.EOPNOTSUPP], which matches [errors.ErrUnsupported].
	Limits []Limit

	// Nice is added to your program's nice value, as by nice(1): 0 changes
	// nothing, 5 gives the helper less of a busy processor, -5 gives it more. The
	// sum is at least -20 and at most 19. More than 39 steps give [syscall.EINVAL].
	//
	// Nice is set together with Limits, by the same means, on the same systems. A
	// negative Nice without CAP_SYS_NICE gives [syscall.EACCES]. With a User that is
	// not your program's, any Nice without CAP_SYS_NICE gives [syscall.EPERM].
	//
	// A helper has a session of its own. A kernel that shares out the processor by
	// session (sched_autogroup_enabled) weighs the helper against that session alone.
	// There, write the value to /proc/PID/autogroup in Started.
	Nice int

	// Stop is the signal that asks the group to end. 0 means SIGTERM. A number that
	// is no signal gives [syscall.EINVAL].
	Stop syscall.Signal

	// Grace is how long the members of the group have between the Stop signal and
	// SIGKILL. 0 means one second. If it is negative, SIGKILL follows at once.
	Grace time.Duration

	// Timeout is how long the helper may run. A wait at the Gate does not count.
	// When it has passed, the helper is ended as by a context with a deadline. 0
	// means no limit. If it is negative, the time is over before the start, and
	// nothing is started.
	Timeout time.Duration

	// Sweep ends the rest of the group when the helper has ended by itself: the
	// Stop signal, Grace, SIGKILL. Without Sweep the helper may leave daemons.
	Sweep bool

	// Reap reaps, after SIGKILL, the zombies of the group that are children of
	// this program. A program has such children if it is pid 1 or a subreaper.
	// Each is reaped by its own pid. Reap works on Linux.
	Reap bool

	// Input is the standard input. Nil means /dev/null, and an empty slice means an
	// input without a byte. Exec does not copy the bytes: they must not change before
	// Cleanup. It is no error if the helper does not read all of them. When the helper
	// has ended, the rest is dropped, so a daemon that it leaves sees an early end of
	// the input.
	Input []byte

	// InputFrom, if not nil, gives the standard input for one call of Exec. Input
	// must be nil then. An *os.File becomes the helper's descriptor 0 itself, and is
	// in blocking mode then, as after [os.File.Fd]. Any other reader is read by a
	// goroutine of this package, from the start of the helper until its end.
	//
	//   - If a Read fails, the helper is ended as by a context. Its input stays open
	//     until it has ended, so it does not take a part of the input for the whole.
	//     The error of Exec matches the reader's error and [syscall.EIO].
	//   - If a Read panics or ends its goroutine, the helper is ended in the same
	//     way. See [Output].
	//   - If a Read blocks, Exec does not wait for it when the helper has ended. The
	//     goroutine ends when the Read returns, and drops the bytes. Do not use the
	//     reader meanwhile.
	InputFrom io.Reader

	// Output, if not nil, takes the bytes that the helper writes. A member of the
	// group that still holds the output when the helper has ended has Grace to
	// close it. After that the rest of the group gets SIGKILL.
	Output *Output

	// Errors, if not nil, takes the standard error, and Output the standard output
	// alone. The same rules hold for both. The same pointer in both fields means
	// Output alone.
	Errors *Output

	// Gate, if not nil, says whether the helper may start and when.
	Gate *Gate

	// Init, if not nil, is called once for each Exec before the program is
	// started. It may change these attributes of the helper:
	//
	//   - Files: each is /dev/null, the input or an Output. A nil closes the
	//     descriptor, and a closed file gets [syscall.EBADF]. Files after the third
	//     become the descriptors 3, 4 and so on. Init may move a file or replace it,
	//     but not read or write it: /dev/null is opened after Init. If the input is
	//     replaced, InputFrom is not read.
	//   - Env, Dir, and the user in Sys.Credential, which have the values of the fields
	//     above. Of two strings of Env for one name, the last counts. A relative Dir
	//     is relative to your program's directory. With Chroot it must be absolute,
	//     and an empty one is /.
	//   - Sys, which is not nil: Pdeathsig, a control group and the like. With
	//     Setsid false the helper has a group of its own in your program's
	//     session, and so its terminal. Setpgid and Pgid have no effect. A PidFD
	//     is non-blocking. Ptrace, and Cloneflags other than namespaces, get
	//     [syscall.EINVAL].
	//
	// If Init returns an error, nothing is started, and Exec returns that error as
	// it is. If Init panics or ends its goroutine, Cleanup gets an error that matches
	// [syscall.ECANCELED]. Exec does not close files that Init opens: close them in
	// Cleanup.
	//
	// Kernel: subprocess_info.init
	//
	// Differs: runs in the program, not in the new process, and not for a helper that is refused.
	Init func(*os.ProcAttr) error

	// Started, if not nil, is called with the pid of the helper once it runs,
	// before Exec returns with WaitExec. The pid is also the number of its group.
	// No other process gets the number before the helper is reaped: right before
	// Cleanup, or later if the error matches [syscall.ENOTEMPTY]. A Timeout goes on
	// meanwhile. If Started panics or ends its goroutine, the helper is ended, and
	// Cleanup gets an error that matches [syscall.ECANCELED].
	Started func(pid int)

	// Cleanup, if not nil, is called once for each Exec, when all is over. Then the
	// helper has ended and was reaped, or its start has failed, or Exec has given up
	// with [syscall.ENOTEMPTY]. The Result has the status and the error that Exec
	// returns with WaitProc. With WaitProc, and when Exec fails, Cleanup is called
	// before Exec returns. Otherwise it is called later, on a goroutine that ends with
	// it.
	//
	// The helper gives back its place at the Gate before Cleanup. So the Cleanups of two
	// helpers can run at the same time, or in the other order, even if Max is 1.
	//
	// Kernel: subprocess_info.cleanup
	Cleanup func(Result)

	visit *visit // at the Gate, of one call; nil in a Helper that is not a copy of Exec's
}

// Exec runs the helper and waits as mode says. ctx ends the helper even after Exec
// has returned. So with WaitExec and NoWait do not cancel ctx on return. Exec
// copies the argument slices before it returns.
//
// With WaitProc, Exec returns how the helper ended. A helper that fails is
// not an error: look at the [Status]. With WaitExec the status is 0, and the
// error says why the helper could not be started. With NoWait, Exec returns
// errors of the call alone; Cleanup gets every other error.
//
// Every error begins with "usermodehelper:", except an error of Init.
//
// A bad call gets [syscall.EINVAL], in every mode:
//
//   - ctx is nil, or mode is unknown.
//   - The path is empty or not absolute.
//   - Argv is empty but not nil.
//   - A string has a NUL byte.
//   - A string of Envp is not NAME=VALUE, or Envp sets a name twice.
//   - Inherit, Dir, Limits, Nice or Stop has a bad value.
//   - Input and InputFrom are both set, or InputFrom is a nil *os.File.
//   - Max, Burst or Interval of the Gate is negative.
//
// Other errors of a call, in every mode:
//
//   - [syscall.EOPNOTSUPP]: there are Limits or Nice, and the system is not Linux.
//   - [syscall.EBUSY]: the Gate is disabled.
//   - [syscall.ENOBUFS]: the helper would have to wait at the Gate, and as many wait
//     as its Queue allows.
//   - [syscall.EPERM]: the Gate does not allow the path.
//
// Errors of a start:
//
//   - [syscall.ENOENT], [syscall.EACCES], [syscall.ENOEXEC] and others, as
//     execve(2) returns them. An argument that is too long gives
//     [syscall.E2BIG], a path that is too long [syscall.ENAMETOOLONG].
//   - [syscall.EPERM]: your program may not change to User, or the helper cannot
//     have its Limits or its Nice.
//   - [syscall.EAGAIN]: there are as many processes as there may be.
//   - [syscall.ENODEV]: /dev/null is missing, and Init has not replaced it.
//   - [syscall.ETXTBSY]: some process has had the file open for writing for two
//     seconds. Until then Exec tries again.
//   - [syscall.ECANCELED]: ctx ended before the start, as in Init or while the
//     helper waited for a place at the Gate, or Timeout is negative. The error also
//     matches EINTR or ETIMEDOUT, as below.
//
// Errors of a run. A helper that ends before ctx was not interrupted, even if ctx
// then ends other processes that hold its Output. The text says whether the helper
// "was ended" or "has ended" by itself, and its status. One error can match several
// of these.
//
//   - [syscall.EINTR] with [context.Canceled]: ctx was cancelled.
//   - [syscall.ETIMEDOUT] with [context.DeadlineExceeded]: a deadline or the
//     Timeout has passed. Both errors also match the cause of ctx.
//   - [syscall.EIO] with the error of the reader or of the Writer: it failed, and
//     ended the helper if that still ran.
//   - [syscall.ECANCELED]: Started, the reader, Writer or Line panicked, or ended its
//     goroutine. [Result] tells this from a helper that was not started.
//   - [syscall.ENOTEMPTY]: the group is not empty, because a member outlives
//     SIGKILL. A goroutine reaps the helper later. The Gate gets the place back now,
//     but Disable waits for the member.
//   - [syscall.ECHILD]: another part of your program has reaped the helper.
//
// The status is valid if the error is nil, or is EINTR, ETIMEDOUT, EIO or ECANCELED
// of a run. The field Reaped of the [Result] says exactly whether it is valid.
//
// Kernel: call_usermodehelper_setup, call_usermodehelper_exec
//
// Differs: an empty path is an error, where the kernel runs nothing and reports success.
//
// Differs: a relative path is an error, and so are a string in Envp that is not NAME=VALUE and two values for one name.
//
// Differs: a call that is wrong in itself gets its error with NoWait too.
//
// Differs: nil Argv is allowed.
//
// Differs: the end of ctx ends the helper, where a killed caller leaves it running.
//
// Differs: the standard files are open on /dev/null, where the kernel leaves them closed.
//
// Differs: the helper runs as the caller's user or as User, not as root.
//
// Differs: a signal that the program ignores is ignored in the helper.
//
// Differs: the helper leads a session of its own, where the kernel's has none.
func (h *Helper) Exec(ctx context.Context, mode Mode) (Status, error) {
	if err := h.check(ctx, mode); err != nil {
		return h.finish(h.notRun(err))
	}
	v, err := h.Gate.join(h.Path)
	if err != nil {
		return h.finish(h.notRun(err))
	}
	h = h.clone()
	h.visit = v
	if mode == NoWait {
		go h.run(ctx, WaitProc)
		return 0, nil
	}
	return h.run(ctx, mode)
}

// run is Exec of a helper that was checked and copied, and stands at its gate.
func (h *Helper) run(ctx context.Context, mode Mode) (Status, error) {
	if h.Timeout < 0 {
		var cancel context.CancelFunc
		ctx, cancel = h.limited(ctx, time.Now())
		defer cancel()
	}
	if err := h.Gate.await(ctx, h.visit, h.Path); err != nil {
		defer h.Gate.over(h.visit)
		return h.finish(h.notRun(err))
	}
	p, err := h.begin(ctx)
	switch {
	case err != nil:
		return h.leave(h.notRun(err))
	case mode == WaitExec:
		go h.complete(p)
		return 0, nil
	}
	return h.complete(p)
}

// complete waits for the helper. A panic of the reader, of Writer or of Line goes
// on here, after Cleanup.
func (h *Helper) complete(p *process) (Status, error) {
	defer p.goOn()
	return h.leave(p.wait())
}

// begin starts the program and tells its pid. It leaves no helper behind if Init
// or Started panics, or ends the goroutine.
func (h *Helper) begin(ctx context.Context) (p *process, err error) {
	returned := false
	defer func() {
		switch {
		case returned:
		case p == nil:
			_, _ = h.leave(h.notRun(fmt.Errorf("usermodehelper: %s: Init did not return: %w", h.Path, syscall.ECANCELED)))
		default:
			p.fail(&fault{what: "Started"})
			_, _ = h.leave(p.wait())
		}
	}()
	p, err = h.launch(ctx)
	if err == nil && h.Started != nil {
		h.Started(p.pid)
	}
	returned = true
	return p, err
}

// limited returns ctx with the Timeout of a helper that has begun at this time.
func (h *Helper) limited(ctx context.Context, begun time.Time) (context.Context, context.CancelFunc) {
	if h.Timeout == 0 {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, begun.Add(h.Timeout))
}

// leave is finish for a helper that has passed the gate.
func (h *Helper) leave(r Result) (Status, error) {
	h.Gate.leave()
	defer h.Gate.over(h.visit)
	return h.finish(r)
}

// finish passes the end of a helper to Cleanup and to the caller.
func (h *Helper) finish(r Result) (Status, error) {
	if h.Cleanup != nil {
		h.Cleanup(r)
	}
	return r.Status, r.Err
}

// notRun returns the result of a helper that was not started.
func (h *Helper) notRun(err error) Result { return Result{Path: h.Path, Err: err} }

// clone copies the slices, because a caller may change them once Exec has returned.
func (h *Helper) clone() *Helper {
	c := *h
	c.Argv, c.Envp = slices.Clone(h.Argv), h.environment()
	c.User, c.Limits = h.User.clone(), slices.Clone(h.Limits)
	if c.Argv == nil {
		c.Argv = []string{h.Path}
	}
	return &c
}

// check refuses a call that no system could run as it was meant.
func (h *Helper) check(ctx context.Context, mode Mode) error {
	switch {
	case !supported:
		return fmt.Errorf("usermodehelper: %s: %w", h.Path, errors.ErrUnsupported)
	case ctx == nil:
		return h.invalid("the context is nil")
	case mode < WaitExec || mode > NoWait:
		return h.invalid("%v is not a mode", mode)
	case h.Path == "":
		return h.invalid("the path is empty")
	case !filepath.IsAbs(h.Path):
		return h.invalid("the path is not absolute")
	case strings.Contains(h.Path, "\x00"):
		return h.invalid("the path has a NUL byte")
	case h.Argv != nil && len(h.Argv) == 0:
		return h.invalid("argv is empty")
	case h.Dir != "" && !filepath.IsAbs(h.Dir):
		return h.invalid("Dir %q is not absolute", h.Dir)
	case strings.Contains(h.Dir, "\x00"):
		return h.invalid("Dir has a NUL byte")
	case h.Input != nil && h.InputFrom != nil:
		return h.invalid("both Input and InputFrom are set")
	case h.InputFrom == (*os.File)(nil):
		return h.invalid("InputFrom is a nil file")
	}
	return cmp.Or(h.checkStrings(), h.checkInherit(), h.checkStop(), h.checkLimits())
}

func (h *Helper) checkStrings() error {
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
