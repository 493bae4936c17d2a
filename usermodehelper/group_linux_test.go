package usermodehelper_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

var long = flag.Bool("long", false, "run the tests under load with 2,000 helpers at once")

func init() {
	roles["member"] = func(args []string) error { // runs the rest as a program in its group, and stays
		child := exec.Command(args[0])
		child.Args = args[1:]
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		child.ExtraFiles = []*os.File{os.NewFile(3, "leash")}
		if err := child.Start(); err != nil {
			return err
		}
		time.Sleep(time.Hour)
		return nil
	}
	roles["main-thread-gone"] = mainThreadGone
	roles["adopts"] = adopts
	roles["no-descriptor-at-the-end"] = noDescriptorAtTheEnd
	if len(os.Args) > 1 && os.Args[0] == "kprim-test-helper" && os.Args[1] == "main-thread-gone" {
		runtime.LockOSThread() // in an init: main runs on the main thread
	}
}

// tidyWorker is a script of a worker that takes a moment to tidy up. It has a
// file until then. Its child says that all is ready: before its exec, the child
// would have the trap too.
const tidyWorker = `touch "$1"; trap 'sleep 0.2; rm -f "$1"; exit 0' TERM
	sh -c 'echo ready >&3; touch "$1.ready"; exec sleep 1000' child "$1" & wait`

// Grace is not for the helper alone. An output changes nothing about that.
func TestMembersHaveGraceToo(t *testing.T) {
	for _, output := range []*usermodehelper.Output{nil, {}} {
		file := filepath.Join(t.TempDir(), "lock")
		ctx, cancel := context.WithCancel(t.Context())
		h := shell(`/bin/sh -c "$2" worker "$1"; echo the end`, file, tidyWorker)
		l := leashed(t, h)
		h.Grace, h.Output = time.Minute, output
		result := started(t, ctx, h)
		l.line()
		require.FileExists(t, file)
		start := time.Now()
		cancel()
		got := <-result
		require.ErrorIs(t, got.err, syscall.EINTR)
		require.Equal(t, syscall.SIGTERM, got.status.Signal(), "the outer shell was gone at once")
		require.NoFileExists(t, file)
		require.Less(t, time.Since(start), h.Grace, "and Grace is over when all have gone")
		l.gone()
	}
}

// A program without a descriptor left cannot look at the members. They have their
// Grace all the same.
func TestMembersHaveGraceWithoutADescriptorLeft(t *testing.T) {
	output(t, actor(t, "no-descriptor-at-the-end", filepath.Join(t.TempDir(), "lock")))
}

func noDescriptorAtTheEnd(args []string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h := shell(`/bin/sh -c "$2" worker "$1"; echo the end`, args[0], tidyWorker)
	h.Grace = 10 * time.Second
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	h.Init = func(attr *os.ProcAttr) error {
		attr.Files = append(attr.Files, w) // the worker's leash
		return nil
	}
	got := make(chan error, 1)
	h.Cleanup = func(r usermodehelper.Result) { got <- r.Err }
	if _, err := h.Exec(ctx, usermodehelper.WaitExec); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, len("ready\n"))); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		return err
	}
	time.AfterFunc(time.Second, func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) })
	cancel()
	if err := <-got; !errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	if _, err := os.Stat(args[0]); err == nil {
		return errors.New("the worker was killed before it had tidied up")
	}
	return nil
}

// The rest of a group that is swept has it too.
func TestSweptMembersHaveGrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	h := shell(`/bin/sh -c "$2" worker "$1" & until test -e "$1.ready"; do sleep 0.01; done; exit 3`, file, tidyWorker)
	l := leashed(t, h)
	h.Grace, h.Sweep = time.Minute, true
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Equal(t, 3, status.ExitCode())
	require.NoFileExists(t, file)
	l.gone()
}

// A process whose main thread has ended looks like a zombie. It has files still.
func TestMemberWithoutItsMainThreadHasGrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tidy")
	ctx, cancel := context.WithCancel(t.Context())
	h := actor(t, "member", self(t), "kprim-test-helper", "main-thread-gone", file)
	l := leashed(t, h)
	h.Grace = time.Minute
	result := started(t, ctx, h)
	l.line()
	cancel()
	require.ErrorIs(t, (<-result).err, syscall.EINTR)
	require.FileExists(t, file)
	l.gone()
}

