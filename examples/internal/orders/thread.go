package orders

import (
	"sync/atomic"

	"github.com/kprim/kprim/waitqueue"
)

// A Thread is a thread of a [Model], or one that was started by [Go].
type Thread struct {
	Task waitqueue.Task // current

	step     func(name string)
	schedule func()

	// Of Go.
	rests   chan struct{} // it is about to sleep; closed at its end
	resting atomic.Bool

	// Of a search.
	name          string
	next          func() (step string, more bool)
	stop          func()
	stands        string // before which step, unless it is asleep
	alive, asleep bool
	abandoned     bool // it is made to end: how it takes that is of no interest
}

// Step begins a step, which lasts until the next one, or until the thread
// sleeps or ends. In a search the thread stops here until it is its turn. What
// comes before the first Step is done when the thread is added, and what comes
// after a sleep and before a Step belongs to the step that ended the sleep. So
// a loop needs a Step.
func (th *Thread) Step(name string) { th.step(name) }

// Test is the step "test condition", which returns what cond returns.
func (th *Thread) Test(cond func() bool) bool {
	th.Step("test condition")
	return cond()
}

// Schedule is that of the Task. It sleeps if the sleep has been announced, in
// this step or in one before.
//
// Kernel: schedule
func (th *Thread) Schedule() { th.schedule() }

// sleeps reports whether the Task's Schedule would not return now.
func (th *Thread) sleeps() bool {
	s := th.Task.State()
	return s != waitqueue.Running && !(s&waitqueue.Interruptible != 0 && th.Task.Interrupted())
}

// Go starts a thread on a goroutine of its own. Where it would begin its next
// step after so many steps, window is called on that goroutine: what others do
// in between, at that very moment. It is given the thread, of which Step does
// nothing then; it must not sleep; it may be nil. Call Settle after Go.
func Go(run func(*Thread), steps int, window func(*Thread)) *Thread {
	th := &Thread{rests: make(chan struct{})}
	th.step = func(string) {
		if steps--; steps == -1 && window != nil {
			window(th)
		}
	}
	th.schedule = func() {
		if th.sleeps() {
			th.resting.Store(true)
			th.rests <- struct{}{}
		}
		th.Task.Schedule()
		th.resting.Store(false) // before it can announce another sleep
	}
	go func() {
		defer close(th.rests)
		run(th)
	}()
	return th
}

// Settle waits until each of these threads, which were started by [Go], sleeps
// or has ended, and returns how many sleep. Nobody may wake them meanwhile. A
// thread that was not settled since it went to sleep does not go on when it is
// woken: so call Settle after whatever sets threads going.
func Settle(threads ...*Thread) (asleep int) {
	for _, th := range threads {
		for more := true; more && !th.rest(); {
			_, more = <-th.rests
		}
		if th.rest() {
			asleep++
		}
	}
	return asleep
}

// rest reports whether the thread sleeps, and has not just announced that it
// will. It looks at the state first.
func (th *Thread) rest() bool { return th.sleeps() && th.resting.Load() }
