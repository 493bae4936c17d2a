package waitqueue_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// With -long all Hammer tests together do 100 million waits:
//
//	go test ./waitqueue -run Hammer -long -timeout 0
var long = flag.Bool("long", false, "run the Hammer tests for long")

// rounds returns how long a Hammer test goes on.
func rounds(short, ifLong int) int {
	if *long {
		return ifLong
	}
	return short
}

// Takers take tokens and give them back. Their contexts end at random. In the end every token
// is there. If a taker slept on while a token was there, the test would hang.
func TestHammerConservesTokens(t *testing.T) {
	const takers = 8
	rounds := rounds(5000, 5_000_000)
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
				q.WakeUpAll() // for the watchers: a token was taken
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

// A till has tokens. take waits for a token, and give adds one and wakes a waiter.
type till struct {
	take func(ctx context.Context) error
	give func()
	left func() int
	idle func() bool // nobody is on the queue

	carry bool // the contexts carry tasks
}

func tills() map[string]till {
	return map[string]till{
		"WaitExclusive":       queueTill((*waitqueue.Queue).WaitExclusive),
		"WaitExclusiveLocked": queueTill(waitWithLock),
		"Task":                queueTill(waitAsTask),
		"Task locked":         lockedTill((*waitqueue.Task).WaitExclusiveLocked),
		"Task timeout":        lockedTill(waitForMicroseconds),
		"Completion":          completionTill(),
		"Cond.WaitFor":        condTill((*waitqueue.Cond).WaitFor),
		"Cond.Wait":           condTill(waitInLoop),

		"WithTask":               queueTill((*waitqueue.Queue).WaitExclusive).withOneTask(),
		"WithTask, Completion":   completionTill().withOneTask(),
		"WithTask, Cond.WaitFor": condTill((*waitqueue.Cond).WaitFor).withOneTask(),
		"WithTask, Cond.Wait":    condTill(waitInLoop).withOneTask(),
	}
}

// withOneTask has two contexts that carry a task in each round: one for all waits that a context
// can end, and one for all others.
func (c till) withOneTask() till {
	c.carry = true
	return c
}

func queueTill(wait func(*waitqueue.Queue, context.Context, func() bool) error) till {
	var q waitqueue.Queue
	var tok tokens
	return till{
		take: func(ctx context.Context) error { return wait(&q, ctx, tok.tryTake) },
		give: func() { tok.Add(1); q.WakeUp() },
		left: func() int { return int(tok.Load()) },
		idle: func() bool { return !q.Active() },
	}
}

// waitWithLock has a lock of its own for each wait. No other goroutine uses it.
func waitWithLock(q *waitqueue.Queue, ctx context.Context, cond func() bool) error {
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	return q.WaitExclusiveLocked(ctx, &mu, cond)
}

// waitAsTask has the end of ctx interrupt the task.
func waitAsTask(q *waitqueue.Queue, ctx context.Context, cond func() bool) error {
	var task waitqueue.Task
	defer context.AfterFunc(ctx, task.Interrupt)()
	return task.WaitExclusive(q, cond)
}

// lockedTill has tokens that a lock guards, and tasks that the end of ctx interrupts.
func lockedTill(wait taskWait) till {
	var q waitqueue.Queue
	var mu sync.Mutex
	n := 0 // guarded by mu
	take := func() bool {
		if n == 0 {
			return false
		}
		n--
		return true
	}
	return till{
		take: func(ctx context.Context) error {
			var task waitqueue.Task
			defer context.AfterFunc(ctx, task.Interrupt)()
			mu.Lock()
			defer mu.Unlock()
			return wait(&task, &q, &mu, take)
		},
		give: func() { mu.Lock(); n++; mu.Unlock(); q.WakeUp() },
		left: func() int { return n },
		idle: func() bool { return !q.Active() },
	}
}

// waitForMicroseconds gives up again and again, until it succeeds or is interrupted.
func waitForMicroseconds(t *waitqueue.Task, q *waitqueue.Queue, l sync.Locker, cond func() bool) error {
	for {
		if err := t.WaitLockedTimeout(q, l, 20*time.Microsecond, cond); !errors.Is(err, syscall.ETIMEDOUT) {
			return err
		}
	}
}

func completionTill() till {
	var c waitqueue.Completion
	return till{
		take: c.Wait,
		give: c.Complete,
		left: func() int { return int(c.Tokens()) },
		idle: func() bool { return !c.WaitQueue().Active() },
	}
}

func condTill(wait func(*waitqueue.Cond, context.Context, func() bool) error) till {
	c := waitqueue.NewCond(new(sync.Mutex))
	n := 0 // guarded by c.L
	return till{
		take: func(ctx context.Context) error {
			c.L.Lock()
			defer c.L.Unlock()
			err := wait(c, ctx, func() bool { return n > 0 })
			if err == nil {
				n--
			}
			return err
		},
		give: func() {
			c.L.Lock()
			n++
			c.L.Unlock()
			c.Signal()
		},
		left: func() int { return n },
		idle: func() bool { return !c.Active() },
	}
}

// waitInLoop is the loop that users of sync.Cond write.
func waitInLoop(c *waitqueue.Cond, ctx context.Context, pred func() bool) error {
	for !pred() {
		if err := c.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// In each round as many tokens are given as are taken in the end, and each taker comes once.
// A waiter that gives up may swallow a wake-up, or a wake-up may be lost. Then a token and a
// sleeper are left, and the round does not end.
func TestHammerEveryTokenIsTaken(t *testing.T) {
	for name, till := range tills() {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(2, 3))
			waits, wakes, cancelled := 0, 0, 0
			for range rounds(5000, 2_550_000) {
				waited, gaveUp := till.round(t.Context(), rng)
				waits += waited
				wakes += waited - gaveUp
				cancelled += gaveUp
			}
			require.Zero(t, till.left())
			require.True(t, till.idle())
			t.Logf("%d waits, %d of them cancelled, %d wakes", waits, cancelled, wakes)
		})
	}
}

