package kthread_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/kprim/kprim/internal/paired"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func BenchmarkStartStop(b *testing.B)  { startStop().Bench(b) }
func BenchmarkSleepWake(b *testing.B)  { sleepWake().Bench(b) }
func BenchmarkNamedQueue(b *testing.B) { namedQueue().Bench(b) }

func BenchmarkWorks(b *testing.B) {
	for _, consumers := range []int{1, 4} {
		burst(consumers).Bench(b)
		outstanding(consumers, 64).Bench(b)
		outstanding(consumers, 1).Bench(b)
	}
}

// TestPairedContests prints how long each way takes, as a ratio to the first
// way of its contest.
//
//	go test ./kthread -run Paired -paired -v -cpu 1,2
func TestPairedContests(t *testing.T) {
	paired.Test(t, startStop(), sleepWake(), namedQueue(), burst(1), outstanding(1, 64), outstanding(1, 1),
		burst(4), outstanding(4, 64), outstanding(4, 1))
}

// startStop is a goroutine that is started, says that it is ready, sleeps until
// it is asked to stop, and whose error is waited for.
func startStop() paired.Contest {
	ctx := context.Background()
	return paired.Contest{Name: "StartStop", Ways: []paired.Way{
		{Name: "goroutine+channels", Run: func(n int) {
			for range n {
				ready, stop, gone := make(chan struct{}), make(chan struct{}), make(chan error, 1)
				go func() {
					close(ready)
					<-stop
					gone <- nil
				}()
				<-ready
				close(stop)
				<-gone
			}
		}},
		{Name: "kthread", Run: func(n int) {
			for range n {
				t, _ := kthread.Start(ctx, "bench", func(cur *kthread.Current) error {
					var q waitqueue.Queue
					cur.Ready()
					_ = cur.Wait(&q, cur.ShouldStop)
					return nil
				})
				_ = t.Stop()
			}
		}},
		{Name: "errgroup", Run: func(n int) {
			for range n {
				ctx, cancel := context.WithCancel(ctx)
				group, ctx := errgroup.WithContext(ctx)
				ready := make(chan struct{})
				group.Go(func() error {
					close(ready)
					<-ctx.Done()
					return nil
				})
				<-ready
				cancel()
				_ = group.Wait()
			}
		}},
		{Name: "goroutine+semaphores", Run: func(n int) {
			for range n {
				ready, stop, gone := locked(), locked(), locked()
				var err error
				go func() {
					ready.Release(1)
					_ = stop.Acquire(ctx, 1)
					err = nil
					gone.Release(1)
				}()
				_ = ready.Acquire(ctx, 1)
				stop.Release(1)
				_ = gone.Acquire(ctx, 1)
				_ = err
			}
		}},
	}}
}

// locked returns a semaphore that is created locked, as init_MUTEX_LOCKED
// makes them.
func locked() *semaphore.Weighted {
	s := semaphore.NewWeighted(1)
	s.TryAcquire(1)
	return s
}

// sleepWake is two threads that wake each other: two waits and two wake-ups.
func sleepWake() paired.Contest {
	return paired.Contest{Name: "SleepWake", Ways: []paired.Way{
		{Name: "goroutine+select", Run: func(n int) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			turns := [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
			turns[0] <- struct{}{}
			gone := make(chan struct{})
			for me := range 2 {
				go func() {
					for range n {
						select {
						case <-turns[me]:
							turns[1-me] <- struct{}{}
						case <-ctx.Done():
						}
					}
					gone <- struct{}{}
				}()
			}
			<-gone
			<-gone
		}},
		{Name: "kthread", Run: func(n int) { turns(n, "") }},
	}}
}

// namedQueue is the price of showing where a thread sleeps.
func namedQueue() paired.Contest {
	return paired.Contest{Name: "NamedQueue", Ways: []paired.Way{
		{Name: "unnamed", Run: func(n int) { turns(n, "") }},
		{Name: "named", Run: func(n int) { turns(n, "turn") }},
		{Name: "labelled", Run: func(n int) {
			kthread.SetProfile(true)
			defer kthread.SetProfile(false)
			turns(n, "turn")
		}},
	}}
}

