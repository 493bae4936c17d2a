// Hello runs a kernel thread, waits for a word from it, and stops it.
package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	var queue waitqueue.Queue
	var greeted atomic.Bool
	thread := kthread.Run("hello", func(cur *kthread.Current) error {
		fmt.Println("hello: I run")
		greeted.Store(true)                     // first the state,
		queue.WakeUp()                          // then the wake-up
		return cur.Wait(&queue, cur.ShouldStop) // true when a stop is asked
	})
	_ = queue.Wait(context.Background(), greeted.Load)
	fmt.Println("main: it greeted, now stop it")
	if err := thread.Stop(); err != nil {
		fmt.Println("main: it failed:", err)
		return
	}
	fmt.Println("main: it has stopped, without an error")
}
