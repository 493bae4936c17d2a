package usermodehelper

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// blockUntilExit waits until the child has ended, and leaves it to be reaped.
func blockUntilExit(pid int) { _, _ = waitid(pid, 0) }

// pollable returns the pidfd of the child as a file that the runtime polls. It
// takes the pidfd from package os, which would wait with a thread, so the child
// has to be reaped by its pid. It returns nil on a system without pidfds, and if
// the program has no descriptor left.
func pollable(child *os.Process) *os.File {
	fd, errno := uintptr(0), syscall.ENOSYS
	_ = child.WithHandle(func(handle uintptr) {
		fd, _, errno = syscall.Syscall(syscall.SYS_FCNTL, handle, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if errno != 0 {
		return nil
	}
	_ = syscall.SetNonblock(int(fd), true) // or NewFile would not poll it
	pidfd := os.NewFile(fd, "pidfd")
	if pidfd.SetReadDeadline(time.Time{}) != nil {
		_ = pidfd.Close()
		return nil
	}
	_ = child.Release()
	return pidfd
}

// hasExited reports whether the child has ended and is to be reaped.
func hasExited(pid int) bool {
	ended, err := waitid(pid, syscall.WNOHANG)
	return ended || err != nil
}

// isLost reports whether somebody else has reaped the child.
func isLost(pid int) bool {
	_, err := waitid(pid, syscall.WNOHANG)
	return err != nil
}

// waitid reports whether the child has ended. It fails if there is no such
// child.
func waitid(pid int, options uintptr) (ended bool, err error) {
	const pPID = 1         // P_PID, which package syscall does not have
	var siginfo [16]uint64 // 128 bytes; the first four are si_signo, 0 if nothing is to be told
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid),
			uintptr(unsafe.Pointer(&siginfo)), syscall.WEXITED|syscall.WNOWAIT|options, 0, 0)
		switch errno {
		case 0:
			return *(*int32)(unsafe.Pointer(&siginfo)) != 0, nil
		case syscall.EINTR:
		default:
			return false, errno
		}
	}
}
