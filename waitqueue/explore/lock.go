package explore

// A Lock is a mutex that a goroutine may hold while it is stopped at a point. It is a
// sync.Locker, and belongs to one order of a model.
//
// A goroutine that waits for a Lock is asleep until the Lock is free. Then it can go on, at
// a point that is called "lock", but another goroutine may come first. There is a point
// "unlocked" after each Unlock. UnlockAt gives this point another name.
//
// A goroutine that was woken, by a sync.Cond for example, also stops at "lock" if the Lock
// is free. Otherwise it would race for the Lock with its waker.
type Lock struct {
	of   *Model
	held chan struct{}
}

// NewLock returns a Lock that is free.
func (m *Model) NewLock() *Lock { return &Lock{m, make(chan struct{}, 1)} }

// Lock waits until the Lock is free, and holds it.
func (l *Lock) Lock() {
	if now.Load() != l.of {
		misuse("a Lock of another order: each order makes its own")
	}
	th := l.of.self("lock")
	if th == nil || l.of.free.Load() {
		l.held <- struct{}{}
		return
	}
	for l.of.turn.Load() != th || !l.try() {
		th.stop(&stand{"lock", l.free})
		if th.leaving {
			return
		}
	}
}

func (l *Lock) try() bool {
	select {
	case l.held <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *Lock) free() bool { return len(l.held) == 0 }

// Unlock frees the Lock. It panics if the Lock is free.
func (l *Lock) Unlock() { l.UnlockAt("unlocked") }

// UnlockAt is Unlock with another name for the point after it. A player sees the name: it can
// be the next step of the goroutine.
func (l *Lock) UnlockAt(point string) {
	select {
	case <-l.held:
	default:
		panic("explore: Unlock of a Lock that is free")
	}
	l.of.At(point)
}
