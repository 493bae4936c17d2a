//go:build darwin || freebsd

package usermodehelper

import (
	"os"
	"syscall"
	"time"
)

// blockUntilExit waits until the child has ended, and leaves it to be reaped. It
// asks kqueue, because waitid on darwin also returns for a child that is stopped.
// A program that has no descriptor left for a kqueue looks now and then.
func blockUntilExit(pid int) {
	for !watchExit(pid, nil) {
		<-time.After(10 * time.Millisecond)
	}
}

func pollable(*os.Process) *os.File { return nil }

// hasExited reports whether the child pid has ended and is not yet reaped.
func hasExited(pid int) bool { return watchExit(pid, new(syscall.Timespec)) }

// isLost would report whether another part of the program has reaped the child.
// Here a child that was reaped looks like a child that has ended.
func isLost(int) bool { return false }

// watchExit reports whether the child has ended within the timeout. A child
// that has ended before is reported as ESRCH.
func watchExit(pid int, timeout *syscall.Timespec) bool {
	kq, err := syscall.Kqueue()
	if err != nil {
		return false
	}
	defer syscall.Close(kq)
	var watch syscall.Kevent_t
	syscall.SetKevent(&watch, pid, syscall.EVFILT_PROC, syscall.EV_ADD|syscall.EV_ONESHOT)
	watch.Fflags = syscall.NOTE_EXIT
	for {
		events := make([]syscall.Kevent_t, 1)
		n, err := syscall.Kevent(kq, []syscall.Kevent_t{watch}, events, timeout)
		switch {
		case err == syscall.EINTR:
		case n > 0 && events[0].Flags&syscall.EV_ERROR != 0: // it could not be watched
			return syscall.Errno(events[0].Data) == syscall.ESRCH
		default:
			return n > 0 || err == syscall.ESRCH
		}
	}
}
