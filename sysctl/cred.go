package sysctl

import "io/fs"

// A Cred is the kind of a caller. A mode has three bits for each kind. A group member
// has the group's bits and no others, even where strangers have more.
// Root has the owner's bits and no others: it cannot override a mode.
//
// The zero value is Nobody. A program that acts for itself passes Root. A value that
// is none of the three has no rights.
//
// Kernel: test_perm, struct cred
//
// Differs: three kinds, where the kernel has users and groups.
type Cred uint8

const (
	Nobody Cred = iota // neither of the others: the last three bits
	Group              // a member of group 0: the middle three
	Root               // user 0: the first three
)

const (
	mayRead  fs.FileMode = 4
	mayWrite fs.FileMode = 2
)

// May reports whether mode gives c all of the rights want: the bits 4 to read, 2 to write
// and 1 to execute, as access(2) has them. A want of 0 asks for nothing.
//
// Kernel: test_perm
func (c Cred) May(want, mode fs.FileMode) bool {
	return c <= Root && mode>>(3*c)&7&want == want
}
