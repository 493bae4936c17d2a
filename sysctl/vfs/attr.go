package vfs

import "io/fs"

// Attr are the attributes of a file. The zero value is an empty file of user 0 with no
// rights for anybody. A file has one link and no times.
//
// Kernel: struct kstat
//
// Differs: has no number of links, no blocks and no times.
type Attr struct {
	Mode fs.FileMode // the permission bits, and fs.ModeDir for a Dir
	UID  uint32      // the owner
	GID  uint32      // the owner's group

	// Size is in bytes. It is for stat(2), and need not be the length of the text. Some
	// programs believe it. With 0, a reader by splice or sendfile sees an empty file,
	// even if Read has text. With more, tail looks for the last line near the end. So a
	// text of one page has 4096, and a stream has 0.
	Size int64
}

// May reports whether the mode gives cred the rights want. The owner has the owner's
// bits, a member of the group has the group's bits, and all others have the last three.
// No user overrides the mode, not even user 0. If the groups of cred cannot be read, it
// has only the rights that members and strangers have alike.
//
// Kernel: test_perm
//
// Differs: the owner and the group need not be 0.
func (a Attr) May(cred Cred, want fs.FileMode) bool {
	owner, group, other := a.Mode>>6&7, a.Mode>>3&7, a.Mode&7
	if cred.IsUser(a.UID) {
		return owner&want == want
	}
	if group&want == other&want {
		return group&want == want // the groups do not matter, so they are not read
	}
	in, known := cred.InGroup(a.GID)
	switch {
	case !known:
		return false // one of the two does not have want
	case in:
		return group&want == want
	}
	return other&want == want
}
