package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func init() {
	roles["dies-with-parent"] = diesWithParent
	roles["two-in-turn"] = twoInTurn
	roles["many-sleepers"] = manySleepers
	roles["new-root"] = newRoot
	roles["unmounts"] = unmounts
	roles["no-null"] = noNullDevice
	roles["no-pidfd"] = noPidfd
	roles["no-descriptor-left"] = noDescriptorLeft
	roles["leak-at-the-limit"] = leakAtTheLimit
	roles["no-proc"] = noProc
}

func prctl(option, arg uintptr) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, arg, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// needsRoot skips a test of something that only root may do.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may")
	}
}

// needsUnshare skips a test of an attribute that a helper gets by unshare(2).
func needsUnshare(t *testing.T) {
	t.Helper()
	result := make(chan error)
	go func() { // ends with its thread
		runtime.LockOSThread()
		result <- syscall.Unshare(syscall.CLONE_FS)
	}()
	if err := <-result; err != nil {
		t.Skip("unshare(2) is refused here, as in many containers:", err)
	}
}

// diesWithParent asks for SIGKILL when its parent task ends, as a sandbox and
// many a daemon do. Its parent lives longer.
func diesWithParent(args []string) error {
	if err := prctl(syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL)); err != nil {
		return err
	}
	life, err := time.ParseDuration(args[0])
	time.Sleep(life)
	return err
}

func TestHelperOutlivesNoParentTask(t *testing.T) {
	const goroutines, rounds = 4, 8
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range rounds {
				got := make(chan ended, 1)
				h := actor(t, "dies-with-parent", "20ms")
				h.Cleanup = func(r usermodehelper.Result) { got <- ended{r.Status, r.Err} }
				if _, err := h.Exec(t.Context(), modes[i%len(modes)]); err != nil {
					t.Error(err)
				}
				if got := <-got; got != (ended{}) {
					t.Error(got)
				}
			}
		})
	}
	all.Wait()
}

// The thread that starts helpers waits for the next one, or ends, in between.
func TestHelperOutlivesNoParentTaskThatWaitsForMore(t *testing.T) {
	output(t, actor(t, "two-in-turn"))
}

func twoInTurn([]string) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	for _, pause := range []time.Duration{0, usermodehelper.CrewLinger / 2, 2 * usermodehelper.CrewLinger} {
		time.Sleep(pause) // the thread is there still, or is not
		life := 2 * usermodehelper.CrewLinger
		h := usermodehelper.Helper{Path: path, Argv: []string{"kprim-test-helper", "dies-with-parent", life.String()}}
		_, _ = usermodehelper.Call(context.Background(), "/bin/true", nil, nil, usermodehelper.NoWait) // is over before
		if status, err := h.Exec(context.Background(), usermodehelper.WaitProc); status != 0 || err != nil {
			return fmt.Errorf("after %v: %v, %w", pause, status, err)
		}
	}
	return nil
}

// Init may ask for the signal too. The program is killed, and so is the helper.
func TestInitMayEndTheHelperWithTheProgram(t *testing.T) {
	program := exec.Command(self(t))
	program.Args = []string{"kprim-test-helper", "killed-program"}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	program.ExtraFiles = []*os.File{w}
	require.NoError(t, program.Start())
	l := &leash{t, r, w}
	require.Equal(t, "ready", l.line())
	require.NoError(t, program.Process.Kill())
	require.Error(t, program.Wait())
	l.gone() // nobody holds it
	require.NoError(t, r.Close())
}

func init() {
	roles["killed-program"] = func([]string) error {
		h := shell("echo ready >&3; exec sleep 1000")
		h.Init = func(attr *os.ProcAttr) error {
			attr.Files = append(attr.Files, os.NewFile(3, "leash"))
			attr.Sys.Pdeathsig = syscall.SIGKILL
			return nil
		}
		_, err := h.Exec(context.Background(), usermodehelper.WaitProc)
		return err
	}
}

// Writers of programs hold the lock for reading, so that no child that is being
// started has the file open for writing when they execute it.
func TestStartsObeyForkLock(t *testing.T) {
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_, _ = usermodehelper.Call(t.Context(), "/bin/true", nil, nil, usermodehelper.WaitProc)
				}
			}
		})
	}
	defer all.Wait()
	defer close(done)
	dir := t.TempDir()
	for i := range 300 {
		path := filepath.Join(dir, fmt.Sprint(i))
		syscall.ForkLock.RLock()
		err := os.WriteFile(path, []byte("#!/bin/true\n"), 0o755)
		syscall.ForkLock.RUnlock()
		require.NoError(t, err)
		require.NoError(t, exec.Command(path).Run())
	}
}

func TestSleepingHelpersHoldNoThread(t *testing.T) { output(t, actor(t, "many-sleepers")) }

