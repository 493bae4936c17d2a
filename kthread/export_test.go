package kthread

import "github.com/kprim/kprim/waitqueue"

// Idle reports whether k is neither pending nor running.
func (k *Work) Idle() bool {
	w := k.worker.Load()
	w.mu.Lock()
	defer w.mu.Unlock()
	return k.pending == nil && w.current != k
}

// Length returns the number of works and barriers that wait for their turn.
func (w *Worker) Length() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.works.Len()
}

// Pending reports whether k is pending.
func (k *Work) Pending() bool {
	w := k.worker.Load()
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return k.pending != nil
}

// Pending reports whether d is pending, or its timer is armed.
func (d *DelayedWork) Pending() bool {
	if d.work.Pending() {
		return true
	}
	w := d.work.worker.Load()
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return d.timer != nil
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
