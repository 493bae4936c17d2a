package kthread_test

import (
	"context"
	"fmt"
	"time"

	"github.com/kprim/kprim/kthread"
)

// A worker runs its works one after the other.
func ExampleWorker() {
	ctx := context.Background()
	w := kthread.RunWorker("painter")
	walls := kthread.Work{Func: func() { fmt.Println("the walls are painted") }}
	doors := kthread.Work{Func: func() { fmt.Println("the doors are painted") }}
	w.Enqueue(&walls)
	w.Enqueue(&doors)
	fmt.Println("flushed:", w.Flush(ctx))
	w.Enqueue(&walls)
	fmt.Println("destroyed:", w.Destroy(ctx))
	// Output:
	// the walls are painted
	// the doors are painted
	// flushed: <nil>
	// the walls are painted
	// destroyed: <nil>
}

// Changes are saved some time after the first of them, and at the end.
func ExampleDelayedWork() {
	ctx := context.Background()
	w := kthread.RunWorker("saver")
	changes := 0
	save := kthread.DelayedWork{Func: func() { fmt.Println("saved after", changes, "changes") }}
	for range 3 {
		changes++
		w.EnqueueAfter(&save, time.Hour) // refused while one is due
	}
	fmt.Println("flushed:", save.Flush(ctx)) // does not wait for that hour
	fmt.Println("destroyed:", w.Destroy(ctx))
	// Output:
	// saved after 3 changes
	// flushed: <nil>
	// destroyed: <nil>
}

// A work that takes long ends when its worker is asked to stop.
func ExampleWorker_Current() {
	worker := kthread.RunWorker("crawler")
	begun := make(chan bool)
	crawl := kthread.Work{Func: func() {
		close(begun)
		pages := 0
		for worker.Current().Sleep(time.Hour) == nil { // between two pages
			pages++
		}
		fmt.Println("pages:", pages, "stopped:", worker.Current().ShouldStop())
	}}
	worker.Enqueue(&crawl)
	<-begun
	fmt.Println(worker.Thread().Stop())
	// Output:
	// pages: 0 stopped: true
	// <nil>
}
