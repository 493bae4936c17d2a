package printk

import (
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kprim/kprim/waitqueue"
)

const (
	defaultSize = 64 << 10
	besides     = 100 // bytes of a message besides its text and its name
	parts       = 4   // no text takes more than a quarter of the ring, and no name
	cutMark     = "<truncated>"
)

// A ring has the last messages.
type ring struct {
	mu    sync.Mutex
	begin time.Time // of the first message that has a time
	next  uint64    // the number of the next message
	kept  []Message // the oldest first. Invariant: their numbers end right before next
	bytes int       // of kept

	log waitqueue.Queue // of readers, for a message
}

// add numbers a message and keeps it, in the place of the oldest ones if need be.
func (r *ring) add(m Message, size int) Message {
	if size <= 0 {
		size = defaultSize
	}
	m.Comm, m.Text = cut(m.Comm, size/parts), cut(m.Text, size/parts)
	m = r.append(m, size)
	r.log.WakeUp()
	return m
}

func (r *ring) append(m Message, size int) Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begin.IsZero() {
		r.begin = m.Time
	}
	// Two threads may arrive in another order than their times.
	m.Since = max(0, m.Time.Sub(r.begin))
	m.Seq = r.next
	r.next++
	r.kept = append(r.kept, m)
	r.bytes += weight(m)
	for r.bytes > size && len(r.kept) > 1 {
		r.bytes -= weight(r.kept[0])
		r.kept[0] = Message{} // the array may live on for long, the text must not
		r.kept = r.kept[1:]
	}
	return m
}

func weight(m Message) int { return len(m.Comm) + len(m.Text) + besides }

// cut returns a text of at most n bytes, and says so if it was longer.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + cutMark
}

// from returns the first message that is kept from number seq on.
func (r *ring) from(seq uint64) (Message, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq >= r.next {
		return Message{}, false
	}
	oldest := r.next - uint64(len(r.kept))
	return r.kept[max(seq, oldest)-oldest], true
}

// oldest returns the number of the oldest message that is kept.
func (r *ring) oldest() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next - uint64(len(r.kept))
}

// all returns the messages that are kept.
func (r *ring) all() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.kept)
}
