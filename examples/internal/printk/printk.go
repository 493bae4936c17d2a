// Package printk is the log of the examples: a log of package kthread/printk, with the
// marks of the system log, or any other handler of package slog in its place.
//
// The lines have no levels and no time stamps. So a transcript is the same on every run.
//
// Kernel: kernel/printk/printk.c
package printk

import (
	"io"
	"log/slog"

	"github.com/kprim/kprim/kthread/printk"
)

// A Log is a console that threads print to. The zero value drops all that is
// printed.
type Log struct{ handler slog.Handler }

// New returns a log that writes to console, and keeps its last messages. Each line has the
// word "kernel:" in front, as the system log marks it. New never calls console from two
// threads at once, and ignores its errors.
func New(console io.Writer) *Log {
	return To(&printk.Log{Console: console, Mark: "kernel: "})
}

// To returns a log whose messages go to a handler of package slog.
func To(h slog.Handler) *Log { return &Log{h} }

// Printk prints a message of one line or several. The newline at the end of the last line
// may be left out. Lines of two messages do not mix.
//
// Kernel: printk
//
// Differs: takes the verbs of package fmt; waits for a console that is slow.
func (l *Log) Printk(format string, args ...any) {
	if l.handler != nil {
		printk.Printk(l.handler, format, args...)
	}
}
