package trace_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/kthread/trace"
	"github.com/kprim/kprim/kthread/trace/picture"
	"github.com/kprim/kprim/waitqueue"
)

// draw prints a picture of a trace, in which each step has one column.
func draw(text io.Reader) {
	chart, err := picture.Parse(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	chart.Steps = true
	if err := chart.Text(os.Stdout, 60); err != nil {
		fmt.Println(err)
	}
}

// A trace of a thread that sleeps once, as a picture.
func Example() {
	var text bytes.Buffer // or a file, for Perfetto
	if err := trace.Start(&text); err != nil {
		fmt.Println(err)
		return
	}
	napper := kthread.Run("napper", func(cur *kthread.Current) error {
		return cur.Sleep(time.Millisecond)
	})
	fmt.Println("napper:", napper.Wait(context.Background()))
	if err := trace.Stop(); err != nil {
		fmt.Println(err)
	}
	draw(&text)
	// Output:
	// napper: <nil>
	// napper      | !-===.!-=x=|
	// goroutine/1 |=^=---------|
	//              0    4 steps
	//              = runs  - can run  . sleeps (S)  ! is woken
	//              ^ wakes  x ends
}

// The last moments, after something went wrong.
func ExampleFlightRecorder() {
	var recorder trace.FlightRecorder
	if err := recorder.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer recorder.Stop()
	writer := kthread.Run("writer", func(cur *kthread.Current) error {
		trace.Instant("disk is full")
		return cur.Sleep(time.Millisecond)
	})
	fmt.Println("writer:", writer.Wait(context.Background()))

	var text bytes.Buffer // or a file
	if _, err := recorder.WriteTo(&text); err != nil {
		fmt.Println(err)
	}
	draw(&text)
	// Output:
	// writer: <nil>
	// writer      | !-=1====.!-=x=|
	// goroutine/1 |=^=------------|
	//              0       5 steps
	//              = runs  - can run  . sleeps (S)  ! is woken
	//              ^ wakes  x ends
	//              1 disk is full
}

// The numbers of a queue that has a waiter and no waker.
func ExampleStartCounting() {
	trace.StartCounting()
	defer trace.StopCounting()
	doorbell := waitqueue.Queue{Name: "doorbell"}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(doorbell.Wait(ctx, func() bool { return false }))

	for _, queue := range trace.Queues() {
		fmt.Println(queue.Name, "had", queue.WakeUps, "wake-ups, and has", queue.Waiters, "waiters")
	}
	// Output:
	// waitqueue: wait timed out: context deadline exceeded
	// doorbell had 0 wake-ups, and has 0 waiters
}
