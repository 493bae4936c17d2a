package main

import (
	"fmt"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// game is played with -step. It is the broken form: each close wakes all
// openers.
var game = step.Game{
	Aim:   "wake openers for nothing three times",
	Model: model((*waitqueue.Queue).Add, 3),
}

// model is a herd of three openers in named steps, for a player or a search.
// The openers sleep when the model begins. An order is bad if it has this
// number of wake-ups for nothing, or more.
func model(add func(*waitqueue.Queue, *waitqueue.Entry),
	forNothing int) func(*explore.Model) {
	const openers = 3
	return func(m *explore.Model) {
		h := &herd{add: add, alreadyOpen: true}
		for i := range openers {
			orders.Add(m, fmt.Sprint("opener/", i), h.steps)
		}
		m.Event("closer: close", h.close)
		m.Check(func() error {
			if n := h.wakeUps - openers; n >= forNothing {
				return fmt.Errorf("%d wake-ups for nothing", n)
			}
			return nil
		})
	}
}

// steps is an opener of the model, with a close of its own. The test and the
// set are one step, as on one CPU without preemption.
func (h *herd) steps(th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task}
	h.add(&h.waitQ, &wait)
	for th.Task.SetState(waitqueue.Interruptible); h.alreadyOpen; h.wakeUps++ {
		th.Schedule()
		th.Step("test Already_Open")
		th.Task.SetState(waitqueue.Interruptible)
	}
	th.Task.SetState(waitqueue.Running)
	h.alreadyOpen = true
	h.waitQ.Remove(&wait)
	th.Step("close")
	h.close()
}
