// Hello starts a kernel thread, waits until it has said hello, and stops it.
package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	if err := hello(); err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
	fmt.Println("main: success, the thread has stopped")
}

func hello() error {
	var queue waitqueue.Queue
	var greeted atomic.Bool
	thread := kthread.Run("hello", func(cur *kthread.Current) error {
		fmt.Println("thread: hello, I am running")
		greeted.Store(true) // first change the state,
		queue.WakeUp()      // then wake the waiter
		err := cur.Wait(&queue, cur.ShouldStop)
		fmt.Println("thread: I am asked to stop, goodbye")
		return err
	})
	if err := queue.Wait(context.Background(), greeted.Load); err != nil {
		return err
	}
	fmt.Println("main: the thread has said hello, now I stop it")
	return thread.Stop()
}
