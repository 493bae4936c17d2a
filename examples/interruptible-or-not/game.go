package main

import (
	"syscall"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// game is played with -step. It is the broken form: the opener does not look at
// the result of its wait.
var game = step.Game{
	Aim:   "let two threads have the file open at the same time",
	Model: model(false),
}

// model is one opener in named steps, for a player or a search. A has the file
// open. Ctrl-C comes once.
func model(look bool) func(*explore.Model) {
	return func(m *explore.Model) {
		f := &file{openers: 1} // A
		two := false
		opener := orders.Add(m, "opener", func(th *orders.Thread) {
			if err := f.waitInModel(th); err != nil && look {
				return
			}
			th.Step("open the file")
			f.openers++
			two = f.openers > 1
		})
		m.Event("A: close", func() { f.close(1) })
		m.Event("Ctrl-C", opener.Task.Interrupt)
		m.Check(orders.Fault("two threads have had the file open",
			func() bool { return two }))
	}
}

// waitInModel is waitEvent without the CPU, in named steps. It looks for a
// signal before it tests, as the kernel does. So a free file beats a signal.
func (f *file) waitInModel(th *orders.Thread) error {
	wait := waitqueue.Entry{Task: &th.Task}
	defer f.waitQ.Finish(&wait)
	for {
		th.Step("queue myself, look for a signal")
		f.waitQ.Prepare(&wait, waitqueue.Interruptible)
		signal := th.Task.Interrupted()
		if th.Test(func() bool { return f.openers == 0 }) {
			return nil
		}
		if signal {
			return syscall.EINTR
		}
		th.Step("sleep")
		th.Schedule()
	}
}
