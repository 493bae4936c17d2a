//go:build linux || darwin || freebsd

package usermodehelper

import (
	"context"
	"os"
	"time"
)

// An exit tells when a child has ended, and leaves it to be reaped. It holds no
// thread where the runtime can poll a pidfd.
type exit struct {
	pid   int
	pidfd *os.File      // or nil
	ended chan struct{} // closed by a thread that waits in place of the poller
}

func watch(child *os.Process) *exit {
	e := &exit{pid: child.Pid}
	e.pidfd = pollable(child) // forgets the pid
	if e.pidfd == nil {
		e.ended = make(chan struct{})
		go func() {
			blockUntilExit(e.pid)
			close(e.ended)
		}()
	}
	return e
}

// await waits until the child has ended, or ctx has. It reports whether the child
// has ended.
func (e *exit) await(ctx context.Context) bool {
	if e.pidfd != nil {
		return e.poll(ctx)
	}
	select {
	case <-e.ended:
		return true
	case <-ctx.Done():
		return hasExited(e.pid)
	}
}

// poll is await by the pidfd. The end of ctx is a deadline for the poller.
func (e *exit) poll(ctx context.Context) bool {
	stop := context.AfterFunc(ctx, func() {
		_ = e.pidfd.SetReadDeadline(time.Unix(1, 0)) // long ago
	})
	ended := false
	if conn, err := e.pidfd.SyscallConn(); err == nil {
		_ = conn.Read(func(uintptr) bool {
			ended = hasExited(e.pid)
			return ended
		})
	}
	if !stop() {
		_ = e.pidfd.SetReadDeadline(time.Time{}) // or the next poll would end at once
	}
	return ended || hasExited(e.pid)
}

func (e *exit) close() {
	if e.pidfd != nil {
		_ = e.pidfd.Close()
	}
}
