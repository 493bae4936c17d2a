// Package printk is the kernel's log for programs: a [slog.Handler] with the kernel's
// levels and lines, and a ring of the last messages, which a reader can follow. Names and
// rules of the kernel are as of Linux 7.3.
//
//	log := &printk.Log{Console: os.Stderr}
//	slog.SetDefault(slog.New(log))
//
//	slog.Error("disk is full", "disk", "sda1") // [    0.000000] disk is full disk=sda1
//	log.Printk("%d blocks are lost\n", 7)      // [    0.000152] 7 blocks are lost
//	log.WriteTo(os.Stdout)                     // both of them, as dmesg(1) shows them
//
// # Which tool
//
//   - Use [slog.TextHandler] or [slog.JSONHandler] if another program collects the log.
//   - Use a Log if the program itself has to show its last messages, on a page or after a
//     failure. To have both, set Console to a file or a pipe.
//   - Use the function [Printk] for formatted messages to any handler.
//
// # Names of threads
//
// A message of a kernel thread has the thread's name in front, if the call of package slog
// has the context of the thread:
//
//	slog.InfoContext(cur.Context(), "is up") // [    1.250000] flusher: is up
//
// # Levels
//
// The eight levels of the kernel are levels of package slog, and a higher one is more urgent.
//
//	kernel  number  here     slog                 a call
//	EMERG   0       Emerg    20                   slog.Log(ctx, printk.Emerg, "...")
//	ALERT   1       Alert    16                   slog.Log(ctx, printk.Alert, "...")
//	CRIT    2       Crit     12                   slog.Log(ctx, printk.Crit, "...")
//	ERR     3       Err      8, slog.LevelError   slog.Error("...")
//	WARNING 4       Warning  4, slog.LevelWarn    slog.Warn("..."), log.Printk("...")
//	NOTICE  5       Notice   2                    slog.Log(ctx, printk.Notice, "...")
//	INFO    6       Info     0, slog.LevelInfo    slog.Info("...")
//	DEBUG   7       Debug    -4, slog.LevelDebug  slog.Debug("...")
//
// # Memory model
//
// The call that logs a message is synchronized before the return of each Next or TryNext
// that returns the message.
//
// Kernel: include/linux/printk.h, kernel/printk/printk.c
package printk

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

// A Log is a [slog.Handler] that keeps the last messages, and shows them on a console. The
// zero value keeps messages, and has no console. The fields must not be changed after the
// first message, and the Log must not be copied then. Any goroutine may call the methods.
//
// Kernel: log_buf, console_loglevel
type Log struct {
	// Console gets the lines of each message in one Write. A nil Console shows nothing. A
	// message waits until the console has written the messages before it. Writes do not
	// overlap. Console must not log to this Log, because it would wait for itself.
	Console io.Writer

	// ConsoleLevel is the lowest level that Console shows. Nil shows each message of the
	// log. A [Loglevel] gives it as the kernel's number.
	ConsoleLevel slog.Leveler

	// Level is the lowest level that the log keeps at all. Nil means Info, as in a
	// [slog.HandlerOptions].
	Level slog.Leveler

	// Mark, if it is not empty, stands in front of each line, in place of the time. So the
	// lines of a program can be the same at each run.
	Mark string

	// Size is how many bytes of messages the log keeps at most. A Size of 0 or less
	// means 64 KiB. A message counts as the bytes of its text and of the name of its
	// thread, and 100 bytes more. A text or a name that is longer than a quarter of
	// Size is cut. The newest message is always kept.
	Size int

	console sync.Mutex // held over a Write, and over the add before it
	ring    ring
}

// Printk formats a message as [fmt.Sprintf] does, and gives it to a handler, with the level
// Warning and without attributes. One newline at the end of the message may be left out.
// Printk cannot fail: it ignores the error of the handler.
//
// Kernel: printk, MESSAGE_LOGLEVEL_DEFAULT
//
// Differs: printk: the format has no level.
func Printk(h slog.Handler, format string, args ...any) {
	ctx := context.Background()
	if !h.Enabled(ctx, Warning) {
		return
	}
	text := strings.TrimSuffix(fmt.Sprintf(format, args...), "\n")
	_ = h.Handle(ctx, slog.NewRecord(time.Now(), Warning, text, 0))
}

// Printk is the function [Printk] on this log.
//
// Kernel: printk
//
// Differs: the format has no level. Waits for a console that is slow.
func (l *Log) Printk(format string, args ...any) { Printk(l, format, args...) }

// Enabled reports whether the log keeps messages of this level. It implements
// [slog.Handler].
func (l *Log) Enabled(_ context.Context, level slog.Level) bool {
	return level >= atLeast(l.Level, Info)
}

// Handle logs a record. The error is the console's. The log has the message also if the
// console fails. It implements [slog.Handler].
//
// Code of the record's attributes, such as a String method, runs before the log takes a
// lock. So it may log too.
func (l *Log) Handle(ctx context.Context, r slog.Record) error { return l.handle(ctx, r, "", nil) }

// WithAttrs returns a handler for the same log, whose messages have these attributes too. It
// formats their values at once, so that they may change later.
func (l *Log) WithAttrs(attrs []slog.Attr) slog.Handler {
	return (&handler{Log: l}).WithAttrs(attrs)
}

// WithGroup returns a handler for the same log, whose later attributes are in a group. If name
// is empty, it returns l.
func (l *Log) WithGroup(name string) slog.Handler {
	if name == "" {
		return l
	}
	return (&handler{Log: l}).WithGroup(name)
}

func (l *Log) handle(ctx context.Context, r slog.Record, attrs string, groups []string) error {
	m := Message{Time: r.Time, Level: r.Level, Comm: comm(ctx), Text: text(r, attrs, groups)}
	if l.Console == nil || m.Level < atLeast(l.ConsoleLevel, m.Level) {
		l.ring.add(m, l.Size)
		return nil
	}
	// The console shows the messages in the order of the ring.
	l.console.Lock()
	defer l.console.Unlock()
	_, err := io.WriteString(l.Console, l.lines(l.ring.add(m, l.Size)))
	return err
}

// lines returns the lines of a message as the console shows them.
func (l *Log) lines(m Message) string {
	if l.Mark != "" {
		return m.lines(l.Mark)
	}
	return m.String()
}

// comm returns the name of the thread or the task that ctx belongs to, or "".
func comm(ctx context.Context) string {
	if name, ok := pprof.Label(ctx, "kthread"); ok {
		return name
	}
	if task := waitqueue.TaskOf(ctx); task != nil {
		return task.Name
	}
	return ""
}
