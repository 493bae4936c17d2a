package rwevent

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/paired"
)

// The lock of a table, with its steps one after the other. A caller that waits is recognised
// by wanted: it sets that as its last step before the sleep.

func (l *rwlock) waited() bool { return l.word.Load()&wanted != 0 }

// behind runs f on a goroutine, and returns when it waits for the lock.
func behind(t *testing.T, l *rwlock, f func()) (done chan bool) {
	t.Helper()
	done = make(chan bool)
	go func() { f(); close(done) }()
	ends(t, func() {
		for !l.waited() {
			runtime.Gosched()
		}
	})
	return done
}

func TestLockReadersShareAndAWriterIsAlone(t *testing.T) {
	var l rwlock
	l.RLock()
	l.RLock()
	require.False(t, l.word.CompareAndSwap(0, writing), "readers are inside")
	l.RUnlock()
	l.RUnlock()
	l.Lock()
	require.False(t, l.enter(), "a writer is inside")
	l.Unlock()
	require.Zero(t, l.word.Load())
}

func TestLockWriterWaitsForTheLastReader(t *testing.T) {
	var l rwlock
	l.RLock()
	l.RLock()
	inside := false
	done := behind(t, &l, func() { l.Lock(); inside = true; l.Unlock() })
	require.False(t, l.enter(), "a later reader waits")
	l.RUnlock()
	require.True(t, l.waited())
	require.False(t, inside)
	l.RUnlock()
	ends(t, func() { <-done })
	require.True(t, inside)
	require.Zero(t, l.word.Load())
}

func TestLockReadersThatWaitedShare(t *testing.T) {
	var l rwlock
	l.Lock()
	release := make(chan bool)
	var entered, left sync.WaitGroup
	entered.Add(2)
	read := func() {
		l.RLock()
		entered.Done()
		<-release
		l.RUnlock()
	}
	done := behind(t, &l, read)
	left.Go(read)
	l.Unlock()
	ends(t, entered.Wait) // both are inside at once
	close(release)
	ends(t, func() { <-done; left.Wait() })
	require.Zero(t, l.word.Load())
}

// A goroutine that holds the lock again and again does not keep another one out for ever.
func TestHammerLockStarvesNobody(t *testing.T) {
	var l rwlock
	read, write := func() { l.RLock(); defer l.RUnlock() }, func() { l.Lock(); defer l.Unlock() }
	for name, c := range map[string]struct{ many, one func() }{
		"a writer among readers":   {read, write},
		"a reader among writers":   {write, read},
		"a writer among writers":   {write, write},
		"readers among each other": {read, read},
	} {
		t.Run(name, func(t *testing.T) {
			ends(t, func() {
				var all sync.WaitGroup
				var over atomic.Bool
				for range 4 {
					all.Go(func() {
						for !over.Load() {
							c.many()
						}
					})
				}
				for range 300 {
					c.one()
				}
				over.Store(true)
				all.Wait()
			})
			require.Zero(t, l.word.Load())
		})
	}
}

// Writers are alone, readers see no writer, and nobody is left asleep. Those inside give way
// now and then, so that others come while they are inside. The race detector sees more.
func TestHammerLock(t *testing.T) {
	const rounds = 3000
	var l rwlock
	var writers, readers atomic.Int32
	sum := 0
	count := func(of *atomic.Int32, i int, want func(writers, readers int32) bool) {
		of.Add(1)
		if i%16 == 0 {
			runtime.Gosched()
		}
		if w, r := writers.Load(), readers.Load(); !want(w, r) {
			t.Errorf("%d writers beside %d readers", w, r)
		}
		of.Add(-1)
	}
	ends(t, func() {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for i := range rounds {
					l.Lock()
					sum++
					count(&writers, i, func(w, r int32) bool { return w == 1 && r == 0 })
					l.Unlock()
				}
			})
			all.Go(func() {
				for i := range rounds {
					l.RLock()
					_ = sum
					count(&readers, i, func(w, r int32) bool { return w == 0 && r > 0 })
					l.RUnlock()
				}
			})
		}
		all.Wait()
	})
	require.Equal(t, 3*rounds, sum)
	require.Zero(t, l.word.Load())
}

// ends fails the test if f does not end, because a goroutine sleeps for ever.
func ends(t *testing.T, f func()) {
	t.Helper()
	done := make(chan bool)
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("a goroutine is left asleep")
	}
}

// TestPairedLock prints how long the lock takes among others, as a ratio to sync.RWMutex.
func TestPairedLock(t *testing.T) {
	paired.Test(t, contest("FourReadersAndAWriter", 4, 1), contest("FourWriters", 0, 4), contest("FourReaders", 4, 0))
}

func contest(name string, readers, writers int) paired.Contest {
	var theirs sync.RWMutex
	var ours rwlock
	return paired.Contest{Name: name, Ways: []paired.Way{
		{Name: "RWMutex", Run: among(readers, writers, theirs.RLock, theirs.RUnlock, theirs.Lock, theirs.Unlock)},
		{Name: "rwlock", Run: among(readers, writers, ours.RLock, ours.RUnlock, ours.Lock, ours.Unlock)},
	}}
}

var guarded [8]int

func among(readers, writers int, rlock, runlock, lock, unlock func()) func(n int) {
	return func(n int) {
		var all sync.WaitGroup
		for range readers {
			all.Go(func() {
				sum := 0
				for range n {
					rlock()
					for _, v := range guarded {
						sum += v
					}
					runlock()
				}
			})
		}
		for range writers {
			all.Go(func() {
				for i := range n {
					lock()
					guarded[i%len(guarded)]++
					unlock()
				}
			})
		}
		all.Wait()
	}
}
