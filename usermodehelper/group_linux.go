package usermodehelper

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// A member is a process of a group.
type member struct {
	pid   int
	alive bool // a member that is not alive is a zombie: its files and locks are released
}

var errNotOurProc = errors.New("/proc is missing, or has the numbers of another pid namespace")

// members returns the processes of the group. It looks at them one after the
// other, so a process that is made meanwhile may be missing.
func members(group int) ([]member, error) {
	self, err := os.Readlink("/proc/self")
	if err != nil || self != strconv.Itoa(os.Getpid()) {
		return nil, errNotOurProc
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var found []member
	for _, name := range names {
		if name[0] > '9' {
			continue // not a process
		}
		pid, err := strconv.Atoi(name)
		if err != nil || !inGroup(pid, group) {
			continue
		}
		if m, ok := lookAt(pid, group); ok {
			found = append(found, m)
		}
	}
	return found, nil
}

// inGroup asks without a file: most processes are in another group.
func inGroup(pid, group int) bool {
	g, err := syscall.Getpgid(pid)
	return err == nil && g == group
}

// lookAt reports how the process is, if it still is in the group.
func lookAt(pid, group int) (m member, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return member{}, false // it has been reaped
	}
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	fields := strings.Fields(rest)
	const state, pgrp, threads = 0, 2, 17
	if len(fields) <= threads || fields[pgrp] != strconv.Itoa(group) {
		return member{}, false
	}
	// Main threads may end before others. Then the process looks like a zombie
	// and is not: it still has its files.
	dead := strings.Contains("ZXx", fields[state]) && fields[threads] == "1"
	return member{pid: pid, alive: !dead}, true
}

// holdsPipe reports whether the process has the pipe open, or does not show it.
func holdsPipe(pid int, pipe string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := os.ReadDir(dir)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	for _, name := range names {
		if target, err := os.Readlink(dir + "/" + name.Name()); err == nil && target == pipe {
			return true
		}
	}
	return false
}

// reapDead reaps members of the group that are children of this program, as
// those of a subreaper and of pid 1 become. The leader is not reaped: until it
// is, no member's number can be that of a helper.
func reapDead(group int) {
	found, _ := members(group)
	for _, m := range found {
		if !m.alive && m.pid != group {
			_, _ = syscall.Wait4(m.pid, nil, syscall.WNOHANG, nil)
		}
	}
}
