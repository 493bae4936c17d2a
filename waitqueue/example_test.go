package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kprim/kprim/waitqueue"
)

func ExampleQueue_Wait() {
	var queue waitqueue.Queue
	var ready atomic.Bool

	go func() {
		ready.Store(true) // first the state,
		queue.WakeUp()    // then the wake-up
	}()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(queue.Wait(ctx, ready.Load))
	// Output: <nil>
}

func ExampleQueue_Wait_timeout() {
	var queue waitqueue.Queue
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := queue.Wait(ctx, func() bool { return false })
	fmt.Println(err)
	fmt.Println(errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, context.DeadlineExceeded))
	// Output:
	// waitqueue: wait timed out: context deadline exceeded
	// true true
}

// Two workers wait for jobs. Each job wakes one of them, which tests and takes
// in one step, until a context sends both home.
func ExampleQueue_WaitExclusive() {
	var queue waitqueue.Queue
	var mu sync.Mutex
	jobs := []string{}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan string)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for {
				var job string
				err := queue.WaitExclusive(ctx, func() bool {
					mu.Lock()
					defer mu.Unlock()
					if len(jobs) == 0 {
						return false
					}
					job, jobs = jobs[0], jobs[1:]
					return true
				})
				if err != nil {
					return
				}
				done <- job
			}
		})
	}
	for _, job := range []string{"sweep", "mop", "polish"} {
		mu.Lock()
		jobs = append(jobs, job)
		mu.Unlock()
		queue.WakeUp()
		fmt.Println(<-done)
	}
	cancel()
	workers.Wait()
	// Output:
	// sweep
	// mop
	// polish
}

// A wait loop written out, step by step.
func ExampleTask() {
	var queue waitqueue.Queue
	var ready atomic.Bool
	go func() {
		ready.Store(true)
		queue.WakeUp()
	}()

	var task waitqueue.Task
	entry := waitqueue.Entry{Task: &task}
	queue.Add(&entry)
	for {
		task.SetState(waitqueue.Interruptible)
		if ready.Load() {
			break
		}
		task.Schedule()
	}
	task.SetState(waitqueue.Running)
	queue.Remove(&entry)
	fmt.Println("ready")
	// Output: ready
}
