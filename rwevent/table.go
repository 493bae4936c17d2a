package rwevent

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"sync"

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
// There are two orders. Takers get the keys in the order of their first post
// since they were last taken. A later event of a key takes over its turn, so a
// key with many posts is neither preferred nor put off. Watchers get the
// events in the order of their generations, which puts a replaced event's
// successor at the end.
//
// A post and a take cost the same however many keys there are, on average over
// many of them. A wait costs the logarithm of their number, and a step for each
// event that has come since the caller's last look and was replaced or taken.
// There are never more than two such events for each event that is there.
//
// A table holds no event that was taken or replaced. It may hold the key of such
// an event while older events are there, in the same numbers.
type Table[K comparable, T any] struct {
	mu          sync.RWMutex
	events      map[K]event[T] // guarded by mu, as all down to closed
	turns       line[K]        // the keys of events, in order of first post
	posts       line[post[K]]  // in order; the stale ones between them have no event
	gen         uint64         // how many were posted
	overwritten uint64
	closed      bool

	queue waitqueue.Queue
}

// An event is the latest value of a key, with its generation.
type event[T any] struct {
	value T
	gen   uint64
}

// A post says that the event of a generation is, or was, under a key.
type post[K comparable] struct {
	key K
	gen uint64
}

// Post puts v into the table under k, in the place of an event of k that is
// still there, and wakes all callers of Wait and one of Take. It does not block
// on them. If the table is closed, nothing changes, and the error matches
// [os.ErrClosed].
//
// Post panics if k is not equal to itself, as NaN is not: nobody would find it
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
	if same := k; same != k {
		panic("rwevent: Post of a key that is not equal to itself")
	}
	t.mu.Lock()
	defer t.mu.Unlock() // also when k cannot be hashed, which panics
	if t.closed {
		return errClosed
	}
	if _, there := t.events[k]; there {
		t.overwritten++ // and k keeps its turn
	} else {
		t.turns.push(k)
	}
	if t.events == nil {
		t.events = make(map[K]event[T])
	}
	t.gen++
	t.events[k] = event[T]{v, t.gen}
	t.posts.push(post[K]{k, t.gen})
	t.tidy()
	return nil
}

// tidy drops stale posts. At the front it does so at once, so that the oldest
// event is found without a search. Elsewhere it waits until there are more stale
// posts than others: the posts and takes that made them stale then pay for going
// through all. The caller holds mu.
func (t *Table[K, T]) tidy() {
	for t.posts.len() > 0 && t.stale(t.posts.rest()[0]) {
		t.posts.pop()
	}
	if t.posts.len() > 2*len(t.events) {
		t.posts.delete(t.stale)
	}
}

// stale reports whether the event of p was taken or replaced.
func (t *Table[K, T]) stale(p post[K]) bool { return t.events[p.key].gen != p.gen }

// Load returns the event of k and its generation. If k has none, ok is false and
// the rest is zero. Readers do not block each other.
//
// Kernel: read_lock, read_unlock
//
// Differs: as Slot.Load.
func (t *Table[K, T]) Load(k K) (v T, gen uint64, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e, ok := t.events[k]
	return e.value, e.gen, ok
}

// Len returns how many keys have an event.
func (t *Table[K, T]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.turns.len()
}

// TryTake takes the event whose turn it is out of the table, and reports whether
// there was one. Each event goes to one taker at most.
//
// Kernel: write_lock, write_unlock
//
// Differs: as Slot.TryTake.
func (t *Table[K, T]) TryTake() (k K, v T, ok bool) {
	k, v, err := t.take()
	return k, v, err == nil
}

// take returns errNone if a taker has to sleep.
func (t *Table[K, T]) take() (k K, v T, err error) {
	point.At("take", nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turns.len() == 0 {
		return k, v, none(t.closed)
	}
	k = t.turns.pop()
	v = t.events[k].value
	delete(t.events, k)
	t.tidy()
	return k, v, nil
}

// any reports whether to call take.
func (t *Table[K, T]) any() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.closed || t.turns.len() > 0
}

// Take waits for an event and takes the one whose turn it is. Wake-ups, and the
// error, are as in [Slot.Take].
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too.
func (t *Table[K, T]) Take(ctx context.Context) (K, T, error) {
	for {
		k, v, err := t.take()
		if err != errNone {
			return k, v, err
		}
		if err := t.queue.WaitExclusive(ctx, t.any); err != nil {
			return k, v, own(err)
		}
	}
}

