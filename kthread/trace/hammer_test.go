package trace_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/waitqueue"
)

// A tally has the numbers that a program counted of itself: how often each thread was woken, and how often
// each one woke another one.
type tally struct {
	mu          sync.Mutex
	woken, woke map[string]int
}

// tallyOf reads the same from a trace, and also where each thread slept.
func tallyOf(lines []line) (woken, woke map[string]int, places map[string]map[string]bool) {
	woken, woke, places = map[string]int{}, map[string]int{}, map[string]map[string]bool{}
	for i, l := range lines {
		switch {
		case l.event == "sched_waking" && strings.Contains(l.task, "hammer/"):
			woke[l.task]++
			woken[l.args["comm"]]++
		case l.event == "sched_blocked_reason":
			name := lines[i-1].args["comm"]
			if places[name] == nil {
				places[name] = map[string]bool{}
			}
			places[name][l.args["caller"]] = true
		}
	}
	return woken, woke, places
}

// Threads hand tokens around a ring, each at a door of its own: 100,000 events of 64 threads.
// From the trace alone follows where each thread slept, and which thread woke it.
func TestHammer(t *testing.T) {
	const threads, tokens = 64, 8
	rounds := 400
	if testing.Short() {
		rounds = 20
	}
	var b bytes.Buffer
	require.NoError(t, trace.Start(&b))
	stopped := false
	defer func() {
		if !stopped {
			_ = trace.Stop()
		}
	}()

	var doors [threads]waitqueue.Queue
	var held [threads]atomic.Int32
	for i := range doors {
		doors[i].Name = fmt.Sprint("door/", i)
	}
	count := tally{woken: map[string]int{}, woke: map[string]int{}}
	take := func(i int) func() bool {
		return func() bool {
			n := held[i].Load()
			return n > 0 && held[i].CompareAndSwap(n, n-1)
		}
	}
	give := func(from, to int) {
		held[to].Add(1)
		if n := doors[to].WakeUp(); n > 0 {
			count.mu.Lock()
			count.woke[fmt.Sprint("hammer/", from)] += n
			count.woken[fmt.Sprint("hammer/", to)] += n
			count.mu.Unlock()
		}
	}
	var all []*kthread.Thread
	for i := range threads {
		all = append(all, kthread.Run(fmt.Sprint("hammer/", i), func(cur *kthread.Current) error {
			for range rounds * tokens {
				if err := cur.WaitExclusive(&doors[i], take(i)); err != nil {
					return err
				}
				give(i, (i+1)%threads)
			}
			return nil
		}))
	}
	for i := range tokens {
		held[i*threads/tokens].Add(1)
		doors[i*threads/tokens].WakeUp()
	}
	for _, th := range all {
		require.NoError(t, th.Wait(background))
	}
	stopped = true
	require.NoError(t, trace.Stop())

	lines := parse(t, b.String())
	lost := losses(t, b.String())
	t.Logf("%d lines, %d events lost, %d bytes", len(lines), lost, b.Len())
	if !testing.Short() {
		require.Greater(t, len(lines)+lost, 100_000)
	}
	if lost > 0 {
		t.Skip("the machine was too slow to write all of it")
	}
	woken, woke, places := tallyOf(lines)
	require.Equal(t, count.woke, woke)
	require.Equal(t, count.woken, woken)
	for name, at := range places {
		if number, ok := strings.CutPrefix(name, "hammer/"); ok {
			require.Equal(t, map[string]bool{"door/" + number: true}, at)
		}
	}
}

// Waits of all kinds, which wake-ups, contexts, timers and signals end. parse checks that no
// lane runs while it sleeps, and that each wake-up is behind its sleep.
func TestHammerOfAllKinds(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 20
	}
	var b bytes.Buffer
	require.NoError(t, trace.Start(&b))
	var q, other waitqueue.Queue
	q.Name, other.Name = "door", "window"
	var mu sync.Mutex
	cond := waitqueue.NewCond(&mu)
	never := func() bool { return false }
	var group sync.WaitGroup
	each := func(wait func(ctx context.Context)) {
		group.Go(func() {
			for range rounds {
				ctx, cancel := context.WithTimeout(background, 100*time.Microsecond)
				wait(ctx)
				cancel()
			}
		})
	}
	coin := func() bool { return rand.N(4) == 0 }
	for range 8 {
		each(func(ctx context.Context) { _ = q.Wait(ctx, coin) })
		each(func(ctx context.Context) { _ = q.WaitExclusive(ctx, never) })
		each(func(ctx context.Context) { _ = waitqueue.WaitAny(ctx, coin, &q, &other) })
		each(func(ctx context.Context) { mu.Lock(); _ = cond.Wait(ctx); mu.Unlock() })
		each(func(ctx context.Context) {
			ctx, stop := waitqueue.WithTask(ctx, "named")
			_ = other.WaitExclusive(ctx, coin)
			mu.Lock()
			_ = cond.Wait(ctx)
			mu.Unlock()
			stop()
		})
		each(func(context.Context) {
			var task waitqueue.Task
			_ = task.WaitTimeout(&other, 100*time.Microsecond, coin)
			task.SetState(waitqueue.Interruptible)
			task.ScheduleTimeout(100 * time.Microsecond)
		})
		th := kthread.Run("thread", func(cur *kthread.Current) error {
			_ = cur.Allow(10)
			for !cur.ShouldStop() {
				_ = cur.WaitTimeout(&q, time.Millisecond, coin)
				cur.Flush()
			}
			return nil
		})
		each(func(context.Context) {
			_ = th.Signal(10)
			q.WakeUp()
			other.WakeUpAll()
			cond.Signal()
			trace.Instant("ring")
		})
		defer func() { require.NoError(t, th.Stop()) }()
	}
	group.Wait()
	require.NoError(t, trace.Stop())
	lines := parse(t, b.String())
	t.Logf("%d lines, %d events lost", len(lines), losses(t, b.String()))
	require.NotEmpty(t, lines)
}