// It may hold the output too. Its files show in /proc under its other threads only.
func TestMemberWithoutItsMainThreadHoldsTheOutput(t *testing.T) {
	h := actor(t, "member", self(t), "kprim-test-helper", "main-thread-gone", "/")
	l := leashed(t, h)
	var pid int
	h.Started = func(p int) { pid = p }
	h.Grace, h.Output = 50*time.Millisecond, new(usermodehelper.Output)
	result := started(t, t.Context(), h)
	l.line()
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL)) // the helper alone
	got := <-result
	require.NoError(t, got.err)
	require.Equal(t, syscall.SIGKILL, got.status.Signal())
	require.True(t, h.Output.Cut())
	l.gone()
}

func mainThreadGone(args []string) error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		time.Sleep(200 * time.Millisecond) // its other threads take their time
		if err := os.WriteFile(args[0], nil, 0o600); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}()
	go func() {
		stat := fmt.Sprintf("/proc/%d/stat", os.Getpid())
		for text := ""; !strings.Contains(text, ") Z "); {
			b, _ := os.ReadFile(stat)
			text = string(b)
		}
		_, _ = os.NewFile(3, "leash").WriteString("ready\n")
	}()
	if syscall.Gettid() != os.Getpid() {
		return errors.New("not the main thread")
	}
	_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0) // of this thread alone
	return nil
}

// A lock of a member is free when Exec and Disable return.
func TestLocksOfTheGroupAreFreeWhenExecReturns(t *testing.T) {
	flock, err := exec.LookPath("flock")
	if err != nil {
		t.Skip("flock(1) is missing")
	}
	path := filepath.Join(t.TempDir(), "lock")
	for i := range 40 {
		f, err := os.Create(path)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var gate usermodehelper.Gate
		h := shell(`"$2" "$1" sh -c 'trap "" TERM; echo ready >&3; sleep 1000; :' & exec sleep 1000`, path, flock)
		l := leashed(t, h)
		h.Gate, h.Grace = &gate, time.Duration(i)*100*time.Microsecond
		result := started(t, ctx, h)
		l.line()
		require.ErrorIs(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
		cancel()
		if i%2 == 0 {
			<-result
		} else {
			require.NoError(t, gate.Disable(t.Context()))
		}
		require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
		require.NoError(t, f.Close())
		l.gone()
	}
}

// It is stopped when the first signal comes, and would never see it.
func TestStoppedMemberSeesTheFirstSignal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := shell(`trap "echo tidy; exit 7" TERM; echo $$ >&3; kill -STOP $$; sleep 1000 & wait`)
	l := leashed(t, h)
	h.Grace, h.Output = time.Minute, new(usermodehelper.Output)
	result := started(t, ctx, h)
	pid := l.line()
	require.Eventually(t, func() bool { return strings.HasPrefix(stateOf(t, pid), "T") }, late, time.Millisecond)
	cancel()
	got := <-result
	require.ErrorIs(t, got.err, syscall.EINTR)
	require.Equal(t, 7, got.status.ExitCode())
	require.Equal(t, "tidy\n", h.Output.String())
	l.gone()
}

// stateOf returns the state of a process and the fields after it, or "".
func stateOf(t *testing.T, pid string) string {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	_, state, ok := strings.Cut(string(text), ") ")
	require.True(t, ok)
	return state
}

