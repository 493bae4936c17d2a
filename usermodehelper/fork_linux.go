package usermodehelper

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// forkExec starts a program with umask 022 and with no descriptor but those of
// attr. It runs on a thread that is made for it and ends with it. The thread
// has an umask and a table of descriptors of its own, which the program
// inherits, so that nothing changes for the rest of this process.
//
// The table is a copy. As long as it is there, what others close is not closed,
// just as between any fork and its exec; so there must be nothing to wait for
// before the thread ends, which is a moment after forkExec has returned. (To close
// what is in the copy before that would take the runtime's own descriptors from
// under the thread, which the scheduler still uses.) And no descriptor that is opened here has a meaning elsewhere: that is why the
// program is started by package syscall, not by package os, which keeps one for
// the process.
//
// Where unshare is forbidden, as it is to unprivileged users by the seccomp
// filter of some containers, the program inherits what any other would.
func forkExec(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if syscall.Gettid() == syscall.Getpid() {
			// The main thread never ends, and its copy would not either. Keep
			// it, so that the next goroutine gets another.
			defer runtime.UnlockOSThread()
			pid, err = forkExec(path, argv, attr)
			return
		}
		// Locked for good: so the thread ends with the goroutine.
		if syscall.Unshare(syscall.CLONE_FS|syscall.CLONE_FILES) == nil {
			syscall.Umask(0o022)
			if err = closeOnExec(3); err != nil {
				return
			}
		}
		pid, err = syscall.ForkExec(path, argv, attr)
	}()
	<-done
	return pid, err
}

// closeOnExec marks all descriptors from first on.
func closeOnExec(first uintptr) error {
	const (
		sysCloseRange = 436 // but on mips; package syscall does not have it
		cloexec       = 1 << 2
	)
	_, _, errno := syscall.RawSyscall(sysCloseRange, first, uintptr(^uint32(0)), cloexec)
	if errno == 0 {
		return nil
	}
	return closeOnExecEach(first) // a kernel before 5.11, or mips
}

// closeOnExecEach is closeOnExec without close_range.
func closeOnExecEach(first uintptr) error {
	dir, err := os.ReadDir("/proc/thread-self/fd")
	if err != nil {
		return err
	}
	for _, entry := range dir {
		fd, err := strconv.Atoi(entry.Name())
		if err == nil && uintptr(fd) >= first {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}

// checkSys refuses what asks for a thread that lives as long as the program.
func checkSys(sys *syscall.SysProcAttr) error {
	switch {
	case sys.Pdeathsig != 0:
		return fmt.Errorf("usermodehelper: a helper cannot have Pdeathsig: %w", syscall.EINVAL)
	case sys.PidFD != nil:
		return fmt.Errorf("usermodehelper: a helper cannot have PidFD: %w", syscall.EINVAL)
	case sys.Ptrace:
		return fmt.Errorf("usermodehelper: a helper cannot have Ptrace: %w", syscall.EINVAL)
	}
	return nil
}
