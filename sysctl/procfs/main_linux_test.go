//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

// limit is how long a test waits for a process on a busy machine.
const limit = 30 * time.Second

// The test binary is also a client, because a process must not open its own mount, and a
// server that can be killed. KPRIM_TEST_ROLE says which.
func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv("KPRIM_TEST_ROLE")]; ok {
		os.Exit(role(os.Args[1:]))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if left := ourMounts(); len(left) > 0 {
			fmt.Println("mounts were left:", left)
			code = 1
		}
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			fmt.Println("a child was left, or not reaped:", err)
			code = 1
		}
		os.Exit(code)
	}))
}

func ourMounts() []string {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("fuse.kprim"))
	if err != nil {
		return []string{err.Error()}
	}
	var dirs []string
	for _, m := range mounts {
		dirs = append(dirs, m.Mountpoint)
	}
	return dirs
}

// mount mounts root until the test ends. Without FUSE the test is skipped, or fails if
// REQUIRE_FUSE is 1.
func mount(t testing.TB, root vfs.Node, o procfs.Options) (dir string, server *procfs.Server) {
	dir = t.TempDir()
	if _, ok := root.(vfs.Dir); !ok {
		dir = filepath.Join(dir, "file")
		require.NoError(t, os.WriteFile(dir, nil, 0o600))
	}
	server, err := procfs.Mount(dir, root, o)
	skipWithoutFUSE(t, err)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return dir, server
}

// skipWithoutFUSE skips if err says that there is no FUSE here.
func skipWithoutFUSE(t testing.TB, err error) {
	if !errors.Is(err, errors.ErrUnsupported) {
		return
	}
	if os.Getenv("REQUIRE_FUSE") == "1" {
		t.Fatalf("REQUIRE_FUSE=1, but %v", err)
	}
	t.Skipf("skipped: %v", err)
}

// A client is a process that uses a mount.
type client struct {
	*exec.Cmd
	out  bytes.Buffer // both outputs; read it after wait
	done chan struct{}
}

// start starts a program. It dies with the test.
func start(t testing.TB, name string, args ...string) *client {
	c := &client{Cmd: exec.Command(name, args...), done: make(chan struct{})}
	c.Stdout, c.Stderr = &c.out, &c.out
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.WaitDelay = limit
	require.NoError(t, c.Cmd.Start())
	go func() { _ = c.Cmd.Wait(); close(c.done) }()
	t.Cleanup(func() { _ = c.Process.Kill(); <-c.done })
	return c
}

// wait waits for the end, and returns the exit code, or minus the signal that ended it.
func (c *client) wait(t testing.TB) int {
	select {
	case <-c.done:
	case <-time.After(limit):
		t.Fatalf("%v does not end; it has printed %q", c.Args, c.out.String())
	}
	status := c.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

// run runs a program, and returns its output and its exit code.
func run(t testing.TB, name string, args ...string) (string, int) {
	c := start(t, name, args...)
	code := c.wait(t)
	return c.out.String(), code
}

// bash runs a script in dir. $PROBE in it is the client of our own.
func bash(t testing.TB, dir, script string) (string, int) {
	self, err := os.Executable()
	require.NoError(t, err)
	return run(t, "bash", "-c", fmt.Sprintf("cd %q; PROBE='env KPRIM_TEST_ROLE=probe %s'\n%s", dir, self, script))
}

// eventually waits for a state of the model, which a process changes.
func eventually(t testing.TB, what string, cond func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// state returns the state of a process: one letter, as ps prints it.
func state(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "gone"
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	return fields[0]
}

// program skips the test if a program is not installed, or fails if REQUIRE_FUSE is 1.
func program(t testing.TB, name string) {
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("REQUIRE_FUSE") == "1" {
		t.Fatalf("REQUIRE_FUSE=1, but %s is not installed", name)
	}
	t.Skipf("skipped: %s is not installed", name)
}

// A logged is the text of a logger, which several goroutines use.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
