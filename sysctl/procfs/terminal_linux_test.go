//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

// A terminal has a bash with job control. The test has the keyboard and the screen.
type terminal struct {
	*client
	master *os.File
	screen *processes.Text
	read   int // bytes of the screen that the test has seen
}

func openTerminal(t testing.TB) *terminal {
	master, slave := pty(t)
	x := &terminal{master: master, screen: &processes.Text{}}
	shell := exec.Command("bash", "--norc", "--noprofile", "--noediting", "-i")
	shell.Env = append(os.Environ(), "HISTFILE=", "PS1=ready> ")
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ended := make(chan struct{})
	t.Cleanup(func() { master.Close(); <-ended })
	x.client = startCmd(t, shell)
	require.NoError(t, slave.Close())
	go func() { defer close(ended); _, _ = io.Copy(x.screen, master) }()
	x.see(t, "ready> ")
	return x
}

// pty opens a pair of terminals.
//
// Kernel: TIOCGPTN, TIOCSPTLCK
func pty(t testing.TB) (master, slave *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("skipped: no terminals: %v", err)
	}
	raw, err := master.SyscallConn()
	require.NoError(t, err)
	var number int
	require.NoError(t, raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	require.NoError(t, err)
	slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return master, slave
}

func (x *terminal) press(t testing.TB, keys string) {
	_, err := x.master.WriteString(keys)
	require.NoError(t, err)
}

// see waits for a text on the screen, after the text that the test has seen.
func (x *terminal) see(t testing.TB, text string) {
	processes.Eventually(t, text, func() bool {
		n := strings.Index(x.screen.String()[x.read:], text)
		if n >= 0 {
			x.read += n + len(text)
		}
		return n >= 0
	})
}

// seeCode asks the shell for the exit code of the last command.
func (x *terminal) seeCode(t testing.TB, code int) {
	x.press(t, "echo rc=$?\n")
	x.see(t, fmt.Sprintf("rc=%d\r\n", code))
}

const ctrlC, ctrlZ, ctrlBackslash = "\x03", "\x1a", "\x1c"

func TestKeysOfATerminal(t *testing.T) {
	path, file := sleep(t)
	holder := hold(t, path, file)
	x := openTerminal(t)
	typed := func(command string, users int) {
		x.press(t, command+"\n")
		processes.Eventually(t, command, func() bool { return file.UseCount() == users })
	}

	typed("cat "+path, 2)
	x.press(t, ctrlC)
	x.seeCode(t, 130)

	typed("cat "+path, 2)
	x.press(t, ctrlZ)
	x.see(t, "Stopped")
	typed("fg", 1)
	x.see(t, "cat: "+path+": Interrupted system call")
	x.seeCode(t, 1)

	end(t, holder, syscall.SIGINT)
	processes.Eventually(t, "the file is free", file.free)
	typed("tail -f "+path, 1)
	x.press(t, ctrlBackslash)
	x.see(t, "Quit")
	x.seeCode(t, 128+int(syscall.SIGQUIT))
	processes.Eventually(t, "the file is free", file.free)
	typed("exit", 0)
	require.Equal(t, 0, x.Wait(t))
}

// Two cats in the background of one shell sleep. A signal ends one, and the other sleeps on.
func TestJobsOfATerminal(t *testing.T) {
	path, file := sleep(t)
	hold(t, path, file)
	x := openTerminal(t)
	x.press(t, "cat "+path+" & cat "+path+" &\n")
	processes.Eventually(t, "both cats sleep", func() bool { return file.UseCount() == 3 })
	x.press(t, "kill -INT %2; wait %2\n")
	x.seeCode(t, 130)
	require.Equal(t, 2, file.UseCount())
	x.press(t, "kill -KILL %1; wait %1\n")
	x.seeCode(t, 137)
	x.press(t, "exit\n")
	require.Equal(t, 0, x.Wait(t))
}
