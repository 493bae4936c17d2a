package printk

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// WriteTo writes the messages that the log has now, as the console shows them. It shows
// messages of all levels, and does not wait for a console. It implements [io.WriterTo].
//
// Kernel: dmesg(1), SYSLOG_ACTION_READ_ALL
func (l *Log) WriteTo(w io.Writer) (int64, error) {
	var text strings.Builder
	for _, m := range l.ring.all() {
		text.WriteString(l.lines(m))
	}
	n, err := io.WriteString(w, text.String())
	return int64(n), err
}

// A Reader reads the messages of a log one after another. Each Reader has a position of its
// own, so readers take nothing from each other. One goroutine at a time may use it. The zero
// value has no log, and its methods panic.
//
// Kernel: an open file of /dev/kmsg
type Reader struct {
	ring *ring
	seq  uint64 // of the next message
}

// Reader returns a reader that begins with the oldest message of the log.
//
// Kernel: devkmsg_open
func (l *Log) Reader() *Reader { return &Reader{&l.ring, l.ring.oldest()} }

// Next returns the next message, and waits for it if there is none yet. The number lost is
// how many messages the log has dropped since the last call, because the reader was too
// slow. They came right before this message. A new reader has lost none.
//
// If ctx ends first, the error matches the same errors as [waitqueue.ContextErr], and the
// position stays. A message that is there beats the end of ctx.
//
// Kernel: devkmsg_read
//
// Differs: tells how many messages are lost, where the kernel returns EPIPE.
func (r *Reader) Next(ctx context.Context) (m Message, lost uint64, err error) {
	err = r.ring.log.Wait(ctx, func() (ok bool) {
		m, lost, ok = r.TryNext()
		return ok
	})
	if err != nil {
		err = fmt.Errorf("printk: no message: %w", err)
	}
	return m, lost, err
}

// TryNext is Next for a caller that does not wait. If there is no message yet, ok is false.
//
// Kernel: devkmsg_read, O_NONBLOCK
//
// Differs: devkmsg_read: tells how many messages are lost, where the kernel returns EPIPE.
func (r *Reader) TryNext() (m Message, lost uint64, ok bool) {
	m, ok = r.ring.from(r.seq)
	if !ok {
		return m, 0, false
	}
	lost = m.Seq - r.seq
	r.seq = m.Seq + 1
	return m, lost, true
}
