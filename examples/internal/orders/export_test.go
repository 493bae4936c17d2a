package orders

import "github.com/kprim/kprim/waitqueue/explore"

// AddReal is [Add], except that the Task sleeps, and not the thread of the model.
func AddReal(m *explore.Model, name string, run func(*Thread)) *Thread {
	th := &Thread{sleep: func() {}}
	m.Go(name, func(e *explore.Thread) {
		th.step = e.Step
		run(th)
	})
	return th
}
