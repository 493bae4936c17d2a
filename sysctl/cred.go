package sysctl

import "io/fs"

// A Cred says who reads or writes, as far as a mode can tell people apart. A
// group member is given the group's bits and no others, also where strangers
// have more. Root is bound by the owner's bits: there is no override.
//
// The zero value is Nobody. A program that acts on its own behalf says Root.
//
// Kernel: test_perm, struct cred
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
