package rwevent

import (
	"sync"
	"sync/atomic"
)

// An rwlock is a sync.RWMutex whose writers take half as long. The zero value is not
// locked.
//
// Optimization: with no other caller in the way, a writer does two atomic operations,
// as with a sync.Mutex. A writer of a sync.RWMutex does four. Readers do two with
// either.
//
// A caller that finds another one in the way waits in two steps. First it locks queue, so
// that only one caller waits in the second step. This one sets wanted, which keeps all
// later callers out, and sleeps until the last goroutine inside leaves.
//
// Invariant: while wanted is set, the number of goroutines inside only falls. So exactly one
// of them leaves the word at wanted, and that one unlocks bell.
type rwlock struct {
	word  atomic.Int64
	queue sync.Mutex
	bell  sync.Mutex // locked twice by the caller in the second step
}

const (
	reader  = 1       // one reader is inside
	wanted  = 1 << 32 // a caller is in the second step
	writing = 1 << 33 // a writer is inside
)

func (l *rwlock) Lock() {
	if !l.word.CompareAndSwap(0, writing) {
		l.queue.Lock()
		l.wait(writing)
	}
}

func (l *rwlock) Unlock() {
	if l.word.Add(-writing) != 0 {
		l.bell.Unlock()
	}
}

func (l *rwlock) RLock() {
	if l.enter() {
		return
	}
	l.queue.Lock()
	if l.enter() { // together with a reader that has waited too
		l.queue.Unlock()
		return
	}
	l.wait(reader)
}

// enter lets a reader in, unless a writer is inside or a caller waits.
func (l *rwlock) enter() bool {
	for {
		w := l.word.Load()
		if w >= wanted {
			return false
		}
		if l.word.CompareAndSwap(w, w+reader) {
			return true
		}
	}
}

func (l *rwlock) RUnlock() {
	if l.word.Add(-reader) == wanted {
		l.bell.Unlock()
	}
}

// wait is the second step, and lets the caller in. The caller has locked queue, which is
// released.
func (l *rwlock) wait(as int64) {
	l.bell.Lock()
	if l.word.Or(wanted) != 0 {
		l.bell.Lock() // until the last one inside unlocks it
	}
	l.bell.Unlock()
	l.word.Store(as)
	l.queue.Unlock()
}
