package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func init() {
	roles["unprivileged"] = unprivileged
	roles["without-ptrace"] = withoutPtrace
	roles["die-at-the-stop"] = dieAtTheStop
	roles["run-limited"] = runLimited
	roles["nice-twice"] = niceTwice
}

// fewFiles is a limit that every program may set.
var fewFiles = []usermodehelper.Limit{{Resource: syscall.RLIMIT_NOFILE, Soft: 50, Hard: 60}}

// needsPtrace skips a test where a child may not be traced, as under strace -f.
func needsPtrace(t *testing.T) {
	t.Helper()
	h := shell("exit 0")
	h.Limits = fewFiles
	if _, err := h.Exec(t.Context(), usermodehelper.WaitProc); err != nil {
		t.Skip(err)
	}
}

func TestHelperHasItsLimitsAndItsNice(t *testing.T) {
	needsPtrace(t)
	const script = `ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hv; nice`
	before, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	require.NoError(t, err)
	nice := 20 - before
	h := shell(script)
	h.Limits = append(fewFiles, usermodehelper.Limit{Resource: syscall.RLIMIT_CORE, Soft: 0, Hard: 512},
		usermodehelper.Limit{Resource: syscall.RLIMIT_AS, Soft: 1 << 30, Hard: 2 << 30})
	h.Nice = 3
	require.Equal(t, fmt.Sprintf("50\n60\n0\n%d\n%d\n", 2<<20, min(nice+3, 19)), output(t, h))

	h = shell(`nice`)
	for _, steps := range []int{39, 19, 1} { // as far as it goes
		h.Nice = steps
		require.Equal(t, fmt.Sprintf("%d\n", min(nice+steps, 19)), output(t, h))
	}
}

// A change of Limits after Exec has no effect on that call.
func TestLimitsAreThoseOfTheCall(t *testing.T) {
	needsPtrace(t)
	gate := &usermodehelper.Gate{Max: 1}
	first, h := hold(t, gate), shell(`ulimit -Sn`)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	h.Gate, h.Limits, h.Output = gate, slices.Clone(fewFiles), new(usermodehelper.Output)
	_, err = h.Exec(t.Context(), usermodehelper.NoWait)
	require.NoError(t, err)
	h.Limits[0].Soft = 40
	first.letGo()
	require.NoError(t, gate.Wait(t.Context()))
	require.Equal(t, "50\n", h.Output.String())
}

// The program has a nice value of its own here, because it is a helper too.
func TestNiceIsAddedToTheProgramsOwn(t *testing.T) {
	needsPtrace(t)
	own := output(t, shell("nice"))
	if own != "0\n" {
		t.Skip("the test itself has the nice value ", own)
	}
	h := actor(t, "nice-twice")
	h.Nice = 3
	require.Equal(t, "5\n", output(t, h))
}

func niceTwice([]string) error {
	h := shell("nice")
	h.Nice, h.Output = 2, new(usermodehelper.Output)
	_, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	fmt.Print(h.Output)
	return err
}

// Go raises its own soft limit of open files. No helper sees that.
func TestLimitsThatAreNotGivenAreTheProgramsOwn(t *testing.T) {
	needsPtrace(t)
	const script = `ulimit -Sn; ulimit -Hn; ulimit -St; grep -E 'SigBlk|SigIgn|SigCgt' /proc/self/status`
	want, err := exec.Command("/bin/sh", "-c", script).Output()
	require.NoError(t, err)
	require.Equal(t, string(want), output(t, shell(script)))
	h := shell(script)
	h.Limits = []usermodehelper.Limit{{Resource: syscall.RLIMIT_CORE, Hard: math.MaxUint64}}
	require.Equal(t, string(want), output(t, h), "also the signals")
}

// The thread that starts a limited helper blocks signals meanwhile.
func TestThreadsOfTheProgramKeepTheirSignalMasks(t *testing.T) {
	needsPtrace(t) // by the start of such a helper
	masks, err := filepath.Glob("/proc/self/task/*/status")
	require.NoError(t, err)
	for _, file := range masks {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(text), "SigBlk:\t")
		mask, err := strconv.ParseUint(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 16, 64)
		require.NoError(t, err)
		require.Zero(t, mask&(1<<(syscall.SIGTERM-1)), "%s", file)
	}
}

