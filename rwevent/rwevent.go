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
// A [Table] holds one event for each key, such as the data structure that is in
// trouble, and no key's events replace another's.
//
// # Which tool
//
//   - Use a channel when every event counts, or the poster should be held back.
//   - Use [sync/atomic.Pointer] when nobody waits for a change.
//   - Use [sync.Cond] when what is waited for is not a value, and nobody ever
//     has to give up waiting.
//   - Use a Slot when only the latest event matters and somebody waits for it.
//   - Use a Table when only the latest event of each of many things matters.
//
// # Who sees what
//
// Events are numbered from 1 in the order of the posts; an event's number is its
// generation.
//
//   - A Post that returned nil has put its event where everybody finds it, and
//     has woken all who wait and one of those who take.
//   - A Take gets an event that nobody else gets or has got.
//   - A Wait gets an event that is there at that moment, of a later generation
//     than the caller asked for, and leaves it there.
//
// Between two looks, events may have come and gone; the generations show how
// many there were. Of those that were posted, each was taken once, or replaced
// before that and counted by Overwritten, or is still there.
//
// Whoever has got the event of generation n, by whichever method, also sees
// what its poster did before that Post, and what the posters of all earlier
// events of the slot or table did before theirs.
//
// # Waiting
//
// Each wait has two forms. One takes a context, which may end it. The other takes
// a [Sleeper], such as a kernel thread, which a signal or a stop interrupts.
// An event that is there beats both, and it beats [Slot.Close] too: whoever can
// be served does not hear that it is too late.
//
// A slot and a table never call code of the user's with their lock held, save
// for the comparison and hashing of a table's keys, which the language does.
// What they hand out is a copy of what was posted: a T with pointers in it
// should not be changed any more after its Post.
//
// Kernel: rwlock_t with a wait_queue_head_t
package rwevent

import (
	"context"
	"errors"
	"iter"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"github.com/kprim/kprim/waitqueue"
)

// A Sleeper is a goroutine that can wait on a queue until cond is true or it is
// interrupted: a [waitqueue.Task], and so a kthread.Current.
//
// Kernel: current
type Sleeper interface {
	// Wait blocks until cond returns true, which beats every interruption.
	//
	// Kernel: wait_event_interruptible
	Wait(q *waitqueue.Queue, cond func() bool) error

	// WaitExclusive is Wait for one who takes something.
	//
	// Kernel: wait_event_interruptible_exclusive
	WaitExclusive(q *waitqueue.Queue, cond func() bool) error
}

// errClosed is for what comes too late, or would never come. The text of
// os.ErrClosed is about files.
var errClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string { return "rwevent: closed" }
func (closedError) Unwrap() error { return os.ErrClosed }

// errNone says that nothing is there yet. It never leaves the package: who
// waits sleeps on.
var errNone = errors.New("rwevent: no event")

// A Slot holds the latest event of type T. The zero value is an empty slot,
// ready to use. A Slot must not be copied after first use.
//
// An event is in the slot from its Post until it is taken or replaced. The
// generation of the latest one, taken or not, is the slot's generation.
//
// Kernel: rwlock_t, DEFINE_RWLOCK, with a wait_queue_head_t
type Slot[T any] struct {
	mu          sync.RWMutex
	event       T      // guarded by mu, as all down to closed
	there       bool   // event was posted, and nobody has taken it
	gen         uint64 // how many were posted
	overwritten uint64
	closed      bool

	// What waiters look at before they lock, several times a wait: the
	// generation of the event that is there, 0 if none is, final if the slot is
	// closed. Written with mu held.
	news atomic.Uint64

	queue waitqueue.Queue
}

const final = math.MaxUint64 // no slot comes to that by counting

// Post puts v into the slot, in the place of an event that is still there,
// and wakes all callers of Wait and one of Take. It does not block on them. If
// the slot is closed, nothing changes, and the error matches [os.ErrClosed].
//
// Kernel: write_lock, write_unlock, wake_up
func (s *Slot[T]) Post(v T) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	if s.there {
		s.overwritten++
	}
	s.event, s.there = v, true
	s.gen++
	s.news.Store(s.gen)
	s.mu.Unlock()
	s.queue.WakeUp() // after the change, or a waiter could look too early and sleep on
	return nil
}

// Load returns the event in the slot and the slot's generation. If no event is
// there, because none was posted or the last was taken, ok is false and v is
// the zero value. Readers do not block each other; with a poster between two of
// them, the second waits for the poster, and so for the first's copy of T.
//
// Kernel: read_lock, read_unlock
func (s *Slot[T]) Load() (v T, gen uint64, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.event, s.gen, s.there
}

// TryTake takes the event out of the slot, and reports whether there was one.
// Each event goes to one taker at most.
//
// Kernel: write_lock, write_unlock
func (s *Slot[T]) TryTake() (v T, ok bool) {
	v, err := s.take()
	return v, err == nil
}

