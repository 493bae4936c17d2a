package rwevent

import (
	"context"
	"fmt"
	"iter"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
)

// A Table holds the latest event of each key. The zero value is an empty table,
// ready to use. A Table must not be copied after first use.
//
// An event is in the table from its Post until it is taken, or replaced by a
// later one of the same key. Generations number all posts to the table, and each
// event has the number of its own Post.
//
// There are two orders. Takers get the keys in the order of their first post since
// they were last taken. A later event of a key takes over its turn, so a key with
// many posts is neither preferred nor put off. Watchers get the events in the order
// of their generations, so an event that replaces another one comes at the end.
//
// A post and a take cost the same however many keys there are, on average over many of
// them. A wait costs the logarithm of the number of keys. It also costs a step for each
// event that was replaced or taken since the caller's last look. There are never more
// such events than the table holds now.
//
// A table holds no event that was taken or replaced, and no key without an event. It keeps
// the room for as many events as were there at once.
//
// ps shows the name of the table's queue for a thread that waits. Give the queue its
// name before the first use: t.WaitQueue().Name = "trouble". See [Slot.WaitQueue].
type Table[K comparable, T any] struct {
	mu          rwlock
	events      events[K, T] // guarded by mu, as all down to closed
	gen         uint64       // how many were posted
	overwritten uint64
	closed      bool

	queue waitqueue.Queue
}

// Post puts v into the table under k, in the place of an event of k that is
// still there, and wakes all callers of Wait and one of Take. It does not block
// on them. If the table is closed, nothing changes, and the error matches
// [os.ErrClosed].
//
// Post panics if k is not equal to itself, as NaN is not: no call would find it
// again.
//
// Kernel: write_lock, write_unlock, wake_up
//
// Differs: write_lock, write_unlock: as in Slot.Post.
func (t *Table[K, T]) Post(k K, v T) error {
	t.queue.Active() // A copy panics here, before it has the event.
	if err := t.put(k, v); err != nil {
		return err
	}
	point.At("posted", nil)
	t.queue.WakeUp()
	return nil
}

func (t *Table[K, T]) put(k K, v T) error {
	// The comparison panics if k cannot be hashed. So nothing panics with the lock held.
	if same := k; same != k {
		panic("rwevent: Post of a key that is not equal to itself")
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return errClosed
	}
	t.gen++
	if t.events.put(k, v, t.gen) {
		t.overwritten++
	}
	t.mu.Unlock()
	return nil
}

// Load returns the event of k and its generation. If k has none, ok is false and
// the rest is zero. Readers do not block each other.
//
// Kernel: read_lock, read_unlock
//
// Differs: as Slot.Load.
func (t *Table[K, T]) Load(k K) (v T, gen uint64, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock() // also if k cannot be hashed, which panics
	if i, there := t.events.index[k]; there {
		e := &t.events.nodes[i]
		return e.Value, e.Gen, true
	}
	return v, 0, false
}

// Len returns how many keys have an event.
func (t *Table[K, T]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.events.len()
}

// TryTake takes the event whose turn it is out of the table, and reports whether
// there was one. Each event goes to one taker at most.
//
// Kernel: write_lock, write_unlock
//
// Differs: as Slot.TryTake.
func (t *Table[K, T]) TryTake() (event Event[K, T], ok bool) {
	event, _, err := t.take()
	return event, err == nil
}

// TryTakeKey takes the event of k out of the table, out of its turn, and reports whether
// there was one. Each event goes to one taker at most.
//
// Kernel: write_lock, write_unlock
//
// Differs: as Slot.TryTake.
func (t *Table[K, T]) TryTakeKey(k K) (event Event[K, T], ok bool) {
	point.At("take", nil)
	t.mu.Lock()
	defer t.mu.Unlock() // also if k cannot be hashed, which panics
	i, there := t.events.index[k]
	if !there {
		return event, false
	}
	return t.events.remove(i), true
}

// take returns errNone if a taker has to sleep.
func (t *Table[K, T]) take() (event Event[K, T], gen uint64, err error) {
	point.At("take", nil)
	t.mu.Lock()
	if t.events.len() == 0 {
		err = none(t.closed)
	} else {
		event = t.events.remove(t.events.first())
	}
	t.mu.Unlock()
	return event, event.Gen, err
}

// Take waits for an event and takes the one whose turn it is. Wake-ups, and the
// error, are as in [Slot.Take].
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too.
func (t *Table[K, T]) Take(ctx context.Context) (Event[K, T], error) {
	event, _, err := wait(t, ctx, nil, true, 0)
	return event, err
}

// TakeBy is Take for a sleeper without a context, as [Slot.TakeBy] is.
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too.
func (t *Table[K, T]) TakeBy(by Sleeper) (Event[K, T], error) {
	event, _, err := wait(t, nil, by, true, 0)
	return event, err
}