// turns has two threads wake each other n times, on a queue of that name.
func turns(n int, name string) {
	q := waitqueue.Queue{Name: name}
	var turn atomic.Int64
	var pair [2]*kthread.Thread
	for me := range pair {
		pair[me] = kthread.Run("bench", func(cur *kthread.Current) error {
			mine := func() bool { return turn.Load() == int64(me) }
			for range n {
				if err := cur.Wait(&q, mine); err != nil {
					return err
				}
				turn.Store(int64(1 - me))
				q.WakeUp()
			}
			return nil
		})
	}
	for _, t := range pair {
		_ = t.Wait(context.Background())
	}
}

// consumers are goroutines that run the funcs of one channel.
type consumers struct {
	n     int
	funcs chan func()
}

func (c *consumers) open() {
	c.funcs = make(chan func(), 1024)
	for range c.n {
		go func() {
			for f := range c.funcs {
				f()
			}
		}()
	}
}

func (c *consumers) close() { close(c.funcs) }

// A queue is where works are queued: a Worker or a Workqueue.
type queuer interface{ Enqueue(*kthread.Work) bool }

// worksWay is a way with a Worker, if there is one consumer, or a Workqueue.
func worksWay(consumers int, run func(n int, q queuer)) paired.Way {
	var q queuer
	way := paired.Way{Run: func(n int) { run(n, q) }}
	if consumers == 1 {
		var w *kthread.Worker
		way.Name = "Worker"
		way.Open = func() { w = kthread.RunWorker("bench"); q = w }
		way.Close = func() { _ = w.Destroy(context.Background()) }
		return way
	}
	var wq *kthread.Workqueue
	way.Name = "Workqueue"
	way.Open = func() { wq = kthread.AllocWorkqueue("bench", consumers); q = wq }
	way.Close = func() { _ = wq.Destroy(context.Background()) }
	return way
}

// burst is 1,000 distinct works that are queued one after the other. The last one to run
// tells that all have run.
func burst(n int) paired.Contest {
	const works = 1000
	var ran atomic.Int64
	done := make(chan struct{}, 1)
	run := func() {
		if ran.Add(1)%works == 0 {
			done <- struct{}{}
		}
	}
	c := consumers{n: n}
	all := make([]kthread.Work, works)
	for i := range all {
		all[i].Func = run
	}
	return paired.Contest{Name: fmt.Sprint("Burst", n), Ways: []paired.Way{
		{Name: "channel of funcs", Open: c.open, Close: c.close, Run: func(n int) {
			for range n {
				for range works {
					c.funcs <- run
				}
				<-done
			}
		}},
		worksWay(n, func(n int, q queuer) {
			for range n {
				for i := range all {
					q.Enqueue(&all[i])
				}
				<-done
			}
		}),
	}}
}

// outstanding is works of which so many are queued or run at any time. Each one that has
// run gives its place to the next.
func outstanding(n, places int) paired.Contest {
	free := make(chan int, places)
	works, funcs := make([]kthread.Work, places), make([]func(), places)
	for i := range works {
		free <- i
		funcs[i] = func() { free <- i }
		works[i].Func = funcs[i]
	}
	each := func(n int, queue func(i int)) {
		for range n {
			queue(<-free)
		}
		all := make([]int, places)
		for i := range all { // until they have run
			all[i] = <-free
		}
		for _, i := range all {
			free <- i
		}
	}
	c := consumers{n: n}
	return paired.Contest{Name: fmt.Sprintf("Outstanding%dof%d", places, n), Ways: []paired.Way{
		{Name: "channel of funcs", Open: c.open, Close: c.close, Run: func(n int) {
			each(n, func(i int) { c.funcs <- funcs[i] })
		}},
		worksWay(n, func(n int, q queuer) {
			each(n, func(i int) { q.Enqueue(&works[i]) })
		}),
	}}
}
