//go:build linux || darwin || freebsd

package usermodehelper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

const supported = true

// A process is a helper that runs, or has ended and is not yet reaped.
//
// Invariant: until the helper is reaped, no other process and no other group can
// get its pid, which is also the number of its group. Every signal is sent before
// that, so no signal hits another process.
type process struct {
	helper  *Helper
	child   *os.Process
	pid     int
	null    *os.File // stands for /dev/null until the start
	input   *feeder  // nil if none is wanted
	outputs captures
	begun   time.Time
	ended   time.Time // when the helper itself was seen to have ended
	over    func()    // releases the thread that is the helper's parent
	exit    *exit     // of the helper itself

	outer  context.Context // of the caller, with the Timeout
	inner  context.Context // also ends when there is a fault
	cancel func(cause error)
	fault  atomic.Pointer[fault] // the first one
}

// fail ends the helper because a function of the caller has failed.
func (p *process) fail(f *fault) {
	if p.fault.CompareAndSwap(nil, f) {
		p.cancel(f)
	}
}

// goOn continues a panic of the reader, of Writer or of Line.
func (p *process) goOn() {
	if f := p.fault.Load(); f != nil && f.panicked != nil {
		panic(f.panicked)
	}
}

// trace, if not nil, is told of each signal and of each reaping.
var trace func(what string, pid int)

// launch calls Init and starts the program. It returns as soon as the exec has
// succeeded or failed.
func (h *Helper) launch(ctx context.Context) (*process, error) {
	if err := h.stillWanted(ctx); err != nil {
		return nil, err
	}
	p := &process{helper: h}
	started := false
	defer func() {
		if !started { // or Init panicked
			p.input.discard()
			p.outputs.discard()
		}
	}()
	attr, done, err := p.attributes()
	defer done()
	if err != nil {
		return nil, err
	}
	if h.Init != nil {
		if err := h.Init(attr); err != nil {
			return nil, err
		}
	}
	if err := p.start(ctx, attr); err != nil {
		return nil, err
	}
	started = true
	p.watch(ctx, attr)
	return p, nil
}

// watch begins with the work that goes on beside a helper that runs.
func (p *process) watch(ctx context.Context, attr *os.ProcAttr) {
	ctx, release := p.helper.limited(ctx, p.begun)
	p.outer = ctx
	inner, cancel := context.WithCancelCause(ctx)
	p.inner, p.cancel = inner, func(cause error) { cancel(cause); release() }
	p.exit = watch(p.child)
	if p.input != nil && !slices.Contains(attr.Files, p.input.r) { // Init has replaced it
		p.input.discard()
		p.input = nil
	}
	p.input.start()
	p.outputs.start()
}

// laterNull returns a file that stands for /dev/null. The real one is opened when
// the helper is started. If it were opened before, many waiting helpers would make the
// table of descriptors grow. That takes long in the kernel. So the runtime would
// make threads, and at a limit of processes those would take the helpers' places.
func laterNull() *os.File { return os.NewFile(math.MaxInt32, os.DevNull) }

// attributes returns the attributes of the helper before Init changes them. done
// closes this program's copies of the files.
func (p *process) attributes() (attr *os.ProcAttr, done func(), err error) {
	p.null = laterNull()
	attr = &os.ProcAttr{
		Dir:   cmp.Or(p.helper.Dir, "/"),
		Env:   p.helper.Envp,
		Files: []*os.File{p.null, p.null, p.null},
		Sys:   &syscall.SysProcAttr{Setsid: true, Credential: p.helper.User.credential()},
	}
	done, err = p.pipes(attr.Files)
	if err != nil {
		err = p.notStarted(err)
	}
	return attr, done, err
}

// pipes puts the pipes of the input and of the outputs into files. done closes
// this program's copies of the helper's ends.
func (p *process) pipes(files []*os.File) (done func(), err error) {
	var ends []*os.File
	done = func() {
		for _, f := range ends {
			_ = f.Close()
		}
	}
	h := p.helper
	if f, ok := h.InputFrom.(*os.File); ok {
		files[0] = f
	}
	if p.input, err = newFeeder(h, p.fail); err != nil {
		return done, err
	}
	if p.input != nil {
		files[0] = p.input.r
		ends = append(ends, p.input.r)
	}
	capture := func(out *Output, name string, fds ...int) {
		if out == nil || err != nil {
			return
		}
		var c *capture
		var w *os.File
		if c, w, err = newCapture(out, name, p.fail); err != nil {
			return
		}
		p.outputs, ends = append(p.outputs, c), append(ends, w)
		for _, fd := range fds {
			files[fd] = w
		}
	}
	if h.Errors == nil || h.Errors == h.Output {
		capture(h.Output, "Output", 1, 2)
		return done, err
	}
	capture(h.Output, "Output", 1)
	capture(h.Errors, "Errors", 2)
	return done, err
}

