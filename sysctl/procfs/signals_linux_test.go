//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

func TestSignalEndsAnOpenThatSleeps(t *testing.T) {
	path, file := sleep(t)
	hold(t, path, file)
	for _, signal := range []syscall.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGALRM, syscall.SIGHUP,
	} {
		cat := sleeping(t, file, 2, "cat", path)
		end(t, cat, signal)
		processes.Eventually(t, "it has left", func() bool { return file.UseCount() == 1 })
	}
}

// A cat that was stopped wants to open again when it goes on. A server cannot ask for
// that, so the open has failed.
func TestStopAndContinueEndsAnOpen(t *testing.T) {
	path, file := sleep(t)
	hold(t, path, file)
	cat := sleeping(t, file, 2, "cat", path)
	require.NoError(t, cat.Process.Signal(syscall.SIGSTOP))
	processes.Eventually(t, "cat is stopped", func() bool { return processes.State(cat.Process.Pid) == "T" })
	processes.Eventually(t, "it has left", func() bool { return file.UseCount() == 1 })
	require.NoError(t, cat.Process.Signal(syscall.SIGCONT))
	require.Equal(t, 1, cat.Wait(t))
	require.Equal(t, "cat: "+path+": Interrupted system call\n", cat.Out.String())
}

// probing is the command of a client that makes system calls without a library.
func probing(args ...string) *exec.Cmd { return inRole("probe", args...) }

// inRole is a command that runs the test binary in one of its roles.
func inRole(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "KPRIM_TEST_ROLE="+role)
	return cmd
}

// The signal handler of the probe has SA_RESTART. The open fails with EINTR nevertheless.
func TestCaughtSignalIsEINTR(t *testing.T) {
	path, file := sleep(t)
	hold(t, path, file)
	client := startCmd(t, probing("caught", path))
	processes.Eventually(t, "it sleeps in open", func() bool { return file.UseCount() == 2 })
	signalThreads(t, client.Process.Pid, syscall.SIGUSR1)
	require.Equal(t, 1, client.Wait(t))
	require.Equal(t, "open=-1 errno=4 interrupted system call\n", client.Out.String())
}

// signalThreads signals each thread. If a process has several threads, a signal to the
// process reaches a thread that the kernel picks.
func signalThreads(t testing.TB, pid int, signal syscall.Signal) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	require.NoError(t, err)
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		require.NoError(t, err)
		if err := unix.Tgkill(pid, tid, signal); err != unix.ESRCH {
			require.NoError(t, err)
		}
	}
}

func TestIgnoredSignalEndsNothing(t *testing.T) {
	path, file := sleep(t)
	holder := hold(t, path, file)
	cat := sleeping(t, file, 2, "bash", "-c", "trap '' USR1; exec cat "+path)
	require.NoError(t, cat.Process.Signal(syscall.SIGUSR1))
	end(t, holder, syscall.SIGINT)
	require.Equal(t, 0, cat.Wait(t), "cat has slept on, and got the file")
	require.Equal(t, int64(2), file.opens.Load())
	require.Equal(t, int64(2), file.calls.Load(), "nobody opened again")
}

func TestNonblockingOpen(t *testing.T) {
	path, file := sleep(t)
	probe := func() string {
		c := startCmd(t, probing("nonblock", path))
		c.Wait(t)
		return c.Out.String()
	}
	require.Equal(t, "open ok\n", probe())
	processes.Eventually(t, "it is closed", file.free)
	hold(t, path, file)
	require.Equal(t, "open=-1 errno=11 resource temporarily unavailable\n", probe())
	out, code := run(t, "dd", "if="+path, "iflag=nonblock")
	require.Equal(t, 1, code)
	require.Equal(t, "dd: failed to open '"+path+"': Resource temporarily unavailable\n", out)
}
