//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The event runner of the Example eventRunner, with os/exec. It prints the same lines.
//
// Some guarantees are weaker. An event is refused if four wait, even if a script has
// just ended: its goroutine may not have come back for the next event yet. A goroutine that
// waits for the rate holds one more event. The rest is at plainRun.
func Example_plainEventRunner() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	runner := newPlainEventRunner(slog.New(slog.NewTextHandler(os.Stdout, steadyText)), `
		echo "got $EVENT"
		case $EVENT in
		hang) kill $PPID; exec sleep 1000;; # SIGTERM to the program
		noise) yes "$EVENT" | head -1000; exit 3;;
		esac`)
	runner.atOnce = 1 // so that the lines have an order
	events := make(chan string, 3)
	events <- "link down"
	events <- "noise"
	events <- "hang"
	runner.run(ctx, events)
	fmt.Println("refused:", runner.refused.Load())
	// Output:
	// msg=script event="link down" result.status="exit status 0" tail="got link down\n"
	// msg=script event=noise result.status="exit status 3" tail="[cut: 5974 bytes more]noise\nnoise\nnoise\nnoise\nnoise\nnoise\n"
	// msg=script event=hang result.status="signal: terminated" tail="got hang\n"
	// refused: 0
}

// A plainEventRunner runs a script for each event.
type plainEventRunner struct {
	script   string
	log      *slog.Logger
	timeout  time.Duration // of a script
	atOnce   int
	queue    chan string
	starts   chan struct{} // has one element for each start of the last interval
	interval time.Duration
	refused  atomic.Int64 // events
}

func newPlainEventRunner(log *slog.Logger, script string) *plainEventRunner {
	return &plainEventRunner{
		script: script, log: log, timeout: time.Minute,
		atOnce: 2, queue: make(chan string, 4),
		starts: make(chan struct{}, 10), interval: time.Second,
	}
}

// run handles the events until their channel is closed, or until ctx ends. The end of ctx ends
// the scripts too. run returns when all scripts are over, with their lines in the log.
func (r *plainEventRunner) run(ctx context.Context, events <-chan string) {
	var all sync.WaitGroup
	for range r.atOnce {
		all.Go(func() {
			for event := range r.queue {
				r.handle(ctx, event)
			}
		})
	}
	for open := true; open && ctx.Err() == nil; {
		var event string
		select {
		case event, open = <-events:
			if open {
				r.enqueue(event)
			}
		case <-ctx.Done():
		}
	}
	close(r.queue)
	all.Wait()
}

func (r *plainEventRunner) enqueue(event string) {
	select {
	case r.queue <- event:
	default:
		r.refused.Add(1)
		r.log.Info("script", "event", event, "result", plainResult(nil, syscall.ENOBUFS), "tail", "")
	}
}

// handle runs the script as soon as the rate allows it.
func (r *plainEventRunner) handle(ctx context.Context, event string) {
	select {
	case r.starts <- struct{}{}:
		time.AfterFunc(r.interval, func() { <-r.starts })
	case <-ctx.Done(): // nothing is started then
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	tail := &plainTail{size: 36}
	cmd := plainCommand(ctx, r.script, "EVENT="+event)
	cmd.Stdout, cmd.Stderr = tail, tail
	err := plainRun(ctx, cmd)
	r.log.Info("script", "event", event, "result", plainResult(cmd.ProcessState, err), "tail", tail.String())
}
