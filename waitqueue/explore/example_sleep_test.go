package explore_test

import (
	"fmt"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A sketch is a wait that is not written yet. Its wake-up reaches a waiter on the queue only.
type sketch struct{ ready, queued bool }

func (s *sketch) wake() { s.queued = false }

func (s *sketch) sleep(th *explore.Thread) { th.Sleep(func() bool { return !s.queued }) }

// testFirst loses a wake-up that comes between its two steps.
func (s *sketch) testFirst(th *explore.Thread) {
	th.Step("test")
	if s.ready {
		return
	}
	th.Step("queue")
	s.queued = true
	s.sleep(th)
}

func (s *sketch) queueFirst(th *explore.Thread) {
	th.Step("queue")
	s.queued = true
	th.Step("test")
	if !s.ready {
		s.sleep(th)
	}
}

// sketchModel has a waiter and a waker.
func sketchModel(wait func(*sketch, *explore.Thread)) func(*explore.Model) {
	return func(m *explore.Model) {
		s := &sketch{}
		m.Go("waiter", func(th *explore.Thread) { wait(s, th) })
		m.Go("waker", func(th *explore.Thread) {
			th.Step("set")
			s.ready = true
			th.Step("wake")
			s.wake()
		})
	}
}

// A made-up sleep tries a protocol before there is code for it.
func ExampleThread_Sleep() {
	fmt.Print(explore.Search{}.Run(sketchModel((*sketch).testFirst)))
	fmt.Print("queue first: ", explore.Search{}.Run(sketchModel((*sketch).queueFirst)))
	// Output:
	// 5 orders, 1 bad, the simplest:
	//    1  waiter: test
	//    2  waker: set
	//    3  waker: wake
	//    4  waiter: queue
	// asleep: waiter
	// replay 1.2.2.1
	// queue first: 6 orders, 0 bad
}
