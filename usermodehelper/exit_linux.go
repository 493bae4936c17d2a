package usermodehelper

import (
	"syscall"
	"unsafe"
)

const pPID = 1 // P_PID, which package syscall does not have

// blockUntilExit waits until the child pid has ended, and leaves it to be
// reaped.
func blockUntilExit(pid int) { waitid(pid, 0) }

// hasExited reports whether the child pid has ended and is to be reaped.
func hasExited(pid int) bool { return waitid(pid, syscall.WNOHANG) }

// waitid reports whether the child has ended.
func waitid(pid int, options uintptr) bool {
	var siginfo [16]uint64 // 128 bytes; the first is si_signo, 0 if nothing is to be told
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid),
			uintptr(unsafe.Pointer(&siginfo)), syscall.WEXITED|syscall.WNOWAIT|options, 0, 0)
		if errno != syscall.EINTR {
			return errno != 0 || uint32(siginfo[0]) != 0
		}
	}
}
