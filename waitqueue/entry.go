package waitqueue

// An Entry puts a task on a queue, for a wait loop that is written out. Set
// Task and leave the rest zero. While it is on a queue an Entry must not be
// copied or put on another one. It belongs to the goroutine of its task.
//
// An entry stays on its queue, whoever wakes the task, until [Queue.Remove].
//
// Kernel: struct wait_queue_entry, DECLARE_WAITQUEUE, init_waitqueue_entry
type Entry struct {
	Task *Task // whom to wake

	queue      *Queue // where it is, or nil; guarded by queue.mu, as are the links
	prev, next *Entry
	exclusive  bool
	autoremove bool // a wake-up takes it off the queue; written before it is linked
}

// Add puts e at the head of the queue: the last ordinary waiter to come is the
// first to be woken. Adding an entry does not put anybody to sleep, and a
// wake-up skips it until its task announces a sleep by [Task.SetState].
//
// Add panics if e has no Task, or is on a queue already.
//
// Kernel: add_wait_queue
func (q *Queue) Add(e *Entry) { q.add(e, false) }

// AddExclusive puts e at the tail of the queue, as one that uses up a wake-up.
//
// Kernel: add_wait_queue_exclusive
func (q *Queue) AddExclusive(e *Entry) { q.add(e, true) }

// Remove takes e off the queue. If e is not on a queue, it does nothing. The
// state of the task is left as it is.
//
// Kernel: remove_wait_queue
//
// Differs: there the entry must be queued.
func (q *Queue) Remove(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue == q {
		q.unlink(e)
	}
}

func (q *Queue) add(e *Entry, exclusive bool) {
	if e.Task == nil {
		panic("waitqueue: Add of an Entry without a Task")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue != nil {
		panic("waitqueue: Add of an Entry that is on a queue")
	}
	e.exclusive = exclusive
	q.link(e)
}

// prepare puts e on the queue if a wake-up took it off, and announces the
// sleep. The state is set last: a waker that sees it will find the entry.
func (q *Queue) prepare(e *Entry, s State) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue == nil {
		q.link(e)
	}
	e.Task.SetState(s)
}

// finish ends a wait, however it went.
func (q *Queue) finish(e *Entry) {
	e.Task.SetState(Running)
	q.Remove(e)
}

// link puts an ordinary entry at the head and an exclusive one at the tail, so
// that a walk meets every ordinary waiter before the first exclusive one.
// The caller holds q.mu.
func (q *Queue) link(e *Entry) {
	e.queue = q
	switch {
	case q.head == nil:
		q.head, q.tail = e, e
	case e.exclusive:
		e.prev, q.tail.next = q.tail, e
		q.tail = e
	default:
		e.next, q.head.prev = q.head, e
		q.head = e
	}
	q.length.Add(1)
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
	q.length.Add(-1)
}
