//go:build linux || darwin || freebsd

package usermodehelper

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// starts has a channel for each start that is in progress. Until its exec, the
// new process has copies of this program's descriptors.
var starts = struct {
	mu sync.Mutex
	in map[chan struct{}]bool // guarded by mu
}{in: map[chan struct{}]bool{}}

// beginStart returns the function that ends the start.
func beginStart() (end func()) {
	done := make(chan struct{})
	starts.mu.Lock()
	defer starts.mu.Unlock()
	starts.in[done] = true
	return func() {
		close(done)
		starts.mu.Lock()
		defer starts.mu.Unlock()
		delete(starts.in, done)
	}
}

// awaitStarts waits until the starts that are in progress are over, but gives up
// after d: an exec may hang. It holds up no other start. A later start has no copy
// of a descriptor that is closed by now.
func awaitStarts(d time.Duration) {
	starts.mu.Lock()
	begun := slices.Collect(maps.Keys(starts.in))
	starts.mu.Unlock()
	limit := time.After(d)
	for _, done := range begun {
		select {
		case <-done:
		case <-limit:
			return
		}
	}
}
