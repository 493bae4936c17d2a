package main

import (
	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// game is played with -step. It is a fix in the wrong place: a flush that
// comes after the test for the stop.
var game = step.Game{
	Aim:   "leave the thread asleep for ever, though it was told to stop",
	Model: model(flushLast),
}

// model is a stop in named steps, for a player or a search. Nothing else wakes
// the thread, because the sleep of the model has no timeout.
func model(loop func(th *orders.Thread, terminate *bool)) func(*explore.Model) {
	return func(m *explore.Model) {
		terminate := false
		thread := orders.Add(m, "example_thread", func(th *orders.Thread) {
			loop(th, &terminate)
		})
		orders.Add(m, "stop_kthread", func(th *orders.Thread) {
			th.Step("set terminate")
			terminate = true
			th.Step("send SIGKILL")
			thread.Task.Interrupt()
		})
	}
}

// flushLast flushes after its test, so it may wipe out the SIGKILL of a stop
// that the test came too early to see.
func flushLast(th *orders.Thread, terminate *bool) {
	for {
		th.Step("test terminate")
		if *terminate {
			return
		}
		th.Step("flush_signals")
		th.Task.ClearInterrupt()
		sleep(th)
	}
}

// flushFirst tests after its flush. The stopper sets the flag before it sends
// the SIGKILL, so after a flush that wipes out the SIGKILL the test sees the
// flag.
func flushFirst(th *orders.Thread, terminate *bool) {
	for {
		th.Step("flush_signals")
		th.Task.ClearInterrupt()
		th.Step("test terminate")
		if *terminate {
			return
		}
		sleep(th)
	}
}

func sleep(th *orders.Thread) {
	th.Step("sleep")
	th.Task.SetState(waitqueue.Interruptible)
	th.Schedule()
}
