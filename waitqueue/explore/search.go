package explore

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kprim/kprim/internal/point"
)

// An explorer is one search of one model.
type explorer struct {
	model     func(*Model)
	bubbles   bool             // each order has a bubble
	within    func(run func()) // an order runs in it
	settle    func(*Model)     // returns when no goroutine of the model can move
	fail      fataler          // for wrong use
	failed    func() bool      // whether the test has failed
	nth       int              // search of the test, from 1
	points    map[string]bool
	entries   map[string][]string // of Points, each with the points for which it stands
	bound     int                 // on preemptions, or none
	each      func(Order)         // or nil
	stopAtBad bool
	found     bool      // a bad order, by Test, which looks for a simpler one
	deadline  time.Time // or zero

	began   time.Time
	ended   bool             // no order is left that the bound allows
	running atomic.Bool      // goroutines of the model may run
	moves   atomic.Int64     // grows when one of them is let go
	reached sync.Map         // of names of points
	seen    map[int64]string // see lookAtProgram
	orders  int              // that have begun
}

const none = -1

// A fataler does not return from Fatalf.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// raise is for a program.
type raise struct{}

func (raise) Helper() {}

func (raise) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (s Search) inTest(t *testing.T, model func(*Model)) *explorer {
	t.Helper()
	e := s.explorer(t, model)
	e.bubbles, e.settle, e.failed, e.nth = true, settleInBubble, t.Failed, nthSearch(t)
	e.within = func(run func()) { synctest.Test(t, func(*testing.T) { alone(run) }) }
	t.Context().Done() // the channel is made here, since the test cannot close one of a bubble
	if end, ok := t.Deadline(); ok {
		left := time.Until(end)
		e.deadline = end.Add(-max(left/20, min(left/3, time.Second)))
	}
	return e
}

func (s Search) inProgram(model func(*Model)) *explorer {
	e := s.explorer(raise{}, model)
	e.settle, e.failed = settleInProgram, func() bool { return false }
	e.within = alone
	return e
}

func (s Search) explorer(fail fataler, model func(*Model)) *explorer {
	fail.Helper()
	switch {
	case nested():
		fail.Fatalf("explore: a search in an order of another search, or in a bubble of testing/synctest: each order has a bubble of its own")
	case model == nil:
		fail.Fatalf("explore: the model is nil")
	case s.Preemptions < 0 || s.Want < 0:
		fail.Fatalf("explore: Preemptions is %d and Want is %d; both are positive, or 0 for none", s.Preemptions, s.Want)
	case *flagBound < 0:
		fail.Fatalf("explore: -explore.preemptions is %d; it is positive, or 0 for none", *flagBound)
	}
	e := &explorer{model: model, fail: fail, bound: none, points: map[string]bool{}, entries: map[string][]string{}}
	if s.Preemptions > 0 {
		e.bound = s.Preemptions
	}
	if *flagBound > 0 {
		e.bound = *flagBound
	}
	for _, name := range append(splitFlag(*flagPoints), s.Points...) {
		if !e.addPoints(name) {
			fail.Fatalf("explore: there is no point %q; the README of the package has the list", name)
		}
	}
	return e
}

// nested reports whether the calling goroutine is part of an order.
func nested() bool {
	id, bubble := goroutine()
	if bubble != "" {
		return true
	}
	m := now.Load()
	if m == nil {
		return false
	}
	_, own := m.byID.Load(id)
	return own || id == m.host
}

// addPoints adds a point, or all points of a package, and reports whether there is one.
func (e *explorer) addPoints(name string) bool {
	var points []string
	for _, p := range point.All {
		if p.Name == name || p.Package == name && !p.Locked {
			e.points[p.Name] = true
			points = append(points, p.Name)
		}
	}
	e.entries[name] = points
	return len(points) > 0
}

func isLibrarys(name string) bool {
	return slices.ContainsFunc(point.All, func(p point.Point) bool { return p.Name == name })
}

// requireReached fails if there is an entry of Points for which no goroutine has stopped.
func (e *explorer) requireReached() {
	e.fail.Helper()
	if *flagPoints != "" {
		return
	}
	missed := []string{}
	for name, points := range e.entries {
		if !slices.ContainsFunc(points, e.isReached) {
			missed = append(missed, name)
		}
	}
	if len(missed) > 0 {
		slices.Sort(missed)
		e.fail.Fatalf("explore: no goroutine of the model comes to these points: %q", missed)
	}
}

func (e *explorer) isReached(point string) bool {
	_, ok := e.reached.Load(point)
	return ok
}

// all runs all orders, or those up to the first bad one.
func (e *explorer) all() (r Result) {
	e.fail.Helper()
	e.began, e.ended = time.Now(), false
	defer e.watch()()
	for path := []choice(nil); r.Orders == 0 || path != nil; {
		c := course{path: path, bound: e.bound}
		o := e.order(c.next)
		fault := c.strayed(o)
		if fault != "" || o.Fault != "" || e.each != nil {
			o.tell()
		}
		if fault != "" {
			e.fail.Fatalf("explore: %s: %s, after\n%s", anotherCourse, fault, o.lines())
		}
		r.add(o, c.leftOut)
		if e.each != nil {
			e.each(o)
		}
		path = following(c.path)
		e.ended = path == nil
		late := e.late() // asked once: between two questions the time may come
		switch {
		case o.Fault != "" && e.stopAtBad, endsSearch(o.Fault), e.found && late:
			return r
		case path != nil && late:
			e.fail.Fatalf("explore: %s, and the time of the test is over; make the model smaller, or bound its preemptions", e.counted(r))
		}
	}
	return r
}

// add notes an order that was run.
func (r *Result) add(o Order, leftOut int) {
	r.Orders++
	r.LeftOut += leftOut
	if o.Fault == "" {
		return
	}
	r.Bad++
	if o.simpler(r.Simplest) {
		r.Simplest = &o
	}
}

// simplest looks for the simplest bad order, when one was found, and says in words whether
// it is.
func (e *explorer) simplest(found *Order) (o *Order, which string) {
	if *flagFirst || endsSearch(found.Fault) {
		return found, "this one"
	}
	e.stopAtBad, e.found = false, true
	for e.bound = 0; e.bound <= found.Preemptions; e.bound++ {
		r := e.all()
		switch {
		case e.late():
			return cmp.Or(r.Simplest, found), "this one"
		case r.Simplest != nil:
			return r.Simplest, "the simplest"
		}
	}
	return found, "this one"
}

// late reports whether the time of the test is over.
func (e *explorer) late() bool { return !e.deadline.IsZero() && time.Now().After(e.deadline) }

// replay runs one order. It returns an error if the model has no such order.
func (e *explorer) replay(replay string) (o Order, err error) {
	rest, err := parse(replay)
	if err != nil {
		return o, err
	}
	o, err = e.choose(func(here scene) (number int, err error) {
		if len(rest) == 0 {
			return 0, fmt.Errorf("explore: the order ends where these could go on: %s", menu(here.moves()))
		}
		number, rest = rest[0], rest[1:]
		return number, nil
	})
	if len(rest) > 0 && err == nil {
		err = fmt.Errorf("explore: the model ends before the order does: %s is left of it", written(rest))
	}
	return o, err
}
