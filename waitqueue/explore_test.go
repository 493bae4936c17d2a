package waitqueue_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// The explorer runs a model, which is a few threads that use the real package,
// once for every order in which the threads can take their steps.
//
// A step goes from one point to the next. Points are the calls of [thread.at],
// and those inside the package. A thread that comes to a point stops there.
// When synctest.Wait says that every thread is stopped, asleep or at its end,
// one that is stopped is chosen to go on. A list of such choices is a schedule,
// and it is all that is kept: each schedule has a bubble of its own. The search
// is depth first: it repeats the last schedule up to the last choice that had
// another alternative, takes that, and from there on always the first one.
//
// What lies between two points counts as one step. So a model needs points
// wherever another thread could do harm, and none where a lock is held that is
// not a [lock]: whoever wanted it would not be asleep in the eyes of synctest.
// A woken thread runs on beside its waker, each up to its next point, and a
// select that has two ways open takes either: neither may make a difference.
// If it does, a repeated schedule takes another course, and the explorer panics.

// A schedule is one run of a model, in the making.
type schedule struct {
	threads []*thread
	byID    sync.Map    // of threads, by goroutine
	free    atomic.Bool // nobody stops

	// To be set by a model. wrong is called when nobody has a step left, and
	// says what is wrong, or "". release then wakes those who rightly sleep.
	wrong   func() string
	release func()
}

// A thread is one goroutine of a model.
type thread struct {
	of    *schedule
	name  string
	point atomic.Pointer[string] // where it is stopped, or nil; see at
	goOn  chan struct{}
	event func() // in place of a goroutine: its only step
	done  bool
}

// tooLong is a number of steps that no schedule comes near.
const tooLong = 500

// A choice is one step of a schedule: which of how many alternatives.
type choice struct{ taken, of int }

// explore goes through all schedules of a model and fails if one of them is
// bad: it prints the first one. points names the points of the package at
// which threads stop, besides those of the model: the fewer, the faster.
func explore(t *testing.T, points string, model func(*testing.T, *schedule)) {
	t.Helper()
	start := time.Now()
	explored, bad, first := search(t, points+" "+*morePoints, model)
	t.Logf("%d schedules, %d bad, %v", explored, bad, time.Since(start).Round(time.Millisecond))
	require.Zero(t, bad, "bad schedules of %d; the first is\n%s", explored, first)
}

// search returns how many schedules a model has, how many are bad, and what
// happens in the first of these.
func search(t *testing.T, points string, model func(*testing.T, *schedule)) (explored, bad int, first string) {
	defer waitqueue.SetYield(nil)
	var path []choice
	for explored == 0 || len(path) > 0 {
		var trace []string
		var wrong string
		path, trace, wrong = replay(t, path, points, model)
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
func replay(t *testing.T, path []choice, points string, model func(*testing.T, *schedule)) (course []choice, trace []string, wrong string) {
	course = path
	// A bubble that is left with sleepers panics. What is wrong is known then.
	defer func() {
		if p := recover(); p != nil && wrong == "" {
			wrong = fmt.Sprint(p)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		s := new(schedule)
		waitqueue.SetYield(func(point string) {
			if strings.Contains(points, point) {
				s.at(point)
			}
		})
		model(t, s)
		for ready := s.stopped(); len(ready) > 0; ready = s.stopped() {
			step := len(trace)
			if step == tooLong {
				wrong = "there is no end to it"
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
		if wrong = s.wrong(); wrong != "" {
			wrong = fmt.Sprintf("asleep: %q; %s", s.asleep(), wrong)
		}
		s.free.Store(true)
		if s.release != nil {
			s.release()
		}
	})
	return course, trace, wrong
}

// thread starts a thread of the model and returns when it has stopped.
func (s *schedule) thread(name string, run func(*thread)) {
	th := &thread{of: s, name: name, goOn: make(chan struct{})}
	s.threads = append(s.threads, th)
	go func() {
		s.byID.Store(goroutine(), th)
		run(th)
		th.done = true
	}()
	synctest.Wait()
}

// before sets the scene: threads that it starts run on until they are asleep.
func (s *schedule) before(set func()) {
	s.free.Store(true)
	set()
	s.free.Store(false)
}

// event adds something that happens once, on the goroutine that chooses: while
// that one sleeps, so do all, and the clock of the bubble moves.
func (s *schedule) event(name string, happen func()) {
	th, point := &thread{of: s, name: name, event: happen}, "happens"
	th.point.Store(&point)
	s.threads = append(s.threads, th)
}

// at is a point for those who do not know on which thread they are.
func (s *schedule) at(point string) {
	if th, ok := s.byID.Load(goroutine()); ok { // else it is a timer's goroutine
		th.(*thread).at(point)
	}
}

// at is a point: the thread that calls it stops until it is chosen. It may
// come from a sync.Cond, which gives the race detector no edge: hence all
// that is read here is atomic.
func (th *thread) at(point string) {
	if !th.of.free.Load() {
		th.point.Store(&point)
		<-th.goOn
	}
}

// test makes a condition a point.
func (th *thread) test(cond func() bool) func() bool {
	return func() bool {
		th.at("test")
		return cond()
	}
}

func (th *thread) step() {
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
func (s *schedule) stopped() (ready []*thread) {
	synctest.Wait()
	for _, th := range s.threads {
		if th.point.Load() != nil {
			ready = append(ready, th)
		}
	}
	return ready
}

// asleep returns the names of those who are neither stopped nor at their end.
func (s *schedule) asleep() (names []string) {
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
