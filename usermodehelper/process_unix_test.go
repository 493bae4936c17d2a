//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/usermodehelper"
)

// The test binary is its own helper, told by argv[0], because some tests
// look at the environment.
func TestMain(m *testing.M) {
	if os.Args[0] == "kprim-test-helper" {
		if err := helper(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			fmt.Println("a child was left, or not reaped:", err)
			code = 1
		}
		os.Exit(code)
	}))
}

// seen has the attributes that a helper finds of itself.
type seen struct {
	Args, Env []string
	Dir       string
	Leader    bool // of a process group
	NullStdio bool
}

func helper(role string, args []string) error {
	switch role {
	case "look":
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		text, err := json.Marshal(seen{
			Args: os.Args, Env: os.Environ(), Dir: dir,
			Leader:    syscall.Getpgrp() == os.Getpid(),
			NullStdio: isNull(os.Stdin) && isNull(os.Stdout) && isNull(os.Stderr),
		})
		if err != nil {
			return err
		}
		return os.WriteFile(args[0], text, 0o600)
	case "desert-child":
		child := exec.Command("/bin/sh", "-c", "exec sleep 1000")
		if err := child.Start(); err != nil {
			return err
		}
		return helper("desert", args)
	case "desert": // to the group of its parent, which is not to be signalled
		group, err := syscall.Getpgid(os.Getppid())
		if err != nil {
			return err
		}
		if err := syscall.Setpgid(0, group); err != nil {
			return err
		}
		if err := os.WriteFile(args[0], nil, 0); err != nil { // a fifo: somebody reads it now
			return err
		}
		_, err = os.Open(args[1]) // a fifo that nobody writes to
		return err
	case "daemon": // runs the rest as a program in a session of its own, and goes
		child := exec.Command(args[0], args[1:]...)
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		child.ExtraFiles = []*os.File{os.NewFile(3, "leash")}
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return child.Start()
	case "daemon-and-stay":
		if err := helper("daemon", args); err != nil {
			return err
		}
		time.Sleep(time.Hour)
	case "daemon-and-ignore": // the first signal
		signal.Ignore(syscall.SIGTERM)
		return helper("daemon-and-stay", args)
	}
	if f := roles[role]; f != nil {
		return f(args)
	}
	return errors.New("no such role: " + role)
}

// roles are more of them.
var roles = map[string]func(args []string) error{}

// actor is a helper that plays a role.
func actor(t *testing.T, role string, args ...string) *usermodehelper.Helper {
	return &usermodehelper.Helper{
		Path: self(t),
		Argv: append([]string{"kprim-test-helper", role}, args...),
		Envp: usermodehelper.Environ(),
	}
}

func isNull(f *os.File) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(os.DevNull)
	return err == nil && os.SameFile(a, b)
}

func requireInvalid(t *testing.T, err error, text string) {
	t.Helper()
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, text)
}

