//go:build darwin || freebsd

package usermodehelper

import "syscall"

// blockUntilExit waits until the child pid has ended, and leaves it to be
// reaped. It asks kqueue, because waitid on darwin also returns for a child
// that is stopped. A child that has ended before is reported as ESRCH.
func blockUntilExit(pid int) {
	kq, err := syscall.Kqueue()
	if err != nil {
		return
	}
	defer syscall.Close(kq)
	var watch syscall.Kevent_t
	syscall.SetKevent(&watch, pid, syscall.EVFILT_PROC, syscall.EV_ADD|syscall.EV_ONESHOT)
	watch.Fflags = syscall.NOTE_EXIT
	for {
		_, err := syscall.Kevent(kq, []syscall.Kevent_t{watch}, make([]syscall.Kevent_t, 1), nil)
		if err != syscall.EINTR {
			return
		}
	}
}