func (p *process) notStarted(err error) error {
	return fmt.Errorf("usermodehelper: %s was not started: %w", p.helper.Path, err)
}

// start starts the program.
//
// A file that was written a moment ago may still be open for writing in another
// child of this program, before the exec of that child. Then the kernel refuses
// to run the file (ETXTBSY), and the only remedy is to try again.
func (p *process) start(ctx context.Context, attr *os.ProcAttr) error {
	var err error
	for pause := time.Millisecond; ; pause *= 2 {
		if err = p.tryStart(ctx, attr); !errors.Is(err, syscall.ETXTBSY) || pause > 2*time.Second {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (p *process) tryStart(ctx context.Context, attr *os.ProcAttr) error {
	cmd, err := p.command(attr)
	if err != nil {
		return err
	}
	tried := false
	over, err := inCrew(func() error {
		tried = true
		if err := p.helper.stillWanted(ctx); err != nil { // ctx may have ended in Init
			return err
		}
		defer beginStart()()
		return p.startWith(cmd, slices.Clone(attr.Files))
	})
	switch {
	case err == nil:
		p.child, p.pid, p.over, p.begun = cmd.Process, cmd.Process.Pid, over, time.Now()
	case !tried: // no thread could be made
		return p.notStarted(err)
	}
	return err
}

// startWith opens /dev/null where Init has not replaced it, looks for descriptors to
// close, and starts cmd with the files. A nil file is a closed descriptor.
func (p *process) startWith(cmd *exec.Cmd, files []*os.File) error {
	for len(files) < 3 {
		files = append(files, nil)
	}
	if slices.Contains(files, p.null) {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if errors.Is(err, os.ErrNotExist) { // which would say that the program is missing
			err = fmt.Errorf("%v: %w", err, syscall.ENODEV)
		}
		if err != nil {
			return p.notStarted(err)
		}
		defer null.Close()
		for i, f := range files {
			if f == p.null {
				files[i] = null
			}
		}
	}
	files = withoutLeaks(files) // as late as possible
	// Each is an *os.File, also a nil one: for a nil interface os/exec opens /dev/null.
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = files[0], files[1], files[2], files[3:]
	if err := p.helper.startLimited(cmd); err != nil {
		return p.explained(err, cmd)
	}
	return nil
}

// explained returns the error of a failed start. The error of a directory that the
// helper cannot enter looks like an error of the program.
func (p *process) explained(err error, cmd *exec.Cmd) error {
	if errno := syscall.Errno(0); cmd.SysProcAttr.Chroot == "" {
		_, bad := os.Stat(cmd.Dir + "/.")
		if errors.As(bad, &errno) && errors.Is(err, errno) {
			return p.notStarted(bad)
		}
	}
	return fmt.Errorf("usermodehelper: %w", p.helper.explainUser(err, cmd.Dir))
}

func (h *Helper) stillWanted(ctx context.Context) error {
	if ctx.Err() != nil {
		return interrupted(ctx, syscall.ECANCELED, "%s was not started", h.Path)
	}
	return nil
}

// command returns attr, without its files, in the form of os/exec. Init cannot change that
// the helper leads a process group: the group of a new session, or a group in the program's.
func (p *process) command(attr *os.ProcAttr) (*exec.Cmd, error) {
	sys := syscall.SysProcAttr{Setsid: true}
	if attr.Sys != nil {
		sys = *attr.Sys // a copy: several helpers may share it
	}
	sys.Setpgid, sys.Pgid = !sys.Setsid, 0
	dir, err := directory(attr.Dir, sys.Chroot)
	if err := cmp.Or(err, checkSys(&sys), checkEnv(attr.Env), checkFiles(attr.Files)); err != nil {
		return nil, p.notStarted(err)
	}
	sys.Ptrace = p.helper.isLimited()
	return &exec.Cmd{
		Path: p.helper.Path, Args: p.helper.Argv, Dir: dir, SysProcAttr: &sys,
		Env: append([]string{}, attr.Env...), // os/exec would replace a nil Env with the program's
	}, nil
}

// wait waits for the end of the helper, ends its group where that has to end, and
// reaps the helper.
func (p *process) wait() Result {
	defer p.cancel(nil)
	interrupted := !p.awaitExit(p.inner) // or else the helper has ended by itself
	last := time.Now().Add(p.helper.grace())
	gone := p.settle(interrupted, last)
	p.readRest(last)
	return p.result(interrupted, gone)
}

// settle waits until no member is left that had to end, and ends the members where
// that is due. It reports whether they have gone.
func (p *process) settle(interrupted bool, last time.Time) (gone bool) {
	if interrupted {
		defer p.input.stop() // not before: the helper would take it for the whole input
		return p.end()
	}
	p.input.stop()
	if p.helper.Sweep {
		return p.end()
	}
	return p.awaitOutputs(last)
}

// awaitExit waits until the helper itself has ended, or ctx has. It reports whether
// the helper has ended.
func (p *process) awaitExit(ctx context.Context) bool {
	ended := p.exit.await(ctx)
	if ended && p.ended.IsZero() {
		p.ended = time.Now()
	}
	return ended
}

// awaitOutputs waits for at most Grace until the outputs of a helper that has ended
// are closed. If a member still holds one then, it ends the group. It reports
// whether no member is left that had to end.
//
// A member is looked at itself, because an open pipe proves nothing: a helper
// that is just being started holds copies of this program's descriptors until its
// exec. On a busy machine that takes longer than Grace.
func (p *process) awaitOutputs(last time.Time) (gone bool) {
	ctx, cancel := context.WithDeadline(p.outer, last)
	defer cancel()
	switch {
	case p.outputs.await(ctx) || len(p.held()) == 0:
		return true
	case p.outer.Err() != nil:
		return p.end()
	}
	return p.kill()
}

// lastMoment is how long the output of a helper is read when the helper and its
// group have ended. A daemon that has left the group may hold it for ever.
const lastMoment = 400 * time.Millisecond

// readRest reads the end of the outputs. Until its exec, another helper has a copy
// of the pipe. This copy must not count as a holder, or a whole output would be
// marked as cut. The calls for an Output have time until last, or half a moment if
// that is later.
func (p *process) readRest(last time.Time) {
	if !p.outputs.awaitFor(0) {
		awaitStarts(lastMoment)
		p.outputs.awaitFor(lastMoment)
	}
	limit, cancel := context.WithTimeout(context.Background(), max(time.Until(last), lastMoment/2))
	defer cancel()
	p.outputs.stop(limit)
}

// end ends the group: the Stop signal, Grace for its members, SIGKILL. It reports
// whether no member is left alive.
func (p *process) end() (gone bool) {
	p.signal(p.helper.stopSignal())
	p.signal(syscall.SIGCONT) // a member that is stopped gets the first signal only now
	p.awaitEmpty(p.helper.grace())
	return p.kill()
}

// kill sends SIGKILL even if no member was found: a member that was being made
// during the look may have been missed, and the signal does not miss it.
func (p *process) kill() (gone bool) {
	if hasExited(p.pid) {
		for _, c := range p.held() {
			c.out.breakOff(heldOpen) // the member may have had more to write
		}
	}
	p.signal(syscall.SIGKILL)
	gone = p.awaitEmpty(hang)
	p.reapAdopted()
	return gone
}

// reapAdopted comes after SIGKILL and before reap, which gives the group's number
// back.
func (p *process) reapAdopted() {
	if p.helper.Reap {
		reapDead(p.pid)
	}
}

// hang is how long a process may take to die of SIGKILL. A process that hangs in
// the kernel takes longer.
var hang = 5 * time.Second

// awaitEmpty waits until the helper has ended and no member of its group is
// alive. After d it gives up and returns false. Where members cannot be seen, it
// waits for the helper alone.
func (p *process) awaitEmpty(d time.Duration) bool {
	limit, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if !p.awaitExit(limit) {
		return false
	}
	for start := time.Now(); len(p.alive()) > 0; {
		// Nothing tells of the end of a process that is no child.
		pause := min(max(time.Since(start)/8, time.Millisecond), time.Second)
		select {
		case <-time.After(pause):
		case <-limit.Done():
			return false
		}
	}
	return true
}

// alive returns the pids of the members that are not zombies. If no look is
// possible now, for example because no descriptor is left, it returns the group's
// number: an unknown group does not count as gone.
func (p *process) alive() (pids []int) {
	found, err := members(p.pid)
	if err != nil && !errors.Is(err, errUnseen) {
		return []int{p.pid}
	}
	for _, m := range found {
		if m.alive {
			pids = append(pids, m.pid)
		}
	}
	return pids
}

// held returns the outputs that a member of the group has open.
func (p *process) held() captures {
	open := p.outputs.open()
	if len(open) == 0 {
		return nil
	}
	if _, err := members(p.pid); errors.Is(err, errUnseen) {
		open.awaitFor(aMoment)
		return open.open()
	}
	alive := p.alive()
	return slices.DeleteFunc(open, func(c *capture) bool {
		pipe := c.pipe()
		return !slices.ContainsFunc(alive, func(pid int) bool { return holdsPipe(pid, pipe) })
	})
}

// giveUp leaves a group that outlives SIGKILL to a goroutine, which reaps the
// helper when the group has gone. The Gate waits for that, but Exec does not.
func (p *process) giveUp() {
	p.helper.Gate.keep(p.helper.visit)
	go func() {
		for !p.awaitEmpty(time.Hour) {
		}
		p.reapAdopted()
		_ = p.reap(new(Result))
		p.over()
		p.helper.Gate.over(p.helper.visit)
	}()
}

func (h *Helper) grace() time.Duration {
	if h.Grace == 0 {
		return time.Second
	}
	return h.Grace
}

// signal signals the group, and the helper itself if it has moved to another one. A
// group that is empty by now is no error. If another part of the program has reaped
// the helper, another process may have its number.
func (p *process) signal(sig syscall.Signal) {
	if isLost(p.pid) {
		return
	}
	if trace != nil {
		trace(sig.String(), p.pid)
	}
	_ = syscall.Kill(-p.pid, sig)
	if group, err := syscall.Getpgid(p.pid); err == nil && group != p.pid {
		_ = syscall.Kill(p.pid, sig)
	}
}

// result reaps the helper, or gives up, and tells how it ended.
func (p *process) result(interrupted, gone bool) Result {
	r := Result{Path: p.helper.Path, Pid: p.pid, Begin: p.begun, End: p.ended}
	var err error
	if gone {
		err = p.reap(&r)
		p.over()
	} else {
		err = &survivors{p.alive()}
		p.giveUp()
	}
	r.Err = p.verdict(interrupted, &r, err)
	return r
}

// verdict returns the error for how the helper ended, if there is one. err is the
// error of its end.
func (p *process) verdict(interrupted bool, r *Result, err error) error {
	v := interruption{text: "usermodehelper: " + r.Path + " has ended"}
	if interrupted {
		v.text = "usermodehelper: " + r.Path + " was ended"
	}
	if r.Reaped {
		v.text += fmt.Sprintf(" (%v)", r.Status)
	}
	cause := context.Cause(p.inner)
	if _, isFault := cause.(*fault); interrupted && !isFault {
		v.add(cause.Error(), waitqueue.ContextErr(p.inner))
	}
	if f := p.fault.Load(); f != nil {
		v.add(f.Error(), f)
	}
	if err != nil {
		v.add(err.Error(), err)
	}
	if v.matches == nil {
		return nil
	}
	return &v
}

// survivors is the error for members of a group that outlive SIGKILL.
type survivors struct{ pids []int }

func (s *survivors) Error() string {
	return fmt.Sprintf("processes of its group outlive SIGKILL: %v", s.pids)
}

func (s *survivors) Unwrap() error { return syscall.ENOTEMPTY }

// reap collects the status of a helper that has ended.
func (p *process) reap(r *Result) error {
	if trace != nil {
		trace("reap", p.pid)
	}
	var ws syscall.WaitStatus
	var usage syscall.Rusage
	_, err := syscall.Wait4(p.pid, &ws, 0, &usage)
	for err == syscall.EINTR {
		_, err = syscall.Wait4(p.pid, &ws, 0, &usage)
	}
	p.exit.close()
	_ = p.child.Release() // if it was not polled
	if err != nil {
		return os.NewSyscallError("wait4", err)
	}
	r.Reaped, r.Status = true, statusOf(ws)
	r.User, r.System = time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano())
	r.MaxRSS, r.SysUsage = int64(usage.Maxrss)*rssUnit(), &usage
	return nil
}

func statusOf(ws syscall.WaitStatus) Status {
	switch {
	case !ws.Signaled():
		return Status(ws.ExitStatus()) << 8
	case ws.CoreDump():
		return Status(ws.Signal()) | 0x80
	default:
		return Status(ws.Signal())
	}
}

// rssUnit is the unit of ru_maxrss in bytes.
func rssUnit() int64 {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return 1
	}
	return 1024
}
