package usermodehelper

import (
	"fmt"
	"slices"
	"sync"
)

// An Output keeps what a helper writes to its standard output and its standard
// error, in the order of writing, up to a limit. What comes after that is read
// and dropped, so that the helper never waits for a reader. The zero value is
// ready to use. An Output must not be copied after first use.
//
// It is complete when the helper is over: when Cleanup is called, and when Exec
// returns with WaitProc. Several helpers may share one, also one after the other:
// what they write is added.
type Output struct {
	Max int // how many bytes are kept; 0 means 65536

	mu     sync.Mutex
	kept   []byte // guarded by mu
	lost   int    // how many bytes were not kept; guarded by mu
	broken bool   // somebody may have had more to write; guarded by mu
}

// Bytes returns a copy of what was kept.
func (o *Output) Bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.kept)
}

// Cut reports whether something is missing: more was written than is kept, or a
// process that the helper had left behind held the output until it was killed, or
// until nobody waited for it any longer.
func (o *Output) Cut() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost > 0 || o.broken
}

// String returns what was kept, followed by a note in brackets if Cut is true.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.lost > 0:
		return fmt.Sprintf("%s[cut: %d bytes more]", o.kept, o.lost)
	case o.broken:
		return fmt.Sprintf("%s[cut: it was held open]", o.kept)
	}
	return string(o.kept)
}

// add keeps what there is room for.
func (o *Output) add(text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	limit := o.Max
	if limit == 0 {
		limit = 1 << 16
	}
	room := min(len(text), max(0, limit-len(o.kept)))
	o.kept = append(o.kept, text[:room]...)
	o.lost += len(text) - room
}

func (o *Output) breakOff() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = true
}
