package waitqueue_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// Slots are a semaphore of a project's own: a count under a mutex, and a condition variable.
type slots struct {
	mu      sync.Locker
	free    int
	changed *sync.Cond
	ended   *waitqueue.Cond
}

// take loses a cancellation. The end of ctx broadcasts once. If take waits for the mutex at that
// moment, the broadcast reaches nobody. The sleep that follows has no end.
func (s *slots) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.changed.Broadcast)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.free == 0 {
		s.changed.Wait()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	s.free--
	return nil
}

// takeRight has a wait that knows ctx. It looks at ctx when it has the mutex, and it sleeps
// until ctx ends, however early that is.
func (s *slots) takeRight(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.ended.WaitFor(ctx, func() bool { return s.free > 0 })
	if err == nil {
		s.free--
	}
	return err
}

// slotsModel has three parts: a goroutine that takes a slot, the end of its context, and a
// goroutine that holds the mutex for a moment. No slot is free.
func slotsModel(take func(*slots, context.Context) error) func(*explore.Model) {
	return func(m *explore.Model) {
		mu := m.NewLock()
		s := &slots{mu: mu, changed: sync.NewCond(mu), ended: waitqueue.NewCond(mu)}
		ctx, cancel := context.WithCancel(m.Context())
		m.Go("taker", func(th *explore.Thread) {
			th.Step("take")
			_ = take(s, ctx)
		})
		m.Event("ctx ends", cancel)
		m.Go("holder", func(th *explore.Thread) {
			s.mu.Lock()
			th.Step("unlock")
			s.mu.Unlock()
		})
		m.Release(s.changed.Broadcast)
	}
}

// Package explore finds the lost cancellation, and finds none in the mended form.
func Example_lostCancellation() {
	fmt.Print(explore.Search{}.Run(slotsModel((*slots).take)))
	fmt.Print("mended: ", explore.Search{}.Run(slotsModel((*slots).takeRight)))
	// Output:
	// 35 orders, 7 bad, the simplest:
	//    1  taker: take
	//    2  ctx ends
	//    3  holder: unlock
	//    4  holder: unlocked
	//    5  taker: lock
	//    6  taker: unlocked
	// asleep: taker
	// replay 1.2.3.3.1.1
	// mended: 39 orders, 0 bad
}
