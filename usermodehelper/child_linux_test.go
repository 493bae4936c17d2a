package usermodehelper_test

import (
	"context"
	"fmt"
	"io"
	"math"
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
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func init() {
	// A raw call, or the processor would go to another goroutine.
	waitid := func(pid int) (ended bool, errno syscall.Errno) {
		const pPID = 1
		var info [16]uint64 // siginfo_t; its first number is 0 if there is nothing to tell
		_, _, errno = syscall.RawSyscall6(syscall.SYS_WAITID, pPID, uintptr(pid), uintptr(unsafe.Pointer(&info)),
			syscall.WEXITED|syscall.WNOWAIT|syscall.WNOHANG, 0, 0)
		return *(*int32)(unsafe.Pointer(&info)) != 0, errno
	}
	isChild = func(pid int) bool {
		_, errno := waitid(pid)
		return errno == 0
	}
	hasEnded = func(pid int) bool {
		ended, errno := waitid(pid)
		return ended || errno != 0
	}
	moreRows = append(moreRows, row{
		what: "the start is refused", kernel: [3]int{0, -22, -22},
		helper: func(t *testing.T) usermodehelper.Helper {
			h := *shell("exit 3")
			h.Init = func(attr *os.ProcAttr) error {
				attr.Sys.Cloneflags = syscall.CLONE_FS // the directory of the thread that starts helpers
				return nil
			}
			return h
		},
		fate: failed, err: syscall.EINVAL, inits: 1,
	})
	roles["many-starts"] = manyStarts
	roles["without-unshare"] = withoutUnshare
}

// output runs a script that ends well and returns its output.
func output(t *testing.T, h *usermodehelper.Helper) string {
	t.Helper()
	h.Output = new(usermodehelper.Output)
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Zero(t, status, "%s", h.Output)
	return h.Output.String()
}

func TestUmaskIsThatOfAHelperWhateverTheProgramHas(t *testing.T) {
	needsUnshare(t)
	for _, mask := range []int{0o077, 0} {
		before := syscall.Umask(mask)
		got := output(t, shell("umask"))
		after := syscall.Umask(before)
		require.Equal(t, "0022\n", got)
		require.Equal(t, mask, after, "and the program keeps its own")
	}
}

// leaky opens descriptors that a program that is started would inherit.
func leaky(t *testing.T) []int {
	const high = 700
	low, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
	require.NoError(t, err)
	dup, err := syscall.Dup(low)
	require.NoError(t, err)
	require.NoError(t, syscall.Dup3(low, high, 0))
	fds := []int{low, dup, high}
	t.Cleanup(func() {
		for _, fd := range fds {
			require.NoError(t, syscall.Close(fd))
		}
	})
	return fds
}

func TestDescriptorsOfTheProgramAreNotInherited(t *testing.T) {
	fds := leaky(t)
	const script = `ls /proc/$$/fd; :` // the shell itself, which has opened nothing
	cmd := exec.Command("/bin/sh", "-c", script)
	other, err := cmd.Output()
	require.NoError(t, err)
	for _, fd := range fds {
		require.Contains(t, strings.Fields(string(other)), strconv.Itoa(fd), "another program does inherit it")
	}
	before := closeOnExecFlags(t)
	require.Equal(t, "0\n1\n2\n", output(t, shell(script)))
	h := shell(`(ls /proc/$$/fd; for i in 0 1 2; do readlink /proc/$$/fd/$i; done) > "$1"; :`, filepath.Join(t.TempDir(), "out"))
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Zero(t, status)
	text, err := os.ReadFile(h.Argv[4])
	require.NoError(t, err)
	require.Equal(t, "0\n1\n2\n/dev/null\n/dev/null\n/dev/null\n", string(text))
	for fd, flags := range closeOnExecFlags(t) {
		if was, ok := before[fd]; ok {
			require.Equal(t, was, flags, "%d: nothing has changed for the program", fd)
		}
	}
}

// closeOnExecFlags returns the flags of every descriptor of the calling thread.
func closeOnExecFlags(t *testing.T) map[int]bool {
	dir, err := os.ReadDir("/proc/thread-self/fd")
	require.NoError(t, err)
	flags := map[int]bool{}
	for _, entry := range dir {
		fd, err := strconv.Atoi(entry.Name())
		require.NoError(t, err)
		flag, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno == 0 { // the directory itself is closed by now
			flags[fd] = flag&syscall.FD_CLOEXEC != 0
		}
	}
	return flags
}

// The kernel's helpers have none; a helper here may, if Init says so.
func TestHelperWithoutAnyDescriptor(t *testing.T) {
	requireDiffers(t, "the standard files are open on /dev/null, where the kernel leaves them closed")
	for _, files := range [][]*os.File{nil, {nil, nil, nil}} {
		h := shell(`(ls /proc/$$/fd) > "$1"; :`, filepath.Join(t.TempDir(), "out"))
		h.Init = func(attr *os.ProcAttr) error {
			attr.Files = files
			return nil
		}
		status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Zero(t, status)
		text, err := os.ReadFile(h.Argv[4])
		require.NoError(t, err)
		require.Empty(t, text)
	}
}

func TestPriorityAndProcessorsAreThoseOfTheProgram(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const script = `grep Cpus_allowed: /proc/self/status; nice`
	want, err := exec.Command("/bin/sh", "-c", script).Output()
	require.NoError(t, err)
	require.Equal(t, string(want), output(t, shell(script)))
}

func TestSignalThatTheProgramIgnoresIsIgnored(t *testing.T) {
	requireDiffers(t, "a signal that the program ignores is ignored in the helper")
	signal.Ignore(syscall.SIGUSR2)
	defer signal.Reset(syscall.SIGUSR2)
	require.Equal(t, "there\n", output(t, shell("kill -USR2 $$; echo there")))
}

// A thread with a copy of the table would hold the pipe, and the reader would
// never see the end.
func TestNoCopyOfADescriptorIsKept(t *testing.T) {
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		r, w, err := os.Pipe()
		require.NoError(t, err)
		result := started(t, ctx, shell("exec sleep 1000"))
		require.NoError(t, w.Close())
		require.NoError(t, r.SetReadDeadline(time.Now().Add(late)))
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Empty(t, text)
		require.Empty(t, result, "it runs still")
		cancel()
		<-result
		require.NoError(t, r.Close())
	}
}

