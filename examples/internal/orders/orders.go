// Package orders has the threads of the examples. A thread is a function that says where its
// steps begin. It has a Task of its own, and waits on real queues. It runs in two ways.
//
// [Add] makes it a goroutine of a model. Package explore takes the goroutines of a model
// through every order of their steps, and in package step a player does.
//
// [Go] runs it on a goroutine in one order, which a program shows. There it really sleeps.
package orders

import (
	"errors"
	"sync/atomic"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A Thread runs a function for [Add] or [Go].
type Thread struct {
	Task waitqueue.Task // current

	step  func(name string)
	sleep func() // a sleep was announced and nothing has ended it yet

	rests   chan struct{} // of Go: it is about to sleep; closed at its end
	resting atomic.Bool   // of Go: Settle knows that it is about to sleep
}

// Step begins a step, as the Step of an [explore.Thread] does.
func (th *Thread) Step(name string) { th.step(name) }

// Test is the step "test condition", and returns the result of cond.
func (th *Thread) Test(cond func() bool) bool {
	th.Step("test condition")
	return cond()
}

// Schedule is the Schedule of the Task. It sleeps if the sleep was announced, in this step
// or in an earlier one.
//
// Kernel: schedule
func (th *Thread) Schedule() {
	if th.sleeps() {
		th.sleep()
	}
	th.Task.Schedule()
	th.resting.Store(false) // before it can announce another sleep
}

// sleeps reports whether the Task's Schedule would not return now.
func (th *Thread) sleeps() bool {
	s := th.Task.State()
	return s != waitqueue.Running && !(s&waitqueue.Interruptible != 0 && th.Task.Interrupted())
}

// Add adds a thread to a model, as the Go of the model does. The thread sleeps as long as
// the state of its Task says so, and then the Schedule of the Task returns at once. So the
// explorer need not ask the runtime, which takes longer.
func Add(m *explore.Model, name string, run func(*Thread)) *Thread {
	th := new(Thread)
	m.Go(name, func(e *explore.Thread) {
		th.step = e.Step
		th.sleep = func() { e.Sleep(func() bool { return !th.sleeps() }) }
		run(th)
	})
	return th
}

// Fault returns the check of a model. It fails with this text if wrong returns true.
func Fault(text string, wrong func() bool) func() error {
	return func() error {
		if wrong() {
			return errors.New(text)
		}
		return nil
	}
}

// Go starts a thread on a goroutine of its own. When the thread has made so many steps, it
// calls window with itself, at the beginning of the next step. The other threads make their
// steps in window. window must not sleep, and Step does nothing in it. It may be nil. Call
// Settle after Go.
func Go(run func(*Thread), steps int, window func(*Thread)) *Thread {
	th := &Thread{rests: make(chan struct{})}
	th.step = func(string) {
		if steps--; steps == -1 && window != nil {
			window(th)
		}
	}
	th.sleep = func() { th.rests <- struct{}{} }
	go func() {
		defer close(th.rests)
		run(th)
	}()
	return th
}

// Settle waits until each of these threads, which were started by [Go], sleeps or has
// ended, and returns how many sleep. Nothing may wake them meanwhile. A thread that
// was not settled since it went to sleep does not go on when it is woken. So call
// Settle after each call that sets threads going.
func Settle(threads ...*Thread) (asleep int) {
	for _, th := range threads {
		for more := true; more && !th.rest(); {
			_, more = <-th.rests
			th.resting.Store(more)
		}
		if th.rest() {
			asleep++
		}
	}
	return asleep
}

// rest reports whether the thread sleeps, and Settle knows it. The state alone is not enough:
// a thread whose sleep Settle does not know still waits to tell it, before its Schedule.
func (th *Thread) rest() bool { return th.sleeps() && th.resting.Load() }
