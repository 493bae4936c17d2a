// Package explore takes a few goroutines through every order of their steps, on the
// real code, and shows the simplest order that goes wrong.
//
// # Which tool
//
//   - Use explore to try every order of a few steps on the code itself.
//   - Use -race for data races: explore sees none between two points.
//   - Use [testing/synctest] for one order, with a clock that you move.
//   - Use fuzzing for inputs: explore has one input and every order.
//   - Use a stress test for many goroutines and steps, and for weak memory.
//   - Use porcupine to judge a recorded history of calls by a sequential model.
//   - Use TLA+, PlusCal or spin for a design that has no code yet, or too many
//     states.
//
// # Start here
//
// A model is a function. It makes the data, the goroutines and a check for the end:
//
//	func TestCounter(t *testing.T) {
//		explore.Test(t, func(m *explore.Model) {
//			n := 0
//			add := func(th *explore.Thread) {
//				th.Step("read")
//				seen := n
//				th.Step("write")
//				n = seen + 1
//			}
//			m.Go("A", add)
//			m.Go("B", add)
//			m.Check(func() error {
//				if n != 2 {
//					return fmt.Errorf("n is %d", n)
//				}
//				return nil
//			})
//		})
//	}
//
// The test fails, and prints
//
//	2 orders, 1 bad, 0s
//	a bad order, after 1 good; the simplest has 1 preemption and 4 steps:
//	   1  A: read
//	   2  B: read
//	   3  B: write
//	   4  A: write
//	n is 1
//	replay it: go test -run '^TestCounter$' -explore.replay 1.2.2.1
//
// The README of the package goes on from there: points of your own code, locks, the list of
// the points of this module, bounds, flags and mutants. The Examples below are whole files.
//
// # How it works
//
// A goroutine of a model stops at its points: the calls of [Thread.Step] and [Model.At], and
// the points inside the packages of this module that [Search.Points] names. A step goes
// from one point to the next. When every goroutine is stopped, asleep or at its end, the
// search chooses one that is stopped to go on. An order is the list of these choices.
//
// The search calls the model once for each order. It is depth first. It repeats the last
// order up to the last choice with an untried alternative, and takes that alternative. From
// there it stays with the same goroutine as long as that can go on.
//
// In a test each order has a bubble of testing/synctest: goroutines may sleep in
// channels, in sync.Cond and in the waits of this module, and the clock stands still.
// A program has no bubble. There [Search.Run] asks the runtime which goroutines are
// blocked.
//
// An order is bad if
//
//   - a goroutine is asleep at the end of the order,
//   - a goroutine panics or calls runtime.Goexit,
//   - the order has no end,
//   - the order fails the test, or
//   - the check returns an error.
//
// A preemption is a switch from a goroutine that could have gone on. The bad order that is
// shown has the fewest preemptions. If several have as few, it has the fewest steps.
//
// # Rules for models
//
//   - A goroutine begins with a [Thread.Step]. It runs up to its first point when it is
//     added, so no order changes that part.
//   - All code between two points is one step. So put points wherever another
//     goroutine could do harm.
//   - A goroutine must not stop while it holds a lock, unless that is a [Lock]. A
//     goroutine that waits for a sync.Mutex is not asleep to synctest.
//   - The lock of a sync.Cond is a [Lock]. With a sync.Mutex no other goroutine can take
//     the lock before a woken one does, so an if in place of a for is not found.
//   - The model makes everything again for each order, and does the same each time: no
//     random numbers, no map that is ranged over, no select with two ways open. If an
//     order that is repeated takes another course, the search ends and says so.
//   - A woken goroutine runs beside its waker, each up to its next point. That must make
//     no difference.
//   - It is small. Goroutines of a, b, ... steps that never wait for each other have
//     (a + b + ...)! / (a! b! ...) orders. These are 63,063,000 for four goroutines of four
//     steps, and 34,650 for three.
package explore

import (
	"io"
	"testing"
)

// A Search says how a model is searched. The zero value stops goroutines at the points of
// the model only, and tries every order. Any number of goroutines may use a Search. Orders
// of different searches run one after another.
type Search struct {
	// Points are points inside the packages of this module at which goroutines stop
	// too. The name of a package stands for all its points at which no lock is held.
	// The README lists them. A point that does not exist is an error. So is a
	// point, or a package, to which no goroutine of the model comes.
	Points []string

	// Preemptions, if it is positive, bounds the preemptions of an order. Result.LeftOut
	// counts the choices that the bound leaves out. Most faults need one or two.
	Preemptions int

	// Each, if it is not nil, is called by Find and Run with each order, good or bad, as soon
	// as it has ended. So a program can count more than a Result does.
	Each func(Order)

	// Want, if it is positive, is how many orders there are. Test fails if there is
	// another number: the model, or the code, no longer does the same.
	Want int
}

