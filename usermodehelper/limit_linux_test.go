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
	"time"

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
	refused := 0
	for err := range results {
		switch {
		case isRefusal(err):
			refused++
		case err != nil:
			return err
		}
	}
	if refused == 0 || refused == calls {
		return fmt.Errorf("%d of %d were refused", refused, calls)
	}
	return nil
}

func isRefusal(err error) bool {
	return errors.Is(err, syscall.EAGAIN) && strings.HasPrefix(err.Error(), "usermodehelper: ")
}

// The first helper of a program may come when there is room for a few more
// processes, for one, or for none. os/exec says the same.
func TestFirstHelperAtALimitOfProcesses(t *testing.T) {
	needsRoot(t)
	for _, room := range []int{0, 1, 3, 6, 9, 15} {
		t.Run(strconv.Itoa(room), func(t *testing.T) {
			t.Parallel() // each is a user of its own
			output(t, actor(t, "first-at-process-limit", strconv.Itoa(room)))
		})
	}
}

// firstAtProcessLimit has room for a few more processes, and starts helpers one
// after the other. Between two of them the starting thread ends.
func firstAtProcessLimit(args []string) error {
	room, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	if err := asOneUser(uint64(len(tasks) + room)); err != nil {
		return err
	}
	byOsExec := exec.Command("/bin/true").Run()
	started := 0
	for range 4 {
		status, err := usermodehelper.Call(context.Background(), "/bin/true", nil, nil, usermodehelper.WaitProc)
		switch {
		case err == nil && status == 0:
			started++
		case !isRefusal(err):
			return fmt.Errorf("room %d: %v, %w", room, status, err)
		}
		time.Sleep(2 * usermodehelper.CrewLinger)
	}
	if room >= 6 && started == 0 {
		return fmt.Errorf("room %d: %d started; os/exec: %w", room, started, byOsExec)
	}
	return nil
}
