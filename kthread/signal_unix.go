//go:build unix || wasip1

package kthread

import "syscall"

// The signals that package syscall does not have on every system. If a system
// lacks one, the methods that take it return an error that matches
// [errors.ErrUnsupported].
const (
	SIGHUP  = syscall.SIGHUP
	SIGUSR1 = syscall.SIGUSR1
	SIGUSR2 = syscall.SIGUSR2
	SIGCHLD = syscall.SIGCHLD
)
