// Lost-wakeup shows how a thread sleeps for ever though its event has happened:
// it tests, and then it sleeps. The right loop makes the same calls in another
// order. The program finds out which orders of two threads' steps go wrong.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

func main() {
	if err := session(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lost-wakeup:", err)
		os.Exit(1)
	}
}

func session(out io.Writer) error {
	_, err := fmt.Fprint(out,
		"# test, then sleep\n", inTheWindow(sleepOn, 1), inEveryOrder(sleepOn),
		"# queue, then test\n", inTheWindow(prepare, 2), inEveryOrder(prepare),
		"# wait_event\n", inTheWindow(waitEvent, 1))
	return err
}

// One thread waits for an event, and another thread makes it happen.
type event struct {
	condition atomic.Bool     // !Already_Open
	queue     waitqueue.Queue // static struct wait_queue *WaitQ = NULL
	woke      int
}

// sleepOn is the loop of article 3's module_open. The function that it calls to
// sleep knows no condition.
func sleepOn(e *event, th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task}
	for !th.Test(e.condition.Load) { // while (Already_Open)
		// A wake-up that comes here finds nobody, and there is no other.
		th.Step("queue myself and sleep")
		e.queue.Prepare(&wait, waitqueue.Interruptible)
		th.Schedule() // module_interruptible_sleep_on(&WaitQ)
		e.queue.Finish(&wait)
	}
}

// prepare is the loop of prepare_to_wait, as __wait_event had it in 2.6.
func prepare(e *event, th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task} // DEFINE_WAIT(__wait)
	defer e.queue.Finish(&wait)             // finish_wait(&wq, &__wait)
	for {
		th.Step("queue myself")
		// prepare_to_wait(&wq, &__wait, TASK_UNINTERRUPTIBLE)
		e.queue.Prepare(&wait, waitqueue.Uninterruptible)
		if th.Test(e.condition.Load) { // if (condition)
			return
		}
		// A wake-up that comes here takes the sleep back: schedule returns.
		th.Step("sleep")
		th.Schedule() // schedule()
	}
}

// waitEvent is wait_event: one more test, and then that loop.
func waitEvent(e *event, th *orders.Thread) {
	_ = e.queue.Wait(context.Background(), func() bool {
		defer th.Step("act on it")
		return e.condition.Load() // if (condition)
	})
}

// waker makes it happen, as module_close does: first the condition, then the
// wake-up.
func (e *event) waker(th *orders.Thread) {
	th.Step("set condition")
	e.condition.Store(true) // Already_Open = 0
	th.Step("wake_up")
	e.woke = e.queue.WakeUp() // module_wake_up(&WaitQ)
}

// inTheWindow has the waker come when the waiter has made so many steps: it has
// seen the condition false, and does not sleep yet. After that a stray wake-up
// comes. A system that has stray wake-ups hides the bug.
func inTheWindow(waiter func(*event, *orders.Thread), steps int) string {
	var e event
	th := orders.Go(func(th *orders.Thread) { waiter(&e, th) }, steps, e.waker)
	asleep := orders.Settle(th)
	return fmt.Sprintf("wake_up woke %d; condition %t, %d asleep%s\n"+
		"a stray wake_up woke %d; %d asleep\n", e.woke, e.condition.Load(),
		asleep, []string{"", ": nobody will ever come"}[asleep],
		e.queue.WakeUp(), orders.Settle(th))
}

// inEveryOrder has no window: it tries all orders of their steps.
func inEveryOrder(waiter func(*event, *orders.Thread)) explore.Result {
	return explore.Search{}.Run(func(m *explore.Model) {
		var e event
		orders.Add(m, "waiter", func(th *orders.Thread) { waiter(&e, th) })
		orders.Add(m, "waker", e.waker)
	})
}
