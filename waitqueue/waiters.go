package waitqueue

// Len returns how many entries are on the queue, as of one moment. It is for
// statistics. To know whether a wake-up is needed, use [Queue.Active].
//
// It counts these entries:
//
//   - of a goroutine in a Wait, until a wake-up picks the goroutine or the Wait ends
//   - of an Add, until Remove, even if its task is awake
//   - of a Prepare, until a wake-up or Finish takes it off
//
// Len walks the queue with the queue locked. With a thousand waiters, other calls wait a
// few microseconds for it. On an empty queue Len is one atomic load, as Active is.
func (q *Queue) Len() (n int) {
	// A counter would make this walk needless, and each wait a little slower.
	if !q.occupied.Load() {
		return 0
	}
	q.mu.Lock()
	q.check()
	for e := q.head; e != nil; e = e.next {
		n++
	}
	q.mu.Unlock()
	return n
}

// Active reports whether a goroutine waits, so that a Signal would wake one. A goroutine
// that a Signal has reached, or that has given up, does not count, even if it still waits
// for L.
//
// The caller need not hold L. If it does, no goroutine begins to wait until it releases L.
// So the answer false stays right until then, and each later waiter sees the changes that
// the caller made with L held.
func (c *Cond) Active() bool { return c.queue.Active() }

// Len returns how many goroutines wait, in the sense of [Cond.Active]. It takes as long as
// [Queue.Len].
func (c *Cond) Len() int { return c.queue.Len() }
