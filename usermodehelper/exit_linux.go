package usermodehelper

import (
	"os"
	"syscall"
	"unsafe"
)

// awaitExit waits until the child has ended, and leaves it to be reaped. No
// thread waits: the runtime's poller watches a pidfd. Only a system without
// pidfds, and a program that has no descriptor left, has a thread wait.
func awaitExit(child *os.Process) {
	if !pollExit(child) {
		_, _ = waitid(child.Pid, 0)
	}
}

// pollExit is awaitExit by a pidfd. It reports whether that worked.
func pollExit(child *os.Process) bool {
	pidfd, ok := pollable(child)
	if !ok {
		return false
	}
	defer pidfd.Close()
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return false
	}
	return conn.Read(func(uintptr) bool { return hasExited(child.Pid) }) == nil
}

// pollable returns a pidfd of the child as a file. Its own descriptor is
// package os's, which reaps by it; this is a duplicate.
func pollable(child *os.Process) (pidfd *os.File, ok bool) {
	fd, errno := uintptr(0), syscall.ENOSYS
	_ = child.WithHandle(func(handle uintptr) {
		fd, _, errno = syscall.Syscall(syscall.SYS_FCNTL, handle, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if errno != 0 || syscall.SetNonblock(int(fd), true) != nil { // NewFile polls what does not block
		return nil, false
	}
	return os.NewFile(fd, "pidfd"), true
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
