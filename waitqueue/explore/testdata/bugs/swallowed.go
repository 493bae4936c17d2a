package bugs

import (
	"context"
	"slices"
	"sync"
)

// A Semaphore hands its token to the goroutine that has waited longest.
type Semaphore struct {
	mu      sync.Mutex
	free    bool
	waiters []chan struct{}
}

// Acquire is broken. A waiter may get the token after its context has ended. It leaves, and
// the token is lost.
func (s *Semaphore) Acquire(ctx context.Context) error {
	turn := s.join()
	if turn == nil {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		at("gives up")
		s.leave(turn)
		return ctx.Err()
	}
}

// AcquireMended passes the token on.
func (s *Semaphore) AcquireMended(ctx context.Context) error {
	turn := s.join()
	if turn == nil {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		at("gives up")
		if !s.leave(turn) {
			s.Release()
		}
		return ctx.Err()
	}
}

// Release gives the token back.
func (s *Semaphore) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiters) == 0 {
		s.free = true
		return
	}
	close(s.waiters[0])
	s.waiters = s.waiters[1:]
}

// join takes the token, or queues for it and returns a channel that is closed when it is
// there.
func (s *Semaphore) join() (turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free {
		s.free = false
		return nil
	}
	turn = make(chan struct{})
	s.waiters = append(s.waiters, turn)
	return turn
}

// leave reports whether the waiter was still in the queue.
func (s *Semaphore) leave(turn chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiters, turn)
	if i < 0 {
		return false
	}
	s.waiters = slices.Delete(s.waiters, i, i+1)
	return true
}
