package waitqueue

// Len returns how many entries are on the queue, as of one moment. It is for
// statistics. To know whether a wake-up is needed, use [Queue.Active].
//
// It counts the goroutines in a Wait that no wake-up has picked since their last test,
// also if they are about to sleep, or to leave. It counts the entry of an Add until
// Remove, even if its task is awake. It counts the entry of a Prepare until a wake-up
// or Finish takes it off.
//
// Len walks the queue with the queue locked, so a thousand waiters hold up others for a
// few microseconds. An empty queue costs one atomic load, as with Active.
func (q *Queue) Len() (n int) {
	// A counter would spare the walk, and would cost each wait a little.
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

// Active reports whether a goroutine waits, so that a Signal has one to wake. A
// goroutine that was reached, or that has given up, does not wait any more, even if it
// does not have L again yet.
//
// The caller need not hold L. If it does, no goroutine begins to wait until it releases
// L. So false is true until then, and each later waiter sees the changes made with L
// held.
func (c *Cond) Active() bool { return c.queue.Active() }

// Len returns how many goroutines wait, counted as [Cond.Active] does. It costs as much
// as [Queue.Len].
func (c *Cond) Len() int { return c.queue.Len() }
