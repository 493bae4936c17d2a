package vfs

import (
	"fmt"
	"slices"
)

// A Cred says which process makes a call: its user, its groups and its number. The zero
// value is no user at all, and its groups are unknown. It is good for one call, because
// the groups are read when they are first needed. A Cred may be copied.
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

// Process returns the Cred of a process with the ids uid and gid, for which it uses the
// file system ids as the kernel does. pid is the number of the calling thread, or 0 if
// it is not known.
//
// groups returns the supplementary groups. It is called only if an answer depends on
// them, during a call that has the Cred, and must not block. A server that cannot read
// the groups returns an error. Then they are unknown, and so they are if groups is nil.
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
