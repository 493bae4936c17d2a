package peers

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/Jille/contextcond"
	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// A condvar is a condition variable. The caller holds its lock.
type condvar struct {
	wait   func(ctx context.Context) error
	signal func()
}

// A condWay is one kind of condition variable, and how its goroutines prepare their contexts.
type condWay struct {
	name    string
	make    func(mu *sync.Mutex) condvar
	prepare prepare
}

// condWays has a sync.Cond first, which no context can end.
var condWays = []condWay{
	{"sync.Cond", plainCond, asItIs},
	{"contextcond", contextCond, asItIs},
	{"sync.Cond+AfterFunc", afterFuncCond, asItIs},
	{"closed channel", roundCond, asItIs},
	{"waitqueue.Cond", queueCond, asItIs},
	{"waitqueue.Cond+WithTask", queueCond, withTask},
}

func plainCond(mu *sync.Mutex) condvar {
	c := sync.NewCond(mu)
	wait := func(context.Context) error {
		c.Wait()
		return nil
	}
	return condvar{wait, c.Signal}
}

func contextCond(mu *sync.Mutex) condvar {
	c := contextcond.NewCond(mu)
	return condvar{c.WaitContext, c.Signal}
}

func queueCond(mu *sync.Mutex) condvar {
	c := waitqueue.NewCond(mu)
	return condvar{c.Wait, c.Signal}
}

// afterFuncCond broadcasts when a context ends, because a Signal could wake another waiter.
func afterFuncCond(mu *sync.Mutex) condvar {
	c := sync.NewCond(mu)
	wait := func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() {
			mu.Lock() // or the broadcast could come before the sleep
			defer mu.Unlock()
			c.Broadcast()
		})
		defer stop()
		c.Wait()
		return ctx.Err()
	}
	return condvar{wait, c.Signal}
}

// roundCond has one channel for each round of waiters. Its signal wakes all of them.
func roundCond(mu *sync.Mutex) condvar {
	var round chan struct{} // nil while nobody waits
	wait := func(ctx context.Context) error {
		if round == nil {
			round = make(chan struct{})
		}
		mine := round
		mu.Unlock()
		defer mu.Lock()
		select {
		case <-mine:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	signal := func() {
		if round != nil {
			close(round)
			round = nil
		}
	}
	return condvar{wait, signal}
}

// turns has two goroutines that wait for each other: two waits and two signals a round. The
// result is how many turns they have had.
func turns() job {
	j := job{name: "Turns", want: timesOf(2)}
	for _, w := range condWays {
		j.ways = append(j.ways, way{w.name, func(n int) int { return takeTurns(n, w) }})
	}
	j.ways = append(j.ways, way{"unbuffered channels", channelTurns})
	return j
}

func takeTurns(n int, w condWay) (taken int) {
	var mu sync.Mutex
	c := w.make(&mu)
	turn := func(ctx context.Context, me int) {
		mu.Lock()
		for taken%2 != me {
			_ = c.wait(ctx)
		}
		taken++
		c.signal()
		mu.Unlock()
	}
	both(func(me int) {
		ctx, stop := w.prepare(unending())
		defer stop()
		for range n {
			turn(ctx, me)
		}
	})
	return taken
}

func channelTurns(n int) (taken int) {
	there, back := make(chan int), make(chan int)
	both(func(me int) {
		for range n {
			if me == 0 {
				there <- taken + 1
				taken = <-back
			} else {
				back <- 1 + <-there
			}
		}
	})
	return taken
}

// both runs f for 0 and for 1 at the same time.
func both(f func(me int)) {
	var group sync.WaitGroup
	group.Go(func() { f(0) })
	f(1)
	group.Wait()
}

// The waiter gives up when its context ends, and has the lock then.
func TestContextEndsTheWaitOfACond(t *testing.T) {
	for _, w := range condWays[1:] {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				own, stop := w.prepare(ctx)
				defer stop()
				var mu sync.Mutex
				c := w.make(&mu)
				go func() {
					synctest.Wait() // the waiter sleeps
					cancel()
				}()
				mu.Lock()
				require.ErrorIs(t, c.wait(own), context.Canceled)
				require.False(t, mu.TryLock())
				mu.Unlock()
			})
		})
	}
}