// Wait waits until the table holds an event of a later generation than after, and
// returns the oldest of these without taking it. To see one event after the other,
// give it the generation that it returned last. The error is as in [Slot.Wait].
//
// Kernel: wait_event_interruptible
//
// Differs: for a newer event than a given one.
func (t *Table[K, T]) Wait(ctx context.Context, after uint64) (Event[K, T], error) {
	event, _, err := wait(t, ctx, nil, false, after)
	return event, err
}

// WaitBy is Wait for a sleeper without a context, as [Slot.WaitBy] is.
//
// Kernel: wait_event_interruptible
//
// Differs: for a newer event than a given one.
func (t *Table[K, T]) WaitBy(by Sleeper, after uint64) (Event[K, T], error) {
	event, _, err := wait(t, nil, by, false, after)
	return event, err
}

// newer returns errNone if a watcher has to sleep.
func (t *Table[K, T]) newer(after uint64) (event Event[K, T], gen uint64, err error) {
	point.At("look", nil)
	t.mu.RLock()
	if i := t.events.oldest(after); i != 0 {
		event = t.events.nodes[i].Event
	} else {
		err = none(t.closed)
	}
	t.mu.RUnlock()
	return event, event.Gen, err
}

func (t *Table[K, T]) ready(after uint64) bool {
	point.At("look", nil)
	t.mu.RLock()
	ready := t.closed || t.events.oldest(after) != 0
	t.mu.RUnlock()
	return ready
}

// count takes no longer than the rest of the loop will take.
func (t *Table[K, T]) count(after uint64) (n int) {
	t.mu.RLock()
	for _, p := range t.events.newer(after) {
		if !t.events.stale(p) {
			n++
		}
	}
	t.mu.RUnlock()
	return n
}

// Takes returns a sequence of the events that Take returns, one after the other. An
// event that the body has got is taken, however the body ends. No lock is held in the
// body, which may post, take, or run for long.
//
// It ends as [Slot.Takes] does, and end gets the reason in the same way. When the loop
// notices the end of ctx, it counts the events that are there. It takes at most as many
// more, however quickly others post.
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too, again and again.
func (t *Table[K, T]) Takes(ctx context.Context, end ...*error) iter.Seq[Event[K, T]] {
	return values(each(t, ctx, nil, true, end))
}

// TakesBy is Takes for a sleeper without a context, as [Slot.TakesBy] is.
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too, again and again.
func (t *Table[K, T]) TakesBy(by Sleeper, end ...*error) iter.Seq[Event[K, T]] {
	return values(each(t, nil, by, true, end))
}

// Changes returns a sequence of events, and takes none of them: first the events that
// are there, and then each newer one, in the order of the generations. The loop never
// gets an event that was taken or replaced before its turn. No lock is held in the
// loop's body, which may post, take, or run for long. Each pass begins with the oldest
// event.
//
// It ends as [Slot.Takes] does, and end gets the reason in the same way. The loop still
// gets the events that were posted before ctx ended and are still there. When the loop
// notices the end of ctx, it counts the events that it could have at this moment. It
// yields at most as many more, however quickly others post.
//
// Kernel: wait_event_interruptible
//
// Differs: for one newer event after the other.
func (t *Table[K, T]) Changes(ctx context.Context, end ...*error) iter.Seq[Event[K, T]] {
	return values(each(t, ctx, nil, false, end))
}

// ChangesBy is Changes for a sleeper without a context, as [Slot.TakesBy] is Takes.
//
// Kernel: wait_event_interruptible
//
// Differs: for one newer event after the other.
func (t *Table[K, T]) ChangesBy(by Sleeper, end ...*error) iter.Seq[Event[K, T]] {
	return values(each(t, nil, by, false, end))
}

// Close says that no event will come any more, as [Slot.Close] does. The events
// in the table can still be taken.
func (t *Table[K, T]) Close() {
	t.queue.Active() // A copy panics here, as in Post.
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	point.At("closed", nil)
	t.queue.WakeUpAll()
}

// Overwritten returns how many events were replaced before a taker had them. A look
// takes no event. The number of posted events is the sum of this count, of the
// events taken, and of Len.
func (t *Table[K, T]) Overwritten() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.overwritten
}

// String returns the generation of t and the number of its events, as in
// "Table(9 5 events)", with "closed" behind it for a closed table. The events are
// not shown. Any goroutine may call it.
func (t *Table[K, T]) String() string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return fmt.Sprintf("Table(%d %d events%s)", t.gen, t.events.len(), closedWord(t.closed))
}

// WaitQueue returns the queue on which the table's waiters sleep, for a wait by other
// means, as [Slot.WaitQueue] does.
//
// Kernel: wait_queue_head_t
func (t *Table[K, T]) WaitQueue() *waitqueue.Queue { return &t.queue }
