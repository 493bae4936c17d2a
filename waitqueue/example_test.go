package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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

// A worker's loop waits again and again with one context. The context carries a task, so no
// wait allocates, and the task shows how the worker sleeps.
func ExampleWithTask() {
	jobs := waitqueue.Queue{Name: "jobs"}
	var todo atomic.Int32
	done := make(chan string)
	tryTake := func() bool {
		n := todo.Load()
		return n > 0 && todo.CompareAndSwap(n, n-1)
	}

	worker := func(ctx context.Context) {
		for jobs.WaitExclusive(ctx, tryTake) == nil {
			done <- "swept"
		}
		close(done)
	}
	parent, cancel := context.WithCancel(context.Background())
	ctx, stop := waitqueue.WithTask(parent, "sweeper")
	defer stop()
	go worker(ctx)

	for range 2 {
		todo.Add(1)
		jobs.WakeUp()
		fmt.Println(<-done)
	}
	for waitqueue.TaskOf(ctx).State() == waitqueue.Running {
		runtime.Gosched() // until it has nothing to do
	}
	fmt.Println(waitqueue.TaskOf(ctx))
	cancel()
	<-done
	// Output:
	// swept
	// swept
	// Task(sweeper S jobs)
}

// A context can end the wait for this lock, as with mutex_lock_interruptible. A wake-up follows
// each Unlock. Nobody calls mu.Lock, because TryLock may fail while a Lock waits. For a count of
// more than one, golang.org/x/sync/semaphore has an Acquire with a context.
func ExampleQueue_WaitExclusive_mutex() {
	var mu sync.Mutex
	var unlocked waitqueue.Queue
	lock := func(ctx context.Context) error { return unlocked.WaitExclusive(ctx, mu.TryLock) }
	unlock := func() { mu.Unlock(); unlocked.WakeUp() }

	background := context.Background()
	fmt.Println(lock(background)) // free, so it is taken

	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	fmt.Println(lock(ctx)) // held, so the deadline ends the wait

	next := make(chan error)
	go func() { next <- lock(background) }()
	unlock()
	fmt.Println(<-next)
	unlock()
	// Output:
	// <nil>
	// waitqueue: wait timed out: context deadline exceeded
	// <nil>
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

// The loop of a sync.Cond, which a context can end.
func ExampleCond_Wait() {
	var mu sync.Mutex
	cond := waitqueue.NewCond(&mu)
	ready := false
	wait := func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		for !ready {
			if err := cond.Wait(ctx); err != nil {
				return err
			}
		}
		return nil
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(wait(ctx))
	go func() {
		mu.Lock()
		defer mu.Unlock()
		ready = true
		cond.Broadcast()
	}()
	fmt.Println(wait(context.Background()))
	// Output:
	// waitqueue: wait timed out: context deadline exceeded
	// <nil>
}

// A worker waits for work and for the end. Each of them has a queue of its own.
func ExampleWaitAny() {
	var work, stop waitqueue.Queue
	var jobs atomic.Int64
	var stopped atomic.Bool
	done := make(chan int64)
	go func() {
		for {
			_ = waitqueue.WaitAny(context.Background(), func() bool {
				return jobs.Load() > 0 || stopped.Load()
			}, &work, &stop)
			if stopped.Load() {
				close(done)
				return
			}
			done <- jobs.Swap(0)
		}
	}()
	jobs.Store(3)
	work.WakeUp()
	fmt.Println("jobs done:", <-done)
	stopped.Store(true)
	stop.WakeUp()
	_, more := <-done
	fmt.Println("more:", more)
	// Output:
	// jobs done: 3
	// more: false
}

// Three tasks come one after the other and wait for their turn. They get it in that order.
func ExampleCompletion() {
	var turn waitqueue.Completion
	served := make(chan string)
	for _, name := range []string{"first", "second", "third"} {
		task := &waitqueue.Task{Name: name}
		go func() {
			_ = task.WaitExclusive(turn.WaitQueue(), turn.TryWait)
			served <- task.Name
		}()
		for task.State() == waitqueue.Running { // until it is in the queue
			runtime.Gosched()
		}
	}
	for range 3 {
		turn.Complete()
		fmt.Println(<-served)
	}
	// Output:
	// first
	// second
	// third
}

// A service waits for requests until it is told to stop.
func ExampleTask_Interrupt() {
	var requests waitqueue.Queue
	var service waitqueue.Task
	ended := make(chan error)
	go func() {
		ended <- service.Wait(&requests, func() bool { return false })
	}()
	service.Interrupt()
	fmt.Println(errors.Is(<-ended, syscall.EINTR))
	// Output: true
}
