//go:build darwin || freebsd

package usermodehelper

import "errors"

// A member is a process of a group.
type member struct {
	pid   int
	alive bool
}

// members would return the processes of a group, which only Linux shows in /proc.
func members(int) ([]member, error) { return nil, errUnseen }

var errUnseen = errors.ErrUnsupported

func holdsPipe(int, string) bool { return true }

func reapDead(int) {}
