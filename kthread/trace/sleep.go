package trace

import (
	"github.com/kprim/kprim/internal/watch"
	"github.com/kprim/kprim/waitqueue"
)

// A sleep is a wait, from its first announcement on. A thread has one sleep for its life, and
// one more for each wait that its own task does not know, such as one with a context.
//
// The text tells of a sleep when the waiter goes to sleep, and not when it announces that: a
// waiter whose condition comes true in time has not slept. If a waker finds the announcement
// before the waiter sleeps, the waker tells of the sleep, just before the wake-up. So in the
// text each wake-up is behind the sleep that it ends:
//
//	waiter            waker        the text
//	announce
//	                  claim        the waiter sleeps; the waker wakes it
//	does not sleep                 the waiter runs
type sleep struct {
	lane   *lane
	thread any    // the task of the thread if this is not its sleep for life, else nil
	queue  string // the name, or ""
	state  waitqueue.State

	waits     bool  // the wait is not over; a thread that has not begun is in no wait
	announced bool  // a waker may find it
	woken     bool  // a waker has ended this sleep
	began     int64 // when it was announced
}

func (s *sleep) letter() byte { return s.state.String()[0] }

// isAsleep reports whether the waiter sleeps, or is about to.
func (s *sleep) isAsleep() bool { return s.announced && !s.woken }

// meet finds out how a thread sleeps that the tracer has not seen.
func (s *sleep) meet(r *tracer, task any) {
	t := task.(*waitqueue.Task)
	s.state, s.queue = t.State(), t.Wchan()
	if s.state == waitqueue.Running {
		r.runs(s.lane)
		return
	}
	s.waits, s.announced = true, true
	s.goes(r)
	s.began = r.last
}

// goes tells that the waiter sleeps, if the text does not say so. The caller holds mu.
func (s *sleep) goes(r *tracer) {
	s.lane.sleep = s
	if s.lane.phase != asleep {
		s.lane.state = s.letter()
		first := s.lane.phase == unseen
		r.move(s.lane, asleep, event{kind: switchOut, actor: s.lane, state: s.lane.state, first: first})
	}
}

// sleepOf returns how and where a thread sleeps, if the text says that it does.
func (r *tracer) sleepOf(task any) (state uint32, queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes.byTask[task]
	if l == nil || l.phase != asleep {
		return 0, ""
	}
	return uint32(l.sleep.state), l.sleep.queue
}

func (r *tracer) announce(sleeper any, name, queue string, state uint32) {
	if !r.enter() {
		return
	}
	defer r.leave()
	s := r.sleeps[sleeper]
	if s == nil {
		r.sweep()
		l := r.laneOf(sleeper, name)
		s = &sleep{lane: l, thread: r.lanes.threads[l]}
		r.sleeps[sleeper] = s
	}
	if s.waits && s.woken {
		s.lane.spurious++
		r.counts.addSpurious(s.queue)
	}
	s.queue, s.state = queue, waitqueue.State(state)
	s.waits, s.announced, s.woken, s.began = true, true, false, r.now()
}

// laneOf returns the lane of a sleeper that calls on its own goroutine. If the goroutine had a
// lane without a name, that lane ends. The caller holds mu.
func (r *tracer) laneOf(sleeper any, name string) *lane {
	before := r.lanes.bySelf[watch.Self()]
	l := r.lanes.ofSleeper(sleeper, name)
	if before != nil && before != l && before.name == "" {
		r.end(before)
		r.lanes.drop(before)
	}
	return l
}

func (r *tracer) place(sleeper any, queue string) {
	if !r.enter() {
		return
	}
	defer r.leave()
	if s := r.sleeps[sleeper]; s != nil && s.announced {
		s.queue = queue
	}
}

func (r *tracer) asleep(sleeper any) {
	if !r.enter() {
		return
	}
	s := r.sleeps[sleeper]
	if s != nil && s.isAsleep() {
		s.goes(r)
	}
	regions := r.regions
	r.leave()
	if s != nil && regions {
		s.lane.enterRegion(s.queue)
	}
}

// wake is called between Hold and Release, so mu is held.
func (r *tracer) wake(sleeper any) {
	s := r.sleeps[sleeper]
	if s == nil || !s.isAsleep() {
		return
	}
	s.woken = true
	s.lane.wakeUps++
	if s.thread != nil {
		watch.Woken(s.thread)
	}
	if s.waits {
		r.counts.addWakeUp(s.queue)
	}
	var waker *lane
	if !r.timers[watch.Self()] {
		if waker = r.actor(); waker == s.lane {
			return // it has announced a sleep, and wakes itself
		}
	}
	if s.waits {
		s.goes(r)
	}
	r.move(s.lane, woken, event{kind: wake, actor: waker, subject: s.lane, text: cut(s.queue), state: s.lane.state})
}

func (r *tracer) idle(wake func()) {
	if !r.enter() {
		wake()
		return
	}
	self := watch.Self()
	r.timers[self] = true
	r.leave()
	defer func() {
		r.mu.Lock()
		delete(r.timers, self)
		r.mu.Unlock()
	}()
	wake()
}

func (r *tracer) awake(sleeper any) { r.goOn(sleeper, false) }
func (r *tracer) over(sleeper any)  { r.goOn(sleeper, true) }

// goOn tells that a sleeper runs, and perhaps that its wait is over.
func (r *tracer) goOn(sleeper any, over bool) {
	if !r.enter() {
		return
	}
	s := r.sleeps[sleeper]
	if s == nil {
		r.leave()
		return
	}
	if s.lane.phase == asleep || s.lane.phase == woken {
		r.counts.addSleep(s.queue, r.now()-s.began)
		r.runs(s.lane)
	}
	s.announced = false
	if over {
		s.waits, s.woken = false, false
		// Another goroutine may have the sleeper next, if it is not the thread's own task.
		if !s.lane.thread || s.thread != nil {
			delete(r.sleeps, sleeper)
			s.thread = nil // the events refer to the lane, and must not keep the thread alive
		}
	}
	r.leave()
	s.lane.leaveRegion()
}
