package peers

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/kprim/kprim/waitqueue"
)

const (
	room    = 64 // of the bounded queue
	parties = 4  // as many producers, and as many consumers
)

// boundedQueue moves items through a queue with room for 64, from four producers to four
// consumers. The result is the sum of the items, each of which is 1.
func boundedQueue() job {
	j := job{name: "BoundedQueue", want: timesOf(1)}
	for _, w := range condWays {
		j.ways = append(j.ways, way{w.name, func(n int) int { return condQueue(n, w) }})
	}
	j.ways = append(j.ways,
		way{"WaitExclusiveLocked", func(n int) int { return lockedQueue(n, asItIs) }},
		way{"WaitExclusiveLocked+WithTask", func(n int) int { return lockedQueue(n, withTask) }},
		way{"channel+select", channelQueue})
	return j
}

// A ring is the buffer of the queues that have a lock.
type ring struct {
	items       [room]int
	first, used int
}

func (r *ring) hasRoom() bool { return r.used < len(r.items) }
func (r *ring) hasItem() bool { return r.used > 0 }

func (r *ring) put(item int) {
	r.items[(r.first+r.used)%len(r.items)] = item
	r.used++
}

func (r *ring) take() int {
	item := r.items[r.first]
	r.first = (r.first + 1) % len(r.items)
	r.used--
	return item
}

// move has the producers put n items and the consumers take them. It returns their sum.
func move(n int, p prepare, put func(context.Context, int), take func(context.Context) int) int {
	var sum atomic.Int64
	var producers sync.WaitGroup
	producers.Go(func() {
		share(n, parties, p, func(ctx context.Context) { put(ctx, 1) })
	})
	share(n, parties, p, func(ctx context.Context) { sum.Add(int64(take(ctx))) })
	producers.Wait()
	return int(sum.Load())
}

func condQueue(n int, w condWay) int {
	var mu sync.Mutex
	var r ring
	hasRoom, hasItem := w.make(&mu), w.make(&mu)
	put := func(ctx context.Context, item int) {
		mu.Lock()
		for !r.hasRoom() {
			_ = hasRoom.wait(ctx)
		}
		r.put(item)
		hasItem.signal()
		mu.Unlock()
	}
	take := func(ctx context.Context) int {
		mu.Lock()
		defer mu.Unlock()
		for !r.hasItem() {
			_ = hasItem.wait(ctx)
		}
		hasRoom.signal()
		return r.take()
	}
	return move(n, w.prepare, put, take)
}

func lockedQueue(n int, p prepare) int {
	var mu sync.Mutex
	var r ring
	var rooms, items waitqueue.Queue
	hasRoom, hasItem := r.hasRoom, r.hasItem // each of these is made once
	put := func(ctx context.Context, item int) {
		mu.Lock()
		_ = rooms.WaitExclusiveLocked(ctx, &mu, hasRoom)
		r.put(item)
		items.WakeUp()
		mu.Unlock()
	}
	take := func(ctx context.Context) int {
		mu.Lock()
		defer mu.Unlock()
		_ = items.WaitExclusiveLocked(ctx, &mu, hasItem)
		rooms.WakeUp()
		return r.take()
	}
	return move(n, p, put, take)
}

func channelQueue(n int) int {
	items := make(chan int, room)
	put := func(ctx context.Context, item int) {
		select {
		case items <- item:
		case <-ctx.Done():
		}
	}
	take := func(ctx context.Context) int {
		select {
		case item := <-items:
			return item
		case <-ctx.Done():
			return 0
		}
	}
	return move(n, asItIs, put, take)
}
