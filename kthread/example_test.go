package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

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