// take returns errNone if a taker has to sleep.
func (s *Slot[T]) take() (v T, err error) {
	if !s.any() {
		return v, errNone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.there {
		return v, none(s.closed)
	}
	v = s.event
	var zero T // the slot holds nothing back from the garbage collector
	s.event, s.there = zero, false
	if !s.closed { // or the next taker would sleep for ever
		s.news.Store(0)
	}
	return v, nil
}

// any reports whether it is worth while to take: there is an event, or none will
// come.
func (s *Slot[T]) any() bool { return s.news.Load() != 0 }

// none returns the error of a look that finds no event.
func none(closed bool) error {
	if closed {
		return errClosed
	}
	return errNone
}

// Take waits for an event and takes it. A Post wakes the taker that has waited
// longest, but does not keep the event for it: a TryTake or a new Take may be
// quicker, and then the taker goes to the end of the queue. A taker whose ctx
// ends takes no wake-up with it that another could use.
//
// If ctx ends first, the error is that of [waitqueue.ContextErr]; if the slot is
// closed, it matches [os.ErrClosed]. An event that is there beats both.
//
// Kernel: wait_event_interruptible_exclusive
func (s *Slot[T]) Take(ctx context.Context) (T, error) {
	// The condition of the wait only looks. Another may have taken the event by
	// the time of take, and so has used the wake-up; this one starts anew, and
	// looks before it sleeps.
	for {
		v, err := s.take()
		if err != errNone {
			return v, err
		}
		if err := s.queue.WaitExclusive(ctx, s.any); err != nil {
			return v, err
		}
	}
}

// TakeBy is Take for one who sleeps without a context: a kernel thread says
// slot.TakeBy(cur). The error of an interrupted wait is the sleeper's own. If an
// event is there, it allocates nothing.
//
// Kernel: wait_event_interruptible_exclusive
func (s *Slot[T]) TakeBy(by Sleeper) (T, error) {
	for {
		v, err := s.take()
		if err != errNone {
			return v, err
		}
		if err := by.WaitExclusive(&s.queue, s.any); err != nil {
			return v, err
		}
	}
}

// Wait waits until the slot holds an event of a later generation than after,
// and returns it without taking it. With 0 it waits for any event; with the
// generation that Load or Wait returned last, for a newer one. Events that
// were replaced or taken meanwhile are not seen.
//
// If ctx ends first, the error is that of [waitqueue.ContextErr]; if the slot is
// closed, it matches [os.ErrClosed]. An event that is there beats both.
//
// Kernel: wait_event_interruptible
func (s *Slot[T]) Wait(ctx context.Context, after uint64) (T, uint64, error) {
	for {
		v, gen, err := s.newer(after)
		if err != errNone {
			return v, gen, err
		}
		if err := s.queue.Wait(ctx, func() bool { return s.later(after) }); err != nil {
			return v, 0, err
		}
	}
}

// WaitBy is Wait for one who sleeps without a context, as [Slot.TakeBy] is
// Take.
//
// Kernel: wait_event_interruptible
func (s *Slot[T]) WaitBy(by Sleeper, after uint64) (T, uint64, error) {
	for {
		v, gen, err := s.newer(after)
		if err != errNone {
			return v, gen, err
		}
		if err := by.Wait(&s.queue, func() bool { return s.later(after) }); err != nil {
			return v, 0, err
		}
	}
}

// newer returns errNone if a watcher has to sleep.
func (s *Slot[T]) newer(after uint64) (v T, gen uint64, err error) {
	if !s.later(after) {
		return v, 0, errNone
	}
	s.mu.RLock()
	v, gen, there, closed := s.event, s.gen, s.there, s.closed
	s.mu.RUnlock()
	if !there || gen <= after {
		var zero T
		return zero, 0, none(closed)
	}
	return v, gen, nil
}

// later reports whether it is worth while to look for an event later than after.
// In a closed slot it is, whatever after is: the look finds that it is closed.
func (s *Slot[T]) later(after uint64) bool {
	news := s.news.Load()
	return news > after || news == final
}

// Changes returns a sequence of generations and events: the one that is there,
// and then each newer one. While the loop's body runs, events may be replaced or
// taken, which are then not seen; the generations have a gap there. No lock is
// held in the body, which may post, take, or take its time.
//
// The sequence ends when the slot is closed and has nothing newer, and when ctx
// ends. Even then it has what was posted before ctx ended, or what replaced
// that; but it ends after that one, however quickly others post.
func (s *Slot[T]) Changes(ctx context.Context) iter.Seq2[uint64, T] {
	return func(yield func(uint64, T) bool) {
		var after uint64
		for last := false; !last; {
			// Sampled before the look, which so has what was posted until then.
			last = ctx.Err() != nil
			v, gen, err := s.Wait(ctx, after)
			if err != nil || !yield(gen, v) {
				return
			}
			after = gen
		}
	}
}

// Close says that no event will come any more: Post refuses, and whoever would
// have to sleep for an event, or sleeps for one, gets an error that matches
// [os.ErrClosed]. An event that is there stays, and can still be loaded, waited
// for and taken. Closing again does nothing.
func (s *Slot[T]) Close() {
	s.mu.Lock()
	s.closed = true
	s.news.Store(final)
	s.mu.Unlock()
	s.queue.WakeUpAll() // all takers: each of them has to hear it
}

// Overwritten returns how many events were replaced before anybody had taken
// them; to load one, or to wait for it, is not to take it. The slot's generation
// is the sum of this, of the events taken, and of 1 if an event is there.
func (s *Slot[T]) Overwritten() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.overwritten
}

// Queue returns the queue on which the slot's waiters sleep, for those who wait
// by other means: on several slots at once by [waitqueue.WaitAny], or in a loop
// that is written out. Their condition is that Load or TryTake reports true.
//
// Kernel: wait_queue_head_t
func (s *Slot[T]) Queue() *waitqueue.Queue { return &s.queue }
