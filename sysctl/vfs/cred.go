package vfs

import (
	"fmt"
	"slices"
)

// A Cred has the user, the groups and the number of the process that makes a call. The zero
// value belongs to no user, and its groups are unknown. A File must not keep a Cred after
// the call, because the groups are read only when a method needs them.
//
// Kernel: struct cred
//
// Differs: has no capabilities.
type Cred struct {
	uid, gid uint32
	pid      int
	groups   func() ([]uint32, error)
	process  bool // not the zero value
}

// Process returns the Cred of a process. uid and gid are its file system ids, as a request
// of FUSE has them. pid is the number of the calling thread, or 0 if it is not known.
//
// groups returns the supplementary groups. It is called only if an answer depends on
// them, during a call that has the Cred, perhaps more than once. It must not block. It
// returns an error if the groups cannot be read. Then they are unknown. If groups is nil,
// they are unknown too.
//
// A program that acts for itself as user 0 passes Process(0, 0, os.Getpid(), nil).
//
// Kernel: current_fsuid, current_fsgid
func Process(uid, gid uint32, pid int, groups func() ([]uint32, error)) Cred {
	return Cred{uid: uid, gid: gid, pid: pid, groups: groups, process: true}
}

// IsUser reports whether the process belongs to the user uid.
//
// Kernel: uid_eq
func (c Cred) IsUser(uid uint32) bool { return c.process && c.uid == uid }

// InGroup reports whether the process is in the group gid. If known is false, the
// groups cannot be read, and the process may be in the group or not.
//
// Kernel: in_group_p
//
// Differs: may not know.
func (c Cred) InGroup(gid uint32) (in, known bool) {
	switch {
	case c.process && c.gid == gid:
		return true, true
	case c.groups == nil:
		return false, false
	}
	groups, err := c.groups()
	return err == nil && slices.Contains(groups, gid), err == nil
}

// PID returns the number of the calling thread, or 0 if it is not known.
//
// Kernel: task_pid_vnr
func (c Cred) PID() int { return c.pid }

// String returns the ids in words.
func (c Cred) String() string {
	if !c.process {
		return "nobody"
	}
	return fmt.Sprintf("uid %d, gid %d, pid %d", c.uid, c.gid, c.pid)
}
