package usermodehelper

import (
	"fmt"
	"syscall"
)

// A Status says how a helper ended. It is the kernel's wait-status number. A
// helper that exits gives 256 times its exit code. A helper that a signal kills
// gives the signal's number, plus 128 if there is a core dump. 0 is success.
//
// Kernel: subprocess_info.retval
type Status uint32

// ExitCode returns the exit code of the helper, or -1 if a signal killed it.
//
// Kernel: WEXITSTATUS
//
// Differs: is -1 if a signal killed the helper, where WEXITSTATUS means nothing.
func (s Status) ExitCode() int {
	if s.Signal() != 0 {
		return -1
	}
	return int(s >> 8 & 0xff)
}

// Signal returns the signal that killed the helper, or 0 if it exited.
//
// Kernel: WTERMSIG
func (s Status) Signal() syscall.Signal { return syscall.Signal(s & 0x7f) }

// String returns "exit status 3", or "signal: killed" and the like.
func (s Status) String() string {
	if sig := s.Signal(); sig != 0 {
		return "signal: " + sig.String()
	}
	return fmt.Sprintf("exit status %d", s.ExitCode())
}
