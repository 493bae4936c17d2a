package main

import (
	"sync/atomic"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// game is played with -step. It is the broken form: the test and the set are
// two steps.
var game = step.Game{
	Aim:   "let two threads have the file open at the same time",
	Model: model(test),
}

// model is the file in named steps, for a player or a search. A has the file
// open, and B and C want it.
func model(test func(*atomic.Bool) bool) func(*explore.Model) {
	return func(m *explore.Model) {
		f := &file{test: test, inside: 1, most: 1} // A
		f.alreadyOpen.Store(true)
		orders.Add(m, "B", f.steps)
		orders.Add(m, "C", f.steps)
		m.Event("A: close", func() { f.leave() })
		m.Check(orders.Fault("two threads have had the file open",
			func() bool { return f.most > 1 }))
	}
}

// steps is an opener of the model. Like open, it queues itself before it tests.
func (f *file) steps(th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task}
	for {
		th.Step("test Already_Open")
		f.waitQ.Prepare(&wait, waitqueue.Interruptible)
		if !f.test(&f.alreadyOpen) {
			break
		}
		th.Schedule() // until another opener closes the file
	}
	f.waitQ.Finish(&wait)
	th.Step("set Already_Open")
	f.enter()
	th.Step("close")
	f.leave()
}
