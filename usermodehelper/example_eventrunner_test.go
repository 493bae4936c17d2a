//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kprim/kprim/usermodehelper"
)

// An event runner runs a script for each event. The Example plainEventRunner is the same
// with os/exec. Both give these guarantees:
//
//   - At most two scripts run, and at most ten start in a second. Four more events may wait.
//   - An event that comes then is refused and counted.
//   - A script gets the event and no secret of the program. It has a limit of time, and
//     leaves no process behind.
//   - Each event has one line in the log, with the last bytes of its output.
//   - SIGTERM ends the running scripts. At the end no goroutine and no process is left.
func Example_eventRunner() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	runner := newEventRunner(slog.New(slog.NewTextHandler(os.Stdout, steadyText)), `
		echo "got $EVENT"
		case $EVENT in
		hang) kill $PPID; exec sleep 1000;; # SIGTERM to the program
		noise) yes "$EVENT" | head -1000; exit 3;;
		esac`)
	runner.gate.Max = 1 // so that the others are over when hang ends the program
	events := make(chan string, 3)
	events <- "link down"
	events <- "noise"
	events <- "hang"
	runner.run(ctx, events)
	fmt.Println("refused:", runner.refused.Load())
	// Unordered output:
	// msg=script event="link down" result.status="exit status 0" tail="got link down\n"
	// msg=script event=noise result.status="exit status 3" tail="[cut: 5974 bytes more]noise\nnoise\nnoise\nnoise\nnoise\nnoise\n"
	// msg=script event=hang result.status="signal: terminated" tail="got hang\n"
	// refused: 0
}

// An eventRunner runs a script for each event.
type eventRunner struct {
	script  string
	log     *slog.Logger
	timeout time.Duration // of a script
	gate    usermodehelper.Gate
	refused atomic.Int64 // events
}

func newEventRunner(log *slog.Logger, script string) *eventRunner {
	r := &eventRunner{script: script, log: log, timeout: time.Minute}
	r.gate.Max, r.gate.Queue = 2, 4
	r.gate.Burst, r.gate.Interval = 10, time.Second
	return r
}

// run handles the events until their channel is closed, or until ctx ends. The end of ctx ends
// the scripts too. run returns when all scripts are over, with their lines in the log.
func (r *eventRunner) run(ctx context.Context, events <-chan string) {
	for open := true; open && ctx.Err() == nil; {
		var event string
		select {
		case event, open = <-events:
			if open {
				r.handle(ctx, event)
			}
		case <-ctx.Done():
		}
	}
	_ = r.gate.Wait(context.Background()) // a context without an end gives no error
}

// handle starts the script, and does not wait for it.
func (r *eventRunner) handle(ctx context.Context, event string) {
	tail := &usermodehelper.Output{Max: -1, Tail: 36}
	helper := usermodehelper.Helper{
		Path:    "/bin/sh",
		Argv:    []string{"sh", "-c", r.script},
		Envp:    usermodehelper.Environ("EVENT=" + event),
		Gate:    &r.gate,
		Output:  tail,
		Timeout: r.timeout,
		Sweep:   true,
		Cleanup: func(result usermodehelper.Result) {
			if errors.Is(result.Err, syscall.ENOBUFS) {
				r.refused.Add(1)
			}
			r.log.Info("script", "event", event, "result", result, "tail", tail.String())
		},
	}
	_, _ = helper.Exec(ctx, usermodehelper.NoWait) // Cleanup gets every error
}
