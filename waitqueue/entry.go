package waitqueue

import (
	"sync/atomic"
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

	Task *Task // the task to wake

	// Func, if not nil, is called by a wake-up instead of waking Task. It may
	// wake the task itself, by [Task.WakeUp] with mask. Its result means:
	//
	//   - above 0: it has woken a waiter, which uses up the budget of an exclusive entry
	//   - 0: it has woken no waiter
	//   - below 0: the walk ends here
	//
	// It runs with the queue locked: it must not block, panic, use the queue, or take
	// a lock that is held where the queue is used. It may use another queue, with
	// entries that are not on this one. key comes from [Queue.WakeMask]. It is nil for
	// the other wake-ups, some of which waiters make themselves.
	//
	// Kernel: wait_queue_func_t
	//
	// Differs: there a function may take its entry off, here only the entry of a Prepare leaves.
	Func func(e *Entry, mask State, key any) int

	queue      *Queue // where it is, or nil; guarded by queue.mu, as are the links
	prev, next *Entry

	// The next four are written before the entry is linked; exclusive also later,
	// by Prepare, with queue.mu held.
	kick  kick // in the place of Task
	state State

	exclusive bool
	priority  bool
	kind      kind

	// Of the waiter only: the entry is not on the queue, and the waiter has acted on
	// the wake-up that took it off, if any.
	off bool

	// home is the queue to which Add or Prepare took the entry, until Remove or a
	// wake-up takes it off. Only its lock guards the field queue of such an entry:
	// a caller that holds another queue's lock must not read that. The entry of a
	// Wait has no home, because it is only ever on one queue.
	home atomic.Pointer[Queue]
}

// noCopy has vet report copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// A kind says whether a wake-up takes an entry off, besides waking its task.
type kind uint8

const (
	waiting  kind = iota // of a Wait: takes it off, and tells the task so
	prepared             // takes it off
	added                // leaves it there
)

// Add puts e in front of the other ordinary entries: the last ordinary waiter
// to come is the first to be woken. The entry stays there until [Queue.Remove], also
// after a wake-up. Add puts no task to sleep. A wake-up skips the entry until its task
// announces a sleep by [Task.SetState].
//
// Add, and the other methods that put an entry on a queue, panic if e has neither
// Task nor Func, or is on a queue already.
//
// Kernel: add_wait_queue
//
// Differs: an entry that was a priority entry before is ordinary here, and keeps its priority there.
func (q *Queue) Add(e *Entry) {
	q.mustAdd(e, false, false)
}

// AddExclusive puts e at the tail of the queue, as an entry that uses up a wake-up.
//
// Kernel: add_wait_queue_exclusive
func (q *Queue) AddExclusive(e *Entry) {
	q.mustAdd(e, true, false)
}

// AddPriority puts e in front of all but the priority entries that are there.
// It is not exclusive, as in the kernel since Linux 6.17.
//
// Kernel: add_wait_queue_priority
func (q *Queue) AddPriority(e *Entry) {
	q.mustAdd(e, false, true)
}

// AddPriorityExclusive puts e at the head of the queue, as an entry that uses up a
// wake-up: that wake-up reaches no entry behind it. If a priority entry is there
// already, e is not added, and the error matches [syscall.EBUSY].
// The kernel has it since Linux 6.17.
//
// Kernel: add_wait_queue_priority_exclusive
func (q *Queue) AddPriorityExclusive(e *Entry) error {
	q.lockFor(e)
	defer q.mu.Unlock()
	e.fresh(true, true, added)
	if q.head != nil && q.head.priority {
		return busyError{}
	}
	q.put(e)
	return nil
}

// busyError is EBUSY with a text of its own: a caller of this package has no
// device that could be busy.
type busyError struct{}

func (busyError) Error() string { return "waitqueue: a priority entry is on the queue already" }
func (busyError) Unwrap() error { return syscall.EBUSY }

