// Signal-storm is a thread that works once a second, until a stray signal comes
// that nobody takes: from then on no sleep lasts.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/kprim/kprim/examples/internal/oldkernel"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "signal-storm:", err)
		os.Exit(1)
	}
}

// session has three threads get one SIGTERM each that nobody meant.
func session(out io.Writer) error {
	fmt.Fprintln(out, "SIGTERM is    rounds  in  at once  after 1 s  pending")
	term := []syscall.Signal{syscall.SIGTERM}
	return cmp.Or(
		stray(out, "not taken", &loop{sleep: broken, allow: term, most: 1000}),
		stray(out, "flushed", &loop{sleep: right, allow: term, most: 2}),
		stray(out, "not allowed", &loop{sleep: broken, allow: nil, most: 2}),
	)
}

// A loop is a thread that wakes up every second. What it counts needs no lock:
// it is read when the thread is gone.
type loop struct {
	sleep           func(*kthread.Current) (whole bool)
	allow           []syscall.Signal
	most            int // rounds: the original has no end
	atOnce, after1s int // rounds: the original prints "woke up" in each
	in              time.Duration
	pending         bool // in the end
}

// thread is example_thread, and the init_kthread that it calls.
func (l *loop) thread(cur *kthread.Current) error {
	// siginitsetinv(&current->blocked, sigmask(SIGKILL)|...)
	if err := cur.Allow(l.allow...); err != nil {
		return err
	}
	cur.Ready() // up(&kthread->startstop_sem)
	begin := time.Now()
	for range l.most {
		whole := l.sleep(cur)
		if cur.ShouldStop() { // if (kthread->terminate)
			break
		}
		if whole {
			l.after1s++
		} else {
			l.atOnce++
		}
	}
	l.in, l.pending = time.Since(begin), cur.Interrupted()
	return nil
}

// broken is the sleep of example_thread. A signal is pending until somebody
// takes it, and for as long as it is, interruptible sleeps end at once. The
// first to end so tells of a signal, all others of nothing.
func broken(cur *kthread.Current) (whole bool) {
	var queue waitqueue.Queue // kthread->queue, which nobody wakes
	// interruptible_sleep_on_timeout(&kthread->queue, HZ)
	left := oldkernel.InterruptibleSleepOnTimeout(
		nil, &queue, cur.Task(), time.Second)
	return left == 0
}

// right is the sleep of example_thread, cured. The flush comes before the test
// for the stop: after it, it would wipe out the SIGKILL of an original
// stop_kthread that came in between, and the thread would sleep on.
func right(cur *kthread.Current) (whole bool) {
	err := cur.Sleep(time.Second) // schedule_timeout_interruptible(HZ)
	cur.Flush()                   // flush_signals(current)
	return err == nil
}

// stray runs the thread, sends it a SIGTERM as kill(1) would, and shows what
// comes of that.
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
