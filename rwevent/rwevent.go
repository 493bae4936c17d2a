// Package rwevent keeps the latest event, for goroutines that wait for one.
//
// An rwevent is one typed value, a [Slot]. Kernel code has three variables for it: the
// event, the rwlock_t that guards it, and the wait queue, as of Linux 7.3.
//
//	var trouble rwevent.Slot[int]
//
//	trouble.Post(9527)           // the monitor
//	id, err := trouble.Take(ctx) // the handler
//
// # Which tool
//
//   - Use a channel when every event counts, or the poster should be held back.
//   - Use [sync/atomic.Pointer] when no goroutine waits for a change.
//   - Use [sync.Cond] when the waiter waits for something other than a value, and
//     never has to give up.
//   - Use a Slot when only the latest event matters and a goroutine waits for it.
//   - Use a [Table] when only the latest event of each of many things matters.
//
// # Slots and tables
//
// A Slot holds one event. A second Post before a Take replaces the first event:
// the slot has the latest state of affairs, not the history. A Table holds one
// event for each key, such as the data structure that is in trouble. An event of
// one key never replaces an event of another key.
//
// # The guarantees
//
// Events are numbered from 1 in the order of the posts; an event's number is its
// generation.
//
//   - A Post that returned nil has put its event where every look finds it. It has
//     woken all callers of Wait and one caller of Take.
//   - A Take gets an event that no other Take gets or has got.
//   - A Wait gets an event that is there at that moment, of a later generation
//     than the caller asked for, and leaves it there.
//
// Between two looks, events may have come and gone; the generations show how
// many there were. Each posted event was taken once, or was replaced and counted
// by Overwritten, or is still there.
//
// # One order of results
//
// Results stand in the order key, value, generation, and then ok or the error. A call of a
// [Table] returns the first three as one [Event], except [Table.Load], whose caller has the key.
// Each wait that takes or looks has a loop form: Take has Takes, and Wait has Changes. The
// loop form yields the results of its single form, without the error. It tells the error
// afterwards:
//
//	var end error
//	for id := range trouble.Takes(ctx, &end) {
//		...
//	}
//
// # Memory model
//
// In the terms of the Go memory model:
//
//   - The Post of an event is synchronized before the return of each call that
//     returns this event or a later one of the same slot or table. So the caller
//     sees all that the posters of this event and of all earlier events did
//     before their posts.
//   - The taking of an event is synchronized before each Load, TryTake or Post
//     that comes after it in the slot or table. So a Load that finds no event sees
//     all that the taker did before its Take.
//   - Close is synchronized before the return of each call that fails because of
//     it.
//
// # Waiting
//
// Each wait has two forms. One takes a context, which may end it. The other takes a
// [Sleeper], such as a kernel thread, which a signal or a stop interrupts. An event
// that is there beats both, and it beats [Slot.Close] too: the caller gets the
// event, and no error.
//
// A slot and a table never call the user's code with their lock held. The one
// exception is the comparison and hashing of a table's keys, which the language
// does. Slots and tables wait on a queue of package waitqueue, so a panic that a
// copy or a broken context causes may begin with that name.
//
// Slots and tables hand out a copy of the posted value: if T has pointers, do not change
// the values behind them after the Post.
//
// Kernel: a variable, the rwlock_t that guards it, and a wait_queue_head_t
package rwevent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
)

// The life of an event in a slot. A table does the same for each key:
//
//	Slot.Post        stores the event and its generation, then wakes one taker
//	wait             the taker: looks, sleeps on the queue, and looks again
//	Slot.ready       the taker: is there something to look at? It needs no lock
//	Slot.take        the taker: takes the event out of the slot, under the lock
//	Slot.newer       a Wait: reads the event, and leaves it there
//	Slot.Close       no more events: the last one can be taken, then os.ErrClosed

// An Event is the latest value of a key in a [Table], with its generation. Gen is 0 if, and
// only if, there is no event.
type Event[K comparable, T any] struct {
	Key   K      // the thing that the event is about
	Value T      // as it was posted
	Gen   uint64 // the event's number among all posts to the table, from 1
}

