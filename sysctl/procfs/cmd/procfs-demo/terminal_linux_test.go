//go:build !(386 || arm || mips || mipsle)

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A terminal is a pseudo-terminal with a shell.
type terminal struct {
	*process
	keys *os.File
	end  string // the prompt, with which a screen ends that waits for a command
}

// open starts a shell whose prompt is the name and "# ". If command is not empty, this
// program starts the shell: the name of the shell is its last argument.
func open(t *testing.T, name string, command ...string) *terminal {
	keys, tty := pty(t)
	command = append(command, "bash", "--norc", "--noprofile", "--noediting", "-i")
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TERM=dumb", "INPUTRC=/dev/null", "PS1="+name+"# ")
	term := &terminal{process: start(t, cmd), keys: keys, end: name + "# "}
	require.NoError(t, tty.Close())
	read := make(chan struct{})
	go func() { _, _ = io.Copy(&term.Out, keys); close(read) }()
	t.Cleanup(func() { // the terminal hangs up, and the shell ends its jobs
		_ = keys.Close()
		<-read
		term.Wait(t)
	})
	term.waitFor(t, term.end)
	return term
}

// pty opens both sides of a terminal.
//
// Kernel: drivers/tty/pty.c
func pty(t *testing.T) (master, slave *os.File) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200}))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return os.NewFile(uintptr(fd), "ptmx"), slave
}

func (term *terminal) press(t *testing.T, keys string) {
	_, err := io.WriteString(term.keys, keys)
	require.NoError(t, err)
}

// has reports whether the terminal gives its keys to a process.
func (term *terminal) has(t *testing.T, pid int) bool {
	raw, err := term.keys.SyscallConn()
	require.NoError(t, err)
	group := 0
	require.NoError(t, raw.Control(func(fd uintptr) { group, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP) }))
	require.NoError(t, err)
	return group == pid
}

// enter types a command when the prompt is there.
func (term *terminal) enter(t *testing.T, command string) {
	term.waitFor(t, term.end)
	term.press(t, command+"\n")
}

var key = regexp.MustCompile(`(\^[A-Z\\])\n?`)

// screen is the text on the screen. If a program prints after a key like Ctrl-C, its text
// follows the ^C on one line. Here the key always has a line of its own.
func (term *terminal) screen() string {
	return key.ReplaceAllString(strings.ReplaceAll(term.Out.String(), "\r", ""), "$1\n")
}
