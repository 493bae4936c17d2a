//go:build linux || darwin || freebsd

package usermodehelper

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// credential returns the form of u that package syscall takes.
func (u *User) credential() *syscall.Credential {
	if u == nil {
		return nil
	}
	return &syscall.Credential{Uid: u.Uid, Gid: u.Gid, Groups: u.Groups}
}

// explainUser adds the user and the directory to the error, if the user may not start
// the program or may not enter the directory, or if no system has such a user. The error
// of package os would only name the program.
func (h *Helper) explainUser(err error, dir string) error {
	var start *os.PathError
	if h.User == nil || !errors.As(err, &start) || !errors.Is(err, os.ErrPermission) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return fmt.Errorf("as user %d and group %d in %s: %w", h.User.Uid, h.User.Gid, dir, err)
}
