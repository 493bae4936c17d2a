package peers

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"github.com/kprim/kprim/waitqueue"
)

// places is a semaphore with two places.
type places struct {
	take func(ctx context.Context) error
	give func()
}

// A semaphoreWay is one kind of semaphore, and how its goroutines prepare their contexts.
type semaphoreWay struct {
	name    string
	make    func() places
	prepare prepare
}

var semaphoreWays = []semaphoreWay{
	{"x/sync/semaphore", weighted, asItIs},
	{"channel+select", channelPlaces, asItIs},
	{"Completion", completion, asItIs},
	{"Completion+WithTask", completion, withTask},
}

func weighted() places {
	s := semaphore.NewWeighted(2)
	take := func(ctx context.Context) error { return s.Acquire(ctx, 1) }
	return places{take, func() { s.Release(1) }}
}

func completion() places {
	c := new(waitqueue.Completion)
	c.Complete()
	c.Complete()
	return places{c.Wait, c.Complete}
}

func channelPlaces() places {
	c := make(chan struct{}, 2)
	take := func(ctx context.Context) error {
		select {
		case c <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return places{take, func() { <-c }}
}

// semaphoreOfTwo has eight goroutines that take one of two places and give it back.
func semaphoreOfTwo() job { return takers("SemaphoreOfTwo", 8) }

// semaphoreAlone has one goroutine, which always finds a place.
func semaphoreAlone() job { return takers("SemaphoreAlone", 1) }

// takers is a job whose result is how often a place was taken.
func takers(name string, goroutines int) job {
	j := job{name: name, want: timesOf(1)}
	for _, w := range semaphoreWays {
		j.ways = append(j.ways, way{w.name, func(n int) int {
			var taken atomic.Int64
			s := w.make()
			share(n, goroutines, w.prepare, func(ctx context.Context) {
				if s.take(ctx) == nil {
					taken.Add(1)
					s.give()
				}
			})
			return int(taken.Load())
		}})
	}
	return j
}

// The third taker waits until its context ends. It finds a place after a give.
func TestSemaphoresHaveTwoPlaces(t *testing.T) {
	for _, w := range semaphoreWays {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				own, stop := w.prepare(ctx)
				defer stop()
				s := w.make()
				require.NoError(t, s.take(t.Context()))
				require.NoError(t, s.take(t.Context()))
				go func() {
					synctest.Wait() // the third taker sleeps
					cancel()
				}()
				require.ErrorIs(t, s.take(own), context.Canceled)
				s.give()
				require.NoError(t, s.take(t.Context()))
			})
		})
	}
}
