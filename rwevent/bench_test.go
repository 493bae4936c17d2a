package rwevent_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kprim/kprim/internal/paired"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

// TestPairedContests prints how long each way takes, as a ratio to the first
// way of its contest.
//
//	go test ./rwevent -run Paired -paired -v -cpu 1,2
func TestPairedContests(t *testing.T) {
	paired.Test(t, load(), postWait(), postTake("OneKey", 1, false), postTake("AThousandKeys", 1000, false), postTake("AThousandKeysStay", 1000, true))
}

func BenchmarkLoad(b *testing.B)     { load().Bench(b) }
func BenchmarkPostWait(b *testing.B) { postWait().Bench(b) }

var sink int

// load is a look at the latest value.
func load() paired.Contest {
	var (
		mu      sync.RWMutex
		value   = 9527
		slot    rwevent.Slot[int]
		pointer atomic.Pointer[int]
	)
	_ = slot.Post(value)
	pointer.Store(&value)
	return paired.Contest{Name: "Load", Ways: []paired.Way{
		{Name: "RWMutex", Run: func(n int) {
			for range n {
				mu.RLock()
				sink = value
				mu.RUnlock()
			}
		}},
		{Name: "Slot", Run: func(n int) {
			for range n {
				sink, _, _ = slot.Load()
			}
		}},
		{Name: "atomic.Pointer", Run: func(n int) {
			for range n {
				sink = *pointer.Load()
			}
		}},
	}}
}

// postWait is a goroutine that posts, and another one that waits for the event and posts an
// answer. These are two posts, each to a goroutine that sleeps or is about to, and two waits.
func postWait() paired.Contest {
	background := context.Background()
	ctx, cancel := context.WithCancel(background)
	context.AfterFunc(ctx, cancel) // to say that cancel is not forgotten
	return paired.Contest{Name: "PostWait", Ways: []paired.Way{
		{Name: "mutex+sync.Cond", Run: pingPong(func() box {
			var g guarded
			g.cond.L = &g.mu
			return box{g.post, g.wait}
		})},
		{Name: "Slot", Run: pingPong(func() box {
			var s rwevent.Slot[int]
			return box{poster(&s), func(after uint64) (int, uint64) {
				v, gen, _ := s.Wait(background, after)
				return v, gen
			}}
		})},
		{Name: "Slot-ctx", Run: pingPong(func() box {
			var s rwevent.Slot[int]
			return box{poster(&s), func(after uint64) (int, uint64) {
				v, gen, _ := s.Wait(ctx, after)
				return v, gen
			}}
		})},
		{Name: "Slot-task", Run: pingPong(func() box {
			var s rwevent.Slot[int]
			var task waitqueue.Task
			return box{poster(&s), func(after uint64) (int, uint64) {
				v, gen, _ := s.WaitBy(&task, after)
				return v, gen
			}}
		})},
		{Name: "channel", Run: pingPong(func() box {
			c := make(chan int, 1)
			return box{
				post: func(v int) { c <- v },
				wait: func(after uint64) (int, uint64) { return <-c, after + 1 },
			}
		})},
	}}
}

// A box is a place for a value. wait returns the value whose number is above
// after, and its number.
type box struct {
	post func(v int)
	wait func(after uint64) (int, uint64)
}

// pingPong has two goroutines hand a number to and fro, n times, through two
// boxes.
func pingPong(newBox func() box) func(n int) {
	return func(n int) {
		there, back := newBox(), newBox()
		var answering sync.WaitGroup
		answering.Go(func() {
			for v, gen := 0, uint64(0); v < n; {
				v, gen = there.wait(gen)
				back.post(v)
			}
		})
		var gen uint64
		for v := range n {
			there.post(v + 1)
			_, gen = back.wait(gen)
		}
		answering.Wait()
	}
}

func poster(s *rwevent.Slot[int]) func(v int) {
	return func(v int) { _ = s.Post(v) }
}

// guarded is a latest value as one writes it without this package. Nobody can
// give up waiting for it.
type guarded struct {
	mu   sync.Mutex
	cond sync.Cond
	v    int
	gen  uint64
}

func (g *guarded) post(v int) {
	g.mu.Lock()
	g.v = v
	g.gen++
	g.mu.Unlock()
	g.cond.Broadcast()
}

func (g *guarded) wait(after uint64) (int, uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.gen <= after {
		g.cond.Wait()
	}
	return g.v, g.gen
}
