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
// not a [Lock]: whoever wanted it would not be asleep in the eyes of synctest.
// A woken thread runs on beside its waker, each up to its next point, and a
// select that has two ways open takes either: neither may make a difference.
// If it does, a repeated schedule takes another course, and the explorer panics.
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
	free    atomic.Bool // nobody stops

	// To be set by a model. Wrong is called when nobody has a step left, and
	// says what is wrong, or "". Release then wakes those who rightly sleep.
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
	tooLong = 500
	noEnd   = "there is no end to it"
)

// A choice is one step of a schedule: which of how many alternatives.
type choice struct{ taken, of int }

// An Explorer explores models of the package whose hook it is given: SetYield
// has the package call a function at its points, and nil ends that.
type Explorer struct {
	SetYield func(f func(point string))
}

var (
	firstBad   = flag.Bool("firstbad", false, "go no further than the first bad schedule of a model")
	morePoints = flag.String("morepoints", "", "points of the package at which threads stop in every model, besides its own")
)

// Explore goes through all schedules of a model and fails if one of them is
// bad: it prints the first one. points names the points of the package at
// which threads stop, besides those of the model: the fewer, the faster.
func (e Explorer) Explore(t *testing.T, points string, model func(*testing.T, *Schedule)) {
	t.Helper()
	start := time.Now()
	explored, bad, first := e.search(t, points+" "+*morePoints, *firstBad, model)
	t.Logf("%d schedules, %d bad, %v", explored, bad, time.Since(start).Round(time.Millisecond))
	require.Zero(t, bad, "bad schedules of %d; the first is\n%s", explored, first)
}

// Search returns how many schedules a model has, how many are bad, and what
// happens in the first of these.
func (e Explorer) Search(t *testing.T, points string, model func(*testing.T, *Schedule)) (explored, bad int, first string) {
	return e.search(t, points, false, model)
}

func (e Explorer) search(t *testing.T, points string, firstBad bool, model func(*testing.T, *Schedule)) (explored, bad int, first string) {
	defer e.SetYield(nil)
	var path []choice
	for explored == 0 || len(path) > 0 {
		var trace []string
		var wrong string
		path, trace, wrong = e.replay(t, path, points, model)
		path = following(path)
		explored++
		if wrong == "" {
			continue
		}
		if bad++; bad == 1 {
			for i, step := range trace {
				first += fmt.Sprintf("%2d %s\n", i+1, step)
			}
			first += wrong
		}
		if firstBad || wrong == noEnd {
			break
		}
	}
	return explored, bad, first
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
// alternative. It returns the choices and steps made, and what is wrong.
func (e Explorer) replay(t *testing.T, path []choice, points string, model func(*testing.T, *Schedule)) (course []choice, trace []string, wrong string) {
	course = path
	// A bubble that is left with sleepers panics. What is wrong is known then.
	defer func() {
		if p := recover(); p != nil && wrong == "" {
			wrong = fmt.Sprint(p)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		s := new(Schedule)
		e.SetYield(func(point string) {
			if strings.Contains(points, point) {
				s.At(point)
			}
		})
		model(t, s)
		for ready := s.stopped(); len(ready) > 0; ready = s.stopped() {
			step := len(trace)
			if step == tooLong {
				wrong = noEnd
				return
			}
			if step == len(course) {
				course = append(course, choice{0, len(ready)})
			}
			if course[step].of != len(ready) {
				panic("a schedule that is repeated takes another course")
			}
			chosen := ready[course[step].taken]
			trace = append(trace, chosen.name+": "+*chosen.point.Load())
			chosen.step()
		}
		if wrong = s.Wrong(); wrong != "" {
			wrong = fmt.Sprintf("asleep: %q; %s", s.Asleep(), wrong)
		}
		s.free.Store(true)
		if s.Release != nil {
			s.Release()
		}
	})
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

// At is a point for those who do not know on which thread they are. A goroutine
// that no thread of the model is, a timer's or one that the package started,
// passes, unless the model adopts it.
func (s *Schedule) At(point string) {
	th, ok := s.byID.Load(goroutine())
	if !ok && s.Adopt != nil {
		th, ok = s.adopt(s.Adopt(point))
	}
	if ok {
		th.(*Thread).At(point)
	}
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
// come from a sync.Cond, which gives the race detector no edge: hence all
// that is read here is atomic.
func (th *Thread) At(point string) {
	if !th.of.free.Load() {
		th.point.Store(&point)
		<-th.goOn
	}
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

// stopped returns those who can go on, in the order in which they were made,
// when nobody runs.
func (s *Schedule) stopped() (ready []*Thread) {
	synctest.Wait()
	for _, th := range s.threads {
		if th.point.Load() != nil {
			ready = append(ready, th)
		}
	}
	return ready
}

// Asleep returns the names of those who are neither stopped nor at their end.
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
