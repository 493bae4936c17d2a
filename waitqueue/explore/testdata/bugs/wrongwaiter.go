package bugs

import "sync"

// A Slot holds one job. Put waits until the slot is empty, and Get until it is full.
type Slot struct {
	mu      sync.Locker
	changed *sync.Cond // both kinds of waiters
	wake    func()
	job     string
}

// NewSlot is broken. Signal may choose a waiter of the kind that cannot go on.
func NewSlot() *Slot {
	s := newSlot()
	s.wake = s.changed.Signal
	return s
}

// NewSlotMended wakes both kinds.
func NewSlotMended() *Slot {
	s := newSlot()
	s.wake = s.changed.Broadcast
	return s
}

func newSlot() *Slot {
	mu := newLock()
	return &Slot{mu: mu, changed: sync.NewCond(mu)}
}

// Put puts a job, which is not "".
func (s *Slot) Put(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.job != "" {
		s.changed.Wait()
	}
	s.job = job
	s.wake()
}

// Get takes the job.
func (s *Slot) Get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.job == "" {
		s.changed.Wait()
	}
	job := s.job
	s.job = ""
	s.wake()
	return job
}
