package kthread

// SetYield has f called at the points of the package, on the goroutine that
// comes there. nil ends that.
func SetYield(f func(point string)) { yield = f }

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
