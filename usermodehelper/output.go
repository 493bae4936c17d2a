package usermodehelper

import (
	"fmt"
	"slices"
	"sync"
)

// An Output keeps the bytes that a helper writes to its standard output and its
// standard error, in the order of writing, up to a limit. Bytes after the limit
// are read and dropped, so the helper never waits for a reader. The zero value is
// ready to use. An Output must not be copied after first use.
//
// It is complete when Cleanup is called, and when Exec returns with WaitProc.
// Several helpers may share an Output, at once or one after the other: it then
// keeps the bytes of all of them.
type Output struct {
	Max int // how many bytes are kept; 0 means 65536, and a negative Max means none

	mu     sync.Mutex
	kept   []byte // guarded by mu
	lost   int    // how many bytes were not kept; guarded by mu
	broken bool   // a process that held it may have had more to write; guarded by mu
}

// Bytes returns a copy of the bytes that were kept.
func (o *Output) Bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.kept)
}

// Cut reports whether bytes may be missing. Either more was written than is kept,
// or a process that the helper had left behind held the output for too long.
// If it was in the helper's group it was killed; otherwise Exec waited no longer.
func (o *Output) Cut() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost > 0 || o.broken
}

// String returns the bytes that were kept, followed by a note in brackets if Cut
// is true.
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

// add keeps as much of text as there is room for.
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
