//go:build !unix && !windows

package vfs

// NonBlock is the flag of an opening that must not block. The system has no number for
// it, so this is the number of Linux.
//
// Kernel: O_NONBLOCK
const NonBlock int = 0x800
