package usermodehelper

import "syscall"

const pPID = 1 // P_PID, which package syscall does not have

// blockUntilExit waits until the child pid has ended, and leaves it to be
// reaped.
func blockUntilExit(pid int) {
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid),
			0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
