package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/kprim/kprim/kthread"
)

// The parts of a service, in the order in which they are started.
var parts = []string{"log", "store", "mailer"}

// serve is the work of a part, until it should end. Each part has an error, except the log.
func serve(part string, ended <-chan struct{}) error {
	<-ended
	if part == "log" {
		return nil
	}
	return fmt.Errorf("the %s lost 1 item", part)
}

// stopInOrder asks all threads to stop, so that they end side by side. Then it waits for
// each one, the last one first. It keeps all their errors.
func stopInOrder(threads []*kthread.Thread) (errs error) {
	for _, t := range threads {
		t.AskStop(nil)
	}
	for i := len(threads) - 1; i >= 0; i-- {
		errs = errors.Join(errs, threads[i].Stop())
		fmt.Println("gone:", threads[i].Name())
	}
	return errs
}

// withThreads runs the parts as threads.
func withThreads() error {
	var threads []*kthread.Thread
	for _, part := range parts {
		thread, err := kthread.Start(context.Background(), part, func(cur *kthread.Current) error {
			cur.Ready()
			return serve(part, cur.Context().Done())
		})
		if err != nil {
			return errors.Join(err, stopInOrder(threads))
		}
		threads = append(threads, thread)
	}
	return stopInOrder(threads)
}

// withGroup runs the parts in an errgroup. It is shorter, but Wait returns only the error
// that comes first, and no part can be waited for alone.
func withGroup() error {
	ctx, cancel := context.WithCancel(context.Background())
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		group.Go(func() error { return serve(part, ctx.Done()) })
	}
	cancel()
	return group.Wait()
}

// A service stops its parts side by side, waits for them in order, and keeps all errors.
func Example_group() {
	err := withThreads()
	fmt.Println(err)
	fmt.Println("errors of the threads:", strings.Count(err.Error(), "lost"))
	fmt.Println("errors of the errgroup:", strings.Count(withGroup().Error(), "lost"))
	// Output:
	// gone: mailer
	// gone: store
	// gone: log
	// the mailer lost 1 item
	// the store lost 1 item
	// errors of the threads: 2
	// errors of the errgroup: 1
}
