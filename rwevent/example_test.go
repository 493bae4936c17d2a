package rwevent_test

import (
	"context"
	"errors"
	"fmt"
	"os"

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

// The speed of something, for those who show it: they see how it is now, and by
// the generations that they have missed some of it.
func ExampleSlot_Changes() {
	var speed rwevent.Slot[int]
	_ = speed.Post(10)
	for generation, kmh := range speed.Changes(context.Background()) {
		fmt.Println(generation, kmh)
		if generation == 1 { // while this is on its way to the screen
			_ = speed.Post(20)
			_ = speed.Post(30)
			speed.Close()
		}
	}
	// Output:
	// 1 10
	// 3 30
}

// A kernel thread deals with trouble until it is stopped.
func ExampleSlot_TakeBy() {
	var trouble rwevent.Slot[int]
	handled := make(chan int)
	handler := kthread.Run("handler", func(cur *kthread.Current) error {
		for {
			id, err := trouble.TakeBy(cur)
			if errors.Is(err, kthread.ErrStopped) {
				return nil
			}
			if err != nil {
				return err
			}
			handled <- id
		}
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

// What the disks have to say, by disk. None hides what another has said, and
// the one that repeats itself keeps its turn.
func ExampleTable() {
	var trouble rwevent.Table[string, string]
	_ = trouble.Post("sda", "slow")
	_ = trouble.Post("sdb", "full")
	_ = trouble.Post("sda", "dead")
	trouble.Close()

	for {
		disk, what, err := trouble.Take(context.Background())
		if errors.Is(err, os.ErrClosed) {
			break
		}
		fmt.Println(disk, what)
	}
	fmt.Println("overwritten:", trouble.Overwritten())
	// Output:
	// sda dead
	// sdb full
	// overwritten: 1
}

// One who looks does not take, and gets what is news last.
func ExampleTable_Changes() {
	var trouble rwevent.Table[string, string]
	_ = trouble.Post("sda", "slow")
	_ = trouble.Post("sdb", "full")
	_ = trouble.Post("sda", "dead")
	trouble.Close()

	for disk, what := range trouble.Changes(context.Background()) {
		fmt.Println(disk, what)
	}
	fmt.Println("still there:", trouble.Len())
	// Output:
	// sdb full
	// sda dead
	// still there: 2
}