func self(t *testing.T) string {
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// shell is a helper that runs script with the given arguments as $1, $2, ...
func shell(script string, args ...string) *usermodehelper.Helper {
	return &usermodehelper.Helper{
		Path: "/bin/sh",
		Argv: append([]string{"sh", "-c", script, "sh"}, args...),
		Envp: usermodehelper.Environ(),
	}
}

// fifo makes a named pipe. Opening either end waits for the other.
func fifo(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	return path
}

// late is later than anything that a test waits for, on a machine that is busy.
const late = 20 * time.Second

// A leash is a pipe that a helper and its children hold, as their descriptor 3. It
// tells when all of them are gone. They may write to it.
type leash struct {
	t    *testing.T
	r, w *os.File
}

func leashed(t *testing.T, h *usermodehelper.Helper) *leash {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	init := h.Init
	h.Init = func(attr *os.ProcAttr) error {
		attr.Files = append(attr.Files, w)
		if init != nil {
			return init(attr)
		}
		return nil
	}
	return &leash{t, r, w}
}

// line waits for the next line.
func (l *leash) line() string {
	l.t.Helper()
	var line []byte
	require.NoError(l.t, l.r.SetReadDeadline(time.Now().Add(late)))
	for buf := []byte{0}; ; line = append(line, buf[0]) {
		_, err := l.r.Read(buf)
		require.NoError(l.t, err)
		if buf[0] == '\n' {
			return string(line)
		}
	}
}

// gone waits until no process holds the leash, which cannot be used after that. It
// returns the rest of the text.
func (l *leash) gone() string {
	l.t.Helper()
	require.NoError(l.t, l.w.Close())
	require.NoError(l.t, l.r.SetReadDeadline(time.Now().Add(late)))
	return readAll(l.t, l.r)
}

// started starts h with WaitExec and returns a channel for the results of Cleanup.
func started(t *testing.T, ctx context.Context, h *usermodehelper.Helper) <-chan ended {
	t.Helper()
	result := make(chan ended, 2)
	mine := *h
	mine.Cleanup = func(r usermodehelper.Result) { result <- ended{r.Status, r.Err} }
	_, err := mine.Exec(ctx, usermodehelper.WaitExec)
	require.NoError(t, err)
	return result
}

// awaitZombie waits until the child has ended, which is to be reaped still.
func awaitZombie(t *testing.T, pid string) {
	t.Helper()
	require.Eventually(t, func() bool {
		state, err := exec.Command("ps", "-o", "stat=", "-p", pid).Output()
		return err == nil && len(state) > 0 && state[0] == 'Z'
	}, late, time.Millisecond)
}

// readAll reads the fifo until every process that has it open for writing has
// closed it, or died.
func readAll(t *testing.T, f *os.File) string {
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(text)
}

func TestChildGetsWhatItIsGivenAndNothingElse(t *testing.T) {
	t.Setenv("KPRIM_SECRET", "hunter2")
	out := filepath.Join(t.TempDir(), "seen")
	argv := []string{"kprim-test-helper", "look", out}
	for _, envp := range [][]string{usermodehelper.Environ("TROUBLED_DS=9527"), {}, nil} {
		status, err := usermodehelper.Call(t.Context(), self(t), argv, envp, usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Zero(t, status)
		text, err := os.ReadFile(out)
		require.NoError(t, err)
		var got seen
		require.NoError(t, json.Unmarshal(text, &got))
		if envp == nil {
			envp = []string{}
		}
		require.Equal(t, seen{Args: argv, Env: envp, Dir: "/", Leader: true, NullStdio: true}, got)
	}
}

func TestArgvIsThePathWhenNotGiven(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho $# $0 > "+out+"\n"), 0o755))
	for _, argv := range [][]string{nil} {
		_, err := usermodehelper.Call(t.Context(), script, argv, nil, usermodehelper.WaitProc)
		require.NoError(t, err)
		text, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Equal(t, "0 "+script+"\n", string(text))
	}
}

func TestWaitExecReturnsWhenTheProgramRuns(t *testing.T) {
	for _, mode := range []usermodehelper.Mode{usermodehelper.WaitExec, usermodehelper.NoWait} {
		gate := fifo(t)
		cleanup := make(chan usermodehelper.Status, 2)
		h := shell(`read line < "$1"; exit "$line"`, gate)
		h.Cleanup = func(r usermodehelper.Result) {
			require.NoError(t, r.Err)
			cleanup <- r.Status
		}
		status, err := h.Exec(t.Context(), mode)
		require.NoError(t, err)
		require.Zero(t, status)
		h.Argv[2] = "exit 99" // too late: it was copied
		require.Empty(t, cleanup, "it waits for a line still")
		require.NoError(t, os.WriteFile(gate, []byte("7\n"), 0))
		require.Equal(t, usermodehelper.Status(7<<8), <-cleanup)
	}
}

func TestEndedContextStartsNothing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, mode := range []usermodehelper.Mode{usermodehelper.WaitExec, usermodehelper.WaitProc, usermodehelper.NoWait} {
		cleanup := make(chan error, 1)
		h := shell(`echo ran > "$1"`, out)
		h.Cleanup = func(r usermodehelper.Result) { cleanup <- r.Err }
		_, err := h.Exec(ctx, mode)
		require.Equal(t, mode == usermodehelper.NoWait, err == nil)
		err = <-cleanup
		require.ErrorIs(t, err, syscall.EINTR)
		require.ErrorIs(t, err, context.Canceled)
		require.NoFileExists(t, out)
	}
}

// running starts h on a goroutine, waits until it has opened the fifo, and
// returns the fifo's other end and the result.
func running(t *testing.T, ctx context.Context, h *usermodehelper.Helper, pipe string) (*os.File, <-chan ended) {
	result := make(chan ended, 1)
	go func() {
		status, err := h.Exec(ctx, usermodehelper.WaitProc)
		result <- ended{status, err}
	}()
	f, err := os.Open(pipe)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	buf := make([]byte, len("ready\n"))
	_, err = io.ReadFull(f, buf)
	require.NoError(t, err)
	return f, result
}

type ended struct {
	status usermodehelper.Status
	err    error
}

func TestContextEndsTheHelper(t *testing.T) {
	why := errors.New("no more need")
	ctx, cancel := context.WithCancelCause(t.Context())
	pipe := fifo(t)
	f, result := running(t, ctx, shell(`exec > "$1"; echo ready; exec sleep 1000`, pipe), pipe)
	cancel(why)
	got := <-result
	for _, want := range []error{syscall.EINTR, context.Canceled, why} {
		require.ErrorIs(t, got.err, want)
	}
	require.ErrorContains(t, got.err, "/bin/sh")
	require.Equal(t, syscall.SIGTERM, got.status.Signal())
	require.Empty(t, readAll(t, f))
}

func TestDeadlineEndsTheHelper(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := shell("exec sleep 1000").Exec(ctx, usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.ETIMEDOUT)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// The helper tidies up and goes on SIGTERM, by its own will.
func TestHelperMayEndInItsOwnWay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pipe := fifo(t)
	// The child says that it is there: before its exec it would have the trap too.
	h := shell(`exec > "$1"; trap 'echo tidy; exit 5' TERM; sh -c 'echo ready; exec sleep 1000' & wait`, pipe)
	h.Grace = time.Minute
	f, result := running(t, ctx, h, pipe)
	start := time.Now()
	cancel()
	got := <-result
	require.ErrorIs(t, got.err, syscall.EINTR)
	require.Equal(t, 5, got.status.ExitCode())
	require.Less(t, time.Since(start), time.Minute, "the grace is not waited for in full")
	require.Equal(t, "tidy\n", readAll(t, f), "and the sleep it had started is gone")
}

func TestHelperThatIgnoresTheFirstSignal(t *testing.T) {
	for _, grace := range []time.Duration{50 * time.Millisecond, 0} {
		ctx, cancel := context.WithCancel(t.Context())
		pipe := fifo(t)
		h := shell(`exec > "$1"; trap '' TERM; echo ready; sleep 1000`, pipe)
		h.Grace = grace
		f, result := running(t, ctx, h, pipe)
		start := time.Now()
		cancel()
		got := <-result
		require.Equal(t, syscall.SIGKILL, got.status.Signal())
		if grace == 0 {
			grace = time.Second // the default
		}
		require.GreaterOrEqual(t, time.Since(start), grace)
		require.Empty(t, readAll(t, f), "and its child with it")
	}
}

// The helper goes at once. Its child ignores SIGTERM and stays in the group, holding
// the fifo open.
func TestGroupIsEndedThoughItsLeaderHasGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pipe := fifo(t)
	h := shell(`exec > "$1"; (trap '' TERM; echo ready; exec sleep 1000) & exec sleep 1000`, pipe)
	h.Grace = 300 * time.Millisecond
	f, result := running(t, ctx, h, pipe)
	start := time.Now()
	cancel()
	require.Equal(t, syscall.SIGTERM, (<-result).status.Signal())
	require.GreaterOrEqual(t, time.Since(start), h.Grace, "the child has its Grace too")
	require.Empty(t, readAll(t, f), "ends only when nobody holds it")
}

