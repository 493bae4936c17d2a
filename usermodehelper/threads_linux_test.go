package usermodehelper

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// threads returns how many threads the runtime has.
func threads() int {
	sample := []metrics.Sample{{Name: "/sched/threads/total:threads"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}

// tasks returns the numbers of the program's threads.
func tasks(t *testing.T) (ids []string) {
	t.Helper()
	dirs, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	for _, dir := range dirs {
		ids = append(ids, dir.Name())
	}
	return ids
}

// oneCrew has a crew begin, with two helpers that are never started, and end.
func oneCrew(t *testing.T) {
	t.Helper()
	for range 2 {
		_, err := joinCrew()
		require.NoError(t, err)
	}
	c := crews.present
	c.run(func() {})
	c.leave()
	c.leave()
	c.expire()
}

// A thread ends with its crew. The next crews make up for it.
func TestSparesAreMadeUpFor(t *testing.T) {
	ExpireCrew() // it may have several threads, from another test
	want := wantedSpares()
	for range 3 * want {
		oneCrew(t)
		require.GreaterOrEqual(t, threads(), want/2)
		require.Less(t, spares, want, "the crew has used one up")
		require.GreaterOrEqual(t, spares, want/2)
	}
}

// Near the limit half of the threads end. Otherwise idle threads would hold the places
// of helpers for ever.
func TestSparesLeavePlacesForHelpers(t *testing.T) {
	room := func(places int) func() error {
		return func() error {
			if places--; places < 0 {
				return syscall.EAGAIN
			}
			return nil
		}
	}
	for places, want := range map[int]int{0: 0, 1: 1, 2: 1, 7: 4, 8: 4, 9: 8} {
		require.Equal(t, want, makeSpares(8, room(places)), "%d places", places)
	}
	crews.mu.Lock()
	spares = 0 // the threads that end below may have been among them
	crews.mu.Unlock()
	makeSpares(8, room(9)) // all are kept
	before := tasks(t)
	makeSpares(8, room(8)) // four of them end
	ended := func() bool { // not by the number of threads: the runtime may have made others
		now := tasks(t)
		return slices.ContainsFunc(before, func(id string) bool { return !slices.Contains(now, id) })
	}
	require.Eventually(t, ended, time.Minute, time.Millisecond)
}

// A thread that has started a process by itself does not end: the process may have
// asked for a signal at the end of its parent task.
func TestCrewEndsNoParentOfOtherProcesses(t *testing.T) {
	if _, err := os.Stat("/proc/thread-self/children"); err != nil {
		t.Skip("the kernel does not tell the children of a thread:", err)
	}
	var others []*exec.Cmd
	defer func() {
		for _, other := range others {
			_ = other.Process.Kill()
			_ = other.Wait()
		}
	}()
	for range 10 {
		var made, all sync.WaitGroup
		made.Add(4)
		for range 4 { // on as many threads
			other := exec.Command("/bin/sleep", "1000")
			other.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			others = append(others, other)
			all.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				if err := other.Start(); err != nil {
					t.Error(err)
				}
				made.Done()
				made.Wait()
			})
		}
		all.Wait()
		for range 3 {
			oneCrew(t)
		}
	}
	for _, other := range others {
		ended, err := waitid(other.Process.Pid, syscall.WNOHANG)
		require.NoError(t, err)
		require.False(t, ended)
	}
}

// The main thread is no thread of a crew: it would give the program a new umask, and
// /proc another root.
func TestMainThreadStartsNoHelpers(t *testing.T) {
	umask := func() string {
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		return regexp.MustCompile(`Umask:\s*\d+`).FindString(string(status))
	}
	before := syscall.Umask(0o027)
	defer syscall.Umask(before)
	want := umask()
	for range 200 {
		oneCrew(t)
		require.Equal(t, want, umask())
	}
}
