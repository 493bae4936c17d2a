package usermodehelper

import (
	"syscall"
	"unsafe"
)

const pPID = 1 // P_PID, which package syscall does not have

// blockUntilExit waits until the child pid has ended, and leaves it to be
// reaped.
func blockUntilExit(pid int) { _, _ = waitid(pid, 0) }

// hasExited reports whether the child pid has ended and is to be reaped.
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
