package kthread

import "syscall"

// The signals that package syscall does not have on every system. If a system
// lacks one, the methods that take it return an error that matches
// [errors.ErrUnsupported].
const (
	SIGHUP  = syscall.Signal(missing + 1)
	SIGUSR1 = syscall.Signal(missing + 10)
	SIGUSR2 = syscall.Signal(missing + 12)
	SIGCHLD = syscall.SIGCHLD
)
