package waitqueue_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kprim/kprim/internal/paired"
	"github.com/kprim/kprim/waitqueue"
)

var (
	herds  = []int{1, 10, 1000, 100000}
	crowds = []int{10, 1000, 100000, 1000000}
)

func BenchmarkPingPong(b *testing.B)   { pingPong().Bench(b) }
func BenchmarkWakeNobody(b *testing.B) { wakeNobody().Bench(b) }

func BenchmarkWakeAll(b *testing.B) {
	for _, size := range herds {
		c := wakeAll(size)
		for i := range c.Ways {
			c.Ways[i].Name += fmt.Sprintf("-%d", size)
		}
		c.Bench(b)
	}
}

func BenchmarkCancelOne(b *testing.B) {
	for _, size := range crowds {
		b.Run(fmt.Sprint(size), cancelOne(size).Bench)
	}
}

// In pingPong two goroutines wait for each other: two waits and two wake-ups a round.
func pingPong() paired.Contest {
	ctx := unending()
	background := context.Background()
	return paired.Contest{Name: "PingPong", Ways: []paired.Way{
		{Name: "sync.Cond", Run: func(n int) {
			var mu sync.Mutex
			c, turn := sync.NewCond(&mu), 0
			both(func(me int) {
				for range n {
					mu.Lock()
					for turn != me {
						c.Wait()
					}
					turn = 1 - me
					c.Signal()
					mu.Unlock()
				}
			})
		}},
		{Name: "task", Run: func(n int) {
			var q waitqueue.Queue
			var turn atomic.Int64
			both(func(me int) {
				var task waitqueue.Task
				mine := func() bool { return turn.Load() == int64(me) }
				for range n {
					_ = task.Wait(&q, mine)
					turn.Store(int64(1 - me))
					q.WakeUp()
				}
			})
		}},
		{Name: "background", Run: func(n int) { queueTurns(background, n) }},
		{Name: "ctx", Run: func(n int) { queueTurns(ctx, n) }},
		{Name: "WithTask", Run: func(n int) { queueTurns(ctx, n, withTask) }},
		{Name: "WaitLocked", Run: func(n int) {
			var q waitqueue.Queue
			var mu sync.Mutex
			turn := 0
			both(func(me int) {
				mine := func() bool { return turn == me }
				mu.Lock()
				defer mu.Unlock()
				for range n {
					_ = q.WaitLocked(background, &mu, mine)
					turn = 1 - me
					q.WakeUp()
				}
			})
		}},
		{Name: "Cond-background", Run: func(n int) { condTurns(background, n) }},
		{Name: "Cond-ctx", Run: func(n int) { condTurns(ctx, n) }},
		{Name: "Cond-WithTask", Run: func(n int) { condTurns(ctx, n, withTask) }},
		{Name: "channel", Run: func(n int) {
			pair := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
			both(func(me int) {
				for range n {
					if me == 0 {
						pair[1] <- struct{}{}
						<-pair[0]
					} else {
						<-pair[1]
						pair[0] <- struct{}{}
					}
				}
			})
		}},
		{Name: "channel-list-select", Run: func(n int) {
			var c listCond
			turn := 0
			both(func(me int) {
				for range n {
					c.L.Lock()
					for turn != me {
						_ = c.wait(ctx)
					}
					turn = 1 - me
					c.signal()
					c.L.Unlock()
				}
			})
		}},
		{Name: "channel-slice-select", Run: func(n int) {
			var c sliceCond
			turn := 0
			both(func(me int) {
				for range n {
					c.L.Lock()
					for turn != me {
						_ = c.wait(ctx)
					}
					turn = 1 - me
					c.signal()
					c.L.Unlock()
				}
			})
		}},
	}}
}

// unending returns a context that has a Done channel and never ends.
func unending() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(ctx, cancel) // or vet reports that cancel is lost
	return ctx
}

// both runs f for 0 and for 1 at the same time.
func both(f func(me int)) {
	var group sync.WaitGroup
	group.Go(func() { f(0) })
	f(1)
	group.Wait()
}

func withTask(ctx context.Context) context.Context {
	ctx, _ = waitqueue.WithTask(ctx, "")
	return ctx
}

// own returns the context of one goroutine.
func own(ctx context.Context, with []func(context.Context) context.Context) context.Context {
	for _, f := range with {
		ctx = f(ctx)
	}
	return ctx
}

func queueTurns(ctx context.Context, n int, with ...func(context.Context) context.Context) {
	var q waitqueue.Queue
	var turn atomic.Int64
	both(func(me int) {
		mine := func() bool { return turn.Load() == int64(me) }
		ctx := own(ctx, with)
		for range n {
			_ = q.Wait(ctx, mine)
			turn.Store(int64(1 - me))
			q.WakeUp()
		}
	})
}

