//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/kprim/kprim/sysctl"
)

// errnoTexts are the errnos that a shell shows, and its words for them.
var errnoTexts = []struct {
	errno syscall.Errno
	text  string
}{
	{syscall.EPERM, "Operation not permitted"},
	{syscall.EINTR, "Interrupted system call"},
	{syscall.EIO, "Input/output error"},
	{syscall.EAGAIN, "Resource temporarily unavailable"},
	{syscall.ENOMEM, "Cannot allocate memory"},
	{syscall.EFAULT, "Bad address"},
	{syscall.EBUSY, "Device or resource busy"},
	{syscall.EINVAL, "Invalid argument"},
	{syscall.ENOTTY, "Inappropriate ioctl for device"},
	{syscall.ENOSPC, "No space left on device"},
	{syscall.ERANGE, "Numerical result out of range"},
	{syscall.ENODATA, "No data available"},
	{syscall.EOPNOTSUPP, "Operation not supported"},
	{syscall.ETIMEDOUT, "Connection timed out"},
	{syscall.EUCLEAN, "Structure needs cleaning"},
	{511, "Unknown error 511"},
	{512, "Interrupted system call"}, // ERESTARTSYS, which no process may see
	{4095, "Input/output error"},
}

// A failing handler fails with one errno.
type failing syscall.Errno

func (f failing) Read(*sysctl.Request, []byte) (int, error)  { return 0, syscall.Errno(f) }
func (f failing) Write(*sysctl.Request, []byte) (int, error) { return 0, syscall.Errno(f) }

func TestShellShowsEachErrnoOfAHandler(t *testing.T) {
	s := mountTree(t)
	var write, written, reading, read strings.Builder
	for i, e := range errnoTexts {
		name := fmt.Sprintf("e%d", e.errno)
		s.register(t, "", sysctl.Entry{Name: name, Mode: 0o644, Handler: failing(e.errno)})
		fmt.Fprintf(&write, "echo 1 > %s\n", name)
		fmt.Fprintf(&written, "bash: line %d: echo: write error: %s\n", i+2, e.text)
		if e.text != "Interrupted system call" { // cat would read again, for ever
			fmt.Fprintln(&reading, "cat", name)
			fmt.Fprintf(&read, "cat: %s: %s\n", name, e.text)
		}
	}
	s.prints(t, written.String(), 1, write.String())
	s.prints(t, read.String(), 1, reading.String())
}

func TestShellShowsTheErrorsOfAValueAndOfAMode(t *testing.T) {
	s := mountTree(t)
	s.register(t, "", withMode(0o444), withMode(0o200))
	for script, want := range map[string]string{
		"echo 1000 > kernel/number":    "echo: write error: Invalid argument",
		"echo x > kernel/number":       "echo: write error: Invalid argument",
		"echo 1 > 0444":                "0444: Permission denied",
		"read x < 0200":                "0200: Permission denied",
		"echo 1 > kernel":              "kernel: Is a directory",
		"read x < kernel/none":         "kernel/none: No such file or directory",
		"read x < kernel/name/x":       "kernel/name/x: Not a directory",
		"echo 1 > kernel/none":         "kernel/none: No such file or directory",
		"set -C; echo 1 > kernel/name": "kernel/name: cannot overwrite existing file",
		"cd kernel/name":               "cd: kernel/name: Not a directory",
		"exec kernel/name":             "/kernel/name: Permission denied",
		"cat kernel":                   "cat: kernel: Is a directory",
	} {
		out, _ := bash(t, s.dir, script)
		if !strings.Contains(out, want+"\n") {
			t.Errorf("%s: %q, want %q", script, out, want)
		}
	}
	s.prints(t, "42\nabc\n", 0, "cat kernel/number kernel/name")
}