func TestLimitThatTheKernelRefusesStartsNothing(t *testing.T) {
	needsPtrace(t)
	mark := filepath.Join(t.TempDir(), "it ran")
	for _, resource := range []int{999, -1, math.MinInt} { // 32 bits of the last one are a resource
		for _, mode := range modes {
			h := shell(`> "$1"`, mark)
			h.Limits = append(fewFiles, usermodehelper.Limit{Resource: resource, Soft: 1, Hard: 1})
			cleanup := make(chan error, 2)
			h.Cleanup = func(r usermodehelper.Result) { cleanup <- r.Err }
			_, err := h.Exec(t.Context(), mode)
			if mode == usermodehelper.NoWait {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, syscall.EINVAL)
			}
			require.EqualError(t, <-cleanup, fmt.Sprintf(
				"usermodehelper: /bin/sh was not started: resource %d cannot have the limits 1 and 1: invalid argument", resource))
			require.NoFileExists(t, mark)
		}
	}
}

func TestLimitedHelperThatCannotBeStarted(t *testing.T) {
	needsPtrace(t)
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644))
	for path, want := range map[string]error{plain: syscall.EACCES, dir + "/missing": syscall.ENOENT, dir: syscall.EACCES} {
		h := usermodehelper.Helper{Path: path, Limits: fewFiles}
		_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.ErrorIs(t, err, want)
		require.NotContains(t, err.Error(), "ptrace")
	}
}

// Then the start is tried again, also with a tracer.
func TestLimitedHelperWhoseFileIsOpenForWriting(t *testing.T) {
	needsPtrace(t)
	path := filepath.Join(t.TempDir(), "program")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o755)
	require.NoError(t, err)
	_, err = f.WriteString("#!/bin/sh\nexit 3\n")
	require.NoError(t, err)
	h := usermodehelper.Helper{Path: path, Limits: fewFiles}
	h.Init = func(*os.ProcAttr) error {
		time.AfterFunc(30*time.Millisecond, func() { _ = f.Close() })
		return nil
	}
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Equal(t, 3, status.ExitCode())
}

func TestLimitedHelperIsEndedByItsContext(t *testing.T) {
	needsPtrace(t)
	ctx, cancel := context.WithCancel(t.Context())
	h := shell(`trap 'echo tidy >&3; exit 7' TERM; (sleep 1000) & echo ready >&3; wait`)
	h.Limits, h.Nice = fewFiles, 1
	l := leashed(t, h)
	result := started(t, ctx, h)
	require.Equal(t, "ready", l.line())
	cancel()
	got := <-result
	require.ErrorIs(t, got.err, syscall.EINTR)
	require.Equal(t, 7, got.status.ExitCode())
	require.Equal(t, "tidy\n", l.gone())
}

func TestManyLimitedHelpersAtOnce(t *testing.T) {
	needsPtrace(t)
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			h := shell(`exit $(ulimit -n)`)
			want := 0
			if i%3 > 0 {
				want = 20 + i
				h.Limits = []usermodehelper.Limit{{Resource: syscall.RLIMIT_NOFILE, Soft: uint64(want), Hard: uint64(want)}}
			} else {
				h.Argv[2] = "exit 0"
			}
			status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
			if err != nil || status.ExitCode() != want {
				t.Error(status, err, want)
			}
		})
	}
	all.Wait()
}

