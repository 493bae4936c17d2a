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
	"slices"
	"syscall"
	"time"
)

const supported = true

// A process is a helper that runs, or has ended and is not yet reaped.
//
// Invariant: until the helper is reaped, no other process and no other group can
// get its pid, which is also the number of its group. Every signal is sent
// before that, so no signal hits a stranger.
type process struct {
	helper *Helper
	child  *os.Process
	pid    int
	null   *os.File // stands for /dev/null until the start
	output *capture // nil if none is wanted
	begun  time.Time
	over   func() // releases the thread that is the helper's parent
	exit   *exit  // of the helper itself
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
			p.output.discard()
		}
	}()
	attr, done, err := p.attributes()
	if err != nil {
		return nil, err
	}
	defer done()
	if h.Init != nil {
		if err := h.Init(attr); err != nil {
			return nil, err
		}
	}
	if err := p.start(ctx, attr); err != nil {
		return nil, err
	}
	started = true
	p.output.start()
	p.exit = watch(p.child)
	return p, nil
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
		Dir:   "/",
		Env:   p.helper.Envp,
		Files: []*os.File{p.null, p.null, p.null},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	if p.helper.Output == nil {
		return attr, func() {}, nil
	}
	output, w, err := newCapture(p.helper.Output)
	if err != nil {
		return nil, nil, p.notStarted(err)
	}
	p.output, attr.Files[1], attr.Files[2] = output, w, w
	return attr, func() { _ = w.Close() }, nil
}

func (p *process) notStarted(err error) error {
	return fmt.Errorf("usermodehelper: %s was not started: %w", p.helper.Path, err)
}

// start starts the program.
//
// A file that was written a moment ago may still be open for writing in a
// child of this program that has not come to its own exec yet. Then the kernel
// refuses to run the file (ETXTBSY), and the only remedy is to try again.
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
		return p.startWithNull(cmd)
	})
	switch {
	case err == nil:
		p.child, p.pid, p.over, p.begun = cmd.Process, cmd.Process.Pid, over, time.Now()
	case !tried: // no thread could be made
		return p.notStarted(err)
	}
	return err
}

// startWithNull opens /dev/null where Init has not replaced it, looks for descriptors
// to close, and starts cmd.
func (p *process) startWithNull(cmd *exec.Cmd) error {
	files := append([]*os.File{cmd.Stdin.(*os.File), cmd.Stdout.(*os.File), cmd.Stderr.(*os.File)}, cmd.ExtraFiles...)
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
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = files[0], files[1], files[2], files[3:]
	if err := cmd.Start(); err != nil {
		return p.explained(err, cmd)
	}
	return nil
}

// explained returns the error of a failed start. The error of a directory that the
// helper cannot enter looks like an error of the program.
func (p *process) explained(err error, cmd *exec.Cmd) error {
	if cmd.SysProcAttr.Chroot == "" && (errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
		if _, bad := os.Stat(cmd.Dir + "/."); bad != nil {
			return p.notStarted(bad)
		}
	}
	return fmt.Errorf("usermodehelper: %w", err)
}

func (h *Helper) stillWanted(ctx context.Context) error {
	if ctx.Err() != nil {
		return interrupted(ctx, syscall.ECANCELED, "%s was not started", h.Path)
	}
	return nil
}

// command returns attr in the form of os/exec. Init cannot change that the helper
// leads a process group: the group of a new session, or a group in the program's.
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
	files := slices.Clone(attr.Files)
	for len(files) < 3 {
		files = append(files, nil)
	}
	return &exec.Cmd{
		Path: p.helper.Path, Args: p.helper.Argv, Dir: dir, SysProcAttr: &sys,
		Env: append([]string{}, attr.Env...), // of a nil Env, os/exec makes the program's
		// A nil *os.File closes the descriptor; a nil interface would open /dev/null.
		Stdin: files[0], Stdout: files[1], Stderr: files[2], ExtraFiles: files[3:],
	}, nil
}

// wait waits for the end of the helper, ends its group where that has to end, and
// reaps the helper.
func (p *process) wait(ctx context.Context) (Status, error) {
	ctx, cancel := p.helper.limited(ctx, p.begun)
	defer cancel()
	why := p.awaitEnd(ctx) // nil if the helper has ended by itself
	var gone bool
	if why != nil || p.helper.Sweep {
		gone = p.end()
	} else {
		gone = p.awaitOutput(ctx)
	}
	p.readRest()
	if !gone {
		return 0, p.giveUp(why)
	}
	status, err := p.reap()
	p.over()
	if why != nil {
		err = why
	}
	return status, err
}

