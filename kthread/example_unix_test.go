//go:build unix

package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// The process's signals reach a thread if somebody hands them on: Ctrl-C ends
// its sleep with EINTR. The example types it itself.
func ExampleThread_Signal_process() {
	thread, err := kthread.Start(context.Background(), "shell", func(cur *kthread.Current) error {
		if err := cur.Allow(syscall.SIGINT); err != nil {
			return err
		}
		cur.Ready()
		var input waitqueue.Queue
		err := cur.Wait(&input, func() bool { return false })
		fmt.Println("EINTR:", errors.Is(err, syscall.EINTR), "by", cur.Dequeue())
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	typed := make(chan os.Signal, 1)
	signal.Notify(typed, os.Interrupt)
	defer signal.Stop(typed)
	go func() {
		for sig := range typed {
			_ = thread.Signal(sig.(syscall.Signal))
		}
	}()

	_ = syscall.Kill(syscall.Getpid(), syscall.SIGINT) // Ctrl-C
	fmt.Println(thread.Wait(context.Background()))
	close(typed)
	// Output:
	// EINTR: true by interrupt
	// <nil>
}
