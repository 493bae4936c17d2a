//go:build linux || darwin || freebsd

package usermodehelper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A capture reads one pipe of one helper on a goroutine, the copier. The copier
// keeps the bytes in an Output and passes them to Writer and Line.
type capture struct {
	out   *Output
	name  string // of the Output in the Helper
	fail  func(*fault)
	lines lines
	r     *os.File
	done  chan struct{} // closed when the copier has ended

	// The copier holds mu except during a delivery. So a call that blocks does
	// not keep abandon out, and there is never a second reader of the pipe.
	mu        sync.Mutex
	muted     bool // Writer or Line has failed; guarded by mu
	abandoned bool // Exec has gone on without the copier; guarded by mu
}

// newCapture returns a capture and the end to which the helper writes.
func newCapture(out *Output, name string, fail func(*fault)) (*capture, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return &capture{out: out, name: name, fail: fail, r: r, done: make(chan struct{})}, w, nil
}

func (c *capture) start() { go c.run() }

func (c *capture) isDone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// run copies until the other end is closed, or until endReading has been called and the
// pipe is empty.
func (c *capture) run() {
	copied := false
	c.mu.Lock()
	defer func() {
		if copied {
			close(c.done)
		}
		c.mu.Unlock()
		if !copied { // a call has ended this goroutine
			go c.run()
		}
	}()
	c.copy()
	copied = true
}

// chunk is how many bytes one read takes at most.
const chunk = 1 << 13

// pipeSize is as much as an unprivileged user's pipe can hold.
const pipeSize = 1 << 20

// copy is called with mu held. After endReading it reads the rest of the pipe, but at
// most pipeSize: a busy writer outside of the group would keep it here.
func (c *capture) copy() {
	buf := make([]byte, chunk)
	stopped, eof := false, false
	for left := pipeSize; left > 0 && !eof && !c.abandoned; {
		read := c.r.Read
		if stopped {
			read = c.readNow
		}
		n, err := read(buf)
		if stopped {
			left -= n
		}
		c.take(buf[:n])
		switch {
		case err == nil:
		case err == io.EOF:
			eof = true
		case stopped: // the pipe is empty, and some process holds the other end
			left = 0
		default:
			stopped = true
		}
	}
	if !eof && !c.abandoned {
		c.out.breakOff(heldOpen)
	}
	c.deliver("Line", c.out.Line != nil, func() error {
		c.lines.flush(c.out.Line)
		return nil
	})
}

const heldOpen = "it was held open"

// take keeps text, and passes it on. Bytes that a call does not get are kept all the same.
func (c *capture) take(text []byte) {
	if len(text) == 0 {
		return
	}
	c.out.add(text)
	c.deliver("Writer", c.out.Writer != nil, func() error {
		n, err := c.out.Writer.Write(text)
		return cmp.Or(err, checkWritten(n, len(text)))
	})
	c.deliver("Line", c.out.Line != nil, func() error {
		c.lines.add(text, c.out.Line)
		return nil
	})
}

var errInvalidWrite = errors.New("invalid write result")

// checkWritten returns an error unless the number of written bytes is the number of all.
func checkWritten(n, all int) error {
	switch {
	case n < 0 || n > all:
		return errInvalidWrite
	case n < all:
		return io.ErrShortWrite
	}
	return nil
}

// deliver makes a call for the Output, without mu.
func (c *capture) deliver(what string, wanted bool, call func() error) {
	if !wanted || c.muted || c.abandoned {
		return
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	c.out.calls.Lock()
	defer c.out.calls.Unlock()
	if c.isAbandoned() { // while another helper's call was in progress
		return
	}
	guard(c.name+"."+what, call, c.settle)
}

func (c *capture) isAbandoned() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.abandoned
}

// settle takes note of a call that has failed. It reports whether the failure still counts.
func (c *capture) settle(f *fault) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abandoned {
		return false
	}
	c.muted = true
	c.out.breakOff(f.what + " failed")
	c.fail(f)
	return true
}

// readNow reads without waiting. It fails with EAGAIN if the pipe is empty.
func (c *capture) readNow(buf []byte) (n int, err error) {
	raw, err := c.r.SyscallConn()
	if err != nil {
		return 0, err
	}
	var errno error
	err = raw.Control(func(fd uintptr) {
		for n, errno = syscall.Read(int(fd), buf); errno == syscall.EINTR; {
			n, errno = syscall.Read(int(fd), buf)
		}
	})
	switch {
	case err != nil:
		return 0, err
	case errno != nil:
		return 0, errno
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// pipe returns the pipe's name in /proc/PID/fd.
func (c *capture) pipe() string {
	info, err := c.r.Stat()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("pipe:[%d]", info.Sys().(*syscall.Stat_t).Ino)
}

// endReading makes the copier end when the pipe is empty. It comes when the program
// has ended: the last bytes of the program are in the pipe by then.
func (c *capture) endReading() { _ = c.r.SetReadDeadline(time.Unix(1, 0)) } // long ago

// stop waits for the copier after endReading. It waits for no process, and until ctx
// ends for a call of Writer or Line. The pipe is closed even if a process still holds
// the other end.
func (c *capture) stop(ctx context.Context) {
	select {
	case <-c.done:
	case <-ctx.Done():
		c.abandon()
	}
	_ = c.r.Close()
}

// abandon goes on without a copier that is in a call, or is about to end.
func (c *capture) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDone() {
		return
	}
	c.abandoned = true
	c.out.breakOff("its calls took too long")
	buf := make([]byte, chunk)
	for left := pipeSize; left > 0; {
		n, err := c.readNow(buf)
		if err != nil {
			return
		}
		c.out.add(buf[:n])
		left -= n
	}
}

// captures are the pipes that one helper writes to.
type captures []*capture

func (cs captures) start() {
	for _, c := range cs {
		c.start()
	}
}

// discard gives up captures that were not started.
func (cs captures) discard() {
	for _, c := range cs {
		_ = c.r.Close()
	}
}

// await waits until all copiers have ended, or ctx has. It reports whether they
// have.
func (cs captures) await(ctx context.Context) bool {
	for _, c := range cs {
		select {
		case <-c.done:
		case <-ctx.Done():
			if !c.isDone() {
				return false
			}
		}
	}
	return true
}

// aMoment is enough for a copier to notice that the other end is closed.
const aMoment = 50 * time.Millisecond

// awaitFor is await for at most d.
func (cs captures) awaitFor(d time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return cs.await(ctx)
}

// open returns the captures whose copiers have not ended.
func (cs captures) open() captures {
	return slices.DeleteFunc(slices.Clone(cs), func(c *capture) bool { return c.isDone() })
}

// stop tells all copiers to end before it waits for one of them. So a slow copier does
// not take the time of the others.
func (cs captures) stop(ctx context.Context) {
	for _, c := range cs {
		c.endReading()
	}
	for _, c := range cs {
		c.stop(ctx)
	}
}
