package rwevent

// HoldRead is a reader that is not done yet.
func (s *Slot[T]) HoldRead() (release func()) {
	s.mu.RLock()
	return s.mu.RUnlock
}

// HoldRead is a reader that is not done yet.
func (t *Table[K, T]) HoldRead() (release func()) {
	t.mu.RLock()
	return t.mu.RUnlock
}

// Stale returns how many posts the table keeps whose events were taken or replaced.
func (t *Table[K, T]) Stale() int { return t.events.posts.len() - t.events.len() }

// Room returns how many events and posts the table has room for, in use or not.
func (t *Table[K, T]) Room() int { return cap(t.events.nodes) + cap(t.events.posts.all) }
