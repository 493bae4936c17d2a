package vfs

import (
	"context"
	"errors"
	"syscall"
)

// Numbers that the kernel uses inside, and never gives to a process.
const (
	erestartsys          syscall.Errno = 512
	erestartnointr       syscall.Errno = 513
	erestartnohand       syscall.Errno = 514
	enoioctlcmd          syscall.Errno = 515
	erestartRestartblock syscall.Errno = 516
)

// Errno returns the number with which a server answers: 0 for nil, and otherwise one
// that a process may see. An error becomes, in this order:
//
//   - the first [syscall.Errno] that err wraps, if it is within 1 to 511
//   - [syscall.EINTR] for the numbers that restart a system call
//   - [syscall.ENOTTY] for ENOIOCTLCMD
//   - EINTR or [syscall.ETIMEDOUT] for an error of a context
//   - [syscall.EIO] for every other error
//
// A FUSE device refuses an answer with any other number. Its caller would then sleep
// for ever, and even SIGKILL would not end it.
//
// On Windows, where the numbers are others, every number except 0 stays as it is.
//
// Kernel: ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK, ENOIOCTLCMD
//
// Differs: never restarts a call, because only the kernel of the caller could.
func Errno(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &errno):
		return visible(errno)
	case errors.Is(err, context.DeadlineExceeded):
		return syscall.ETIMEDOUT
	case errors.Is(err, context.Canceled):
		return syscall.EINTR
	}
	return syscall.EIO
}

func visible(errno syscall.Errno) syscall.Errno {
	const small = syscall.EIO < erestartsys // false on Windows
	switch {
	case errno == 0: // an error must not become a success
		return syscall.EIO
	case !small || errno < erestartsys:
		return errno
	}
	switch errno {
	case erestartsys, erestartnointr, erestartnohand, erestartRestartblock:
		return syscall.EINTR
	case enoioctlcmd:
		return syscall.ENOTTY
	}
	return syscall.EIO
}
