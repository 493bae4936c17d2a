package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/kprim/kprim/kthread"
)

// Works run side by side, on threads that come and go. A work that is queued again while
// it is pending runs once.
func ExampleWorkqueue() {
	ctx := context.Background()
	q := kthread.AllocWorkqueue("thumbnails", 4)
	var drawn atomic.Int64
	pictures := make([]kthread.Work, 100)
	for i := range pictures {
		pictures[i].Func = func() { drawn.Add(1) }
		q.Enqueue(&pictures[i])
	}
	fmt.Println("destroyed:", q.Destroy(ctx), "drawn:", drawn.Load())
	fmt.Println("queued:", q.Enqueue(&pictures[0]), "cause:", context.Cause(q.Context()))
	// Output:
	// destroyed: <nil> drawn: 100
	// queued: false cause: kthread: asked to stop
}

// A program that is in a hurry drops the works that have not begun. Those that run see the
// end of the context.
func ExampleWorkqueue_AskStop() {
	q := kthread.AllocWorkqueue("backup", 1)
	begun := make(chan bool)
	upload := kthread.Work{Func: func() {
		close(begun)
		<-q.Context().Done()
		fmt.Println(context.Cause(q.Context()))
	}}
	next := kthread.Work{Func: func() { fmt.Println("dropped") }}
	q.Enqueue(&upload)
	q.Enqueue(&next)
	<-begun
	q.AskStop(errors.New("on battery"))
	fmt.Println(q.Destroy(context.Background()))
	// Output:
	// kthread: asked to stop: on battery
	// kthread: the workqueue is gone (asked to stop: on battery)
}
