//go:build !(386 || arm || mips || mipsle)

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

// The test binary can also run as the program.
func TestMain(m *testing.M) {
	if os.Getenv("KPRIM_TEST_ROLE") == "demo" {
		main()
		os.Exit(0)
	}
	// A program with the race detector sleeps for a second at its end.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			fmt.Println("a child was left, or not reaped:", err)
			code = 1
		}
		os.Exit(code)
	}))
}

// needFUSE skips the test where there is no FUSE, or fails if REQUIRE_FUSE is 1.
func needFUSE(t *testing.T) {
	server, err := procfs.Mount(t.TempDir(), vfs.Static(nil), procfs.Options{})
	if errors.Is(err, errors.ErrUnsupported) {
		unable(t, err.Error())
	}
	require.NoError(t, err)
	require.NoError(t, server.Close())
}

// needRoot skips the test unless it can make mount namespaces and be another user.
func needRoot(t *testing.T) {
	needFUSE(t)
	if os.Geteuid() != 0 {
		unable(t, "the test is not run by root")
	}
	for _, name := range []string{"unshare", "nsenter", "setpriv", "umount", "sysctl", "ps"} {
		if _, err := exec.LookPath(name); err != nil {
			unable(t, name+" is not installed")
		}
	}
}

func unable(t *testing.T, reason string) {
	if os.Getenv("REQUIRE_FUSE") == "1" {
		t.Fatalf("REQUIRE_FUSE=1, but %s", reason)
	}
	t.Skipf("skipped: %s", reason)
}

// A process is the program, or one that uses its mount.
type process struct{ *processes.Child }

func start(t *testing.T, cmd *exec.Cmd) *process { return &process{processes.Start(t, cmd)} }

// demoCmd is the program, with temporary files in a directory of the test.
func demoCmd(t *testing.T, args ...string) (cmd *exec.Cmd, temp string) {
	self, err := os.Executable()
	require.NoError(t, err)
	temp = t.TempDir()
	cmd = exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "KPRIM_TEST_ROLE=demo", "TMPDIR="+temp)
	return cmd, temp
}

// served starts the program at a new directory, and waits until it serves. When the test
// ends, the program has ended, and nothing is left.
func served(t *testing.T) (p *process, dir string) {
	needFUSE(t)
	dir = filepath.Join(t.TempDir(), "procfs-demo")
	return servedAt(t, dir), dir
}

func servedAt(t *testing.T, dir string, env ...string) *process {
	cmd, temp := demoCmd(t, dir)
	cmd.Env = append(cmd.Env, env...)
	noMountAtTheEnd(t, dir)
	p := start(t, cmd)
	t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		if p.Wait(t) != -int(syscall.SIGKILL) {
			left, _ := os.ReadDir(temp)
			require.Empty(t, left, "temporary files")
		}
	})
	p.waitFor(t, "mythread")
	return p
}

// noMountAtTheEnd removes a mount that a failed test has left. A test calls it before it
// starts the program, because the last cleanup runs first.
func noMountAtTheEnd(t *testing.T, dir string) {
	t.Cleanup(func() {
		if syscall.Unmount(dir, syscall.MNT_FORCE|syscall.MNT_DETACH) == nil {
			t.Error("the mount was left: ", dir)
		}
	})
}

func (p *process) waitFor(t *testing.T, part string) {
	processes.Eventually(t, part, func() bool { return strings.Contains(p.Out.String(), part) })
}

var anyPID = regexp.MustCompile(`\([0-9]+\)`)

// lines are the lines that the program has printed, with numbers of processes as N.
func (p *process) lines() []string {
	return strings.Split(strings.TrimSuffix(anyPID.ReplaceAllString(p.Out.String(), "(N)"), "\n"), "\n")
}

// bash runs a script, and returns its outputs and its exit code.
func bash(t *testing.T, script string) (string, int) {
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	p := start(t, cmd)
	code := p.Wait(t)
	return p.Out.String(), code
}

func write(t *testing.T, path, value string) {
	out, code := bash(t, fmt.Sprintf("echo '%s' > %s", value, path))
	require.Zero(t, code, out)
}
