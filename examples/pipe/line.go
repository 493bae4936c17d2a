package main

import (
	"fmt"
	"io"
	"syscall"

	"github.com/kprim/kprim/sysctl/vfs"
)

// A line shows a system call as strace(1) does. If the call sleeps, it is shown
// in two parts, because other processes show their calls between them.
type line struct {
	out     io.Writer
	process string
	call    string
	text    string // the call, as far as it is not shown yet
	asleep  bool   // the first part was shown
}

func (l *line) printf(format string, args ...any) {
	fmt.Fprintf(l.out, "%s: %s\n", l.process, fmt.Sprintf(format, args...))
}

func (l *line) begin(call, text string) {
	l.call, l.text, l.asleep = call, call+text, false
}

// unfinished shows the first part, once for each call.
func (l *line) unfinished() {
	if !l.asleep {
		l.printf("%s <unfinished ...>", l.text)
		l.text, l.asleep = "<... "+l.call+" resumed>", true
	}
}

func (l *line) end(text, result string) {
	l.printf("%s%s = %s", l.text, text, result)
}

// result shows the result of a call: the count, or the error if the count is 0.
func result(n int, err error) string {
	if n > 0 || err == nil {
		return fmt.Sprint(n)
	}
	errno := vfs.Errno(err)
	name := map[syscall.Errno]string{
		syscall.EAGAIN: "EAGAIN",
		syscall.EINTR:  "EINTR",
		syscall.EPIPE:  "EPIPE",
	}[errno]
	return fmt.Sprintf("-1 %s (%v)", name, errno)
}