// It has left its group, empty or with a child in it.
func TestHelperThatLeftItsGroupIsEndedToo(t *testing.T) {
	for _, role := range []string{"desert", "desert-child"} {
		ctx, cancel := context.WithCancel(t.Context())
		ready, never := fifo(t), fifo(t)
		result := make(chan ended, 1)
		h := usermodehelper.Helper{Path: self(t), Argv: []string{"kprim-test-helper", role, ready, never}}
		h.Init = func(attr *os.ProcAttr) error {
			attr.Sys.Setsid = false // the leader of a session cannot leave its group
			return nil
		}
		go func() {
			status, err := h.Exec(ctx, usermodehelper.WaitProc)
			result <- ended{status, err}
		}()
		f, err := os.Open(ready)
		require.NoError(t, err)
		require.Empty(t, readAll(t, f))
		require.NoError(t, f.Close())
		cancel()
		got := <-result
		require.ErrorIs(t, got.err, syscall.EINTR)
		require.Equal(t, syscall.SIGTERM, got.status.Signal())
	}
}

// The context ends when the helper has ended, and before Exec has noticed.
// Members that it may have left are left alone then.
func TestHelperThatEndedFirstWasNotInterrupted(t *testing.T) {
	rec := recorded(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		pipe := fifo(t)
		h := shell(`exec > "$1"; echo ready; echo $$; exit 6`, pipe)
		f, result := running(t, ctx, h, pipe)
		busyUntilZombie(t, f)
		cancel()
		require.Equal(t, ended{status: 6 << 8}, <-result)
		require.Equal(t, "reap", rec.take(t))
	}
}

