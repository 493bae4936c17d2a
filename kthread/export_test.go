package kthread

import "github.com/kprim/kprim/waitqueue"

// Idle reports whether k is neither pending nor running.
func (k *Work) Idle() bool {
	p := k.pool.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	return !k.pending() && k.by == nil
}

// Length returns the number of works and barriers that wait for their turn.
func (w *Worker) Length() int {
	p := &w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.flushes.all)
	for k := p.works.first; k != nil; k = k.next {
		n++
		if k.waiters != nil {
			n += len(k.waiters.all)
		}
	}
	return n
}

// Pending reports whether k is pending.
func (k *Work) Pending() bool {
	p := k.pool.Load()
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return k.pending()
}

// Pending reports whether d is pending, or its timer is armed.
func (d *DelayedWork) Pending() bool {
	if d.work.Pending() {
		return true
	}
	p := d.work.pool.Load()
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return d.armed
}

// PendingSignals returns the set of pending signals, a bit each.
func (t *Thread) PendingSignals() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pending
}

// OwnTask returns the task of a thread that may not run yet.
func (t *Thread) OwnTask() *waitqueue.Task { return &t.task }

// Own returns the thread's view of itself. Only methods that lock may be called by
// another goroutine.
func (t *Thread) Own() *Current { return &t.cur }

// Self returns the identity of the calling goroutine.
func Self() uintptr { return self() }

// Cull is the tick of the timer that sends idle threads away.
func (q *Workqueue) Cull() { q.pool.tick() }

// Threads returns how many threads q has.
func (q *Workqueue) Threads() int {
	q.pool.mu.Lock()
	defer q.pool.mu.Unlock()
	return len(q.pool.members)
}

// Known reports whether k belongs to a worker or a workqueue.
func (k *Work) Known() bool { return k.pool.Load() != nil }

// Rest returns how many runs of k are not over.
func (k *Work) Rest() (n int) {
	p := k.pool.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	if k.pending() {
		n++
	}
	if k.by != nil {
		n++
	}
	return n
}

// Busy returns a thread of q that runs a work.
func (q *Workqueue) Busy() *Thread {
	q.pool.mu.Lock()
	defer q.pool.mu.Unlock()
	for _, m := range q.pool.members {
		if m.work != nil {
			return m.thread
		}
	}
	return nil
}
