package waitqueue_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// Tokens go round between takers that are cancelled at random. In the end
// every token is there, and nobody slept while one was.
func TestHammerConservesTokens(t *testing.T) {
	const takers, rounds = 8, 2000
	var q waitqueue.Queue
	var tok tokens
	var cancelled, watched atomic.Int64
	tok.Store(2)
	watching, enough := context.WithCancel(t.Context())

	var all, watchers sync.WaitGroup
	for range 2 {
		watchers.Go(func() {
			for watching.Err() == nil {
				if q.Wait(watching, func() bool { return tok.Load() == 0 }) == nil {
					watched.Add(1)
				}
				_ = q.Wait(watching, func() bool { return tok.Load() > 0 })
			}
		})
	}
	for id := range takers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(id)))
			var task waitqueue.Task
			for range rounds {
				var err error
				switch rng.IntN(3) {
				case 0:
					err = q.WaitExclusive(context.Background(), tok.tryTake)
				case 1:
					err = task.WaitExclusive(&q, tok.tryTake)
				default:
					ctx, cancel := context.WithCancel(t.Context())
					timer := time.AfterFunc(time.Duration(rng.IntN(20))*time.Microsecond, cancel)
					err = q.WaitExclusive(ctx, tok.tryTake)
					timer.Stop()
					cancel()
				}
				if err != nil {
					cancelled.Add(1)
					continue
				}
				q.WakeUpAll() // for the watchers: a token has gone
				tok.Add(1)
				q.WakeUp()
			}
		})
	}
	all.Wait() // hangs if a wake-up was lost
	enough()
	watchers.Wait()
	require.EqualValues(t, 2, tok.Load())
	require.False(t, q.Active())
	t.Logf("%d waits, %d cancelled, %d seen by watchers", takers*rounds, cancelled.Load(), watched.Load())
}

func TestTaskWaitAllocatesNothing(t *testing.T) {
	var q waitqueue.Queue
	var turn atomic.Int64
	var ping, pong waitqueue.Task
	const rounds = 1000
	play := func(task *waitqueue.Task, mine int64) {
		next := mine
		cond := func() bool { return turn.Load() == next }
		for range rounds {
			_ = task.Wait(&q, cond)
			next += 2
			turn.Add(1)
			q.WakeUp()
		}
	}
	allocs := testing.AllocsPerRun(10, func() {
		turn.Store(0)
		var other sync.WaitGroup
		other.Go(func() { play(&pong, 1) })
		play(&ping, 0)
		other.Wait()
	})
	require.Less(t, allocs/rounds, 0.1, "allocations a round trip")
}
