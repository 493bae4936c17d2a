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

// hasExited reports whether the child has ended and is not yet reaped.
func hasExited(pid int) bool {
	ended, err := waitid(pid, syscall.WNOHANG)
	return ended || err != nil
}

// isLost reports whether another part of the program has reaped the child.
func isLost(pid int) bool {
	_, err := waitid(pid, syscall.WNOHANG)
	return err != nil
}

// waitid reports whether the child has ended. It fails if there is no such
// child.
func waitid(pid int, options uintptr) (ended bool, err error) {
	code, err := lookAtChild(pid, options)
	return code != 0, err
}

// lookAtChild returns the si_code of waitid(2), or 0 if there is nothing to tell. The
// child is left to be reaped.
func lookAtChild(pid int, options uintptr) (code int32, err error) {
	const pPID = 1        // P_PID, which package syscall does not have
	var siginfo [32]int32 // 128 bytes: si_signo, and then si_errno and si_code in an order that differs
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid),
			uintptr(unsafe.Pointer(&siginfo)), syscall.WEXITED|syscall.WNOWAIT|options, 0, 0)
		switch errno {
		case 0:
			return siginfo[1] | siginfo[2], nil // si_errno is 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