func manySleepers([]string) error {
	const helpers, most = 300, 30
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all sync.WaitGroup
	all.Add(helpers)
	for range helpers {
		h := usermodehelper.Helper{Path: "/bin/sleep", Argv: []string{"sleep", "1000"}}
		h.Cleanup = func(usermodehelper.Result) { all.Done() }
		if _, err := h.Exec(ctx, usermodehelper.WaitExec); err != nil {
			return err
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	cancel()
	all.Wait()
	if len(threads) > most {
		return fmt.Errorf("%d threads for %d helpers", len(threads), helpers)
	}
	return err
}

// The first wait of a helper is by a pidfd. Where there is none, a thread waits.
func TestHelpersRunWherePidfdsAreMissing(t *testing.T) {
	if sysSeccomp[runtime.GOARCH] == 0 {
		t.Skip("the number of seccomp is not known here")
	}
	output(t, actor(t, "no-pidfd"))
}

func noPidfd([]string) error {
	const sysPidfdOpen = 434
	if err := forbid(sysPidfdOpen, syscall.ENOSYS); err != nil {
		return err
	}
	status, err := shell("exit 3").Exec(context.Background(), usermodehelper.WaitProc)
	if status != 3<<8 || err != nil {
		return fmt.Errorf("%v: %w", status, err)
	}
	h := shell("exec sleep 1000")
	h.Timeout = 20 * time.Millisecond
	if _, err = h.Exec(context.Background(), usermodehelper.WaitProc); !errors.Is(err, syscall.ETIMEDOUT) {
		return fmt.Errorf("no timeout: %w", err)
	}
	return nil
}

func TestExitIsNoticedWithoutADescriptorLeft(t *testing.T) {
	output(t, actor(t, "no-descriptor-left"))
}

func noDescriptorLeft([]string) error {
	child := exec.Command("/bin/sleep", "0.05")
	if err := child.Start(); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		return err
	}
	polled, await := usermodehelper.Polls(child.Process)
	await()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if polled {
		return errors.New("it was polled, and nothing was shown")
	}
	if !hasEnded(child.Process.Pid) {
		return errors.New("it runs still")
	}
	return child.Wait()
}

// The thread that starts helpers was there before chroot(2), with a root of its
// own. It must not start them from there.
func TestHelperHasTheRootOfTheProgram(t *testing.T) {
	output(t, inOwnMounts(t, "new-root", t.TempDir()))
}

// inOwnMounts is an actor with a table of mounts of its own. It skips the test
// where there can be none, as in many containers.
func inOwnMounts(t *testing.T, role string, args ...string) *usermodehelper.Helper {
	t.Helper()
	try := exec.Command("mount", "-t", "tmpfs", "none", "/dev")
	try.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := try.CombinedOutput(); err != nil {
		t.Skipf("mounts of its own are refused here: %v %s", err, out)
	}
	h := actor(t, role, args...)
	h.Init = func(attr *os.ProcAttr) error {
		attr.Sys.Unshareflags = syscall.CLONE_NEWNS // and every mount is private
		return nil
	}
	return h
}

func newRoot(args []string) error {
	root := args[0]
	if err := os.WriteFile(filepath.Join(root, "inside"), nil, 0o600); err != nil {
		return err
	}
	for _, dir := range []string{"/bin", "/lib", "/lib64", "/usr", "/dev"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(dir, root+dir, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	inside := func() (usermodehelper.Status, error) {
		return shell("test -e /inside").Exec(context.Background(), usermodehelper.WaitProc)
	}
	sleeper := shell("exec sleep 1000") // keeps the thread alive
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	over := make(chan bool)
	sleeper.Cleanup = func(usermodehelper.Result) { close(over) }
	if _, err := sleeper.Exec(ctx, usermodehelper.WaitExec); err != nil {
		return err
	}
	if status, err := inside(); status != 1<<8 || err != nil {
		return fmt.Errorf("before chroot: %v, %w", status, err)
	}
	if err := syscall.Chroot(root); err != nil {
		return err
	}
	status, err := inside()
	cancel()
	<-over
	if status != 0 || err != nil {
		return fmt.Errorf("after chroot: %v, %w", status, err)
	}
	return nil
}

// The thread that starts helpers keeps no file system busy.
func TestProgramMayUnmountADirectoryThatItHasLeft(t *testing.T) {
	output(t, inOwnMounts(t, "unmounts", t.TempDir()))
}

func unmounts(args []string) error {
	dir := args[0]
	if err := syscall.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	over := make(chan bool)
	h := shell("exec sleep 1000")
	h.Cleanup = func(usermodehelper.Result) { close(over) }
	if _, err := h.Exec(ctx, usermodehelper.WaitExec); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	err := syscall.Unmount(dir, 0)
	cancel()
	<-over
	return err
}

// A helper whose Init gives all three files needs no /dev/null. Without that the
// error must not look like a missing program.
func TestMissingNullDevice(t *testing.T) {
	output(t, inOwnMounts(t, "no-null"))
}

func noNullDevice([]string) error {
	if err := syscall.Mount("none", "/dev", "tmpfs", 0, ""); err != nil {
		return err
	}
	_, err := shell("exit 3").Exec(context.Background(), usermodehelper.WaitProc)
	if !errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENOENT) ||
		err.Error() != "usermodehelper: /bin/sh was not started: open /dev/null: no such file or directory: no such device" {
		return fmt.Errorf("without files: %w", err)
	}
	for _, files := range [][]*os.File{{os.Stdin, os.Stdout, os.Stderr}, {nil, nil, nil}, nil} {
		h := shell("exit 3")
		h.Init = func(attr *os.ProcAttr) error {
			attr.Files = files
			return nil
		}
		if status, err := h.Exec(context.Background(), usermodehelper.WaitProc); status != 3<<8 || err != nil {
			return fmt.Errorf("with files %v: %v, %w", files, status, err)
		}
	}
	return nil
}

// A helper whose program has many descriptors, in whichever place the others are.
func TestDescriptorsAreNotInheritedAmongMany(t *testing.T) {
	const script = `ls /proc/$$/fd; :`
	var fds []int
	defer func() {
		for _, fd := range fds {
			require.NoError(t, syscall.Close(fd))
		}
	}()
	for range 400 {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		require.NoError(t, err)
		fds = append(fds, fd)
	}
	require.Equal(t, "0\n1\n2\n", output(t, shell(script)))
	for range 3 { // one more each time
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
		require.NoError(t, err)
		fds = append(fds, fd)
		require.Equal(t, "0\n1\n2\n", output(t, shell(script)))
	}
}

// A file that another goroutine opens meanwhile hides no descriptor.
func TestDescriptorsAreNotInheritedWhileFilesAreOpened(t *testing.T) {
	null, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer syscall.Close(null)
	const leak = 60
	require.NoError(t, syscall.Dup3(null, leak, 0))
	defer syscall.Close(leak)
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					fd, _ := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
					_ = syscall.Close(fd)
				}
			}
		})
	}
	defer all.Wait()
	defer close(done)
	for range 200 {
		status, err := shell(`test ! -e /proc/$$/fd/60`).Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Zero(t, status)
	}
}