func TestProgramIsUnchangedAfterManyStarts(t *testing.T) {
	for _, how := range []string{"free", "locked"} {
		output(t, actor(t, "many-starts", how))
	}
}

// manyStarts starts helpers from the main goroutine, on one processor: then a
// goroutine that it has to wait for runs on the main thread, if it can.
func manyStarts(args []string) error {
	if args[0] == "locked" {
		runtime.LockOSThread()
	}
	runtime.GOMAXPROCS(1)
	const starts = 60
	var most int
	for range starts {
		for _, mode := range modes {
			cleanup := make(chan error, 1)
			h := usermodehelper.Helper{Path: "/bin/true", Cleanup: func(r usermodehelper.Result) { cleanup <- r.Err }}
			if _, err := h.Exec(context.Background(), mode); err != nil {
				return err
			}
			if err := <-cleanup; err != nil {
				return err
			}
		}
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		most = max(most, len(tasks))
	}
	if most > 40 {
		return fmt.Errorf("%d threads", most)
	}
	if dir, err := os.Getwd(); err != nil || dir != "/" {
		return fmt.Errorf("%s: %w", dir, err)
	}
	// A change from now on is a change for every thread.
	const mask, fd = 0o057, 700
	syscall.Umask(mask)
	if err := syscall.Dup3(0, fd, syscall.O_CLOEXEC); err != nil {
		return err
	}
	for deadline := time.Now().Add(late); ; time.Sleep(time.Millisecond) { // threads that are about to end
		err := sameForAll("Umask:\t0057", fd)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func sameForAll(line string, fd int) error {
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		status, err := os.ReadFile(filepath.Join(task, "status"))
		if err != nil {
			return err
		}
		if !strings.Contains(string(status), line) {
			return fmt.Errorf("%s: has an umask of its own: %s", task, status)
		}
		if _, err := os.Lstat(filepath.Join(task, "fd", strconv.Itoa(fd))); err != nil {
			return fmt.Errorf("has descriptors of its own: %w", err)
		}
	}
	return nil
}

// Containers have such a filter.
func TestHelpersRunWhereUnshareIsForbidden(t *testing.T) {
	if sysSeccomp[runtime.GOARCH] == 0 {
		t.Skip("the number of seccomp is not known here")
	}
	got := output(t, actor(t, "without-unshare"))
	require.Equal(t, "0027\n0\n1\n2\n", got, "the umask of the program, and no descriptor of it")
}

var sysSeccomp = map[string]uintptr{"amd64": 317, "arm64": 277}

func withoutUnshare([]string) error {
	if err := forbid(syscall.SYS_UNSHARE, syscall.EPERM); err != nil {
		return err
	}
	if err := syscall.Unshare(syscall.CLONE_FS); err != syscall.EPERM {
		return fmt.Errorf("unshare: %w", err)
	}
	const mask, leak = 0o027, 700
	syscall.Umask(mask)
	if err := syscall.Dup3(0, leak, 0); err != nil {
		return err
	}
	h := shell(`umask; ls /proc/$$/fd; :`)
	h.Output = new(usermodehelper.Output)
	status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	if status != 0 || err != nil {
		return fmt.Errorf("%v: %w", status, err)
	}
	fmt.Print(h.Output)
	if got := syscall.Umask(0o022); got != mask {
		return fmt.Errorf("the umask of the program is %o", got)
	}
	return nil
}

// forbid has a system call fail with errno for every thread of this process.
func forbid(number uint32, errno syscall.Errno) error {
	const (
		load, jumpEqual, ret = 0x20, 0x15, 0x06 // BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
		allow, fail          = 0x7fff0000, 0x00050000
		setNoNewPrivs        = 38
		setModeFilter, tsync = 1, 1
	)
	filter := []syscall.SockFilter{
		{Code: load, K: 0}, // the number of the call
		{Code: jumpEqual, Jf: 1, K: number},
		{Code: ret, K: fail | uint32(errno)},
		{Code: ret, K: allow},
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := prctl(setNoNewPrivs, 1); err != nil {
		return err
	}
	if _, _, errno := syscall.RawSyscall(sysSeccomp[runtime.GOARCH], setModeFilter, tsync, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return nil
}

func TestInitMayGiveTheHelperASession(t *testing.T) {
	const script = `read pid name state parent group session rest < /proc/$$/stat; echo $pid $group $session; echo >&3; `
	for _, session := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		h := shell(script + `sleep 1000 & exec sleep 1000`)
		l := leashed(t, h)
		init := h.Init
		h.Init = func(attr *os.ProcAttr) error {
			attr.Sys = &syscall.SysProcAttr{Setsid: session, Pgid: math.MaxInt32} // its group is not for Init to say
			return init(attr)
		}
		h.Output = new(usermodehelper.Output)
		result := started(t, ctx, h)
		l.line()
		cancel()
		require.ErrorIs(t, (<-result).err, syscall.EINTR)
		l.gone()
		ids := strings.Fields(h.Output.String())
		require.Len(t, ids, 3)
		require.Equal(t, ids[0], ids[1], "it leads its group")
		require.Equal(t, session, ids[0] == ids[2])
	}
}

func TestInitMayAskForAPidfd(t *testing.T) {
	for _, limits := range [][]usermodehelper.Limit{nil, fewFiles} {
		if limits != nil {
			needsPtrace(t)
		}
		pidfd := -1
		h := shell("exit 3")
		h.Limits = limits
		h.Init = func(attr *os.ProcAttr) error {
			attr.Sys.PidFD = &pidfd
			return nil
		}
		status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Equal(t, 3, status.ExitCode())
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", pidfd))
		require.NoError(t, err)
		require.Contains(t, target, "pidfd")
		require.NoError(t, syscall.Close(pidfd), "it is Init's to close")
	}
}

func TestInitCannotAskToTraceTheHelper(t *testing.T) {
	h := shell("exit 0")
	h.Init = func(attr *os.ProcAttr) error {
		attr.Sys.Ptrace = true
		return nil
	}
	_, err := h.Exec(t.Context(), usermodehelper.WaitExec)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "usermodehelper: /bin/sh was not started: a helper cannot have Ptrace")
}

func init() {
	adoptOrphans = func(on bool) error {
		const prSetChildSubreaper = 36
		var arg uintptr
		if on {
			arg = 1
		}
		return prctl(prSetChildSubreaper, arg)
	}
	children = func() ([]int, error) {
		var pids []int
		files, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // it has gone by now
			}
			var pid, parent int
			var state string
			pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(file)))
			_, rest, _ := strings.Cut(string(text), ") ")
			if _, err := fmt.Sscan(rest, &state, &parent); err != nil {
				return nil, fmt.Errorf("%s: %w", text, err)
			}
			if parent == os.Getpid() {
				pids = append(pids, pid)
			}
		}
		return pids, nil
	}
}
