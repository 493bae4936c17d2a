package waitqueue_test

import (
	"context"
	"sync"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/kprim/kprim/internal/paired"
	"github.com/kprim/kprim/waitqueue"
)

// The contests in which a user's choice shows: which condition variable with a context, which
// bounded queue, which semaphore.

func BenchmarkCondWithContext(b *testing.B) { condWithContext().Bench(b) }
func BenchmarkBoundedQueue(b *testing.B)    { boundedQueue().Bench(b) }
func BenchmarkSemaphore(b *testing.B)       { semaphoreOfTwo().Bench(b) }

// In condWithContext two goroutines wait for each other, each with a context that could end.
func condWithContext() paired.Contest {
	ctx := unending()
	return paired.Contest{Name: "CondWithContext", Ways: []paired.Way{
		{Name: "Cond-ctx", Run: func(n int) { condTurns(ctx, n) }},
		{Name: "Cond-WithTask", Run: func(n int) { condTurns(ctx, n, withTask) }},
		{Name: "channel-list", Run: func(n int) {
			var c listCond
			turns(n, &c.L, func() { _ = c.wait(ctx) }, c.signal)
		}},
		{Name: "closed-channel", Run: func(n int) {
			var c roundCond
			turns(n, &c.L, func() { _ = c.wait(ctx) }, c.broadcast)
		}},
		{Name: "sync.Cond-AfterFunc", Run: func(n int) {
			c := newAfterFuncCond()
			turns(n, &c.L, func() { _ = c.wait(ctx) }, c.cond.Signal)
		}},
	}}
}

// In turns two goroutines wait for each other under a lock.
func turns(n int, mu *sync.Mutex, wait, signal func()) {
	turn := 0
	both(func(me int) {
		for range n {
			mu.Lock()
			for turn != me {
				wait()
			}
			turn = 1 - me
			signal()
			mu.Unlock()
		}
	})
}

// boundedQueue has a queue with room for 64, four producers and four consumers. A context could
// end the waits, except in the first way.
func boundedQueue() paired.Contest {
	ctx := unending()
	return paired.Contest{Name: "BoundedQueue", Ways: []paired.Way{
		{Name: "sync.Cond-no-ctx", Run: func(n int) {
			var b buffer
			room, items := sync.NewCond(&b.mu), sync.NewCond(&b.mu)
			put := func(context.Context) {
				b.mu.Lock()
				for !b.hasRoom() {
					room.Wait()
				}
				b.put()
				items.Signal()
				b.mu.Unlock()
			}
			take := func(context.Context) {
				b.mu.Lock()
				for !b.hasItem() {
					items.Wait()
				}
				b.take()
				room.Signal()
				b.mu.Unlock()
			}
			share(n, ctx, nil, put, put, put, put, take, take, take, take)
		}},
		{Name: "WaitExclusiveLocked", Run: func(n int) { bufferOnQueues(ctx, n) }},
		{Name: "WaitExclusiveLocked-WithTask", Run: func(n int) { bufferOnQueues(ctx, n, withTask) }},
		{Name: "Cond.WaitFor", Run: func(n int) { bufferOnConds(ctx, n) }},
		{Name: "Cond.WaitFor-WithTask", Run: func(n int) { bufferOnConds(ctx, n, withTask) }},
		{Name: "channel-select", Run: func(n int) {
			items := make(chan int, len(buffer{}.items))
			put := func(ctx context.Context) {
				select {
				case items <- 1:
				case <-ctx.Done():
				}
			}
			take := func(ctx context.Context) {
				select {
				case <-items:
				case <-ctx.Done():
				}
			}
			share(n, ctx, nil, put, put, put, put, take, take, take, take)
		}},
	}}
}

func bufferOnQueues(ctx context.Context, n int, with ...func(context.Context) context.Context) {
	var b buffer
	var room, items waitqueue.Queue
	hasRoom, hasItem := b.hasRoom, b.hasItem
	put := func(ctx context.Context) {
		b.mu.Lock()
		_ = room.WaitExclusiveLocked(ctx, &b.mu, hasRoom)
		b.put()
		items.WakeUp()
		b.mu.Unlock()
	}
	take := func(ctx context.Context) {
		b.mu.Lock()
		_ = items.WaitExclusiveLocked(ctx, &b.mu, hasItem)
		b.take()
		room.WakeUp()
		b.mu.Unlock()
	}
	share(n, ctx, with, put, put, put, put, take, take, take, take)
}

func bufferOnConds(ctx context.Context, n int, with ...func(context.Context) context.Context) {
	var b buffer
	room, items := waitqueue.NewCond(&b.mu), waitqueue.NewCond(&b.mu)
	hasRoom, hasItem := b.hasRoom, b.hasItem
	put := func(ctx context.Context) {
		b.mu.Lock()
		_ = room.WaitFor(ctx, hasRoom)
		b.put()
		items.Signal()
		b.mu.Unlock()
	}
	take := func(ctx context.Context) {
		b.mu.Lock()
		_ = items.WaitFor(ctx, hasItem)
		b.take()
		room.Signal()
		b.mu.Unlock()
	}
	share(n, ctx, with, put, put, put, put, take, take, take, take)
}

// A buffer is a ring of items.
type buffer struct {
	mu          sync.Mutex
	items       [64]int
	first, used int
}

func (b *buffer) hasRoom() bool { return b.used < len(b.items) }
func (b *buffer) hasItem() bool { return b.used > 0 }

func (b *buffer) put() {
	b.items[(b.first+b.used)%len(b.items)] = 1
	b.used++
}

func (b *buffer) take() {
	b.first = (b.first + 1) % len(b.items)
	b.used--
}

// share starts a goroutine for each function, which calls it n times with a context of its own.
func share(n int, ctx context.Context, with []func(context.Context) context.Context, each ...func(context.Context)) {
	var group sync.WaitGroup
	for _, f := range each {
		group.Go(func() {
			ctx := own(ctx, with)
			for range n {
				f(ctx)
			}
		})
	}
	group.Wait()
}

// In semaphoreOfTwo eight goroutines take one of two places and give it back.
func semaphoreOfTwo() paired.Contest {
	ctx := unending()
	return paired.Contest{Name: "Semaphore", Ways: []paired.Way{
		{Name: "x/sync-semaphore", Run: func(n int) {
			s := semaphore.NewWeighted(2)
			eight(n, ctx, nil, func(ctx context.Context) {
				_ = s.Acquire(ctx, 1)
				s.Release(1)
			})
		}},
		{Name: "Completion", Run: func(n int) { eightOnCompletion(ctx, n) }},
		{Name: "Completion-WithTask", Run: func(n int) { eightOnCompletion(ctx, n, withTask) }},
		{Name: "channel-select", Run: func(n int) {
			places := make(chan struct{}, 2)
			eight(n, ctx, nil, func(ctx context.Context) {
				select {
				case places <- struct{}{}:
				case <-ctx.Done():
				}
				<-places
			})
		}},
	}}
}

func eightOnCompletion(ctx context.Context, n int, with ...func(context.Context) context.Context) {
	var places waitqueue.Completion
	places.Complete()
	places.Complete()
	eight(n, ctx, with, func(ctx context.Context) {
		_ = places.Wait(ctx)
		places.Complete()
	})
}

func eight(n int, ctx context.Context, with []func(context.Context) context.Context, f func(context.Context)) {
	share(n, ctx, with, f, f, f, f, f, f, f, f)
}