// round has some takers that never give up and some that are cancelled, and
// returns how many there were and how many of them gave up.
func (c till) round(parent context.Context, rng *rand.Rand) (waited, gaveUp int) {
	patient, hasty := 1+rng.IntN(3), rng.IntN(3)
	ctx, cancel := context.WithCancel(parent)
	background := context.Background()
	if c.carry {
		ctx, _ = waitqueue.WithTask(ctx, "")
		background, _ = waitqueue.WithTask(background, "")
	}
	var staying, leaving, giving sync.WaitGroup
	var failed atomic.Int32
	for _, i := range rng.Perm(patient + hasty) {
		if i < patient {
			staying.Go(func() { _ = c.take(background) })
			continue
		}
		leaving.Go(func() {
			if c.take(ctx) != nil {
				failed.Add(1)
			}
		})
	}
	for range rng.IntN(3) {
		runtime.Gosched()
	}
	giving.Go(cancel)
	for range patient {
		giving.Go(c.give)
	}
	giving.Wait()
	leaving.Wait()
	gaveUp = int(failed.Load())
	for range hasty - gaveUp { // the hasty takers took tokens of the patient ones
		c.give()
	}
	staying.Wait() // hangs if a wake-up was lost
	return patient + hasty, gaveUp
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

// Two goroutines share each copy of one parent. They end, stop or drop the copy at random.
// They take tokens by the queue or by the Cond, and give them back. In the end every token is
// there.
func TestHammerCopiesOfOneParent(t *testing.T) {
	const goroutines = 8
	rounds := rounds(3000, 1_000_000)
	parent, cancel := context.WithCancel(t.Context())
	var q waitqueue.Queue
	var tok, shelf tokens // shelf is guarded by c.L
	tok.Store(2)
	shelf.Store(2)
	c := waitqueue.NewCond(new(sync.Mutex))
	take := func(ctx context.Context, rng *rand.Rand) error {
		if rng.IntN(2) == 0 {
			err := q.WaitExclusive(ctx, tok.tryTake)
			if err == nil {
				runtime.Gosched()
				tok.Add(1)
				q.WakeUp()
			}
			return err
		}
		c.L.Lock()
		err := c.WaitFor(ctx, shelf.tryTake)
		c.L.Unlock()
		if err == nil {
			runtime.Gosched()
			c.L.Lock()
			shelf.Add(1)
			c.Signal()
			c.L.Unlock()
		}
		return err
	}
	var all sync.WaitGroup
	var cancelled atomic.Int64
	var copies [goroutines / 2]atomic.Pointer[carrying]
	for i := range copies {
		copies[i].Store(newCopy(parent, i))
	}
	for id := range goroutines {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(5, uint64(id)))
			place := &copies[id/2]
			for range rounds {
				c := place.Load()
				err := take(c.ctx, rng)
				if err != nil {
					cancelled.Add(1)
				}
				switch n := rng.IntN(20); {
				case n == 0:
					c.end()
				case n == 1:
					c.stop()
				case n == 2:
					waitqueue.TaskOf(c.ctx).WakeUp(waitqueue.Normal)
				case n > 5 && err == nil:
					continue
				}
				if place.CompareAndSwap(c, newCopy(parent, rng.IntN(2))) {
					c.end()
				}
			}
		})
	}
	all.Wait() // hangs if a wake-up was lost
	cancel()
	require.EqualValues(t, 2, tok.Load())
	require.EqualValues(t, 2, shelf.Load())
	require.False(t, q.Active())
	require.False(t, c.Active())
	t.Logf("%d waits, %d cancelled", goroutines*rounds, cancelled.Load())
}

// A carrying is a context that carries a task. end does nothing if only the parent has an end.
type carrying struct {
	ctx       context.Context
	end, stop func()
}

func newCopy(parent context.Context, kind int) *carrying {
	ctx, end := parent, func() {}
	if kind == 0 {
		ctx, end = context.WithCancel(parent)
	}
	ctx, stop := waitqueue.WithTask(ctx, "")
	return &carrying{ctx, end, stop}
}
