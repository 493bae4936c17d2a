package peers

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
	"gopkg.in/tomb.v2"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

var errGone = errors.New("gone")

// startStop starts a goroutine that says when it is ready, and sleeps until a stop is asked. Its
// error is waited for. The result is how often that error came.
func startStop() job {
	return job{name: "StartStop", want: timesOf(1), ways: []way{
		starting("goroutine+channels", startGoroutine),
		starting("tomb.v2", startTomb),
		starting("errgroup", startGroup),
		starting("kthread", startThread),
	}}
}

// starting is a way whose start returns a function that stops the goroutine.
func starting(name string, start func() (stop func() error)) way {
	return way{name, func(n int) (came int) {
		for range n {
			stop := start()
			if errors.Is(stop(), errGone) {
				came++
			}
		}
		return came
	}}
}

func startGoroutine() func() error {
	ready, asked, gone := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		close(ready)
		<-asked
		gone <- errGone
	}()
	<-ready
	return func() error {
		close(asked)
		return <-gone
	}
}

func startTomb() func() error {
	var t tomb.Tomb
	ready := make(chan struct{})
	t.Go(func() error {
		close(ready)
		<-t.Dying()
		return errGone
	})
	<-ready
	return func() error {
		t.Kill(nil)
		return t.Wait()
	}
}

func startGroup() func() error {
	outer, cancel := context.WithCancel(context.Background())
	group, ctx := errgroup.WithContext(outer)
	ready := make(chan struct{})
	group.Go(func() error {
		close(ready)
		<-ctx.Done()
		return errGone
	})
	<-ready
	return func() error {
		cancel()
		return group.Wait()
	}
}

func startThread() func() error {
	t, err := kthread.Start(context.Background(), "peer", func(cur *kthread.Current) error {
		var q waitqueue.Queue
		cur.Ready()
		_ = cur.Wait(&q, cur.ShouldStop)
		return errGone
	})
	if err != nil {
		return func() error { return err }
	}
	return t.Stop
}
