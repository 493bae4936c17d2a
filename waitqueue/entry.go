package waitqueue

import (
	"fmt"
	"syscall"
)

// An Entry puts a task on a queue, for a wait loop that is written out. Set
// Task, or Func, or both, and leave the rest zero. While it is on a queue an
// Entry must not be copied or put on another one. It belongs to the goroutine
// that put it there.
//
// Kernel: struct wait_queue_entry, DECLARE_WAITQUEUE, init_waitqueue_entry, init_waitqueue_func_entry
type Entry struct {
	_ noCopy

	Task *Task // whom to wake

	// Func, if not nil, is called by a wake-up instead of waking Task. It may
	// do that itself, by [Task.WakeUp] with mask. A result above 0 says that
	// it has woken somebody, which uses up the budget of an exclusive entry; 0
	// that it has not; below 0 that the walk must end here. It runs with the
	// queue locked: it must not block, panic, use the queue, or take a lock
	// that is held where the queue is used. key is what [Queue.Wake] was given;
	// it is nil for the other wake-ups, some of which waiters make themselves.
	//
	// Kernel: wait_queue_func_t
	Func func(e *Entry, mask State, key any) int

	queue      *Queue // where it is, or nil; guarded by queue.mu, as are the links
	prev, next *Entry

	// Of a wait; written before it is linked, as are the next three.
	kick  kick // in the place of Task
	state State

	exclusive bool
	priority  bool
	kind      kind
	off       bool // of the waiter only: a kick has come, or it has left by itself
}

// noCopy has vet report copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// A kind says what a wake-up does with an entry, besides waking its task.
type kind uint8

const (
	waiting  kind = iota // of a Wait: takes it off, and tells the task so
	prepared             // takes it off
	added                // leaves it there
)

// Add puts e in front of the other ordinary entries: the last ordinary waiter
// to come is the first to be woken. It stays there, whoever is woken, until
// [Queue.Remove]. Adding an entry puts nobody to sleep, and a wake-up skips it
// until its task announces a sleep by [Task.SetState].
//
// Add, and what is like it, panics if e has neither Task nor Func, or is on a
// queue already.
//
// Kernel: add_wait_queue
func (q *Queue) Add(e *Entry) {
	q.mustAdd(e, false, false)
}

// AddExclusive puts e at the tail of the queue, as one that uses up a wake-up.
//
// Kernel: add_wait_queue_exclusive
func (q *Queue) AddExclusive(e *Entry) {
	q.mustAdd(e, true, false)
}

// AddPriority puts e in front of all but the priority entries that are there.
// It is not exclusive.
//
// Kernel: add_wait_queue_priority
func (q *Queue) AddPriority(e *Entry) {
	q.mustAdd(e, false, true)
}

// AddPriorityExclusive puts e at the head of the queue, as one that uses up a
// wake-up: what it takes, nobody behind it gets. If a priority entry is there
// already, e is not added, and the error matches [syscall.EBUSY].
//
// Kernel: add_wait_queue_priority_exclusive
func (q *Queue) AddPriorityExclusive(e *Entry) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.fresh(true, true, added)
	if q.head != nil && q.head.priority {
		return errBusy
	}
	q.link(e)
	if e.Task != nil {
		e.Task.showWchan(q)
	}
	return nil
}

var errBusy = fmt.Errorf("waitqueue: a priority entry is on the queue already: %w", syscall.EBUSY)

// Prepare puts e on the queue if it is not there, as an ordinary entry, and
// announces the sleep of its Task: a loop that begins with it may test its
// condition next and then call [Task.Schedule]. A wake-up takes e off the queue
// again. Every way out of the loop must call [Queue.Finish]. An entry that was
// put on the queue by Add stays what it is.
//
// Kernel: prepare_to_wait, DEFINE_WAIT, autoremove_wake_function
func (q *Queue) Prepare(e *Entry, s State) { q.prepareAs(e, s, false) }

// PrepareExclusive is Prepare with an exclusive entry. A wake-up that picks it
// between the test and Finish is lost if the test has taken something else, as
// in the kernel; [Queue.WaitExclusive] passes it on.
//
// Kernel: prepare_to_wait_exclusive
func (q *Queue) PrepareExclusive(e *Entry, s State) { q.prepareAs(e, s, true) }

// Finish ends a loop of Prepare: the task runs, and e is off the queue.
//
// Kernel: finish_wait
func (q *Queue) Finish(e *Entry) {
	e.Task.SetState(Running)
	q.Remove(e)
}

// Remove takes e off the queue. If e is not on q, it does nothing. The state of
// the task is left as it is.
//
// Kernel: remove_wait_queue
//
// Differs: there the entry must be queued.
func (q *Queue) Remove(e *Entry) {
	q.remove(e)
	if e.Task != nil {
		e.Task.clearWchan(q)
	}
}

// remove is Remove, and reports whether e was there.
func (q *Queue) remove(e *Entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue != q {
		return false
	}
	q.unlink(e)
	return true
}

// fresh sets what kind of entry e is, or panics if it is in use. The caller
// holds the lock of the queue that e goes to.
func (e *Entry) fresh(exclusive, priority bool, k kind) {
	if e.Task == nil && e.Func == nil {
		panic("waitqueue: Entry without a Task and a Func")
	}
	if e.queue != nil {
		panic("waitqueue: Entry is on a queue already")
	}
	e.exclusive, e.priority, e.kind = exclusive, priority, k
}

func (q *Queue) mustAdd(e *Entry, exclusive, priority bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.fresh(exclusive, priority, added)
	q.link(e)
	if e.Task != nil {
		e.Task.showWchan(q)
	}
}

// add puts e on the queue if it is not there.
func (q *Queue) add(e *Entry) {
	q.mu.Lock()
	if e.queue == nil {
		q.link(e)
	}
	q.mu.Unlock()
}

func (q *Queue) prepareAs(e *Entry, s State, exclusive bool) {
	if e.Task == nil {
		panic("waitqueue: Prepare of an Entry without a Task")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue != q {
		e.fresh(exclusive, false, prepared)
		q.link(e)
	}
	e.Task.showWchan(q)
	e.Task.SetState(s)
}

// link puts an exclusive entry at the tail and others at the head, behind the
// priority entries, so that a walk meets every ordinary waiter before the first
// exclusive one. The caller holds q.mu.
func (q *Queue) link(e *Entry) {
	if q.head == nil { // the usual case, in a few steps
		q.head, q.tail, e.queue = e, e, q
		if !q.occupied.Load() {
			q.occupied.Store(true)
		}
		return
	}
	if e.exclusive && !e.priority {
		q.linkBehind(q.tail, e)
	} else {
		q.linkBehind(q.lastPriority(), e)
	}
}

// linkBehind puts e behind before, or at the head if that is nil. The caller
// holds q.mu.
func (q *Queue) linkBehind(before, e *Entry) {
	after := q.head
	if before == nil {
		q.head = e
	} else {
		after = before.next
		before.next = e
	}
	if after == nil {
		q.tail = e
	} else {
		after.prev = e
	}
	e.queue, e.prev, e.next = q, before, after
	if !q.occupied.Load() {
		q.occupied.Store(true)
	}
}

// lastPriority returns the last of the priority entries at the head, or nil.
func (q *Queue) lastPriority() (last *Entry) {
	for e := q.head; e != nil && e.priority; e = e.next {
		last = e
	}
	return last
}

// unlink takes e off the queue. The caller holds q.mu.
func (q *Queue) unlink(e *Entry) {
	if e.prev == nil {
		q.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		q.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.queue, e.prev, e.next = nil, nil, nil
}
