// Package orders runs a few threads in every order of their steps, and tells
// how many of the orders end badly, and which of these is the shortest.
//
// A thread is a function that says where its steps begin. Between two steps
// other threads may come, within a step nobody can. Its wait loop is written
// out, with a real waitqueue.Queue and the thread's own Task:
//
//	fmt.Print(orders.Search(func(m *orders.Model) {
//		var queue waitqueue.Queue
//		var ready atomic.Bool
//		m.Thread("waiter", func(th *orders.Thread) {
//			wait := waitqueue.Entry{Task: &th.Task}
//			for !th.Test(ready.Load) {
//				th.Step("queue myself and sleep")
//				queue.Prepare(&wait, waitqueue.Uninterruptible)
//				th.Schedule()
//				queue.Finish(&wait)
//			}
//		})
//		m.Thread("waker", func(th *orders.Thread) {
//			th.Step("set condition")
//			ready.Store(true)
//			th.Step("wake_up")
//			queue.WakeUp()
//		})
//	}))
//
// prints
//
//	5 orders, 1 bad, the shortest:
//	  waiter: test condition
//	  waker: set condition
//	  waker: wake_up
//	  waiter: queue myself and sleep
//	  HANG: waiter asleep
//
// [Go] runs the same functions on goroutines, where they really sleep, in the
// one order that is to be shown.
//
// Nothing blocks in a search, though all is real but the choice of who is next:
// a thread sleeps as long as the state of its Task says that it does, and its
// Schedule is called when it returns at once. That is the limit, too: a wait that
// sleeps by itself, as [waitqueue.Queue.Wait] does, or a channel, would block
// the whole search.
package orders

import (
	"fmt"
	"iter"
	"strings"
)

// A Model is a few threads, and what they share.
type Model struct {
	// Wrong is called when no thread can go on, with the names of those that
	// sleep, and reports whether the order was a bad one. If it is nil, those
	// are bad at whose end somebody sleeps.
	Wrong func(asleep []string) bool

	threads []*Thread
}

// Thread adds a thread.
func (m *Model) Thread(name string, run func(*Thread)) {
	th := &Thread{name: name}
	th.next, th.stop = iter.Pull(func(yield func(string) bool) {
		defer func() {
			if th.abandoned {
				_ = recover()
			}
		}()
		th.step = func(name string) {
			if !yield(name) {
				panic("orders: abandoned")
			}
		}
		th.schedule = func() {
			if th.asleep = th.sleeps(); th.asleep {
				th.step("")
			}
			th.Task.Schedule()
		}
		run(th)
	})
	m.threads = append(m.threads, th)
	th.goOn()
}

// Event adds a thread that makes one step.
func (m *Model) Event(name, step string, happen func()) {
	m.Thread(name, func(th *Thread) {
		th.Step(step)
		happen()
	})
}

// goOn has the thread run on to its next step or sleep, or to its end.
func (th *Thread) goOn() {
	th.asleep = false
	th.stands, th.alive = th.next()
}

// ready returns the threads that stand before a step, in the order in which
// they were added. Those that were woken have gone on to theirs.
func (m *Model) ready() (ready []*Thread) {
	for i := 0; i < len(m.threads); i++ {
		if th := m.threads[i]; th.asleep && !th.sleeps() {
			th.goOn()
			i = -1 // it may have woken another
		}
	}
	for _, th := range m.threads {
		if th.alive && !th.asleep {
			ready = append(ready, th)
		}
	}
	return ready
}

// wrong says what is wrong when nobody is ready, or "".
func (m *Model) wrong() string {
	var asleep []string
	for _, th := range m.threads {
		if th.asleep {
			asleep = append(asleep, th.name)
		}
	}
	switch {
	case m.Wrong != nil && !m.Wrong(asleep):
		return ""
	case asleep != nil:
		return "HANG: " + strings.Join(asleep, ", ") + " asleep"
	case m.Wrong != nil:
		return "WRONG"
	}
	return ""
}

// A Result is what [Search] has found.
type Result struct {
	Orders, Bad int

	// Shortest is the bad order with the fewest steps, and the first of those:
	// a line for each step, and one that says what is wrong. It is nil if no
	// order is bad.
	Shortest []string
}

// String shows the result as lines of text.
func (r Result) String() string {
	if r.Bad == 0 {
		return fmt.Sprintf("%d orders, 0 bad\n", r.Orders)
	}
	return fmt.Sprintf("%d orders, %d bad, the shortest:\n  %s\n", r.Orders, r.Bad, strings.Join(r.Shortest, "\n  "))
}

// Search runs a model in every order of its steps, each time anew: it calls
// model once for each. The search is depth first. It repeats the last order up to
// the last choice that had another alternative, takes that, and from there on
// always the thread that was added first.
//
// It panics if there is no end to an order, or if the model acts differently
// when it is repeated, and with whatever a thread panics with.
func Search(model func(m *Model)) Result {
	var r Result
	for path := []choice(nil); r.Orders == 0 || len(path) > 0; path = following(path) {
		var lines []string
		var wrong string
		path, lines, wrong = run(model, path)
		r.Orders++
		if wrong != "" {
			r.Bad++
			if r.Shortest == nil || len(lines) < len(r.Shortest)-1 {
				r.Shortest = append(lines, wrong)
			}
		}
	}
	return r
}

// A choice is a step of an order: which of how many alternatives.
type choice struct{ taken, of int }

// following returns the choices that begin the next order, or none after the
// last.
func following(path []choice) []choice {
	for len(path) > 0 {
		last := &path[len(path)-1]
		if last.taken++; last.taken < last.of {
			break
		}
		path = path[:len(path)-1]
	}
	return path
}

// tooLong is a number of steps that no order comes near that has an end.
const tooLong = 500

// run runs one order: the choices of path, and then always the first
// alternative. It returns the choices made, a line for each, and what is wrong.
func run(model func(*Model), path []choice) (made []choice, lines []string, wrong string) {
	var m Model
	defer func() {
		for _, th := range m.threads {
			th.abandoned = true
			th.stop()
		}
	}()
	model(&m)
	for ready := m.ready(); len(ready) > 0; ready = m.ready() {
		step := len(lines)
		if step == tooLong {
			panic("orders: there is no end to an order")
		}
		if step == len(path) {
			path = append(path, choice{0, len(ready)})
		}
		if path[step].of != len(ready) {
			panic("orders: a model that is repeated acts differently")
		}
		th := ready[path[step].taken]
		lines = append(lines, th.name+": "+th.stands)
		th.goOn()
	}
	return path, lines, m.wrong()
}
