//go:build linux || darwin || freebsd

package usermodehelper

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// A capture reads the output of one helper. A nil capture does nothing.
type capture struct {
	out *Output
	r   *os.File
	eof chan struct{} // closed when reading has ended
	err error         // nil if the other end was closed by all its holders; set before eof is closed
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

// aMoment is enough for a reader to notice that the other end is closed.
const aMoment = 50 * time.Millisecond

// awaitClose waits until no process holds the other end and all is read. It gives
// up after d. It reports whether all is read.
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

// stop ends the reading when the program has ended. It waits for no process. The
// last bytes of the program are in the pipe by then, and are read first. The pipe
// is closed even if a process still holds the other end.
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

// drain empties the pipe, and reports whether its other end is closed. It reads at
// most as much as an unprivileged user's pipe can hold. Without that limit a busy
// writer would keep it here.
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
