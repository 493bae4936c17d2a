package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

// The wake-up hands a job over. The Func of an entry takes the job for its sleeper while the
// queue is locked. So no newcomer is quicker, and the clerks are served in order of arrival.
func ExampleEntry_handOver() {
	var desk waitqueue.Queue
	var jobs []string // the lock of desk guards these two
	given := make([]string, 2)

	var clerks sync.WaitGroup
	for i := range given {
		task := new(waitqueue.Task)
		desk.AddExclusive(&waitqueue.Entry{Task: task, Func: func(_ *waitqueue.Entry, mask waitqueue.State, _ any) int {
			if given[i] != "" || len(jobs) == 0 {
				return 0 // the wake-up is for the next clerk
			}
			given[i], jobs = jobs[0], jobs[1:]
			task.WakeUp(mask)
			return 1
		}})
		clerks.Go(func() {
			_ = task.Wait(&desk, func() bool {
				desk.Lock()
				defer desk.Unlock()
				return given[i] != ""
			})
		})
	}
	for _, job := range []string{"the first letter", "the second letter"} {
		desk.Lock()
		jobs = append(jobs, job)
		desk.WakeHeld(waitqueue.Normal, 1)
		fmt.Println("left for a newcomer:", len(jobs))
		desk.Unlock()
	}
	clerks.Wait()
	for i, job := range given {
		fmt.Printf("clerk %d: %s\n", i+1, job)
	}
	// Output:
	// left for a newcomer: 0
	// left for a newcomer: 0
	// clerk 1: the first letter
	// clerk 2: the second letter
}

// The request has a context, and the server has one. The context that ends first ends the wait,
// and the error has the cause of that context.
func ExampleQueue_Wait_twoContexts() {
	var queue waitqueue.Queue
	request := context.Background()
	server, shutDown := context.WithCancelCause(context.Background())

	ctx, cancel := context.WithCancelCause(request)
	defer cancel(nil)
	stop := context.AfterFunc(server, func() { cancel(context.Cause(server)) })
	defer stop()

	shutDown(errors.New("the server shuts down"))
	fmt.Println(queue.Wait(ctx, func() bool { return false }))
	// Output: waitqueue: wait interrupted: the server shuts down
}

// The Func of an entry passes the wake-ups of a queue on to a channel. So a select can wait for
// both: the queue and a channel of another package. The channel has room for one wake-up,
// because a wake-up may come while the condition is tested.
func ExampleEntry_channel() {
	var queue waitqueue.Queue
	var ready atomic.Bool
	messages := make(chan string)

	woken := make(chan struct{}, 1)
	entry := waitqueue.Entry{Func: func(*waitqueue.Entry, waitqueue.State, any) int {
		select {
		case woken <- struct{}{}:
		default:
		}
		return 1
	}}
	queue.Add(&entry)
	defer queue.Remove(&entry)

	go func() {
		messages <- "hello"
		ready.Store(true)
		queue.WakeUp()
	}()
	for !ready.Load() {
		select {
		case <-woken:
		case message := <-messages:
			fmt.Println("message:", message)
		}
	}
	fmt.Println("ready")
	// Output:
	// message: hello
	// ready
}

// A wait with a timeout and without a context.
func ExampleTask_WaitTimeout() {
	var queue waitqueue.Queue
	var ready atomic.Bool
	var task waitqueue.Task
	fmt.Println(task.WaitTimeout(&queue, time.Millisecond, ready.Load))
	go func() {
		ready.Store(true)
		queue.WakeUp()
	}()
	fmt.Println(task.WaitTimeout(&queue, time.Hour, ready.Load))
	// Output:
	// waitqueue: wait timed out: context deadline exceeded
	// <nil>
}

// The same as a loop that no interrupt ends. Each sleep gets the time that is left, and only
// a wake-up or the end of that time ends it.
func ExampleTask_ScheduleTimeout() {
	var queue waitqueue.Queue
	var ready atomic.Bool

	task := new(waitqueue.Task)
	wait := func(left time.Duration) bool {
		entry := waitqueue.Entry{Task: task}
		defer queue.Finish(&entry)
		for {
			queue.Prepare(&entry, waitqueue.Uninterruptible)
			if ready.Load() || left == 0 {
				return ready.Load()
			}
			left = task.ScheduleTimeout(left)
		}
	}
	fmt.Println("in a millisecond:", wait(time.Millisecond))
	go func() {
		ready.Store(true)
		queue.WakeUp()
	}()
	fmt.Println("in an hour:", wait(time.Hour))
	// Output:
	// in a millisecond: false
	// in an hour: true
}