// errClosed is for an event that comes too late, or would never come. The text
// of os.ErrClosed is about files.
var errClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string { return "rwevent: closed" }
func (closedError) Unwrap() error { return os.ErrClosed }

// errNone says that nothing is there yet. It never leaves the package, because a
// waiter sleeps on.
var errNone = errors.New("rwevent: no event")

// own puts the name of this package, which the caller called, in the place of the
// name waitqueue at the front of an error. An error of a sleeper that is no Task
// keeps its own text.
func own(err error) error {
	if !strings.HasPrefix(err.Error(), foreign) {
		return err
	}
	return waitError{err}
}

const (
	prefix  = "rwevent: "
	foreign = "waitqueue: "
)

// A waitError matches all that the error in it matches.
type waitError struct{ error }

// The cause of a context may be an error of this package too.
func (e waitError) Error() string {
	text := strings.TrimPrefix(e.error.Error(), foreign)
	return prefix + strings.ReplaceAll(text, prefix, "")
}
func (e waitError) Unwrap() error { return e.error }

// Timeout reports whether a deadline ended the wait, as net.Error has it.
func (e waitError) Timeout() bool { return errors.Is(e.error, syscall.ETIMEDOUT) }

// A Slot holds the latest event of type T. The zero value is an empty slot,
// ready to use. A Slot must not be copied after first use.
//
// An event is in the slot from its Post until it is taken or replaced. The
// generation of the latest one, taken or not, is the slot's generation.
//
// If the queue has a name, ps shows it for a thread that waits for an event. Give it the name
// before the first use: s.WaitQueue().Name = "trouble". See [Slot.WaitQueue].
//
// A Slot is no rwlock_t, but holds a lock inside. An rwlock_t is a lock around any
// code, and a reader that interrupts another may take it again. No code of the caller
// runs under the lock of a Slot.
//
// Kernel: rwlock_t, DEFINE_RWLOCK, with a wait_queue_head_t
//
// Differs: holds the lock, the event and the wait queue; no call gives the lock itself.
type Slot[T any] struct {
	mu          sync.RWMutex
	event       T      // guarded by mu, as all down to closed
	there       bool   // event was posted, and nobody has taken it
	gen         uint64 // how many were posted
	overwritten uint64
	closed      bool

	// Optimization: waiters look at this before they lock, several times a wait.
	// It is the generation of the event that is there, 0 if none is, final if the
	// slot is closed. Written with mu held.
	news atomic.Uint64

	queue waitqueue.Queue
}

const final = math.MaxUint64 // no slot comes to that by counting

// Post puts v into the slot, in the place of an event that is still there,
// and wakes all callers of Wait and one of Take. It does not block on them. If
// the slot is closed, nothing changes, and the error matches [os.ErrClosed].
//
// Kernel: write_lock, write_unlock, wake_up
//
// Differs: write_lock, write_unlock: are around any code, and not only around a store.
func (s *Slot[T]) Post(v T) error {
	s.queue.Active() // A copy panics here, before it has the event.
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
	point.At("posted", nil)
	// After the change. With the other order a waiter could wake, find the old
	// event, and sleep on.
	s.queue.WakeUp()
	return nil
}

// Load returns the event in the slot and the slot's generation. If no event is
// there, because none was posted or the last was taken, ok is false and v is
// the zero value. Readers do not block each other, but a poster that waits for a
// reader holds up the readers that come after it.
//
// Kernel: read_lock, read_unlock
//
// Differs: the lock is held only while the event is copied.
func (s *Slot[T]) Load() (v T, gen uint64, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.event, s.gen, s.there
}

// TryTake takes the event out of the slot, and reports whether there was one.
// Each event goes to one taker at most.
//
// Kernel: write_lock, write_unlock
//
// Differs: the lock is held only while the event is taken.
func (s *Slot[T]) TryTake() (v T, ok bool) {
	v, _, err := s.take()
	return v, err == nil
}

