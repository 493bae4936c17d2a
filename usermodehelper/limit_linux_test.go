package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/kprim/kprim/usermodehelper"
)

func init() {
	roles["at-process-limit"] = atProcessLimit
	roles["first-at-process-limit"] = firstAtProcessLimit
}

const rlimitNproc = 6 // RLIMIT_NPROC, which package syscall does not have

// asOneUser makes this program the only one of a user, with this number of
// processes and threads that it may have. Root has no such limit.
func asOneUser(limit uint64) error {
	user := 60_000 + os.Getpid()%5_000
	if err := syscall.Setgid(user); err != nil {
		return err
	}
	if err := syscall.Setuid(user); err != nil {
		return err
	}
	return syscall.Setrlimit(rlimitNproc, &syscall.Rlimit{Cur: limit, Max: limit})
}

// A program whose helpers fill the limit gets an errno for the others. It does not
// die for want of a thread.
func TestHelpersAtALimitOfProcesses(t *testing.T) {
	needsRoot(t)
	for range 3 {
		output(t, actor(t, "at-process-limit"))
	}
}

func atProcessLimit([]string) error {
	const limit, calls = 40, 200
	if err := asOneUser(limit); err != nil {
		return err
	}
	refused, err := atOnce(calls)
	if err == nil && (refused == 0 || refused == calls) {
		return fmt.Errorf("%d of %d were refused", refused, calls)
	}
	return err
}

// atOnce starts helpers at once, and counts how many get EAGAIN.
func atOnce(calls int) (refused int, err error) {
	var all sync.WaitGroup
	results := make(chan error, calls)
	for range calls {
		all.Go(func() {
			_, err := usermodehelper.Call(context.Background(), "/bin/sleep", []string{"sleep", "0.2"}, nil, usermodehelper.WaitProc)
			results <- err
		})
	}
	all.Wait()
	close(results)
	for err := range results {
		switch {
		case isRefusal(err):
			refused++
		case err != nil:
			return refused, err
		}
	}
	return refused, nil
}

func isRefusal(err error) bool {
	return errors.Is(err, syscall.EAGAIN) && strings.HasPrefix(err.Error(), "usermodehelper: ")
}

// The first helper of a program may come when there is room for a few more
// processes, or for none. The limit is low, or it is filled by others.
func TestFirstHelperAtALimitOfProcesses(t *testing.T) {
	needsRoot(t)
	for _, c := range []struct{ others, room string }{
		{"0", "0"}, {"0", "6"}, {"0", "20"}, {"60", "0"}, {"60", "6"}, {"60", "20"},
	} {
		t.Run(c.others+" others, room "+c.room, func(t *testing.T) {
			t.Parallel() // each is a user of its own
			output(t, actor(t, "first-at-process-limit", c.others, c.room))
		})
	}
}

// firstAtProcessLimit has room for a few more processes beside the others of its
// user, and starts helpers one after the other, and then some at once. Between two
// of them the starting thread ends.
func firstAtProcessLimit(args []string) error {
	others, _ := strconv.Atoi(args[0])
	room, _ := strconv.Atoi(args[1])
	if err := asOneUser(uint64(others + 100)); err != nil {
		return err
	}
	if others > 0 {
		end, err := crowd(others)
		if err != nil {
			return err
		}
		defer end()
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	limit := uint64(others + len(tasks) + room)
	if err := syscall.Setrlimit(rlimitNproc, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	started := 0
	for range 3 {
		status, err := usermodehelper.Call(context.Background(), "/bin/true", nil, nil, usermodehelper.WaitProc)
		switch {
		case err == nil && status == 0:
			started++
		case !isRefusal(err):
			return fmt.Errorf("%v, %w", status, err)
		}
		usermodehelper.ExpireCrew()
	}
	if room < 6 {
		return nil
	}
	if started < 3 {
		return fmt.Errorf("%d of 3 were started", started)
	}
	if room < 15 {
		return nil
	}
	refused, err := atOnce(4)
	if err == nil && refused > 0 {
		return fmt.Errorf("%d of 4 were refused", refused)
	}
	return err
}

// crowd runs n processes. All except one are children of that one.
func crowd(n int) (end func(), err error) {
	const script = `while [ $# -gt 1 ]; do sleep 20 & shift; done; echo ready; exec sleep 20`
	shell := exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, make([]string, n)...)...)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := shell.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, err
	}
	_, err = out.Read(make([]byte, len("ready\n")))
	return func() { _ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }, err
}