// The test holds a lease on the program, so the exec of the helper waits in the
// kernel. It gets a signal there. Without a block of signals the tracer would wait for
// ever.
func TestLimitedHelperThatIsKilledBeforeItsStop(t *testing.T) {
	needsPtrace(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		mark := filepath.Join(t.TempDir(), "it ran")
		path := filepath.Join(t.TempDir(), "program")
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n> '"+mark+"'\n"), 0o755))
		leased := make(chan os.Signal, 1)
		signal.Notify(leased, syscall.SIGIO)
		defer signal.Stop(leased)
		lease := leaseOn(t, path)

		h := actor(t, "run-limited", path)
		h.Output = new(usermodehelper.Output)
		pid := make(chan int, 1)
		h.Started = func(p int) { pid <- p }
		result := started(t, t.Context(), h)
		<-leased // the exec waits
		for _, child := range childrenOf(t, <-pid) {
			require.NoError(t, syscall.Kill(child, sig))
		}
		require.NoError(t, lease.Close())
		require.Equal(t, ended{}, <-result)
		require.Equal(t, "signal: "+sig.String()+" <nil>\n", h.Output.String())
		require.NoFileExists(t, mark)
	}
}

// runLimited runs a limited helper and prints how it ends.
func runLimited(args []string) error {
	h := usermodehelper.Helper{Path: args[0], Limits: fewFiles}
	fmt.Println(h.Exec(context.Background(), usermodehelper.WaitProc))
	return nil
}

func leaseOn(t *testing.T, path string) *os.File {
	f, err := os.Open(path)
	require.NoError(t, err)
	const setLease = 1024 // F_SETLEASE
	_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), setLease, syscall.F_WRLCK)
	if errno != 0 {
		t.Skip("no lease: ", errno)
	}
	return f
}

func childrenOf(t *testing.T, pid int) (pids []int) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	require.NoError(t, err)
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(field)
			require.NoError(t, err)
			pids = append(pids, child)
		}
	}
	if len(pids) == 0 {
		t.Skip("this kernel does not list children")
	}
	return pids
}

// Without its tracer the helper must not run without its limits.
func TestProgramThatDiesAtTheStopTakesTheHelperAlong(t *testing.T) {
	needsPtrace(t)
	require.NoError(t, adoptOrphans(true))
	defer func() { require.NoError(t, adoptOrphans(false)) }()
	mark := filepath.Join(t.TempDir(), "it ran")
	h := actor(t, "die-at-the-stop", mark)
	l := leashed(t, h)
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Equal(t, syscall.SIGKILL, status.Signal())
	l.gone()
	var ws syscall.WaitStatus
	_, err = syscall.Wait4(-1, &ws, 0, nil)
	require.NoError(t, err)
	require.Equal(t, syscall.SIGTRAP, ws.Signal())
	require.NoFileExists(t, mark)
}