// awaitEnd waits until the helper ends by itself, or else returns the error of a
// context that has ended.
func (p *process) awaitEnd(ctx context.Context) error {
	if p.exit.await(ctx) {
		return nil
	}
	return interrupted(ctx, nil, "%s was ended", p.helper.Path)
}

// awaitOutput waits until the output of a helper that has ended is closed, for
// Grace, and then ends the group if a member holds it. It reports whether no
// member is left that had to end.
//
// A member is looked at itself, because an open pipe proves nothing. Helpers
// that are just being started hold copies of this program's descriptors until
// they come to their exec, and on a busy machine that takes longer than Grace.
func (p *process) awaitOutput(ctx context.Context) (gone bool) {
	if p.output == nil {
		return true
	}
	grace := time.NewTimer(p.helper.grace())
	defer grace.Stop()
	select {
	case <-p.output.eof:
	case <-ctx.Done():
		if p.outputIsHeld() {
			return p.end()
		}
	case <-grace.C:
		if p.outputIsHeld() {
			return p.kill()
		}
	}
	return true
}

// lastMoment is how long the output of a helper is read when the helper and its
// group have ended. A daemon that has left the group may hold it for ever.
const lastMoment = time.Second / 2

// readRest reads the end of the output. Copies that other helpers have until their
// exec must not count as a holder: they would mark a whole output as cut.
func (p *process) readRest() {
	if !p.output.awaitClose(0) {
		awaitStarts(lastMoment)
		p.output.awaitClose(lastMoment)
	}
	p.output.stop()
}

// end ends the group: SIGTERM, Grace for its members, SIGKILL. It reports whether
// no member is left alive.
func (p *process) end() (gone bool) {
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT) // a member that is stopped gets the first signal only now
	p.awaitEmpty(p.helper.grace())
	return p.kill()
}

// kill sends SIGKILL even if no member was found: a member that was being made
// during the look may have been missed, and the signal does not miss it.
func (p *process) kill() (gone bool) {
	if hasExited(p.pid) && p.outputIsHeld() {
		p.output.out.breakOff() // the member may have had more to write
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
	if !p.exit.await(limit) {
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
// possible now, as without a descriptor left, the group's number stands for them:
// an unknown group is not gone.
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

// outputIsHeld reports whether a member of the group has the output open.
func (p *process) outputIsHeld() bool {
	if p.output.awaitClose(0) {
		return false
	}
	if _, err := members(p.pid); errors.Is(err, errUnseen) {
		return !p.output.awaitClose(aMoment)
	}
	pipe := p.output.name()
	return slices.ContainsFunc(p.alive(), func(pid int) bool { return holdsPipe(pid, pipe) })
}

// giveUp leaves a group that outlives SIGKILL to a goroutine, which reaps the
// helper when the group has gone. The Gate waits for that, but Exec does not.
func (p *process) giveUp(why error) error {
	text := fmt.Sprintf("usermodehelper: %s has ended", p.helper.Path)
	if why != nil {
		text = why.Error()
	}
	text = fmt.Sprintf("%s, but processes of its group outlive SIGKILL: %v", text, p.alive())
	p.helper.Gate.keep()
	go func() {
		for !p.awaitEmpty(time.Hour) {
		}
		p.reapAdopted()
		_, _ = p.reap()
		p.over()
		p.helper.Gate.over()
	}()
	if why == nil {
		return &interruption{text, []error{syscall.ENOTEMPTY}}
	}
	return &interruption{text, []error{why, syscall.ENOTEMPTY}}
}

func (h *Helper) grace() time.Duration {
	if h.Grace == 0 {
		return time.Second
	}
	return h.Grace
}

// signal signals the group, and the helper itself if it has moved to another
// one. A group that is empty by now is no error. If somebody else has reaped the
// helper, its number may be a stranger's.
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

// reap collects the status of a helper that has ended.
func (p *process) reap() (Status, error) {
	if trace != nil {
		trace("reap", p.pid)
	}
	var ws syscall.WaitStatus
	_, err := syscall.Wait4(p.pid, &ws, 0, nil)
	for err == syscall.EINTR {
		_, err = syscall.Wait4(p.pid, &ws, 0, nil)
	}
	p.exit.close()
	_ = p.child.Release() // if it was not polled
	switch {
	case err != nil:
		return 0, fmt.Errorf("usermodehelper: %s: %w", p.helper.Path, os.NewSyscallError("wait4", err))
	case !ws.Signaled():
		return Status(ws.ExitStatus()) << 8, nil
	case ws.CoreDump():
		return Status(ws.Signal()) | 0x80, nil
	default:
		return Status(ws.Signal()), nil
	}
}