// hasEnded reports whether the child has ended. It lets no other goroutine run
// meanwhile, and is nil where there is no such call.
var hasEnded func(pid int) bool

// busyUntilZombie keeps the only CPU busy until the writer of the fifo, which
// has written its pid, is gone, and a little longer: its end of the fifo is
// closed before it is a zombie.
func busyUntilZombie(t *testing.T, f *os.File) {
	require.NoError(t, f.SetDeadline(time.Time{}))
	raw, err := f.SyscallConn()
	require.NoError(t, err)
	var text []byte
	require.NoError(t, raw.Read(func(fd uintptr) bool {
		var buf [16]byte
		for {
			n, err := syscall.Read(int(fd), buf[:])
			if n == 0 && err == nil {
				return true
			}
			text = append(text, buf[:max(n, 0)]...)
		}
	}))
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	for start := time.Now(); time.Since(start) < 3*time.Millisecond || hasEnded != nil && !hasEnded(pid); {
	}
}

// A helper that ends by itself may leave a daemon behind, as in the kernel.
func TestGroupIsLeftAloneWhenTheHelperEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pipe := fifo(t)
	result := make(chan ended, 1)
	go func() {
		status, err := shell(`(exec > "$1"; echo still here) & exit 0`, pipe).Exec(ctx, usermodehelper.WaitProc)
		result <- ended{status, err}
	}()
	require.Equal(t, ended{}, <-result)
	cancel()
	f, err := os.Open(pipe) // lets the daemon go on
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, "still here\n", readAll(t, f))
}

func TestContextGovernsAlsoAfterExecHasReturned(t *testing.T) {
	for _, mode := range []usermodehelper.Mode{usermodehelper.WaitExec, usermodehelper.NoWait} {
		ctx, cancel := context.WithCancel(t.Context())
		pipe := fifo(t)
		cleanup := make(chan ended, 1)
		h := shell(`exec > "$1"; echo ready; exec sleep 1000`, pipe)
		h.Cleanup = func(r usermodehelper.Result) { cleanup <- ended{r.Status, r.Err} }
		_, err := h.Exec(ctx, mode)
		require.NoError(t, err)
		f, err := os.Open(pipe)
		require.NoError(t, err)
		cancel()
		got := <-cleanup
		require.ErrorIs(t, got.err, syscall.EINTR)
		_ = readAll(t, f)
		require.NoError(t, f.Close())
	}
}

func ExampleCall() {
	status, err := usermodehelper.Call(context.Background(), "/bin/sh",
		[]string{"sh", "-c", `test "$TROUBLED_DS" = 9527 && exit 3`},
		usermodehelper.Environ("TROUBLED_DS=9527"), usermodehelper.WaitProc)
	fmt.Println(status, err)
	// Output: exit status 3 <nil>
}
