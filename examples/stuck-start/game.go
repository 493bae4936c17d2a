package main

import (
	"github.com/kprim/kprim/examples/internal/orders"
	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// game is played with -step. It is the broken form of the stop, which locks the
// semaphore again.
var game = step.Game{
	Aim:   "leave stop_kthread asleep for ever",
	Model: model(true),
}

// model is a stop in named steps, for a player or a search. The thread runs,
// and ends by itself. If again is false, the stop has a semaphore of its own.
// Then it was locked once, at the start.
func model(again bool) func(*explore.Model) {
	return func(m *explore.Model) {
		k := &kthreadT{thread: true}
		orders.Add(m, "stop_kthread", func(th *orders.Thread) {
			th.Step("test kthread->thread")
			if !k.thread {
				return
			}
			if again {
				th.Step("init_MUTEX_LOCKED")
				k.count = 0
			}
			th.Step("down")
			k.downInModel(th)
		})
		orders.Add(m, "exit_kthread", func(th *orders.Thread) {
			th.Step("set kthread->thread to NULL")
			k.thread = false
			th.Step("up")
			k.count++
			k.sem.WakeUp()
		})
	}
}

// downInModel is down without the CPU. It is one step up to its sleep, because
// in the kernel a spin lock guards the count.
func (k *kthreadT) downInModel(th *orders.Thread) {
	wait := waitqueue.Entry{Task: &th.Task}
	defer k.sem.Finish(&wait)
	for {
		k.sem.Prepare(&wait, waitqueue.Uninterruptible)
		if k.count > 0 {
			k.count--
			return
		}
		th.Schedule()
	}
}