// take returns errNone if a taker has to sleep.
func (s *Slot[T]) take() (v T, gen uint64, err error) {
	point.At("take", nil)
	if !s.ready(0) {
		return v, 0, errNone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.there {
		return v, 0, none(s.closed)
	}
	v, gen = s.event, s.gen
	var zero T // the slot holds nothing back from the garbage collector
	s.event, s.there = zero, false
	if !s.closed { // or the next taker would sleep for ever
		s.news.Store(0)
	}
	return v, gen, nil
}

// ready is true for each after if the slot is closed, because a look finds that out.
func (s *Slot[T]) ready(after uint64) bool {
	news := s.news.Load()
	return news > after || news == final
}

// count is 1 for an empty slot too: a look finds that out.
func (s *Slot[T]) count(uint64) int { return 1 }

// none returns the error of a look that finds no event.
func none(closed bool) error {
	if closed {
		return errClosed
	}
	return errNone
}

// Take waits for an event and takes it. A Post wakes the taker that has waited
// longest, but does not keep the event for it. A TryTake or a new Take may be
// quicker, and then the taker goes to the end of the queue. If ctx ends the wait of
// a taker that was woken, another taker gets the wake-up.
//
// If ctx ends first, the error matches the same errors as [waitqueue.ContextErr].
// If the slot is closed, it matches [os.ErrClosed]. An event that is there beats
// both.
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too.
func (s *Slot[T]) Take(ctx context.Context) (T, error) {
	v, _, err := wait(s, ctx, nil, true, 0)
	return v, err
}

// TakeBy is Take for a sleeper without a context: a kernel thread says
// slot.TakeBy(cur). The error of an interrupted wait is the sleeper's own, or
// matches it. If an event is there, it allocates nothing.
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too.
func (s *Slot[T]) TakeBy(by Sleeper) (T, error) {
	v, _, err := wait(s, nil, by, true, 0)
	return v, err
}

// Wait waits until the slot holds an event of a later generation than after,
// and returns it without taking it. With 0 it waits for any event; with the
// generation that Load or Wait returned last, for a newer one. Events that
// were replaced or taken meanwhile are not seen.
//
// If ctx ends first, the error matches the same errors as [waitqueue.ContextErr].
// If the slot is closed, it matches [os.ErrClosed]. An event that is there beats
// both.
//
// Kernel: wait_event_interruptible
//
// Differs: for a newer event than a given one.
func (s *Slot[T]) Wait(ctx context.Context, after uint64) (T, uint64, error) {
	return wait(s, ctx, nil, false, after)
}

// WaitBy is Wait for a sleeper without a context, as [Slot.TakeBy] is Take.
//
// Kernel: wait_event_interruptible
//
// Differs: for a newer event than a given one.
func (s *Slot[T]) WaitBy(by Sleeper, after uint64) (T, uint64, error) {
	return wait(s, nil, by, false, after)
}

// newer returns errNone if a watcher has to sleep.
func (s *Slot[T]) newer(after uint64) (v T, gen uint64, err error) {
	point.At("look", nil)
	if !s.ready(after) {
		return v, 0, errNone
	}
	s.mu.RLock()
	if s.there && s.gen > after {
		v, gen = s.event, s.gen
	} else {
		err = none(s.closed)
	}
	s.mu.RUnlock()
	return v, gen, err
}

// Takes returns a sequence of the events that Take returns, one after the other. An
// event that the body has got is taken, however the body ends. No lock is held in the
// body, which may post, take, or run for long.
//
// Each pass over the sequence stores in the variables of end why it has ended: the error
// that Take would have returned, or nil if the body has ended it. Until then they are nil. If
// ctx has ended, and the slot is closed and empty too, the error matches [os.ErrClosed]. Nil
// pointers are passed over. Goroutines may range over one sequence at the same time if it has
// no variable: they share the events.
//
//	var end error
//	for v := range slot.Takes(ctx, &end) {
//		...
//	}
//
// The sequence ends when the slot is closed and empty, and when ctx ends. An event that is there
// beats the end of ctx. When the loop notices this end, it takes one more event at most,
// however quickly others post. If ctx carries a task, an Interrupt of that task ends the loop
// only when no event is there: see [waitqueue.TaskOf].
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too, again and again.
func (s *Slot[T]) Takes(ctx context.Context, end ...*error) iter.Seq[T] {
	return values(each(s, ctx, nil, true, end))
}

// TakesBy is Takes for a sleeper without a context, as [Slot.TakeBy] is Take. An interruption
// ends it as the end of ctx ends Takes. If the body ends the interruption, the loop goes on.
//
// A kernel thread that wants to deal with a signal looks at end, flushes the signal,
// and ranges again. A request to park is no interruption. If others park the thread, it
// waits on [Slot.WaitQueue] instead. The condition of this wait calls TryTake and then
// ShouldPark, and is true if one of them reports true.
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too, again and again.
func (s *Slot[T]) TakesBy(by Sleeper, end ...*error) iter.Seq[T] {
	return values(each(s, nil, by, true, end))
}

// Changes returns a sequence of events and their generations: the one that is there,
// and then each newer one. An event that is replaced or taken while the
// loop's body runs is not seen. The generations have a gap there. No lock is
// held in the body, which may post, take, or run for long. Each pass begins with the event
// that is there.
//
// It ends as [Slot.Takes] does, and end gets the reason in the same way. The loop still
// gets the event that was posted before ctx ended, or the event that replaced it. It
// ends after that one, however quickly others post.
//
// Kernel: wait_event_interruptible
//
// Differs: for one newer event after the other.
func (s *Slot[T]) Changes(ctx context.Context, end ...*error) iter.Seq2[T, uint64] {
	return each(s, ctx, nil, false, end)
}

// ChangesBy is Changes for a sleeper without a context, as [Slot.TakesBy] is Takes.
//
// Kernel: wait_event_interruptible
//
// Differs: for one newer event after the other.
func (s *Slot[T]) ChangesBy(by Sleeper, end ...*error) iter.Seq2[T, uint64] {
	return each(s, nil, by, false, end)
}

// Close says that no event will come any more. Post refuses, and a caller that
// would have to sleep for an event, or sleeps for one, gets an error that matches
// [os.ErrClosed]. An event that is there stays, and can still be loaded, waited
// for and taken. Closing again does nothing.
func (s *Slot[T]) Close() {
	s.queue.Active() // A copy panics here, as in Post.
	s.mu.Lock()
	s.closed = true
	s.news.Store(final)
	s.mu.Unlock()
	point.At("closed", nil)
	s.queue.WakeUpAll() // all takers, because each of them has to hear it
}

// Overwritten returns how many events were replaced before a taker had them. Load and
// Wait take no event. The slot's generation is the sum of this count, of the events
// taken, and of 1 if an event is there.
func (s *Slot[T]) Overwritten() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.overwritten
}

// String returns the generation of s and its state, as in "Slot(3 event)". The
// state is "event" or "no event", with "closed" behind it in a closed slot. The
// event itself is not shown. Any goroutine may call it.
func (s *Slot[T]) String() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	state := "no event"
	if s.there {
		state = "event"
	}
	return fmt.Sprintf("Slot(%d %s%s)", s.gen, state, closedWord(s.closed))
}

func closedWord(closed bool) string {
	if closed {
		return " closed"
	}
	return ""
}

// WaitQueue returns the queue on which the slot's waiters sleep, for a wait by other
// means: on several slots at once by [waitqueue.WaitAny], or in a loop that is
// written out. Its condition is that Load or TryTake reports true.
//
// The queue's Name is the wait channel of the waiters. Set it before the first use of the
// slot. Then kthread.Tasks, which is ps here, shows it for each thread that waits, as in
//
//	PID S ELAPSED WAKE-UPS WCHAN           COMMAND
//	  1 S      0s        1 trouble         [handler]
//
// Kernel: wait_queue_head_t
func (s *Slot[T]) WaitQueue() *waitqueue.Queue { return &s.queue }
