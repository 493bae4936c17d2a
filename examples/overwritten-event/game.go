package main

import (
	"fmt"
	"slices"

	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// game is played with -step. It is the broken form: one variable for all
// events.
var game = step.Game{
	Aim:   "lose an event: one that is posted and never served",
	Model: model,
}

// model is the article's variable in named steps, for a player or a search. The
// monitor posts the events 1 and 2. The thread sleeps when the model begins.
func model(m *explore.Model) {
	var v variable
	var served []int
	orders.Add(m, "mykthread", func(th *orders.Thread) {
		for {
			v.sleep(th)
			th.Step("copy myevent_id")
			id := v.id
			th.Step("serve it and sleep")
			served = append(served, id)
		}
	})
	orders.Add(m, "monitor", func(th *orders.Thread) {
		for id := 1; id <= 2; id++ {
			th.Step(fmt.Sprint("set myevent_id to ", id))
			v.id = id
			th.Step("wake_up")
			v.queue.WakeUpInterruptible()
		}
	})
	m.MaySleep("mykthread")
	m.Check(func() error { return allServed(served) })
}

// sleep is the sleep of take without the CPU. It comes before a look at the
// variable, and lasts until the next wake-up.
func (v *variable) sleep(th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task}
	v.queue.Prepare(&wait, waitqueue.Interruptible)
	th.Schedule()
	v.queue.Finish(&wait)
}

// allServed returns an error if one of the events 1 and 2 was not served.
func allServed(served []int) error {
	if slices.Contains(served, 1) && slices.Contains(served, 2) {
		return nil
	}
	return fmt.Errorf("1 and 2 were posted, and %v was served", served)
}
