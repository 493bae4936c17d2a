package rwevent_test

import (
	"context"
	"fmt"
	"runtime"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

func ExampleSlot() {
	var trouble rwevent.Slot[int]
	go func() { _ = trouble.Post(9527) }() // the monitor

	id, err := trouble.Take(context.Background()) // the handler
	fmt.Println(id, err)
	// Output: 9527 <nil>
}

// A Wait leaves the event in the slot, and the next Wait asks for a newer one.
func ExampleSlot_Wait() {
	ctx := context.Background()
	var speed rwevent.Slot[int]
	_ = speed.Post(10)
	kmh, generation, err := speed.Wait(ctx, 0)
	fmt.Println(kmh, generation, err)

	go func() { _ = speed.Post(20) }()
	kmh, generation, err = speed.Wait(ctx, generation)
	fmt.Println(kmh, generation, err)
	// Output:
	// 10 1 <nil>
	// 20 2 <nil>
}

// A speed is shown on a screen. The loop sees how fast it is now. The generations show that
// the loop has missed some events.
func ExampleSlot_Changes() {
	var speed rwevent.Slot[int]
	_ = speed.Post(10)
	for kmh, generation := range speed.Changes(context.Background()) {
		fmt.Println(kmh, generation)
		if generation == 1 { // while this is on its way to the screen
			_ = speed.Post(20)
			_ = speed.Post(30)
			speed.Close()
		}
	}
	// Output:
	// 10 1
	// 30 3
}

// A kernel thread deals with trouble until it is stopped.
func ExampleSlot_TakesBy() {
	var trouble rwevent.Slot[int]
	handled := make(chan int)
	handler := kthread.Run("handler", func(cur *kthread.Current) (end error) {
		for id := range trouble.TakesBy(cur, &end) {
			handled <- id
		}
		if end == kthread.ErrStopped {
			return nil
		}
		return end
	})
	_ = trouble.Post(9527)
	fmt.Println("handled", <-handled)
	fmt.Println("stopped:", handler.Stop())
	// Output:
	// handled 9527
	// stopped: <nil>
}

// Two slots, waited for at once: whichever has an event first.
func ExampleSlot_WaitQueue() {
	var trouble, advice rwevent.Slot[string]
	go func() { _ = advice.Post("turn left") }()

	var event string
	err := waitqueue.WaitAny(context.Background(), func() (ok bool) {
		if event, ok = trouble.TryTake(); !ok {
			event, ok = advice.TryTake()
		}
		return ok
	}, trouble.WaitQueue(), advice.WaitQueue())
	fmt.Println(event, err)
	// Output: turn left <nil>
}

// The queue of a table has a name. The ps line of a thread that waits for an event shows it.
func ExampleTable_WaitQueue() {
	var trouble rwevent.Table[string, string]
	trouble.WaitQueue().Name = "trouble" // before the first use
	handler := kthread.Run("handler", func(cur *kthread.Current) (end error) {
		for e := range trouble.TakesBy(cur, &end) {
			fmt.Println(e.Key, e.Value)
		}
		return end
	})
	for handler.Info().Wchan == "" { // until it sleeps
		runtime.Gosched()
	}
	ps := handler.Info()
	fmt.Println(ps.State, ps.Wchan, ps.Comm())
	fmt.Println(handler.Stop())
	// Output:
	// S trouble handler
	// kthread: asked to stop
}

// Each disk has its own latest event. No disk hides the event of another disk, and a disk
// that repeats itself keeps its turn.
func ExampleTable() {
	var trouble rwevent.Table[string, string]
	_ = trouble.Post("sda", "slow")
	_ = trouble.Post("sdb", "full")
	_ = trouble.Post("sda", "dead")
	trouble.Close()

	for e := range trouble.Takes(context.Background()) {
		fmt.Println(e.Key, e.Value)
	}
	fmt.Println("overwritten:", trouble.Overwritten())
	// Output:
	// sda dead
	// sdb full
	// overwritten: 1
}

// A loop that looks does not take. The newest event comes last.
func ExampleTable_Changes() {
	var trouble rwevent.Table[string, string]
	_ = trouble.Post("sda", "slow")
	_ = trouble.Post("sdb", "full")
	_ = trouble.Post("sda", "dead")
	trouble.Close()

	for e := range trouble.Changes(context.Background()) {
		fmt.Println(e.Key, e.Value)
	}
	fmt.Println("still there:", trouble.Len())
	// Output:
	// sdb full
	// sda dead
	// still there: 2
}
