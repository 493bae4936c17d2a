package usermodehelper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// A member is a process of a group.
type member struct {
	pid   int
	alive bool // a member that is not alive is a zombie: its files and locks are released
}

// members returns the processes of the group. A process that is made during the
// look may be missing.
func members(group int) ([]member, error) {
	c := takeCensus()
	var found []member
	for _, pid := range c.groups[group] {
		if m, ok := lookAt(pid, group); ok {
			found = append(found, m)
		}
	}
	return found, c.err
}

// A census is a look at the groups of all processes.
//
// Optimization: callers that come while a look is in progress share the next
// one. When many helpers end at once, each of them would have a look of its own
// at all the others: 2,000 took six times as long.
type census struct {
	once   sync.Once
	groups map[int][]int // the pids of each group
	err    error
}

var censuses = struct {
	looking sync.Mutex // held during a look
	mu      sync.Mutex
	next    *census // the look that has not begun; guarded by mu
}{next: new(census)}

// takeCensus returns a look that began after the call.
func takeCensus() *census {
	censuses.mu.Lock()
	c := censuses.next
	censuses.mu.Unlock()
	c.once.Do(c.take)
	return c
}

func (c *census) take() {
	censuses.looking.Lock()
	defer censuses.looking.Unlock()
	censuses.mu.Lock()
	censuses.next = new(census) // for callers that come from now on
	censuses.mu.Unlock()
	c.groups, c.err = allGroups()
}

var errUnseen = errors.New("/proc is missing, or has the numbers of another pid namespace")

func allGroups() (map[int][]int, error) {
	self, err := os.Readlink("/proc/self")
	if err != nil || self != strconv.Itoa(os.Getpid()) {
		return nil, errUnseen
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
	groups := map[int][]int{}
	for _, name := range names {
		if name[0] > '9' {
			continue // not a process
		}
		if pid, err := strconv.Atoi(name); err == nil {
			if group, err := syscall.Getpgid(pid); err == nil {
				groups[group] = append(groups[group], pid)
			}
		}
	}
	return groups, nil
}

// lookAt reports how the process is, if it still is in the group.
func lookAt(pid, group int) (m member, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH):
		return member{}, false // it has been reaped
	case err != nil: // as EMFILE, or EPERM by hidepid: it is there, and may be alive
		return member{pid: pid, alive: true}, true
	}
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	fields := strings.Fields(rest)
	const state, pgrp, threads = 0, 2, 17
	if len(fields) <= threads || fields[pgrp] != strconv.Itoa(group) {
		return member{}, false
	}
	// Main threads may end before others. Then the process looks like a zombie
	// and is not: it still has its files.
	dead := strings.Contains("ZXx", fields[state]) && fields[threads] <= "1"
	return member{pid: pid, alive: !dead}, true
}

// holdsPipe reports whether the process has the pipe open, or hides its files. A
// main thread that has ended shows no files, but the others still have them.
func holdsPipe(pid int, pipe string) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/fd", pid))
	if err != nil {
		return false
	}
	for _, dir := range tasks {
		names, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrPermission) {
			return true
		}
		for _, name := range names {
			if target, err := os.Readlink(dir + "/" + name.Name()); err == nil && target == pipe {
				return true
			}
		}
		if len(names) > 0 { // the other threads have the same files, unless they asked for their own
			return false
		}
	}
	return false
}

// reapDead reaps the zombies of the group that are children of this program. A
// subreaper and pid 1 have such children. The leader is not reaped: while it is a
// zombie, the group's number cannot go to a new helper.
func reapDead(group int) {
	found, _ := members(group)
	for _, m := range found {
		if !m.alive && m.pid != group {
			_, _ = syscall.Wait4(m.pid, nil, syscall.WNOHANG, nil)
		}
	}
}