// TakeBy is Take for a sleeper without a context, as [Slot.TakeBy] is.
//
// Kernel: wait_event_interruptible_exclusive
//
// Differs: takes the event too.
func (t *Table[K, T]) TakeBy(by Sleeper) (K, T, error) {
	for {
		k, v, err := t.take()
		if err != errNone {
			return k, v, err
		}
		if err := by.WaitExclusive(&t.queue, t.any); err != nil {
			return k, v, own(err)
		}
	}
}

// Wait waits until the table holds an event of a later generation than after,
// and returns the oldest such without taking it. To see one event after the
// other, give it the generation that it returned last. The error is as in
// [Slot.Wait].
//
// Kernel: wait_event_interruptible
//
// Differs: for a newer event than a given one.
func (t *Table[K, T]) Wait(ctx context.Context, after uint64) (K, T, uint64, error) {
	for {
		k, v, gen, err := t.newer(after)
		if err != errNone {
			return k, v, gen, err
		}
		if err := t.queue.Wait(ctx, func() bool { return t.later(after) }); err != nil {
			return k, v, 0, own(err)
		}
	}
}

// WaitBy is Wait for a sleeper without a context, as [Slot.WaitBy] is.
//
// Kernel: wait_event_interruptible
//
// Differs: for a newer event than a given one.
func (t *Table[K, T]) WaitBy(by Sleeper, after uint64) (K, T, uint64, error) {
	for {
		k, v, gen, err := t.newer(after)
		if err != errNone {
			return k, v, gen, err
		}
		if err := by.Wait(&t.queue, func() bool { return t.later(after) }); err != nil {
			return k, v, 0, own(err)
		}
	}
}

// newer returns errNone if a watcher has to sleep. It passes over the posts of
// events that were replaced. The later event has a post of its own, behind them.
func (t *Table[K, T]) newer(after uint64) (k K, v T, gen uint64, err error) {
	point.At("look", nil)
	t.mu.RLock()
	defer t.mu.RUnlock()
	posts := t.posts.rest()
	first := sort.Search(len(posts), func(i int) bool { return posts[i].gen > after })
	for _, p := range posts[first:] {
		if !t.stale(p) {
			return p.key, t.events[p.key].value, p.gen, nil
		}
	}
	return k, v, 0, none(t.closed)
}

func (t *Table[K, T]) later(after uint64) bool {
	_, _, _, err := t.newer(after)
	return err != errNone
}

// Changes returns a sequence of keys and events, none of which is taken by that:
// those that are there, and then each newer one, in the order of the
// generations. It never has an event that was taken or replaced by then. No lock
// is held in the loop's body, which may post, take, or take its time.
//
// The sequence ends when the table is closed and has nothing newer, and when ctx
// ends. Even then it has the events that were posted before ctx ended and are
// still there. It ends after those, however quickly others post.
func (t *Table[K, T]) Changes(ctx context.Context) iter.Seq2[K, T] {
	return func(yield func(K, T) bool) {
		var after uint64
		last := uint64(math.MaxUint64) // no generation comes to that
		for {
			if last == math.MaxUint64 && ctx.Err() != nil {
				last = t.generation()
			}
			k, v, gen, err := t.Wait(ctx, after)
			if err != nil || gen > last || !yield(k, v) {
				return
			}
			after = gen
		}
	}
}

func (t *Table[K, T]) generation() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.gen
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

// Overwritten returns how many events were replaced before anybody had taken
// them; to look at one is not to take it. The number of events posted is the sum
// of this, of the events taken, and of Len.
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
	return fmt.Sprintf("Table(%d %d events%s)", t.gen, t.turns.len(), closedWord(t.closed))
}

// WaitQueue returns the queue on which the table's waiters sleep, for a wait by other
// means, as [Slot.WaitQueue] does.
//
// Kernel: wait_queue_head_t
func (t *Table[K, T]) WaitQueue() *waitqueue.Queue { return &t.queue }

// A line is a queue in a slice.
type line[E any] struct {
	all  []E
	gone int // so many of the first have left
}

func (l *line[E]) rest() []E { return l.all[l.gone:] }
func (l *line[E]) len() int  { return len(l.all) - l.gone }

// push appends e. If more have left than are there, it moves the rest to the
// front first. The pops before have paid for that.
func (l *line[E]) push(e E) {
	if l.gone > l.len() {
		l.all, l.gone = slices.Delete(l.all, 0, l.gone), 0
	}
	l.all = append(l.all, e)
}

// pop removes the first of the rest, and returns it.
func (l *line[E]) pop() (e E) {
	first := &l.all[l.gone]
	e, *first = *first, e // the place holds nothing back from the garbage collector
	l.gone++
	return e
}

// delete removes the elements for which gone is true.
func (l *line[E]) delete(gone func(E) bool) {
	l.all = l.all[:l.gone+len(slices.DeleteFunc(l.rest(), gone))]
}
