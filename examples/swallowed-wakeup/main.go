// Swallowed-wakeup shows how a signal makes a wake-up disappear. A wake-up
// picks one of the exclusive waiters. If this waiter leaves without its token,
// because a signal has come for it too, no other waiter gets the token. With
// -step you choose the order of the steps.
package main

import (
	"fmt"
	"io"
	"syscall"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

func main() { program.Main() }

// game is played with -step.
var game = step.Game{
	Aim:   "leave a thread asleep beside a token that is free",
	Model: model(leave),
}

var program = step.Program{
	Name: "swallowed-wakeup", Game: game, Story: session,
}

func session(out io.Writer) error {
	_, err := fmt.Fprint(out,
		"# leave\n", inTheWindow(leave, 2), inEveryOrder(leave),
		"# leave, test again\n", inTheWindow(retest, 2), inEveryOrder(retest),
		"# WaitExclusive\n", inTheWindow(waitExclusive, 1))
	return err
}

// A waiter waits for a token, and takes it. The token is a completion, which
// counts its tokens and has a queue of exclusive waiters.
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
		// comes too, the thread leaves, and the wake-up is lost.
		th.Step("look for a signal, or sleep")
		if th.Task.Interrupted() { // if (!signal_pending(current))
			return syscall.EINTR // ret = -ERESTARTSYS
		}
		th.Schedule() // schedule()
	}
}

// retest is leave and then the last test that ___wait_event makes today.
func retest(token *waitqueue.Completion, th *orders.Thread) error {
	// The thread is off the queue now. A waker that has picked it has brought
	// the token already. A later waker picks another thread: if (condition)
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

// inTheWindow has A make n steps, in which A sees that there is no token. Then
// B queues behind A, and a wake-up and a signal come for A.
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
	defer func() { tok.Complete(); orders.Settle(b) }() // B need not stay
	return fmt.Sprintf("A: %v\n%d asleep, token free: %t; woken: A %d, B %d\n",
		err, orders.Settle(b), tok.IsDone(), a.Task.WakeUps(), b.Task.WakeUps())
}

// inEveryOrder needs no window: it tries all orders of the steps.
func inEveryOrder(wait waiter) explore.Result {
	return explore.Search{}.Run(model(wait))
}

// model has two waiters, one token, and a signal for A. A and B may sleep, but
// not if there is a token.
func model(wait waiter) func(*explore.Model) {
	return func(m *explore.Model) {
		var token waitqueue.Completion
		take := func(th *orders.Thread) { _ = wait(&token, th) }
		a := orders.Add(m, "A", take)
		orders.Add(m, "B", take)
		m.Event("waker: complete", token.Complete)
		m.Event("signal: to A", a.Task.Interrupt)
		m.MaySleep("A", "B")
		m.Check(orders.Fault("the token is free", token.IsDone))
	}
}
