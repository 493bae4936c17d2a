package usermodehelper

import "slices"

// A User says as which user and group a helper runs.
type User struct {
	Uid    uint32   // the number of the user
	Gid    uint32   // the number of the group
	Groups []uint32 // supplementary groups; nil means none
}

func (u *User) clone() *User {
	if u == nil {
		return nil
	}
	return &User{u.Uid, u.Gid, slices.Clone(u.Groups)}
}
