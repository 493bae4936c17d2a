package printk

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Message is a record of a log.
//
// Kernel: struct printk_record
type Message struct {
	Seq   uint64        // counts the messages of the log from 0
	Time  time.Time     // zero if the slog.Record had no time
	Since time.Duration // from the time of the log's first message
	Level slog.Level    // of the slog.Record
	Comm  string        // the name of the thread that logged it, or ""
	Text  string        // and the attributes; may be of several lines
}

// String returns the message as the console shows it, with a newline at its end. Each line
// of the text begins with the time in seconds:
//
//	[   12.345678] flusher: disk is full disk=sda1
//
// A message without a time has only its text. A control character is shown as /dev/kmsg
// shows it, as in \x1b, so that it does not change the colours of a terminal. The same
// holds for a character that changes the direction of the text, or begins a line.
//
// Kernel: record_print_text
func (m Message) String() string {
	if m.Time.IsZero() {
		return m.lines("")
	}
	us := m.Since.Microseconds()
	return m.lines(fmt.Sprintf("[%5d.%06d] ", us/1e6, us%1e6))
}

// lines returns the lines of the message, each with a mark in front.
func (m Message) lines(mark string) string {
	if m.Comm != "" {
		mark += plain(m.Comm) + ": "
	}
	var out strings.Builder
	for line := range strings.SplitSeq(m.Text, "\n") {
		out.WriteString(mark)
		out.WriteString(plain(line))
		out.WriteByte('\n')
	}
	return out.String()
}

// plain returns a text with its control characters and stray bytes in hexadecimal.
func plain(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, hidden) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if hidden(r) || r == utf8.RuneError && n == 1 {
			for i := range n {
				fmt.Fprintf(&out, `\x%02x`, text[i])
			}
		} else {
			out.WriteString(text[:n])
		}
		text = text[n:]
	}
	return out.String()
}

func hidden(r rune) bool {
	return r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp))
}