// Children that this program is about to start hold copies of its descriptors.
// They are no reason to end a daemon that holds no output.
func TestDaemonsAreNotEndedForCopiesThatTheProgramHolds(t *testing.T) {
	helpers, grace := 200, 10*time.Millisecond
	if *long {
		helpers, grace = 2000, time.Second
	}
	// The substitution ends when the daemon has let go of its standard files.
	const script = `pid=$(/bin/sh -c 'exec < /dev/null 2>&0; echo $$; exec > /dev/null; exec sleep 1000' &); echo $pid`
	var all sync.WaitGroup
	for range helpers {
		all.Go(func() {
			h := shell(script)
			h.Grace, h.Output = grace, new(usermodehelper.Output)
			status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
			if status != 0 || err != nil || h.Output.Cut() {
				t.Errorf("%v, %v, %q", status, err, h.Output)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(h.Output.Bytes())))
			if err != nil {
				t.Error(err)
				return
			}
			if state := stateOf(t, strconv.Itoa(pid)); state == "" || state[0] == 'Z' {
				t.Errorf("daemon %d was ended", pid)
				return
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// The zombies that a helper leaves are this program's if it is a subreaper.
func TestReapOfASubreaper(t *testing.T) { output(t, actor(t, "adopts")) }

func adopts([]string) error {
	if err := adoptOrphans(true); err != nil {
		return err
	}
	const helpers = 5
	for reap, want := range map[bool]int{false: 3 * helpers, true: 0} {
		for range helpers {
			h := shell("sleep 1000 & sleep 1000 & sleep 1000 & exit 0")
			h.Sweep, h.Reap = true, reap
			if status, err := h.Exec(context.Background(), usermodehelper.WaitProc); status != 0 || err != nil {
				return fmt.Errorf("%v, %w", status, err)
			}
		}
		zombies, err := children()
		if err != nil || len(zombies) != want {
			return fmt.Errorf("with Reap %v: %d zombies, %w", reap, len(zombies), err)
		}
		for _, pid := range zombies {
			if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// A process that hangs in the kernel outlives SIGKILL. Exec says so, and the gate
// waits until it has gone. With Reap no zombie is left then.
func TestMemberThatHangsInTheKernel(t *testing.T) {
	needsRoot(t)
	require.NoError(t, adoptOrphans(true))
	defer func() { require.NoError(t, adoptOrphans(false)) }()
	for _, who := range []string{"child", "helper"} {
		t.Run(who, func(t *testing.T) {
			dir, hangs := deadFileSystem(t)
			defer usermodehelper.SetHang(200 * time.Millisecond)()
			rec := recorded(t)
			ctx, cancel := context.WithCancel(t.Context())
			var gate usermodehelper.Gate
			script := `exec 3>&-; (: < "$1/x") & exec sleep 1000`
			if who == "helper" {
				script = `exec 3>&-; : < "$1/x"`
			}
			h := shell(script, dir)
			h.Gate, h.Grace, h.Reap = &gate, 10*time.Millisecond, true
			var pid int
			h.Started = func(p int) { pid = p }
			result := started(t, ctx, h)
			hangs.await()
			cancel()
			got := <-result
			require.ErrorIs(t, got.err, syscall.ENOTEMPTY)
			require.ErrorIs(t, got.err, syscall.EINTR)
			require.ErrorContains(t, got.err, "outlive SIGKILL")
			require.Zero(t, got.status)

			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			require.ErrorIs(t, gate.Disable(ctx), syscall.EAGAIN, "it is there still")
			cancel()
			require.Equal(t, "terminated continued killed", rec.take(t))
			hangs.end()
			require.NoError(t, gate.Disable(t.Context()))
			require.Equal(t, "reap", rec.take(t))
			require.ErrorIs(t, syscall.Kill(-pid, 0), syscall.ESRCH, "no zombie of the group is left")
		})
	}
}

// A hang is a file system whose server answers nothing but the first request.
type hang struct {
	t    *testing.T
	fuse int
}

// deadFileSystem mounts one. Every look-up in its directory hangs.
func deadFileSystem(t *testing.T) (dir string, h *hang) {
	fuse, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no FUSE here:", err)
	}
	dir = t.TempDir()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse)
	if err := syscall.Mount("dead", dir, "fuse", 0, options); err != nil {
		_ = syscall.Close(fuse)
		t.Skip("no FUSE here:", err)
	}
	h = &hang{t, fuse}
	t.Cleanup(func() {
		h.end()
		require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH))
	})
	request := h.await() // FUSE_INIT
	answer := make([]byte, 16+64)
	binary.NativeEndian.PutUint32(answer, uint32(len(answer)))
	copy(answer[8:16], request[8:16]) // its number
	binary.NativeEndian.PutUint32(answer[16:], 7)
	binary.NativeEndian.PutUint32(answer[20:], 31)
	binary.NativeEndian.PutUint32(answer[36:], 4096) // max_write
	_, err = syscall.Write(fuse, answer)
	require.NoError(t, err)
	return dir, h
}

// await returns the next request. From then on its process cannot be killed.
func (h *hang) await() []byte {
	buf := make([]byte, 1<<17)
	n, err := syscall.Read(h.fuse, buf)
	require.NoError(h.t, err)
	return buf[:n]
}

// end has every request fail.
func (h *hang) end() {
	if h.fuse >= 0 {
		_ = syscall.Close(h.fuse)
		h.fuse = -1
	}
}
