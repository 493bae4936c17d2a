// Package printk is the kernel's log as a console shows it.
//
// It has no levels and no time stamps, because a transcript that has to be the
// same at every run can have none.
//
// Kernel: kernel/printk/printk.c
package printk

import (
	"fmt"
	"io"
	"log"
	"strings"
)

// A Log is a console that threads print to. The zero value drops all that is
// printed; New makes one that shows it.
type Log struct{ console *log.Logger }

// New returns a log that writes to console. It never calls it from two threads
// at once, and ignores its errors: printk cannot fail.
func New(console io.Writer) *Log {
	return &Log{log.New(console, "kernel: ", 0)}
}

// Printk prints a message of one line or several, each with the word "kernel:"
// in front, as the system log marks them. The newline at the end of the last
// may be left out. Lines of two threads do not mix, those of two messages may.
//
// Kernel: printk
//
// Differs: takes the verbs of package fmt; waits for a console that is slow.
func (l *Log) Printk(format string, args ...any) {
	if l.console == nil {
		return
	}
	text := strings.TrimSuffix(fmt.Sprintf(format, args...), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		l.console.Print(line)
	}
}
