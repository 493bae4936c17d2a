//go:build darwin || freebsd

package usermodehelper

import "syscall"

// forkExec starts a program. Its umask and what it inherits besides attr are as
// for any other.
func forkExec(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	return syscall.ForkExec(path, argv, attr)
}

func checkSys(*syscall.SysProcAttr) error { return nil }
