// Swallowed-wakeup shows how a signal makes a wake-up disappear. Of all
// exclusive waiters a wake-up picks one. If a signal has that one leave without
// its token, no other waiter gets the token.
package main

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "swallowed-wakeup:", err)
		os.Exit(1)
	}
}

func session(out io.Writer) error {
	_, err := fmt.Fprint(out,
		"# leave\n", inTheWindow(leave, 2), inEveryOrder(leave),
		"# leave, test again\n", inTheWindow(retest, 2), inEveryOrder(retest),
		"# WaitExclusive\n", inTheWindow(waitExclusive, 1))
	return err
}

// A waiter waits for a token, and takes it. A completion is made for that: it
// counts tokens, and its queue is one of exclusive waiters.
type waiter func(token *waitqueue.Completion, th *orders.Thread) error

// leave is __wait_event_interruptible_exclusive as it was until 2009.
func leave(token *waitqueue.Completion, th *orders.Thread) error {
	wait := waitqueue.Entry{Task: &th.Task} // DEFINE_WAIT(__wait)
	defer token.WaitQueue().Finish(&wait)   // finish_wait(&wq, &__wait)
	for {
		th.Step("queue myself")
		// prepare_to_wait_exclusive(&wq, &__wait, TASK_INTERRUPTIBLE)
		token.WaitQueue().PrepareExclusive(&wait, waitqueue.Interruptible)
		if th.Test(token.TryWait) { // if (condition)
			return nil
		}
		// A wake-up that comes here picks this thread and no other. If a signal
		// comes as well, the wake-up is lost.
		th.Step("look for a signal, or sleep")
		if th.Task.Interrupted() { // if (!signal_pending(current))
			return syscall.EINTR // ret = -ERESTARTSYS
		}
		th.Schedule() // schedule()
	}
}

// retest is leave and then the last test that ___wait_event makes today.
func retest(token *waitqueue.Completion, th *orders.Thread) error {
	// The test comes when the thread is off the queue. A waker that picked it
	// brought the token before; a later one picks another: if (condition)
	if err := leave(token, th); err != nil && !th.Test(token.TryWait) {
		return err
	}
	return nil
}

// waitExclusive is wait_event_interruptible_exclusive.
func waitExclusive(token *waitqueue.Completion, th *orders.Thread) error {
	return th.Task.WaitExclusive(token.WaitQueue(), func() bool {
		defer th.Step("act on it")
		return token.TryWait() // if (condition)
	})
}

// inTheWindow has A make n steps: it has seen that there is no token. Then B
// queues behind it, and a wake-up and a signal come for A.
func inTheWindow(wait waiter, n int) string {
	var tok waitqueue.Completion
	var b *orders.Thread
	var err error
	window := func(a *orders.Thread) {
		b = orders.Go(func(th *orders.Thread) { _ = leave(&tok, th) }, 0, nil)
		orders.Settle(b)
		tok.Complete()     // complete(&tok)
		a.Task.Interrupt() // kill -INT A
	}
	a := orders.Go(func(t *orders.Thread) { err = wait(&tok, t) }, n, window)
	orders.Settle(a)
	defer func() { tok.Complete(); orders.Settle(b) }() // B may go
	return fmt.Sprintf("A: %v\n%d asleep, token free: %t; woken: A %d, B %d\n",
		err, orders.Settle(b), tok.IsDone(), a.Task.WakeUps(), b.Task.WakeUps())
}

// inEveryOrder has no window: it tries all orders of their steps. A and B may
// sleep, but not if there is a token.
func inEveryOrder(wait waiter) explore.Result {
	return explore.Search{}.Run(func(m *explore.Model) {
		var token waitqueue.Completion
		take := func(th *orders.Thread) { _ = wait(&token, th) }
		a := orders.Add(m, "A", take)
		orders.Add(m, "B", take)
		m.Event("waker: complete", token.Complete)
		m.Event("signal: to A", a.Task.Interrupt)
		m.MaySleep("A", "B")
		m.Check(orders.Fault("the token is free", token.IsDone))
	})
}
