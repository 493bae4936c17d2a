package waitqueue_test

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

// A priorityQueue has room for max jobs. Take returns the most urgent one.
type priorityQueue struct {
	max int

	mu   sync.Mutex
	jobs byUrgency

	room, work waitqueue.Queue
}

// Put adds a job, and waits for room until ctx ends.
func (q *priorityQueue) Put(ctx context.Context, j urgentJob) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.room.WaitExclusiveLocked(ctx, &q.mu, func() bool { return len(q.jobs) < q.max }); err != nil {
		return err
	}
	heap.Push(&q.jobs, j)
	q.work.WakeUp()
	return nil
}

// Take removes the most urgent job, and waits for one until ctx ends.
func (q *priorityQueue) Take(ctx context.Context) (urgentJob, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.work.WaitExclusiveLocked(ctx, &q.mu, func() bool { return len(q.jobs) > 0 }); err != nil {
		return urgentJob{}, err
	}
	j := heap.Pop(&q.jobs).(urgentJob)
	q.room.WakeUp()
	return j, nil
}

type urgentJob struct {
	urgency int
	name    string
}

type byUrgency []urgentJob

func (h byUrgency) Len() int           { return len(h) }
func (h byUrgency) Less(i, j int) bool { return h[i].urgency > h[j].urgency }
func (h byUrgency) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byUrgency) Push(job any)      { *h = append(*h, job.(urgentJob)) }

func (h *byUrgency) Pop() any {
	last := len(*h) - 1
	job := (*h)[last]
	*h = (*h)[:last]
	return job
}

// A bounded priority queue. Each wake-up is for one waiter. A context can end both waits. A
// channel cannot do this, because it is first in, first out.
func Example_priorityQueue() {
	q := &priorityQueue{max: 3}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	for _, j := range []urgentJob{{1, "sweep"}, {9, "put the fire out"}, {5, "open the door"}, {2, "mop"}} {
		fmt.Println(j.name+":", q.Put(ctx, j))
	}
	for range 3 {
		j, _ := q.Take(context.Background())
		fmt.Println(j.urgency, j.name)
	}
	// Output:
	// sweep: <nil>
	// put the fire out: <nil>
	// open the door: <nil>
	// mop: waitqueue: wait timed out: context deadline exceeded
	// 9 put the fire out
	// 5 open the door
	// 1 sweep
}