func condTurns(ctx context.Context, n int, with ...func(context.Context) context.Context) {
	var mu sync.Mutex
	c, turn := waitqueue.NewCond(&mu), 0
	both(func(me int) {
		ctx := own(ctx, with)
		for range n {
			mu.Lock()
			for turn != me {
				_ = c.Wait(ctx)
			}
			turn = 1 - me
			c.Signal()
			mu.Unlock()
		}
	})
}

// In wakeAll one goroutine wakes all sleepers. Then it waits until all of them have run and
// sleep again.
func wakeAll(size int) paired.Contest {
	background := context.Background()
	return paired.Contest{Name: fmt.Sprintf("WakeAll-%d", size), Ways: []paired.Way{
		{Name: "sync.Cond", Run: func(rounds int) {
			var mu sync.Mutex
			c := sync.NewCond(&mu)
			herd(rounds, size, &mu, func(cond func() bool) {
				for !cond() {
					c.Wait()
				}
			}, c.Broadcast)
		}},
		{Name: "queue", Run: func(rounds int) {
			var q waitqueue.Queue
			herd(rounds, size, nil, func(cond func() bool) { _ = q.Wait(background, cond) }, func() { q.WakeUpAll() })
		}},
		{Name: "Cond", Run: func(rounds int) {
			var mu sync.Mutex
			c := waitqueue.NewCond(&mu)
			herd(rounds, size, &mu, func(cond func() bool) {
				for !cond() {
					_ = c.Wait(background)
				}
			}, c.Broadcast)
		}},
		{Name: "close-channel", Run: func(rounds int) {
			var ready atomic.Pointer[chan struct{}]
			fresh := func() *chan struct{} { c := make(chan struct{}); return &c }
			ready.Store(fresh())
			herd(rounds, size, nil, func(cond func() bool) {
				for {
					c := *ready.Load()
					if cond() {
						return
					}
					<-c
				}
			}, func() { close(*ready.Swap(fresh())) })
		}},
	}}
}

// herd has size goroutines wait for each round to begin. If mu is not nil, it is held during
// the wait and the wake-up.
func herd(rounds, size int, mu *sync.Mutex, wait func(cond func() bool), wakeAll func()) {
	lock, unlock := func() {}, func() {}
	if mu != nil {
		lock, unlock = mu.Lock, mu.Unlock
	}
	var round atomic.Int64
	var running sync.WaitGroup
	running.Add(size)
	var all sync.WaitGroup
	for range size {
		all.Go(func() {
			for next := int64(1); next <= int64(rounds); next++ {
				lock()
				if next == 1 {
					running.Done()
				}
				wait(func() bool { return round.Load() >= next })
				unlock()
				running.Done()
			}
		})
	}
	for range rounds {
		running.Wait()
		running.Add(size)
		lock()
		round.Add(1)
		wakeAll()
		unlock()
	}
	running.Wait()
	all.Wait()
}

func wakeNobody() paired.Contest {
	return paired.Contest{Name: "WakeNobody", Ways: []paired.Way{
		{Name: "sync.Cond", Run: func(n int) {
			c := sync.NewCond(new(sync.Mutex))
			for range n {
				c.Signal()
			}
		}},
		{Name: "queue", Run: func(n int) {
			var q waitqueue.Queue
			for range n {
				q.WakeUp()
			}
		}},
	}}
}

// cancelOne ends the wait of one of size waiters, and starts a new waiter in its place.
func cancelOne(size int) paired.Contest {
	never := make(chan struct{})
	var q waitqueue.Queue
	c := waitqueue.NewCond(new(sync.Mutex))
	return paired.Contest{Name: fmt.Sprintf("CancelOne-%d", size), Ways: []paired.Way{
		newCrowd("select", size, func(ctx context.Context) {
			select {
			case <-never:
			case <-ctx.Done():
			}
		}),
		newCrowd("queue", size, func(ctx context.Context) {
			_ = q.Wait(ctx, func() bool { return false })
		}),
		newCrowd("Cond", size, func(ctx context.Context) {
			c.L.Lock()
			_ = c.Wait(ctx)
			c.L.Unlock()
		}),
	}}
}

// newCrowd has size goroutines sleep, each with a context of its own. A run ends the oldest
// wait each time.
func newCrowd(name string, size int, sleep func(context.Context)) paired.Way {
	var cancels []context.CancelFunc
	gone := make(chan struct{})
	join := func(i int) {
		ctx, cancel := context.WithCancel(context.Background())
		cancels[i] = cancel
		go func() {
			sleep(ctx)
			gone <- struct{}{}
		}()
	}
	come := func() {
		cancels = make([]context.CancelFunc, size)
		for i := range size {
			join(i)
		}
		for range 3 {
			runtime.GC() // gives the goroutines the time to fall asleep
		}
	}
	next := 0
	run := func(n int) {
		for range n {
			next = (next + 1) % size
			cancels[next]()
			<-gone
			join(next)
		}
	}
	leave := func() {
		for _, cancel := range cancels {
			cancel()
		}
		for range cancels {
			<-gone
		}
	}
	return paired.Way{Name: name, Run: run, Open: come, Close: leave}
}