// Prepare puts e on the queue if it is not there, as an ordinary entry, and
// announces the sleep of its Task. A loop that begins with it may test its
// condition next, and then call [Task.Schedule]. A wake-up takes e off the queue
// again. Every way out of the loop must call [Queue.Finish].
//
// If e is on the queue already, it becomes ordinary and keeps its place: an
// exclusive entry in front of it may use up a wake-up before that reaches e. An
// entry that Add put there stays there when it is woken. Prepare panics if e is on
// another queue.
//
// Kernel: prepare_to_wait, DEFINE_WAIT, autoremove_wake_function
//
// Differs: a wake-up always takes e off. There an entry with default_wake_function stays.
func (q *Queue) Prepare(e *Entry, s State) { q.prepareAs(e, s, false) }

// PrepareExclusive is Prepare with an exclusive entry. An entry that is on the
// queue already becomes exclusive and keeps its place, in front of those behind
// it. A wake-up that picks it between the test and Finish is lost if the test has
// taken something else, as in the kernel; [Queue.WaitExclusive] passes it on.
//
// Kernel: prepare_to_wait_exclusive
//
// Differs: does not tell whether the queue was empty.
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
	if e.home.Load() != q {
		return // not on q, and perhaps on another queue, whose lock guards e
	}
	q.mu.Lock()
	if e.queue == q { // no wake-up has taken it off
		q.unlink(e)
		e.leaveHome(e.Task)
	}
	q.mu.Unlock()
}

// leaveHome says that an entry of the user's, whose task is t or nil, is on no
// queue. The caller holds the lock of the queue, has taken the entry off, and does
// not touch it any more: the owner may put it on another queue at once.
//
// A home that stayed would keep the queue alive. It would also hang a wake function
// that puts the entry on another queue: lockFor would lock home, which the walk
// that called the function has locked.
func (e *Entry) leaveHome(t *Task) {
	home := e.home.Load()
	if home == nil {
		return // of a Wait
	}
	if t != nil {
		t.clearWchan(home)
	}
	e.home.Store(nil)
}

// takeOff takes the entry of a Wait off the queue, and reports whether it was
// there.
func (q *Queue) takeOff(e *Entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue != q {
		return false
	}
	q.unlink(e)
	return true
}

// lockFor locks q to put e on it, and panics if e is on another queue. It looks there
// with the lock of that queue held, because a wake-up may be taking e off at this
// moment. It does so before it locks q.
func (q *Queue) lockFor(e *Entry) {
	if home := e.home.Load(); home != nil && home != q {
		home.mu.Lock()
		there := e.queue != nil
		home.mu.Unlock()
		if there {
			panic("waitqueue: Entry is on another queue already")
		}
	}
	q.mu.Lock()
	q.check()
	q.checkTail()
}

// fresh sets the kind of e, or panics if e is in use. The caller
// has called lockFor.
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
	q.lockFor(e)
	defer q.mu.Unlock()
	e.fresh(exclusive, priority, added)
	q.put(e)
}

// put links an entry of the user's. The caller holds q.mu.
func (q *Queue) put(e *Entry) {
	q.link(e)
	e.home.Store(q)
	if e.Task != nil {
		e.Task.showWchan(q)
	}
}

// queueUp puts the entry of a Wait on the queue if it is not there.
func (q *Queue) queueUp(e *Entry) {
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
	q.lockFor(e)
	defer q.mu.Unlock()
	if e.queue == nil {
		e.fresh(exclusive, false, prepared)
		q.put(e)
	} else {
		e.exclusive = exclusive // and it keeps its place
		e.Task.showWchan(q)
	}
	// Last: a goroutine that sees the state finds the entry.
	e.Task.SetState(s)
}

// link puts an exclusive entry at the tail. It puts every other entry at the head, behind
// the priority entries. So a walk meets all ordinary waiters before the first exclusive
// one. The caller holds q.mu.
func (q *Queue) link(e *Entry) {
	if q.head == nil { // the usual case, in a few steps
		q.head, q.tail, e.queue = e, e, q
		if !q.occupied.Load() {
			q.occupied.Store(true)
		}
		return
	}
	q.check()
	if e.exclusive && !e.priority {
		q.checkTail()
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
