package usermodehelper_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

func init() { roles["at-terminal"] = atTerminal }

// A program at a terminal has helpers that ask for a password there.
func TestHelperCannotStopAtTheTerminalOfTheProgram(t *testing.T) {
	master, slave := terminal(t)
	program := exec.Command(self(t))
	program.Args = []string{"kprim-test-helper", "at-terminal"}
	program.Stdin, program.Stdout, program.Stderr = slave, slave, slave
	program.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err := program.Run()
	require.NoError(t, master.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	buf := make([]byte, 4096)
	n, _ := master.Read(buf)
	require.NoError(t, err, "%s", buf[:n])
}

func atTerminal([]string) error {
	for _, session := range []bool{true, false} {
		h := shell(`exec < /dev/tty && exit 3`)
		h.Init = func(attr *os.ProcAttr) error {
			attr.Sys.Setsid = session
			return nil
		}
		status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
		if opened := status == 3<<8; err != nil || opened == session {
			return fmt.Errorf("session %v: %v, %w", session, status, err)
		}
	}
	h := shell(`read -r line < /dev/tty`) // would be stopped there by SIGTTIN
	h.Timeout = late
	_, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	return err
}

// terminal returns both ends of a new terminal.
func terminal(t *testing.T) (master, slave *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	var number, unlock int32
	control := func(request uintptr, arg *int32) {
		raw, err := master.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(arg)))
			require.Zero(t, errno)
		}))
	}
	control(syscall.TIOCSPTLCK, &unlock)
	control(syscall.TIOCGPTN, &number)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}
