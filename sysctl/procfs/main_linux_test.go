//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

// The test binary is also a client, because a process must not open its own mount. And it is
// a server that a test can kill. KPRIM_TEST_ROLE or the name of the program says the role.
func TestMain(m *testing.M) {
	if role, ok := roles[cmp.Or(os.Getenv("KPRIM_TEST_ROLE"), filepath.Base(os.Args[0]))]; ok {
		os.Exit(role(os.Args[1:]))
	}
	catchIgnored(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0") // or each client lives a second longer
	own, err := os.MkdirTemp("", "procfs")
	if err != nil {
		panic(err)
	}
	os.Setenv("TMPDIR", own) // other processes may have mounts elsewhere
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if left := mountsBelow(own); len(left) > 0 {
			fmt.Println("mounts were left:", left)
			code = 1
			for _, dir := range left {
				_ = unix.Unmount(dir, unix.MNT_DETACH)
			}
		}
		if err := os.RemoveAll(own); err != nil {
			fmt.Println(err)
			code = 1
		}
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			fmt.Println("a child was left, or not reaped:", err)
			code = 1
		}
		os.Exit(code)
	}))
}

// catchIgnored makes children begin with the default action of each signal. A shell without
// job control, or nohup, ignores some signals, and the children would inherit that.
func catchIgnored(signals ...os.Signal) {
	for _, s := range signals {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// mountsBelow returns the directories below dir where something is mounted.
func mountsBelow(dir string) []string {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
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
	letIn(t, dir)
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

// letIn lets other users pass the temporary directories above dir.
func letIn(t testing.TB, dir string) {
	for strings.HasPrefix(filepath.Dir(dir), os.TempDir()) {
		dir = filepath.Dir(dir)
		info, err := os.Stat(dir)
		require.NoError(t, err)
		if info.Mode().Perm()&0o001 == 0 {
			require.NoError(t, os.Chmod(dir, 0o755))
		}
	}
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
type client = processes.Child

// start starts a program. It dies with the test.
func start(t testing.TB, name string, args ...string) *client {
	return startCmd(t, exec.Command(name, args...))
}

// startCmd starts a program with attributes of its own. Its messages are the same everywhere.
func startCmd(t testing.TB, cmd *exec.Cmd) *client {
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	return processes.Start(t, cmd)
}

// run runs a program, and returns its output and its exit code.
func run(t testing.TB, name string, args ...string) (string, int) {
	c := start(t, name, args...)
	code := c.Wait(t)
	return c.Out.String(), code
}

// bash runs a script in dir. $PROBE in it is the client of our own.
func bash(t testing.TB, dir, script string) (string, int) {
	self, err := os.Executable()
	require.NoError(t, err)
	return run(t, "bash", "-c", fmt.Sprintf("cd %q || exit; PROBE='env KPRIM_TEST_ROLE=probe %s'\n%s", dir, self, script))
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

// asRoot skips the test if this process is not user 0, which can take on other ids.
func asRoot(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: only user 0 can start clients with other ids")
	}
}
