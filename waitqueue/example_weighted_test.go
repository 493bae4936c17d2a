package waitqueue_test

import (
	"context"
	"fmt"
	"runtime"

	"github.com/kprim/kprim/waitqueue"
)

// Weighted is a semaphore. A goroutine takes a weight of it. It serves in order of arrival: a
// small weight does not overtake a large one, because the large one might never get its turn.
type Weighted struct {
	size  int64
	queue waitqueue.Queue // its lock guards the next two

	free    int64
	waiting int // how many goroutines wait for their weight
}

func NewWeighted(size int64) *Weighted {
	mustNotBeNegative(size)
	return &Weighted{size: size, free: size}
}

// TryAcquire takes weight n if it is free and nobody waits, and reports whether it did.
func (s *Weighted) TryAcquire(n int64) bool {
	mustNotBeNegative(n)
	s.queue.Lock()
	defer s.queue.Unlock()
	return s.take(n)
}

// Acquire takes weight n, and waits for it until ctx ends. If ctx has ended, it takes nothing.
func (s *Weighted) Acquire(ctx context.Context, n int64) error {
	mustNotBeNegative(n)
	if err := ctx.Err(); err != nil {
		return err
	}
	s.queue.Lock()
	taken, tooMuch := s.take(n), n > s.size
	if !taken && !tooMuch {
		s.waiting++ // from here on nobody overtakes
	}
	s.queue.Unlock()
	if taken {
		return nil
	}
	if tooMuch { // the others need not wait for it
		<-ctx.Done()
		return ctx.Err()
	}
	return s.wait(ctx, n)
}

// wait sleeps until a wake-up has taken weight n for it.
func (s *Weighted) wait(ctx context.Context, n int64) error {
	var turn waitqueue.Completion
	mine := false
	entry := waitqueue.Entry{Func: func(*waitqueue.Entry, waitqueue.State, any) int {
		if mine {
			return 0 // it will leave
		}
		if n > s.free {
			return -1 // the others are behind it
		}
		mine = true
		s.free -= n
		s.waiting--
		turn.Complete()
		return 1
	}}
	s.queue.AddExclusive(&entry)
	s.queue.WakeUpAll() // the weight may have come before the entry
	_ = turn.Wait(ctx)  // a turn beats the end of ctx, so ctx is looked at below
	s.queue.Remove(&entry)
	err := ctx.Err()
	if err != nil {
		s.giveUp(n, mine) // no wake-up finds the entry any more
	}
	return err
}

func (s *Weighted) giveUp(n int64, mine bool) {
	if mine {
		s.Release(n)
		return
	}
	s.queue.Lock()
	s.waiting--
	s.queue.Unlock()
	s.queue.WakeUpAll() // the next may want less
}

// Release gives weight n back, for the waiters in their order.
func (s *Weighted) Release(n int64) {
	mustNotBeNegative(n)
	s.queue.Lock()
	s.free += n
	tooMuch := s.free > s.size
	s.queue.Unlock()
	if tooMuch {
		panic("released more than was taken")
	}
	s.queue.WakeUpAll()
}

// take is TryAcquire with the queue locked.
func (s *Weighted) take(n int64) bool {
	if s.waiting > 0 || n > s.free {
		return false
	}
	s.free -= n
	return true
}

func mustNotBeNegative(n int64) {
	if n < 0 {
		panic("negative weight")
	}
}

// A weighted semaphore on a queue. It has the methods of golang.org/x/sync/semaphore. An entry's
// Func takes the weight for its sleeper, so the order of the queue is the order of service.
func Example_weightedSemaphore() {
	background := context.Background()
	s := NewWeighted(3)
	fmt.Println("two of three:", s.Acquire(background, 2))

	all, cancel := context.WithCancel(background)
	ended := make(chan error)
	go func() { ended <- s.Acquire(all, 3) }()
	for s.TryAcquire(1) { // until the other goroutine waits
		s.Release(1)
		runtime.Gosched()
	}
	fmt.Println("one, before the goroutine that waits for three:", s.TryAcquire(1))
	cancel()
	fmt.Println("three:", <-ended)
	fmt.Println("one:", s.TryAcquire(1))
	// Output:
	// two of three: <nil>
	// one, before the goroutine that waits for three: false
	// three: context canceled
	// one: true
}
