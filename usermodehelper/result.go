package usermodehelper

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Result says how one call of Exec ended. Cleanup gets it.
type Result struct {
	Path string // of the program
	Pid  int    // also the number of the group; 0 if nothing was started

	Begin time.Time // when the program was running; zero if nothing was started
	End   time.Time // when the helper itself was seen to have ended, or zero

	Err error // the error that Exec returns with WaitProc

	// Reaped says that the helper has ended and that its status was collected. The
	// fields below are valid only then. Reaped is false if nothing was started, and
	// if Exec failed with [syscall.ENOTEMPTY] or [syscall.ECHILD].
	Reaped bool

	Status Status        // how the helper ended
	User   time.Duration // processor time of the helper and of the children that it has waited for
	System time.Duration // processor time of the kernel for them

	// MaxRSS is the memory of the largest of them, in bytes. On Linux it is never less
	// than your program's own at the start, because a helper begins in your program's
	// memory.
	MaxRSS int64

	SysUsage any // a *syscall.Rusage with all of the usage
}

// Failure returns nil if and only if Err is nil and Status is 0. Otherwise it
// returns Err, or an error whose text tells the status.
func (r Result) Failure() error {
	if r.Err == nil && r.Status != 0 {
		return fmt.Errorf("usermodehelper: %s[%d]: %v", r.Path, r.Pid, r.Status)
	}
	return r.Err
}

// String returns one line with the status and the reason. A newline, or another character
// of the path or of the reason that cannot be printed, is written as in a Go string, as
// \n. So is a byte that is not UTF-8, as \xff. Examples are
//
//	/bin/true[123]: exit status 0 after 1.2ms
//	/bin/sleep[124]: signal: terminated after 1.2s: context canceled
//	/bin/missing: not started: no such file or directory
func (r Result) String() string {
	text := fmt.Sprintf("%s[%d]: ", r.Path, r.Pid)
	switch {
	case r.Pid == 0:
		text = r.Path + ": not started"
	case r.Reaped:
		text += fmt.Sprint(r.Status)
	default:
		text += "status unknown"
	}
	if !r.End.IsZero() {
		text += fmt.Sprintf(" after %v", threeDigits(r.End.Sub(r.Begin)))
	}
	if r.Err != nil {
		text += ": " + r.reason()
	}
	return oneLine(text)
}

func oneLine(text string) string {
	var line strings.Builder
	for len(text) > 0 {
		c, size := utf8.DecodeRuneInString(text)
		switch {
		case c == utf8.RuneError && size == 1: // two paths can differ in such a byte alone
			_, _ = fmt.Fprintf(&line, `\x%02x`, text[0])
		case unicode.IsPrint(c):
			line.WriteRune(c)
		default:
			line.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		}
		text = text[size:]
	}
	return line.String()
}

// reason returns the text of Err without the words that String has already.
func (r Result) reason() string {
	text := r.Err.Error()
	for _, known := range []string{
		"usermodehelper: ",
		"fork/exec ",
		fmt.Sprintf("%q: ", r.Path),
		r.Path + " was not started",
		r.Path + " was ended",
		r.Path + " has ended",
		r.Path + " ", // with the space: the error can name another path that begins as this one
		r.Path + ": ",
		fmt.Sprintf(" (%v)", r.Status),
		": ",
		" ",
	} {
		text = strings.TrimPrefix(text, known)
	}
	return text
}

// LogValue returns the result for log/slog, as a group with the keys path, pid,
// status, took, user, system, max_rss and error. A key without a value is left out.
func (r Result) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("path", r.Path)}
	if r.Pid != 0 {
		attrs = append(attrs, slog.Int("pid", r.Pid))
	}
	if r.Reaped {
		attrs = append(attrs, slog.String("status", r.Status.String()))
	}
	if !r.End.IsZero() {
		attrs = append(attrs, slog.Duration("took", r.End.Sub(r.Begin)))
	}
	if r.Reaped {
		attrs = append(attrs, slog.Duration("user", r.User), slog.Duration("system", r.System), slog.Int64("max_rss", r.MaxRSS))
	}
	if r.Err != nil {
		attrs = append(attrs, slog.String("error", r.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// MarshalJSON returns an object with the keys of LogValue, and the times begin and end. A
// key without a value is left out, so a helper without a status has none in JSON either.
// Durations are in nanoseconds.
func (r Result) MarshalJSON() ([]byte, error) {
	object := map[string]any{}
	for _, attr := range r.LogValue().Group() {
		object[attr.Key] = attr.Value.Any()
	}
	for key, t := range map[string]time.Time{"begin": r.Begin, "end": r.End} {
		if !t.IsZero() {
			object[key] = t
		}
	}
	return json.Marshal(object)
}

// threeDigits rounds d, because the other digits say nothing in a log.
func threeDigits(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
