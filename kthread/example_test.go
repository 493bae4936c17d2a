package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func ExampleRun() {
	thread := kthread.Run("greeter", func(*kthread.Current) error {
		fmt.Println("hello from the thread")
		return nil
	})
	fmt.Println("its answer:", thread.Wait(context.Background()))
	// Output:
	// hello from the thread
	// its answer: <nil>
}

// The list of the threads, as ps(1) shows it. This one has not run yet.
func ExampleTasks() {
	flusher := kthread.Create("flusher", func(*kthread.Current) error { return nil })
	for _, task := range kthread.Tasks() {
		if task.Name == "flusher" { // other threads of the program may be there too
			fmt.Println(task.Name, task.State)
		}
	}
	flusher.WakeUp()
	fmt.Println("gone:", flusher.Wait(context.Background()))
	// Output:
	// flusher D
	// gone: <nil>
}

// A thread that does something now and then, until it is asked to stop.
func ExampleThread_Stop() {
	beats := 0
	thread, err := kthread.Start(context.Background(), "heart", func(cur *kthread.Current) error {
		cur.Ready()
		for cur.Sleep(time.Hour) == nil {
			beats++
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("stopped:", thread.Stop(), "after", beats, "beats")
	// Output: stopped: <nil> after 0 beats
}

// A stop with a reason: the thread returns nil, and its result has the reason.
func ExampleThread_AskStop() {
	thread, err := kthread.Start(context.Background(), "cache", func(cur *kthread.Current) error {
		cur.Ready()
		<-cur.Context().Done()
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	thread.AskStop(errors.New("out of memory"))
	err = thread.Stop()
	fmt.Println(err)
	fmt.Println("by a stop:", errors.Is(err, kthread.ErrStopped))
	// Output:
	// kthread: asked to stop: out of memory
	// by a stop: true
}

// A thread ends with the context of its component.
func ExampleThread_StopWith() {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	thread, err := kthread.Start(ctx, "worker", func(cur *kthread.Current) error {
		cur.Ready()
		return cur.Sleep(time.Hour)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	thread.StopWith(ctx)
	cancel(errors.New("the component is closed"))
	fmt.Println(thread.Wait(context.Background()))
	// Output: kthread: asked to stop: the component is closed
}

// The component counts as started when its set-up is done, or has failed.
func ExampleStart() {
	serve := func(cur *kthread.Current) error {
		if false {
			return errors.New("the port is taken") // Start returns this
		}
		cur.Ready()
		<-cur.Context().Done() // stands for Serve(cur.Context())
		return nil
	}
	thread, err := kthread.Start(context.Background(), "server", serve)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("started:", thread.Name())
	fmt.Println("stopped:", thread.Stop())
	// Output:
	// started: server
	// stopped: <nil>
}

// A signal makes the thread read its settings again; a stop ends it.
func ExampleThread_Signal() {
	reloaded := make(chan bool)
	thread, err := kthread.Start(context.Background(), "server", func(cur *kthread.Current) error {
		if err := cur.Allow(syscall.SIGTERM); err != nil {
			return err
		}
		cur.Ready()
		var requests waitqueue.Queue
		for {
			err := cur.Wait(&requests, func() bool { return false })
			if errors.Is(err, kthread.ErrStopped) {
				return nil
			}
			cur.Flush() // or the next sleep would end at once
			reloaded <- true
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("sent:", thread.Signal(syscall.SIGTERM))
	fmt.Println("reloaded:", <-reloaded)
	fmt.Println("stopped:", thread.Stop())
	// Output:
	// sent: <nil>
	// reloaded: true
	// stopped: <nil>
}

// A thread that lives as long as a context does: it is stopped when that ends.
func ExampleThread_Stop_parent() {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	thread, err := kthread.Start(parent, "child", func(cur *kthread.Current) error {
		cur.Ready()
		return cur.Sleep(time.Hour)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer context.AfterFunc(parent, func() { _ = thread.Stop() })()

	cancel()
	fmt.Println(thread.Wait(context.Background()))
	// Output: kthread: asked to stop
}

// In an errgroup, a thread that fails ends the others, and is ended by them.
func Example_errgroup() {
	group, ctx := errgroup.WithContext(context.Background())
	for _, name := range []string{"reader", "writer"} {
		thread := kthread.Run(name, func(cur *kthread.Current) error {
			if name == "reader" {
				return errors.New("nothing to read")
			}
			_ = cur.Sleep(time.Hour) // ended by the stop
			return nil
		})
		group.Go(func() error {
			defer context.AfterFunc(ctx, func() { _ = thread.Stop() })()
			return thread.Wait(context.Background())
		})
	}
	fmt.Println(group.Wait())
	// Output: nothing to read
}

// A thread waits for a completion, or for anything else that has a queue, without
// a context and without allocation.
func ExampleCurrent_WaitExclusive() {
	var done waitqueue.Completion
	thread := kthread.Run("waiter", func(cur *kthread.Current) error {
		return cur.WaitExclusive(done.WaitQueue(), done.TryWait)
	})
	done.Complete()
	fmt.Println(thread.Wait(context.Background()))
	// Output: <nil>
}

// A pool closes connections that were not used for a while, and at once if it has too
// many. The lock of the pool guards the condition of its reaper, and the work of it.
func ExampleCurrent_WaitLockedTimeout() {
	const tooMany = 4
	var mu sync.Mutex
	var changed waitqueue.Queue
	idle := 0 // guarded by mu
	closed := make(chan int)

	reaper := kthread.Run("reaper", func(cur *kthread.Current) error {
		mu.Lock()
		defer mu.Unlock()
		for {
			err := cur.WaitLockedTimeout(&changed, &mu, time.Millisecond, func() bool { return idle >= tooMany })
			if errors.Is(err, kthread.ErrStopped) {
				return nil
			}
			if n := idle; n > 0 {
				idle = 0
				closed <- n
			}
		}
	})
	put := func(n int) {
		mu.Lock()
		idle += n
		mu.Unlock()
		changed.WakeUp()
	}
	put(5)
	fmt.Println("closed", <-closed, "at once")
	put(2)
	fmt.Println("closed", <-closed, "after a while")
	fmt.Println(reaper.Stop())
	// Output:
	// closed 5 at once
	// closed 2 after a while
	// <nil>
}

// A thread is held back while something is changed under its feet.
func ExampleThread_Park() {
	var queue waitqueue.Queue
	setting := "old"
	thread, err := kthread.Start(context.Background(), "worker", func(cur *kthread.Current) error {
		cur.Ready()
		for !cur.ShouldStop() {
			cur.ParkMe()
			_ = cur.Wait(&queue, func() bool { return cur.ShouldPark() || cur.ShouldStop() })
		}
		fmt.Println("used:", setting)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(thread.Park(context.Background()), thread.Info().State)
	setting = "new" // the thread sleeps, and does not look
	thread.Unpark()
	fmt.Println(thread.Stop())
	// Output:
	// <nil> P
	// used: new
	// <nil>
}
