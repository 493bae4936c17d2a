// Package explore runs a model, which is a few threads that use a real package,
// once for every order in which the threads can take their steps.
//
// A step goes from one point to the next. Points are the calls of [Thread.At],
// and those inside the package under test. A thread that comes to a point stops there.
// When synctest.Wait says that every thread is stopped, asleep or at its end,
// one that is stopped is chosen to go on. A list of such choices is a schedule,
// and it is all that is kept: each schedule has a bubble of its own. The search
// is depth first: it repeats the last schedule up to the last choice that had
// another alternative, takes that, and from there on always the first one.
//
// What lies between two points counts as one step. So a model needs points
// wherever another thread could do harm, and none where a lock is held that is
// not a [Lock]: synctest would not take a thread that waits for it for asleep.
// A woken thread runs on beside its waker, each up to its next point, and a
// select that has two ways open takes either. Neither may make a difference. If
// one does, a repeated schedule takes another course, and the search ends there.
//
// The search checks itself. A point that no thread comes to fails the test: its
// name is wrong, or the model does not do what it says. So does a model that has
// another number of schedules than its test is known to have.
package explore

import (
	"bytes"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A Schedule is one run of a model, in the making.
type Schedule struct {
	mu      sync.Mutex
	threads []*Thread   // guarded by mu while goroutines run
	byID    sync.Map    // of threads, by goroutine
	free    atomic.Bool // no thread stops

	// To be set by a model. Wrong is called when no thread has a step left, and
	// returns the fault, or "". Release then wakes the threads that rightly sleep.
	Wrong   func() string
	Release func()

	// Adopt, if not nil, names a goroutine that the package started, at the
	// first point to which it comes. "" lets it pass.
	Adopt func(point string) string
}

// A Thread is one goroutine of a model.
type Thread struct {
	of    *Schedule
	name  string
	point atomic.Pointer[string] // where it is stopped, or nil; see At
	goOn  chan struct{}
	event func() // in place of a goroutine: its only step
	done  bool
}

// tooLong is a number of steps that no good schedule comes near. A model that has
// such a schedule has no end of them, so the search ends there.
const (
	tooLong       = 500
	noEnd         = "there is no end to it"
	anotherCourse = "a schedule that is repeated takes another course"
)

// A choice is one step of a schedule: which of how many alternatives.
type choice struct{ taken, of int }

// An Explorer explores models of one package.
type Explorer struct {
	// SetYield has the package call f at its points. A nil f ends that.
	SetYield func(f func(point string))

	// Schedules is how many schedules the model of a test has, by the test's
	// name.
	Schedules map[string]int
}

// Every, in place of a list, means all points of the package.
const Every = "*"

var (
	firstBad   = flag.Bool("firstbad", false, "end the search at the first bad schedule of a model, and check nothing else")
	morePoints = flag.String("morepoints", "", "points of the package, with commas, at which threads stop in every model; checks nothing else")
)

// Explore goes through all schedules of a model and fails if one of them is
// bad: it prints the first one. points lists, with commas, the points of the
// package at which threads stop, besides the points of the model. With fewer points the
// search is shorter. Explore also fails if a point is never reached, and if
// the number of schedules is another one than the Explorer knows for the test.
func (e Explorer) Explore(t *testing.T, points string, model func(*testing.T, *Schedule)) {
	t.Helper()
	start := time.Now()
	found := e.search(t, points+","+*morePoints, *firstBad, model)
	t.Logf("%d schedules, %d bad, %v", found.explored, found.bad, time.Since(start).Round(time.Millisecond))
	require.Zero(t, found.bad, "bad schedules of %d; the first is\n%s", found.explored, found.first)
	if *firstBad || *morePoints != "" {
		return // a mutant may take another course
	}
	explored.Store(t.Name(), true)
	require.Empty(t, found.missed, "no thread comes to these points")
	require.Equal(t, e.Schedules[t.Name()], found.explored, "schedules that this test is known to have")
}

// Search returns how many schedules a model has, how many are bad, and the course of
// the first of these. A point that is never reached fails the test.
func (e Explorer) Search(t *testing.T, points string, model func(*testing.T, *Schedule)) (explored, bad int, first string) {
	t.Helper()
	found := e.search(t, points, false, model)
	require.Empty(t, found.missed, "no thread comes to these points")
	return found.explored, found.bad, found.first
}

// A result is the outcome of a search.
type result struct {
	explored, bad int
	first         string   // the course of the first bad schedule
	missed        []string // the points that no thread came to
}

func (e Explorer) search(t *testing.T, list string, firstBad bool, model func(*testing.T, *Schedule)) (found result) {
	defer e.SetYield(nil)
	points := parse(list)
	var reached sync.Map
	var path []choice
	for found.explored == 0 || len(path) > 0 {
		var trace []string
		var wrong string
		path, trace, wrong = e.replay(t, path, points, &reached, model)
		path = following(path)
		found.explored++
		if wrong == "" {
			continue
		}
		if found.bad++; found.bad == 1 {
			found.first = listing(trace) + wrong
		}
		if firstBad || wrong == noEnd || wrong == anotherCourse {
			break
		}
	}
	for point := range points {
		if _, ok := reached.Load(point); !ok {
			found.missed = append(found.missed, point)
		}
	}
	return found
}

// parse returns the set of the points of the list.
func parse(list string) map[string]bool {
	points := map[string]bool{}
	for point := range strings.SplitSeq(list, ",") {
		if point = strings.TrimSpace(point); point != "" {
			points[point] = true
		}
	}
	return points
}

func listing(trace []string) (text string) {
	for i, step := range trace {
		text += fmt.Sprintf("%2d %s\n", i+1, step)
	}
	return text
}

// following returns the choices of the next schedule, or none after the last.
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

// replay runs one schedule: the choices of path, and then always the first
// alternative. It returns the choices and steps made, and the fault, or "". It adds
// the points at which a thread has stopped to reached.
func (e Explorer) replay(t *testing.T, path []choice, points map[string]bool, reached *sync.Map, model func(*testing.T, *Schedule)) (course []choice, trace []string, wrong string) {
	course = path
	// A bubble that is left with sleepers panics. The fault is known then.
	defer func() {
		if p := recover(); p != nil && wrong == "" {
			wrong = fmt.Sprint(p)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		s := new(Schedule)
		e.SetYield(func(point string) {
			switch {
			case points[point] && s.stop(point):
				reached.Store(point, true)
			case points[Every] && s.stop(point):
				reached.Store(Every, true)
			}
		})
		model(t, s)
		course, trace, wrong = s.run(course)
		s.free.Store(true)
		if s.Release != nil {
			s.Release()
		}
		if wrong == anotherCourse {
			for _, th := range s.stopped() {
				th.step()
			}
		}
	})
	return course, trace, wrong
}

// run lets the threads take their steps.
func (s *Schedule) run(path []choice) (course []choice, trace []string, wrong string) {
	course = path
	for ready := s.stopped(); len(ready) > 0; ready = s.stopped() {
		step := len(trace)
		if step == tooLong {
			return course, trace, noEnd
		}
		if step == len(course) {
			course = append(course, choice{0, len(ready)})
		}
		if course[step].of != len(ready) {
			return course, trace, anotherCourse
		}
		chosen := ready[course[step].taken]
		trace = append(trace, chosen.name+": "+*chosen.point.Load())
		chosen.step()
	}
	if len(trace) < len(course) {
		return course, trace, anotherCourse
	}
	if wrong = s.Wrong(); wrong != "" {
		wrong = fmt.Sprintf("asleep: %q; %s", s.Asleep(), wrong)
	}
	return course, trace, wrong
}

// Thread starts a thread of the model and returns when it has stopped.
func (s *Schedule) Thread(name string, run func(*Thread)) {
	synctest.Wait() // for one that is about to be adopted: the order counts
	th := &Thread{of: s, name: name, goOn: make(chan struct{})}
	s.threads = append(s.threads, th)
	go func() {
		s.byID.Store(goroutine(), th)
		run(th)
		th.done = true
	}()
	synctest.Wait()
}

// Before sets the scene: threads that it starts run on until they are asleep.
func (s *Schedule) Before(set func()) {
	s.free.Store(true)
	set()
	s.free.Store(false)
}

// Event adds something that happens once, on the goroutine that chooses: while
// that one sleeps, so do all, and the clock of the bubble moves.
func (s *Schedule) Event(name string, happen func()) {
	th, point := &Thread{of: s, name: name, event: happen}, "happens"
	th.point.Store(&point)
	s.threads = append(s.threads, th)
}

// At is a point for code that does not know on which thread it runs. A goroutine
// that no thread of the model is, a timer's or one that the package started,
// passes, unless the model adopts it.
func (s *Schedule) At(point string) { s.stop(point) }

// stop is At, and reports whether a thread has stopped.
func (s *Schedule) stop(point string) bool {
	th, ok := s.byID.Load(goroutine())
	if !ok && s.Adopt != nil {
		th, ok = s.adopt(s.Adopt(point))
	}
	return ok && th.(*Thread).stop(point)
}

// adopt makes the calling goroutine a thread of the model.
func (s *Schedule) adopt(name string) (any, bool) {
	if name == "" {
		return nil, false
	}
	th := &Thread{of: s, name: name, goOn: make(chan struct{})}
	s.mu.Lock()
	s.threads = append(s.threads, th)
	s.mu.Unlock()
	s.byID.Store(goroutine(), th)
	return th, true
}

// At is a point: the thread that calls it stops until it is chosen. It may
// come from a sync.Cond, which gives the race detector no edge. So all that is
// read here is atomic.
func (th *Thread) At(point string) { th.stop(point) }

func (th *Thread) stop(point string) bool {
	if th.of.free.Load() {
		return false
	}
	th.point.Store(&point)
	<-th.goOn
	return true
}

// Test makes a condition a point.
func (th *Thread) Test(cond func() bool) func() bool {
	return func() bool {
		th.At("test")
		return cond()
	}
}

func (th *Thread) step() {
	th.point.Store(nil)
	if th.event == nil {
		th.goOn <- struct{}{}
		return
	}
	th.event()
	th.done = true
}

// stopped waits until no thread runs. It returns the threads that can go on, in
// the order in which they were made.
func (s *Schedule) stopped() (ready []*Thread) {
	synctest.Wait()
	for _, th := range s.threads {
		if th.point.Load() != nil {
			ready = append(ready, th)
		}
	}
	return ready
}

// Asleep returns the names of the threads that are neither stopped nor at their end.
func (s *Schedule) Asleep() (names []string) {
	for _, th := range s.threads {
		if th.point.Load() == nil && !th.done {
			names = append(names, th.name)
		}
	}
	return names
}

// goroutine returns what tells the goroutine from others. The points of the
// package do not say who came there.
func goroutine() string {
	buf := make([]byte, 32)
	return string(bytes.Fields(buf[:runtime.Stack(buf, false)])[1])
}
