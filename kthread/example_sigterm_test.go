//go:build unix

package kthread_test

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/kprim/kprim/kthread"
)

// beat returns the function of a thread that works every 100 ms, until it is asked to stop.
// The time of the work does not move the next beat.
func beat(work func()) func(*kthread.Current) error {
	return func(cur *kthread.Current) error {
		for next := time.Now(); !cur.ShouldStop(); {
			work()
			next = next.Add(100 * time.Millisecond)
			_ = cur.Sleep(time.Until(next)) // a stop ends it, and the loop asks for the stop
		}
		return nil
	}
}

// The process gets SIGTERM, and its thread ends cleanly. The example sends the signal itself.
func ExampleThread_Stop_process() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()

	beats := 0
	thread := kthread.Run("heart", beat(func() {
		if beats++; beats == 3 {
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGTERM)
		}
	}))
	select {
	case <-ctx.Done():
	case <-thread.Done(): // it has ended by itself
	}
	fmt.Println("stopped:", thread.Stop())
	fmt.Println("beats, at least three:", beats >= 3)
	// Output:
	// stopped: <nil>
	// beats, at least three: true
}
