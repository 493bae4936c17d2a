//go:build unix

package kthread

import "syscall"

// The signals that package syscall does not have on every system. Where the
// system has none of that name, the methods that take one answer with an error
// that matches [errors.ErrUnsupported].
const (
	SIGHUP  = syscall.SIGHUP
	SIGUSR1 = syscall.SIGUSR1
	SIGUSR2 = syscall.SIGUSR2
	SIGCHLD = syscall.SIGCHLD
)
