//go:build linux || darwin || freebsd

package usermodehelper

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// A capture reads what one helper writes. Its methods do nothing on a nil one.
type capture struct {
	out *Output
	r   *os.File
	eof chan struct{} // closed when reading has ended
	err error         // why, if not because everybody has closed the other end; set before eof is closed
}

// newCapture returns a capture and the end to which the helper writes.
func newCapture(out *Output) (*capture, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return &capture{out: out, r: r, eof: make(chan struct{})}, w, nil
}

// discard gives up a capture that was not started.
func (c *capture) discard() {
	if c != nil {
		_ = c.r.Close()
	}
}

// start reads on a goroutine.
func (c *capture) start() {
	if c == nil {
		return
	}
	go func() {
		defer close(c.eof)
		buf := make([]byte, 4096)
		for {
			n, err := c.r.Read(buf)
			c.out.add(buf[:n])
			if err != nil {
				if err != io.EOF {
					c.err = err
				}
				return
			}
		}
	}()
}

// aMoment is what a reader may need to see that all is read.
const aMoment = 50 * time.Millisecond

// awaitClose waits until nobody holds the other end and all is read, for up to d,
// and reports whether that is so.
func (c *capture) awaitClose(d time.Duration) bool {
	if c == nil {
		return true
	}
	select {
	case <-c.eof:
		return true
	default:
	}
	select {
	case <-c.eof:
		return true
	case <-time.After(d):
		return false
	}
}

// name returns the pipe's name in /proc/PID/fd.
func (c *capture) name() string {
	info, err := c.r.Stat()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("pipe:[%d]", info.Sys().(*syscall.Stat_t).Ino)
}

// stop ends the reading when the program has ended, without waiting for
// anybody. What the program has written is in the pipe by then, and is read
// first. The pipe is closed even if somebody still holds the other end.
func (c *capture) stop() {
	if c == nil {
		return
	}
	_ = c.r.SetReadDeadline(time.Unix(1, 0)) // long ago
	<-c.eof
	if c.err != nil && !c.drain() {
		c.out.breakOff()
	}
	_ = c.r.Close()
}

// drain reads what is in the pipe, and reports whether nobody can write any
// more. It reads as much as an unprivileged user's pipe can hold, and no more, or a
// busy writer would keep it here.
func (c *capture) drain() (eof bool) {
	_ = c.r.SetReadDeadline(time.Time{})
	raw, err := c.r.SyscallConn()
	if err != nil {
		return false
	}
	buf := make([]byte, 4096)
	err = raw.Read(func(fd uintptr) bool {
		for left := 1 << 20; left > 0; {
			n, err := syscall.Read(int(fd), buf)
			switch {
			case err == syscall.EINTR:
				continue
			case err != nil: // EAGAIN: it is empty
				return true
			case n == 0:
				eof = true
				return true
			}
			c.out.add(buf[:n])
			left -= n
		}
		return true
	})
	return eof && err == nil
}