// A Result says how a search has ended.
type Result struct {
	Orders  int // how many orders were run
	Bad     int // how many of them are bad
	LeftOut int // choices that the bound on preemptions did not allow; each begins at least one order

	// Simplest is the bad order with the fewest preemptions. If several have as few, it
	// is the first one with the fewest steps. It is nil if no order is bad.
	Simplest *Order
}

// Test takes a model through every order of its steps. It is [Search.Test] of the zero
// Search.
func Test(t *testing.T, model func(*Model)) {
	t.Helper()
	Search{}.Test(t, model)
}

// Test takes a model through its orders, each in a bubble of its own, and logs how many
// it ran. At the first bad order it stops counting. Then it looks for the simplest one
// with a bound of 0 preemptions, of 1, of 2 and so on, and fails with that. It also fails if
// the search does not end before the deadline of the test.
//
// With the flag -explore.replay it runs the one order that the flag names, and logs
// it: 2:1.2 is the order 1.2 of the second search of the test. With -explore.preemptions it
// has another bound. The README lists the other flags.
func (s Search) Test(t *testing.T, model func(*Model)) {
	t.Helper()
	e := s.inTest(t, model)
	if o := e.replayOfFlag(t); o != nil {
		if o.Fault != "" {
			t.Fatal("explore: " + badOrder)
		}
		return
	}
	e.stopAtBad = true
	r := e.all()
	t.Log(e.counted(r))
	if r.Bad > 0 {
		t.Fatal(e.report(r, t.Name()))
	}
	e.requireReached()
	if s.Want > 0 && s.Want != r.Orders && !flagged() {
		t.Fatalf("explore: %s; Want is %d", plural(r.Orders, "order"), s.Want)
	}
}

// Find takes a model through all its orders, as Test does, and returns the result. It goes
// on after a bad order. A bad order does not fail t, but wrong use of the package does.
func (s Search) Find(t *testing.T, model func(*Model)) Result {
	t.Helper()
	e := s.inTest(t, model)
	if o := e.replayOfFlag(t); o != nil {
		return o.alone()
	}
	e.each = s.Each
	r := e.all()
	t.Log(e.counted(r))
	e.requireReached()
	return r
}

// Run takes a model through all its orders in a program, which has no bubble. It goes on
// after a bad order. Wrong use of the package panics.
//
// The clock is the real one. Run waits for a goroutine in time.Sleep, but takes one in a
// select with a timer for asleep. The goroutines that sleep at the end of a bad order are
// left behind, unless [Model.Release] wakes them.
//
// The race detector does not learn that a goroutine sleeps. So it may report a race for a
// plain variable that a goroutine has used before it fell asleep. A test has no such
// reports.
func (s Search) Run(model func(*Model)) Result {
	e := s.inProgram(model)
	e.each = s.Each
	r := e.all()
	e.requireReached()
	return r
}

// Replay runs one order of a model, in a program. The text order is the Replay of an
// [Order]. Replay returns an error if the model has no such order.
func (s Search) Replay(order string, model func(*Model)) (Order, error) {
	return s.inProgram(model).replay(order)
}

// Choose makes one order of a model, in a program, and has a function be the scheduler. Before
// each step it calls next with all goroutines. next returns the number of one that can go on.
// It runs on the goroutine that makes the choices, and may wait for a human.
//
// Choose returns the order as far as it was made, and an error if next returns one, or the
// number of a goroutine that cannot go on.
func (s Search) Choose(next func([]Standing) (number int, err error), model func(*Model)) (Order, error) {
	return s.inProgram(model).choose(func(here scene) (int, error) { return next(here.standings()) })
}

// Play lets a human be the scheduler, in a program. At each step it writes to out which
// goroutines can go on and the next step of each. Then it reads a line from in, with the
// number of one. It returns the order that the player has made. The player has found a bug
// if its Fault is not "". It returns an error if in ends first.
// [Search.Choose] is for a program with its own words and keys.
func (s Search) Play(in io.Reader, out io.Writer, model func(*Model)) (Order, error) {
	return s.inProgram(model).play(in, out)
}
