//go:build linux || darwin || freebsd

package usermodehelper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

const supported = true

// A process is a helper that runs, or has ended and is not yet reaped. Until it
// is reaped its pid, which is also the number of its group, cannot be given to
// anybody else. So every signal is sent before that, and hits no stranger.
type process struct {
	helper *Helper
	pid    int
	output *capture      // nil if none is wanted
	exited chan struct{} // closed when the program has ended
	read   chan struct{} // closed when it has, and nobody waits for its output any more
}

// trace, if not nil, is told of each signal and of each reaping.
var trace func(what string, pid int)

// launch starts the program. It returns as soon as the exec has gone well or
// wrong.
func (h *Helper) launch(ctx context.Context) (*process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("usermodehelper: %w", err)
	}
	defer null.Close()
	p := &process{helper: h, exited: make(chan struct{}), read: make(chan struct{})}
	attr := &os.ProcAttr{
		Dir:   "/",
		Env:   h.Envp,
		Files: []*os.File{null, null, null},
		Sys:   &syscall.SysProcAttr{},
	}
	if h.Output != nil {
		output, w, err := newCapture(h.Output)
		if err != nil {
			return nil, fmt.Errorf("usermodehelper: %w", err)
		}
		defer w.Close()
		p.output, attr.Files[1], attr.Files[2] = output, w, w
	}
	started := false
	defer func() {
		if !started { // or Init panicked
			p.output.discard()
		}
	}()
	if p.pid, err = h.start(ctx, attr); err != nil {
		return nil, err
	}
	started = true
	p.output.start()
	return p, nil
}

// start has Init look at attr, and starts the program.
//
// A file that was written a moment ago may still be open for writing in a
// child of this process that has not come to its own exec yet. The kernel then
// refuses to run it (ETXTBSY), and all there is to do is to try again.
func (h *Helper) start(ctx context.Context, attr *os.ProcAttr) (pid int, err error) {
	if err = h.stillWanted(ctx); err == nil && h.Init != nil {
		err = h.Init(attr)
	}
	for pause := time.Millisecond; err == nil; pause *= 2 {
		pid, err = startProcess(h.Path, h.Argv, attr)
		if !errors.Is(err, syscall.ETXTBSY) || pause > 2*time.Second {
			break
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		err = h.stillWanted(ctx)
	}
	return pid, err
}

func (h *Helper) stillWanted(ctx context.Context) error {
	if err := waitqueue.ContextErr(ctx); err != nil {
		return fmt.Errorf("usermodehelper: %s was not started: %w", h.Path, err)
	}
	return nil
}

// startProcess is [os.StartProcess] with what every helper has: a group of its
// own, and on Linux what forkExec adds. It does not have package os handle the
// process, which could not know when the last signal was sent.
func startProcess(path string, argv []string, attr *os.ProcAttr) (int, error) {
	if attr.Sys == nil {
		attr.Sys = &syscall.SysProcAttr{}
	}
	if err := checkSys(attr.Sys); err != nil {
		return 0, err
	}
	attr.Sys.Setpgid, attr.Sys.Pgid = !attr.Sys.Setsid, 0 // a session is a group too
	files := make([]uintptr, len(attr.Files))
	for i, f := range attr.Files {
		files[i] = f.Fd() // closed in the program if f is nil
	}
	pid, err := forkExec(path, argv, &syscall.ProcAttr{Dir: attr.Dir, Env: attr.Env, Files: files, Sys: attr.Sys})
	runtime.KeepAlive(attr) // and so the files, whose finalizers would close them
	if err != nil {
		return 0, fmt.Errorf("usermodehelper: %w", &fs.PathError{Op: "fork/exec", Path: path, Err: err})
	}
	return pid, nil
}

// wait waits for the program and reaps it; when ctx ends it ends the group.
func (p *process) wait(ctx context.Context) (Status, error) {
	if limit := p.helper.Timeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	var interrupted error
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		switch {
		case !hasExited(p.pid): // it may have, and nobody have noticed
			interrupted = waitqueue.ContextErr(ctx)
		case p.output.isOver(): // what it has left is a daemon
			return
		}
		p.end()
	})
	blockUntilExit(p.pid)
	close(p.exited)
	p.awaitOutput(ended)
	if !stop() {
		<-ended
	}
	if p.helper.Sweep {
		p.signal(syscall.SIGKILL)
	}
	p.output.stop()
	status, err := p.reap()
	if interrupted != nil {
		err = fmt.Errorf("usermodehelper: %s was ended: %w", p.helper.Path, interrupted)
	}
	return status, err
}

// awaitOutput waits, when the program has ended, until nobody holds the other
// end of its output. Who does for too long is ended with the group: no wait for a
// pipe lasts for ever.
func (p *process) awaitOutput(ended <-chan struct{}) {
	defer close(p.read)
	if p.output.isOver() {
		return
	}
	grace := time.NewTimer(p.helper.grace())
	defer grace.Stop()
	select {
	case <-p.output.eof:
		return
	case <-ended:
	case <-grace.C:
		p.kill()
	}
	// Who was killed lets go of it in a moment. Who is out of reach may not.
	select {
	case <-p.output.eof:
	case <-time.After(time.Second / 2):
	}
}

// end ends the helper's process group, and whoever in it holds the output. The
// second signal is sent even if the helper has gone by then, for what it left
// behind. If awaitOutput has begun, its grace counts.
func (p *process) end() {
	p.signal(syscall.SIGTERM)
	grace, cancel := context.WithTimeout(context.Background(), p.helper.grace())
	defer cancel()
	select {
	case <-p.exited:
	case <-grace.Done():
	}
	if p.output != nil {
		select {
		case <-p.output.eof:
		case <-p.read:
		case <-grace.Done():
		}
	}
	p.kill()
}

// kill sends the second signal. Who holds the output of a program that has
// ended may have had more to write to it.
func (p *process) kill() {
	if hasExited(p.pid) && !p.output.isOver() {
		p.output.out.breakOff()
	}
	p.signal(syscall.SIGKILL)
}

func (h *Helper) grace() time.Duration {
	if h.Grace == 0 {
		return time.Second
	}
	return h.Grace
}

// signal signals the group, and the helper itself if it has moved to another
// one. That a group is empty by now is no error. If somebody else has reaped the
// helper, its number may be that of a stranger.
func (p *process) signal(sig syscall.Signal) {
	if isLost(p.pid) {
		return
	}
	if trace != nil {
		trace("signal", p.pid)
	}
	_ = syscall.Kill(-p.pid, sig)
	if group, err := syscall.Getpgid(p.pid); err == nil && group != p.pid {
		_ = syscall.Kill(p.pid, sig)
	}
}

// reap collects the status of a program that has ended.
func (p *process) reap() (Status, error) {
	if trace != nil {
		trace("reap", p.pid)
	}
	var ws syscall.WaitStatus
	for {
		_, err := syscall.Wait4(p.pid, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
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
}
