// Package rwevent keeps the latest event, for goroutines that wait for one.
//
// An rwevent is an event guarded by a reader-writer lock. In kernel code it is
// three variables that belong together: a value, the rwlock_t that guards it,
// and the wait queue of those who want to see it change. Here it is one typed
// value, a [Slot]:
//
//	var trouble rwevent.Slot[int]
//
//	trouble.Post(9527)           // the monitor
//	id, err := trouble.Take(ctx) // the handler
//
// A Slot holds one event. A second Post before anybody has taken the first
// replaces it: the slot says what is the case now, not all that has happened.
//
// # Which tool
//
//   - Use a channel when every event counts, or the poster should be held back.
//   - Use [sync/atomic.Pointer] when nobody waits for a change.
//   - Use a Slot when only the latest event matters and somebody waits for it.
//
// Kernel: rwlock_t with a wait_queue_head_t
package rwevent

import (
	"context"
	"sync"

	"github.com/kprim/kprim/waitqueue"
)

// A Slot holds the latest event of type T. The zero value is an empty slot,
// ready to use. A Slot must not be copied after first use.
//
// An event is in the slot from its Post until it is taken or replaced. Events
// are numbered from 1 in the order of the posts; the number of the latest one
// is the slot's generation. What a goroutine did before it posted an event is
// visible to whoever has loaded, taken or waited for that event or a later one.
type Slot[T any] struct {
	mu     sync.RWMutex
	event  T      // guarded by mu
	gen    uint64 // guarded by mu
	posted bool   // event is there, and nobody has taken it; guarded by mu

	queue waitqueue.Queue
}

// Post puts v into the slot, in the place of an event that is still there,
// and wakes all callers of Wait and one of Take. It does not block on them.
//
// Kernel: write_lock, write_unlock, wake_up
func (s *Slot[T]) Post(v T) {
	s.mu.Lock()
	s.event, s.posted = v, true
	s.gen++
	s.mu.Unlock()
	s.queue.WakeUp()
}

// Load returns the event in the slot and the slot's generation. If no event is
// there, because none was posted or the last was taken, ok is false and v is
// the zero value. Readers do not block each other.
//
// Kernel: read_lock, read_unlock
func (s *Slot[T]) Load() (v T, gen uint64, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.event, s.gen, s.posted
}

// TryTake takes the event out of the slot, and reports whether there was one.
// Each event goes to one taker at most.
func (s *Slot[T]) TryTake() (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.posted {
		return v, false
	}
	v = s.event
	var zero T
	s.event, s.posted = zero, false
	return v, true
}

// Take waits for an event and takes it. A Post wakes the taker that has waited
// longest, but does not keep the event for it: a TryTake or a new Take may be
// quicker, and then the taker goes to the end of the queue. If ctx ends first, the
// error is that of [waitqueue.ContextErr]; an event that is there beats a ctx
// that has ended.
//
// Kernel: wait_event_interruptible_exclusive
func (s *Slot[T]) Take(ctx context.Context) (v T, err error) {
	err = s.queue.WaitExclusive(ctx, func() (ok bool) {
		v, ok = s.TryTake()
		return ok
	})
	return v, err
}

// Wait waits until the slot holds an event of a later generation than after,
// and returns it without taking it. With 0 it waits for any event; with the
// generation that Load or Wait returned last, for a newer one. Events that
// were replaced or taken meanwhile are not seen. If ctx ends first, the error
// is that of [waitqueue.ContextErr].
//
// Kernel: wait_event_interruptible
func (s *Slot[T]) Wait(ctx context.Context, after uint64) (v T, gen uint64, err error) {
	err = s.queue.Wait(ctx, func() (ok bool) {
		v, gen, ok = s.Load()
		return ok && gen > after
	})
	if err != nil {
		var zero T
		return zero, 0, err
	}
	return v, gen, nil
}

// Queue returns the queue on which the slot's waiters sleep, for those who
// wait by other means than a context. A kernel thread takes an event by
//
//	cur.WaitExclusive(slot.Queue(), func() (ok bool) {
//		v, ok = slot.TryTake()
//		return ok
//	})
func (s *Slot[T]) Queue() *waitqueue.Queue { return &s.queue }