// Without /proc there is no list of the descriptors, and no look at the members.
func TestHelperOfAProgramWithoutProc(t *testing.T) {
	output(t, inOwnMounts(t, "no-proc"))
}

func noProc([]string) error {
	if err := syscall.Mount("none", "/proc", "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := syscall.Dup3(0, 9, 0); err != nil {
		return err
	}
	h := shell("if (: <&9) 2>/dev/null; then exit 9; fi")
	if status, err := h.Exec(context.Background(), usermodehelper.WaitProc); status != 0 || err != nil {
		return fmt.Errorf("descriptor 9: %v, %w", status, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	h = shell("sleep 1000 & exit 0") // holds the output
	h.Output, h.Grace = new(usermodehelper.Output), 10*time.Millisecond
	h.Init = func(attr *os.ProcAttr) error {
		attr.Files = append(attr.Files, w)
		return nil
	}
	if status, err := h.Exec(context.Background(), usermodehelper.WaitProc); status != 0 || err != nil {
		return fmt.Errorf("output: %v, %w", status, err)
	}
	_ = w.Close()
	if _, err := r.Read([]byte{0}); err != io.EOF { // the member was ended
		return err
	}
	return nil
}

func TestDescriptorNextToTheLimit(t *testing.T) { output(t, actor(t, "leak-at-the-limit")) }

// leakAtTheLimit has a descriptor with a number so high that a start has none
// above it for its own use. It starts nevertheless.
func leakAtTheLimit([]string) error {
	const limit = 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	for _, fd := range []int{limit - 20, limit - 1} {
		if err := syscall.Dup3(0, fd, 0); err != nil {
			return err
		}
	}
	h := shell(`test ! -e /proc/$$/fd/44`)
	status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	if status != 0 || err != nil {
		return fmt.Errorf("%v: %w", status, err)
	}
	return nil
}

// A helper ends with its context, also while no other one can be started.
func TestHelperEndsWhileAStartWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	first := shell("exec sleep 1000")
	result := started(t, ctx, first)
	syscall.ForkLock.RLock() // as package os does for a moment
	second := make(chan error, 1)
	go func() {
		_, err := usermodehelper.Call(t.Context(), "/bin/true", nil, nil, usermodehelper.WaitProc)
		second <- err
	}()
	for syscall.ForkLock.TryRLock() { // the second start does not wait for it yet
		syscall.ForkLock.RUnlock()
		runtime.Gosched()
	}
	cancel()
	select {
	case got := <-result:
		require.ErrorIs(t, got.err, syscall.EINTR)
	case <-time.After(late):
		t.Error("the first helper waits for the second")
	}
	syscall.ForkLock.RUnlock()
	require.NoError(t, <-second)
}

// Dir is relative to the program's directory, not to the starting thread's.
func TestInitMaySetARelativeDirectory(t *testing.T) {
	sleeper := hold(t, nil) // keeps a thread that starts helpers, and is in another directory
	_, err := sleeper.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	defer func() {
		sleeper.letGo()
		require.NoError(t, <-sleeper.end)
	}()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "below"), 0o755))
	t.Chdir(dir)
	for relative, want := range map[string]string{"": dir, "below": dir + "/below", "/": "/"} {
		h := shell("pwd -P")
		h.Init = func(attr *os.ProcAttr) error {
			attr.Dir = relative
			return nil
		}
		require.Equal(t, want+"\n", output(t, h))
	}
}
