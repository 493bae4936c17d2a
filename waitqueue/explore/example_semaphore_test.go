package explore_test

import (
	"context"
	"fmt"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A semaphore has two tokens. It is a channel with two places.
type semaphore struct {
	taken      chan struct{}
	collecting chan struct{}
	at         func(point string)
}

func newSemaphore(at func(point string)) *semaphore {
	return &semaphore{taken: make(chan struct{}, 2), collecting: make(chan struct{}, 1), at: at}
}

// acquire takes n tokens, one after the other.
func (s *semaphore) acquire(ctx context.Context, n int) error {
	for have := range n {
		s.at("take a token")
		select {
		case s.taken <- struct{}{}:
		case <-ctx.Done():
			s.release(have)
			return ctx.Err()
		}
	}
	return nil
}

// acquireRight lets one goroutine at a time collect its tokens.
func (s *semaphore) acquireRight(ctx context.Context, n int) error {
	select {
	case s.collecting <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.collecting }()
	return s.acquire(ctx, n)
}

func (s *semaphore) release(n int) {
	for range n {
		<-s.taken
	}
}

// semaphoreModel has two goroutines, each of which wants both tokens. The end of its context
// wakes them when the order is over.
func semaphoreModel(acquire func(*semaphore, context.Context, int) error) func(*explore.Model) {
	return func(m *explore.Model) {
		s := newSemaphore(m.At)
		for _, name := range []string{"A", "B"} {
			m.Go(name, func(th *explore.Thread) {
				th.Step("acquire")
				if acquire(s, m.Context(), 2) == nil {
					s.release(2)
				}
			})
		}
	}
}

// A semaphore of one's own, on a channel. It gets its point from the model.
func Example_semaphore() {
	fmt.Print(explore.Search{}.Run(semaphoreModel((*semaphore).acquire)))
	fmt.Print("one at a time: ", explore.Search{}.Run(semaphoreModel((*semaphore).acquireRight)))
	// Output:
	// 20 orders, 12 bad, the simplest:
	//    1  A: acquire
	//    2  A: take a token
	//    3  B: acquire
	//    4  B: take a token
	//    5  B: take a token
	//    6  A: take a token
	// asleep: A, B
	// replay 1.1.2.2.2.1
	// one at a time: 6 orders, 0 bad
}
