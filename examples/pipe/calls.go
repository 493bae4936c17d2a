package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// read is read(2).
func (pr *process) read(f *file, size int) {
	pr.begin("read", "(0, ")
	buf := make([]byte, size)
	n, err := f.read(pr, buf)
	pr.end(fmt.Sprintf("%q, %d)", buf[:n], size), result(n, err))
}

// write is write(2). anon_pipe_write sends the signal even if it has written
// bytes.
func (pr *process) write(f *file, text string) {
	pr.begin("write", fmt.Sprintf("(1, %q, %d", text, len(text)))
	n, err := f.write(pr, []byte(text))
	pr.end(")", result(n, err))
	if errors.Is(err, syscall.EPIPE) {
		pr.printf("--- SIGPIPE ---") // send_sig(SIGPIPE, current, 0)
	}
}

// close is close(2).
func (pr *process) close(f *file) {
	f.close()
	pr.printf("close(%d) = 0", f.fd())
}

// poll is poll(2). It sleeps on the queues of all its files at once, until a
// file has an event: a reader wants bytes, and a writer wants room.
func (pr *process) poll(files ...*file) {
	pr.begin("poll", "(["+list(files, (*file).wanted)+"]")
	for _, f := range files {
		entry := waitqueue.Entry{Task: pr.Task(), Func: pr.shell.cpu.Enqueue}
		f.queue().Add(&entry)
		defer f.queue().Remove(&entry)
	}
	defer pr.Task().SetState(waitqueue.Running)
	for {
		// It announces the sleep before it looks at the files. A file that
		// changes after that ends the sleep.
		pr.Task().SetState(waitqueue.Interruptible)
		if n := ready(files); n > 0 {
			pr.end(")", fmt.Sprintf("%d ([%s])", n, list(files, (*file).got)))
			return
		}
		if pr.Interrupted() {
			pr.end(")", result(0, syscall.EINTR))
			return
		}
		pr.unfinished()
		pr.shell.cpu.Schedule(pr.Task())
	}
}

// ready counts the files that have an event.
func ready(files []*file) (n int) {
	for _, f := range files {
		if f.revents() != 0 {
			n++
		}
	}
	return n
}

// list shows files in the way of strace(1). It leaves a file out if show
// returns "".
func list(files []*file, show func(*file) string) string {
	var shown []string
	for _, f := range files {
		if text := show(f); text != "" {
			shown = append(shown, fmt.Sprintf("{fd=%d, %s}", f.fd(), text))
		}
	}
	return strings.Join(shown, ", ")
}

// fd is 0 for the end of a pipe that a process reads, and 1 for the other end.
func (f *file) fd() int {
	if f.reads {
		return 0
	}
	return 1
}

func (f *file) events() vfs.PollEvents {
	if f.reads {
		return vfs.PollIn
	}
	return vfs.PollOut
}

// revents has the events that poll(2) reports, also if nobody asked for them.
func (f *file) revents() vfs.PollEvents {
	return f.poll() & (f.events() | vfs.PollErr | vfs.PollHup)
}

func (f *file) wanted() string { return "events=" + f.events().String() }

func (f *file) got() string {
	if f.revents() == 0 {
		return ""
	}
	return "revents=" + f.revents().String()
}
