//go:build unix || windows

package vfs

import "syscall"

// NonBlock is the flag of an opening that must not block. It is the system's number, so
// a server passes the flags of its client on.
//
// Kernel: O_NONBLOCK
const NonBlock int = syscall.O_NONBLOCK
