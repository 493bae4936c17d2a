package explore

import (
	"fmt"
	"slices"
	"strings"
)

// A choice is where an order could go on in several ways.
type choice struct {
	saw          []move // the moves that were there
	alternatives []int  // numbers of threads that the bound allows; the one that would go on first
	taken        int    // index in alternatives
}

// A course is an order in the making.
type course struct {
	path    []choice
	bound   int
	step    int
	leftOut int    // by the choices that this course is the first to meet
	other   string // how the model differs from its earlier course, or ""
}

// A scene is the choice of a scheduler.
type scene struct {
	all         []*Thread
	ready       []*Thread
	last        *Thread // that made the last step, or nil
	preemptions int     // so far
}

// canGoOn reports whether any other choice than the last one's is a preemption.
func (s scene) canGoOn() bool { return slices.Contains(s.ready, s.last) }

// moves lists the threads that can go on, each with its next step.
func (s scene) moves() (moves []move) {
	for _, th := range s.ready {
		moves = append(moves, th.move())
	}
	return moves
}

// offers reports whether the moves are the same as in an earlier scene.
func (s scene) offers(saw []move) bool {
	return slices.EqualFunc(s.ready, saw, func(th *Thread, m move) bool { return th.move() == m })
}

// menu returns moves as text.
func menu(moves []move) string {
	var items []string
	for _, m := range moves {
		items = append(items, fmt.Sprint(m.number, " ", m))
	}
	return strings.Join(items, ", ")
}

// numbered returns the thread with that number, or nil.
func (s scene) numbered(n int) *Thread {
	for _, th := range s.ready {
		if th.number == n {
			return th
		}
	}
	return nil
}

// A scheduler chooses which thread makes the next step. It ends the order with a fault if it
// returns nil.
type scheduler func(scene) (next *Thread, fault string)

// next is the scheduler of a search.
func (c *course) next(s scene) (*Thread, string) {
	if c.step == len(c.path) {
		c.path = append(c.path, c.meet(s))
	}
	here := c.path[c.step]
	if !s.offers(here.saw) {
		c.other = fmt.Sprintf("these can go on now\n  %s\nand these could before\n  %s", menu(s.moves()), menu(here.saw))
		return nil, anotherCourse
	}
	c.step++
	return s.numbered(here.alternatives[here.taken]), ""
}

// meet makes a choice at a place to which no order has come before.
func (c *course) meet(s scene) choice {
	met := choice{saw: s.moves()}
	if s.canGoOn() {
		met.alternatives = append(met.alternatives, s.last.number)
		if s.preemptions == c.bound {
			c.leftOut += len(s.ready) - 1
			return met
		}
	}
	for _, th := range s.ready {
		if th != s.last {
			met.alternatives = append(met.alternatives, th.number)
		}
	}
	return met
}

// strayed says how an order that came of the course differs from the one that is repeated in
// it, or returns "".
func (c *course) strayed(o Order) string {
	switch {
	case c.other != "" || c.step == len(c.path):
		return c.other
	case o.Fault != "":
		return "it ends early; " + o.Fault
	}
	return "it ends early"
}

// following returns the choices that begin the next order, or none after the last.
func following(path []choice) []choice {
	for len(path) > 0 {
		last := &path[len(path)-1]
		if last.taken++; last.taken < len(last.alternatives) {
			return path
		}
		path = path[:len(path)-1]
	}
	return nil
}
