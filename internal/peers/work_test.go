package peers

import (
	"context"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/util/workqueue"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
)

const workers = 4

// A workWay starts workers that handle keys. add asks for a key to be handled once more, end
// waits for all that was added, and ends the workers.
type workWay struct {
	name  string
	start func(keys int, handle func(key int)) (add func(key int), end func())
}

// workWays has a channel first, which does not notice that a key waits already.
var workWays = []workWay{
	{"channel", startChannel},
	{"client-go workqueue", startClientGo},
	{"kthread.Workqueue", startWorkqueue},
	{"rwevent.Table", startTable},
}

// workersOf starts the workers. wait waits for their end.
func workersOf(run func()) (wait func()) {
	var group sync.WaitGroup
	for range workers {
		group.Go(run)
	}
	return group.Wait
}

func startChannel(_ int, handle func(int)) (add func(int), end func()) {
	keys := make(chan int, 1024)
	wait := workersOf(func() {
		for key := range keys {
			handle(key)
		}
	})
	return func(key int) { keys <- key }, func() {
		close(keys)
		wait()
	}
}

func startClientGo(_ int, handle func(int)) (add func(int), end func()) {
	q := workqueue.NewTyped[int]()
	wait := workersOf(func() {
		for {
			key, down := q.Get()
			if down {
				return
			}
			handle(key)
			q.Done(key)
		}
	})
	return q.Add, func() {
		q.ShutDownWithDrain()
		wait()
	}
}

// startWorkqueue has a Work for each key.
func startWorkqueue(keys int, handle func(int)) (add func(int), end func()) {
	q := kthread.AllocWorkqueue("peer", workers)
	works := make([]kthread.Work, keys)
	for key := range works {
		works[key].Func = func() { handle(key) }
	}
	return func(key int) { q.Enqueue(&works[key]) }, func() { _ = q.Destroy(context.Background()) }
}

// startTable may handle one key on two workers at once, which the others never do, except the
// channel.
func startTable(_ int, handle func(int)) (add func(int), end func()) {
	var table rwevent.Table[int, struct{}]
	wait := workersOf(func() {
		for event := range table.Takes(unending()) {
			handle(event.Key)
		}
	})
	return func(key int) { _ = table.Post(key, struct{}{}) }, func() {
		table.Close()
		wait()
	}
}

// flood changes one of 64 keys n times, as quickly as it can, and asks for it each time. A
// worker looks at the last change. The result is how many changes were seen, where a look at a
// later change sees the earlier ones of that key too.
func flood() job {
	const keys = 64
	j := job{name: "Flood", want: timesOf(1)}
	for _, w := range workWays {
		j.ways = append(j.ways, way{w.name, func(n int) (all int) {
			var changes, seen [keys]atomic.Int64
			add, end := w.start(keys, func(key int) { raise(&seen[key], changes[key].Load()) })
			for i := range n {
				changes[i%keys].Add(1)
				add(i % keys)
			}
			end()
			for key := range seen {
				all += int(seen[key].Load())
			}
			return all
		}})
	}
	return j
}

// raise sets v to at least n.
func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); old < n; old = v.Load() {
		if v.CompareAndSwap(old, n) {
			return
		}
	}
}

// burst adds 256 different keys and waits until each was handled. The result is how many were
// handled.
func burst() job {
	const keys = 256
	j := job{name: "Burst", want: timesOf(keys)}
	for _, w := range workWays {
		j.ways = append(j.ways, way{w.name, func(n int) int {
			var handled atomic.Int64
			done := make(chan struct{}, 1)
			add, end := w.start(keys, func(int) {
				if handled.Add(1)%keys == 0 {
					done <- struct{}{}
				}
			})
			for range n {
				for key := range keys {
					add(key)
				}
				<-done
			}
			end()
			return int(handled.Load())
		}})
	}
	return j
}
