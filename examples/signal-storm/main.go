// Signal-storm is a thread that works once a second, until a stray signal
// comes. Nothing takes the signal, so from then on each sleep ends at once.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/kprim/kprim/examples/internal/oldkernel"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() { program.Main() }

var program = step.Program{Name: "signal-storm", Game: game, Story: session}

// session sends a stray SIGTERM to each of three threads.
func session(out io.Writer) error {
	fmt.Fprintln(out, "SIGTERM is    rounds  in  at once  after 1 s  pending")
	term := []syscall.Signal{syscall.SIGTERM}
	notTaken := &loop{sleep: broken, allow: term, rounds: 1000}
	flushed := &loop{sleep: right, allow: term, rounds: 2}
	notAllowed := &loop{sleep: broken, allow: nil, rounds: 2}
	return cmp.Or(
		stray(out, "not taken", notTaken),
		stray(out, "flushed", flushed),
		stray(out, "not allowed", notAllowed))
}

// A loop is a thread that wakes up every second. Its counts need no lock,
// because they are read when the thread is gone.
type loop struct {
	sleep   func(*kthread.Current) (whole bool)
	allow   []syscall.Signal
	rounds  int // the original loop has no end
	atOnce  int // rounds whose sleep ended early
	after1s int // rounds whose sleep lasted a second
	in      time.Duration
	pending bool // a signal, at the end
}

// thread is example_thread, and the init_kthread that it calls.
func (l *loop) thread(cur *kthread.Current) error {
	// siginitsetinv(&current->blocked, sigmask(SIGKILL)|...)
	if err := cur.Allow(l.allow...); err != nil {
		return err
	}
	cur.Ready() // up(&kthread->startstop_sem)
	begin := time.Now()
	for range l.rounds {
		whole := l.sleep(cur)
		if cur.ShouldStop() { // if (kthread->terminate)
			break
		}
		if whole { // the original prints "woke up" in both cases
			l.after1s++
		} else {
			l.atOnce++
		}
	}
	l.in, l.pending = time.Since(begin), cur.Interrupted()
	return nil
}

// broken is the sleep of example_thread. A signal stays pending until the
// thread takes it. Until then every interruptible sleep ends at once. The first
// sleep that ends early is news of a signal, and the others are not.
func broken(cur *kthread.Current) (whole bool) {
	var queue waitqueue.Queue // kthread->queue; it gets no wake-up
	// interruptible_sleep_on_timeout(&kthread->queue, HZ)
	left := oldkernel.InterruptibleSleepOnTimeout(
		nil, &queue, cur.Task(), time.Second)
	return left == 0
}

// right is the sleep of example_thread, fixed. The flush comes before the test
// for the stop. In the other order it could wipe out the SIGKILL of the
// original stop_kthread, if that came after the test, and the thread would
// sleep on.
func right(cur *kthread.Current) (whole bool) {
	err := cur.Sleep(time.Second) // schedule_timeout_interruptible(HZ)
	cur.Flush()                   // flush_signals(current)
	return err == nil
}

// stray runs the thread, sends it a SIGTERM as kill(1) would, and prints its
// counts.
func stray(out io.Writer, title string, l *loop) error {
	ctx := context.Background()
	thread, err := kthread.Start(ctx, "example thread", l.thread)
	if err != nil {
		return err
	}
	err = cmp.Or(thread.Signal(syscall.SIGTERM), thread.Wait(ctx))
	fmt.Fprintf(out, "%-12s %7d %3v %8d %10d %8t\n", title, l.atOnce+l.after1s,
		l.in.Truncate(time.Second), l.atOnce, l.after1s, l.pending)
	return err
}