func dieAtTheStop(args []string) error {
	usermodehelper.SetTrace(func(event string, _ int) {
		if event == "limit" {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	h := shell(`> "$1"`, args[0])
	h.Limits = fewFiles
	_, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	return err
}

func TestPtraceThatIsRefusedIsNamed(t *testing.T) {
	if sysSeccomp[runtime.GOARCH] == 0 {
		t.Skip("the number of seccomp is not known here")
	}
	output(t, actor(t, "without-ptrace"))
}

func withoutPtrace([]string) error {
	if err := forbid(syscall.SYS_PTRACE, syscall.EPERM); err != nil {
		return err
	}
	h := shell("exit 0")
	h.Nice = 1
	_, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	const want = "usermodehelper: /bin/sh was not started: Limits and Nice need ptrace(2), which is refused here: operation not permitted"
	if !errors.Is(err, syscall.EPERM) || err.Error() != want {
		return fmt.Errorf("not as it should be: %w", err)
	}
	h.Nice = 0
	_, err = h.Exec(context.Background(), usermodehelper.WaitProc)
	return err
}

// A program that is not root, with a limit that it may not raise and files that would
// give privileges.
func TestPlainUserCannotRaiseLimitsNorLimitSetuidPrograms(t *testing.T) {
	needsRoot(t)
	needsPtrace(t)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	id, err := os.ReadFile("/usr/bin/id")
	require.NoError(t, err)
	for name, mode := range map[string]os.FileMode{"plain": 0o755, "setuid": 0o755 | os.ModeSetuid, "setgid": 0o755 | os.ModeSetgid, "capable": 0o755} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, id, 0o755))
		require.NoError(t, os.Chmod(path, mode))
	}
	// Revision 2 of struct vfs_cap_data: CAP_NET_RAW, permitted and effective.
	capability := []byte{1, 0, 0, 2, 0, 1 << 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	copied := actor(t, "unprivileged", dir)
	if err := syscall.Setxattr(filepath.Join(dir, "capable"), "security.capability", capability, 0); err != nil {
		t.Log("no file capabilities: ", err)
		copied.Argv = append(copied.Argv, "no capabilities")
	}
	copied.Path = filepath.Join(dir, "test") // which another user may run
	program, err := os.ReadFile(self(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(copied.Path, program, 0o755))
	output(t, copied)

	// Root may trace every program, so the kernel does not take the privileges.
	require.NoError(t, os.Chown(filepath.Join(dir, "setuid"), 1234, 0))
	require.NoError(t, os.Chmod(filepath.Join(dir, "setuid"), 0o755|os.ModeSetuid))
	h := usermodehelper.Helper{Path: filepath.Join(dir, "setuid"), Argv: []string{"id", "-u"}, Nice: 1}
	require.Equal(t, "1234\n", output(t, &h))
	h.User = &usermodehelper.User{Uid: 4321, Gid: 4321} // the kernel asks this user, not root
	_, err = h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.EPERM)
	require.ErrorContains(t, err, "setuid")
}

// The kernel lets root change another user's limits only with a capability, which root
// in a container may not have.
func TestLimitsOfAnotherUser(t *testing.T) {
	needsRoot(t)
	needsPtrace(t)
	h := shell(`id -u; ulimit -n; nice`)
	h.User, h.Limits, h.Nice = &usermodehelper.User{Uid: 1234, Gid: 1234}, fewFiles, 19
	if !hasCapability(t, 23) { // CAP_SYS_NICE
		t.Skip("a container without CAP_SYS_NICE")
	}
	if hasCapability(t, 24) { // CAP_SYS_RESOURCE
		require.Equal(t, "1234\n50\n19\n", output(t, h))
		return
	}
	_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.EPERM)
	require.ErrorContains(t, err, "usermodehelper: /bin/sh was not started: resource 7 cannot have the limits")
	require.ErrorContains(t, err, "CAP_SYS_RESOURCE")
	h.Limits = nil
	require.True(t, strings.HasSuffix(output(t, h), "\n19\n"))
}

func hasCapability(t *testing.T, number int) bool {
	text, err := os.ReadFile("/proc/thread-self/status")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "CapEff:\t")
	set, err := strconv.ParseUint(strings.SplitN(rest, "\n", 2)[0], 16, 64)
	require.NoError(t, err)
	return set&(1<<number) != 0
}

func unprivileged(args []string) error {
	if err := asOneUser(100); err != nil {
		return err
	}
	const nofile = syscall.RLIMIT_NOFILE
	if err := syscall.Setrlimit(nofile, &syscall.Rlimit{Cur: 300, Max: 400}); err != nil {
		return err
	}
	run := func(name string, limits []usermodehelper.Limit, nice int) error {
		h := usermodehelper.Helper{Path: args[0] + "/" + name, Limits: limits, Nice: nice}
		status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
		if err == nil && status != 0 {
			return fmt.Errorf("%v", status)
		}
		return err
	}
	higher := []usermodehelper.Limit{{Resource: nofile, Soft: 300, Hard: 401}}
	for _, c := range []struct {
		name   string
		limits []usermodehelper.Limit
		nice   int
		want   error
	}{
		{"plain", fewFiles, 0, nil}, {"plain", fewFiles, 5, nil}, {"setuid", nil, 0, nil}, {"setgid", nil, 0, nil},
		{"plain", higher, 0, syscall.EPERM}, {"plain", nil, -1, syscall.EACCES},
		{"setuid", fewFiles, 0, syscall.EPERM}, {"setgid", nil, 1, syscall.EPERM}, {"capable", fewFiles, 0, syscall.EPERM},
	} {
		if c.name == "capable" && len(args) > 1 {
			continue
		}
		if err := run(c.name, c.limits, c.nice); !errors.Is(err, c.want) || c.want == nil && err != nil {
			return fmt.Errorf("%+v: %w", c, err)
		}
	}
	return nil
}
