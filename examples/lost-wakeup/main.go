// Lost-wakeup shows a thread that sleeps for ever though its event has
// happened: it tests, and then it sleeps. The right loop makes the same calls
// in another order. The program tries every order of the steps of two threads,
// and shows one that goes wrong. With -step you choose the order.
package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

func main() { program.Main() }

// game is played with -step.
var game = step.Game{
	Aim:   "leave the waiter asleep for ever",
	Model: model(sleepOn),
}

var program = step.Program{Name: "lost-wakeup", Game: game, Story: session}

func session(out io.Writer) error {
	_, err := fmt.Fprint(out,
		"# test, then sleep\n", inTheWindow(sleepOn, 1), inEveryOrder(sleepOn),
		"# queue, then test\n", inTheWindow(prepare, 2), inEveryOrder(prepare),
		"# wait_event\n", inTheWindow(waitEvent, 1))
	return err
}

// An event is awaited by one thread, and another thread makes it happen.
type event struct {
	condition atomic.Bool     // !Already_Open
	queue     waitqueue.Queue // static struct wait_queue *WaitQ = NULL
	woke      int
}

// sleepOn is the loop of article 3's module_open. It calls a function that
// queues and sleeps, and that does not test the condition.
func sleepOn(e *event, th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task}
	for !th.Test(e.condition.Load) { // while (Already_Open)
		// A wake-up that comes here finds no waiter, and there is no other.
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
		// A wake-up that comes here takes the sleep back: Schedule returns at
		// once.
		th.Step("sleep")
		th.Schedule() // schedule()
	}
}

// waitEvent is wait_event: one more test, and then the loop of prepare.
func waitEvent(e *event, th *orders.Thread) {
	_ = e.queue.Wait(context.Background(), func() bool {
		defer th.Step("act on it")
		return e.condition.Load() // if (condition)
	})
}

// waker makes the event happen, as module_close does: it sets the condition,
// and then it wakes.
func (e *event) waker(th *orders.Thread) {
	th.Step("set condition")
	e.condition.Store(true) // Already_Open = 0
	th.Step("wake_up")
	e.woke = e.queue.WakeUp() // module_wake_up(&WaitQ)
}

// inTheWindow runs the waker when the waiter has made this many steps: the
// waiter has seen the condition false, and does not sleep yet. After that
// comes a stray wake-up. A system with many stray wake-ups hides the bug.
func inTheWindow(waiter func(*event, *orders.Thread), steps int) string {
	var e event
	th := orders.Go(func(th *orders.Thread) { waiter(&e, th) }, steps, e.waker)
	asleep := orders.Settle(th)
	verdict := ""
	if asleep > 0 {
		verdict = ": no other waker will come"
	}
	return fmt.Sprintf("wake_up woke %d; condition %t, %d asleep%s\n"+
		"a stray wake_up woke %d; %d asleep\n",
		e.woke, e.condition.Load(), asleep, verdict,
		e.queue.WakeUp(), orders.Settle(th))
}

// inEveryOrder needs no window: it tries all orders of the steps.
func inEveryOrder(waiter func(*event, *orders.Thread)) explore.Result {
	return explore.Search{}.Run(model(waiter))
}

// model has the two threads. A thread that sleeps at the end makes an order
// bad.
func model(waiter func(*event, *orders.Thread)) func(*explore.Model) {
	return func(m *explore.Model) {
		var e event
		orders.Add(m, "waiter", func(th *orders.Thread) { waiter(&e, th) })
		orders.Add(m, "waker", e.waker)
	}
}
