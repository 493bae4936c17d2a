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

// may reports whether mode gives c the permission want.
func (c Cred) may(want, mode fs.FileMode) bool {
	return mode>>(3*c)&want == want
}
