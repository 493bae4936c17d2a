package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

var errClosed = errors.New("the queue is closed")

// A fifo is a queue with room for max items. Put and Get give up when their context ends, and
// are served in order of arrival.
type fifo struct {
	mu          sync.Mutex // guards items and closed
	full, empty *waitqueue.Cond
	items       []string
	max         int
	closed      bool
}

func newFIFO(max int) *fifo {
	q := &fifo{max: max}
	q.full, q.empty = waitqueue.NewCond(&q.mu), waitqueue.NewCond(&q.mu)
	return q
}

// Put waits for room.
func (q *fifo) Put(ctx context.Context, item string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.full.WaitFor(ctx, func() bool { return q.closed || len(q.items) < q.max }); err != nil {
		return err
	}
	if q.closed {
		return errClosed
	}
	q.items = append(q.items, item)
	q.empty.Signal()
	return nil
}

// Get waits for an item. After Close it returns the items that are left, and then an error.
func (q *fifo) Get(ctx context.Context) (item string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.empty.WaitFor(ctx, func() bool { return q.closed || len(q.items) > 0 }); err != nil {
		return "", err
	}
	if len(q.items) == 0 {
		return "", errClosed
	}
	item, q.items = q.items[0], q.items[1:]
	q.full.Signal()
	return item, nil
}

// Close ends the waits of all callers.
func (q *fifo) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.full.Broadcast()
	q.empty.Broadcast()
}

// A queue with room for two items, whose callers give up when their context ends.
func ExampleCond_WaitFor() {
	q := newFIFO(2)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(q.Put(ctx, "one"), q.Put(ctx, "two"))
	fmt.Println(q.Put(ctx, "three"))
	fmt.Println(q.Get(ctx)) // ctx has ended, but there is an item

	left := make(chan error)
	go func() {
		_, err := q.Get(context.Background()) // "two"
		if err == nil {
			_, err = q.Get(context.Background())
		}
		left <- err
	}()
	q.Close()
	fmt.Println(<-left)
	// Output:
	// <nil> <nil>
	// waitqueue: wait timed out: context deadline exceeded
	// one <nil>
	// the queue is closed
}
