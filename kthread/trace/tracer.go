package trace

import (
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/kprim/kprim/internal/watch"
)

// the is the tracer of the program. It runs while a trace, a flight recorder, the counters or
// the regions need it.
var the tracer

// A tracer is told of all sleeps and wake-ups, and passes them on to its users.
//
// Its lock is the last one in the lock order: it is taken with the locks of queues and threads
// held. Only the lock of the list of threads is taken after it. So no user's code runs with it
// held, and no method of package waitqueue but a look at a task, and the count of its wake-ups.
type tracer struct {
	mu sync.Mutex

	start   time.Time
	virtual bool  // start is by the clock of a bubble
	last    int64 // the time of the last line

	lanes  lanes
	sleeps map[any]*sleep   // by the task, or by the channel of a wait without one
	timers map[uintptr]bool // goroutines that are a timer, or the end of a context

	// The users of the tracer, or nil and false.
	stream   *stream
	recorder *FlightRecorder
	counts   *counts
	regions  bool
}

// needed reports whether the tracer has a user. The caller holds mu.
func (r *tracer) needed() bool {
	return r.stream != nil || r.recorder != nil || r.counts != nil || r.regions
}

// change makes a change of the users. It starts the tracer for the first one, and ends it after
// the last one. The caller holds mu.
func (r *tracer) change(change func()) {
	before := r.needed()
	if !before {
		r.reset()
	}
	change()
	switch {
	case !before && r.needed():
		watch.Set(r.watcher())
		watch.Threads(r.meet)
	case before && !r.needed():
		watch.Set(nil)
		r.sleeps, r.lanes = nil, lanes{}
	}
}

func (r *tracer) reset() {
	r.start, r.last = time.Now(), 0
	r.virtual = isVirtual(r.start)
	r.lanes.reset()
	r.sleeps, r.timers = map[any]*sleep{}, map[uintptr]bool{}
}

func (r *tracer) watcher() *watch.Watcher {
	return &watch.Watcher{
		Announce: r.announce, Place: r.place, Asleep: r.asleep, Awake: r.awake, Over: r.over,
		Hold: r.mu.Lock, Release: r.mu.Unlock, Wake: r.wake, Idle: r.idle,
		Sleep: r.sleepOf, Forget: r.forget, Born: r.born, Begin: r.begin, Exit: r.exit,
		Signal: r.signal, WorkBegins: r.workBegins, WorkEnds: r.workEnds,
	}
}

// enter takes mu, and reports whether the caller has something to tell. If so it calls leave.
//
// A goroutine with another clock has nothing to tell. A tracer that was started in
// a bubble of testing/synctest is for that bubble.
func (r *tracer) enter() bool {
	r.mu.Lock()
	if r.needed() && isVirtual(time.Now()) == r.virtual {
		return true
	}
	r.mu.Unlock()
	return false
}

func (r *tracer) leave() { r.mu.Unlock() }

// isVirtual reports whether t, as time.Now returned it, is by the clock of a bubble. Such a
// time has no monotonic part.
func isVirtual(t time.Time) bool { return t == t.Round(0) }

// otherClock returns an error if the tracer runs by another clock than the caller. The
// trace would have nothing of the caller's goroutines. The caller holds mu.
func (r *tracer) otherClock() error {
	if r.needed() && isVirtual(time.Now()) != r.virtual {
		return &failure{"it works already outside of this bubble, or in one", syscall.EBUSY}
	}
	return nil
}

// now returns the time. The caller holds mu.
func (r *tracer) now() int64 { return int64(time.Since(r.start)) }

// time is now, also for a caller with another clock: the time of the last line then. The caller
// holds mu.
func (r *tracer) time() int64 {
	if isVirtual(time.Now()) != r.virtual {
		return r.last
	}
	return r.now()
}

// stamp returns the time of the first of this many lines. The caller holds mu.
//
// Invariant: times ascend strictly. With equal ones, a tool that merges the events of the
// CPUs could show a thread that runs before it is woken.
func (r *tracer) stamp(lines int64) int64 {
	at := max(r.now(), r.last+1)
	r.last = at + lines - 1
	return at
}

// tell gives e a time, and passes it on. The caller holds mu.
func (r *tracer) tell(e event) {
	e.at = r.stamp(e.lines())
	if r.stream != nil {
		r.stream.add(e)
	}
	if r.recorder != nil {
		r.recorder.add(e)
	}
}

// move tells that a lane has another phase. The caller holds mu.
func (r *tracer) move(l *lane, to phase, e event) {
	l.phase = to
	r.tell(e)
}

// actor returns the lane of the calling goroutine, which runs. The caller holds mu.
func (r *tracer) actor() *lane {
	r.sweep()
	l := r.lanes.current()
	r.runs(l)
	return l
}

// runs tells that l runs, if the text does not say so. The caller holds mu.
func (r *tracer) runs(l *lane) {
	if l.phase != running {
		e := event{kind: switchIn, actor: l}
		if l.phase == asleep {
			e.state = l.state
		}
		r.move(l, running, e)
	}
}

// meet makes the lane of a thread that began before the tracer. The caller holds mu.
func (r *tracer) meet(t watch.Thread) {
	l := r.lanes.ofThread(t)
	s := &sleep{lane: l}
	r.sleeps[t.Task] = s
	s.meet(r, t.Task)
}

// sweep drops the lanes of goroutines that may be gone, if there are many. The caller holds
// mu.
func (r *tracer) sweep() {
	if !r.lanes.crowded() {
		return
	}
	busy := map[*lane]bool{}
	for _, s := range r.sleeps {
		busy[s.lane] = true
	}
	unused := func(l *lane) bool { return !l.thread && !busy[l] }
	for _, l := range r.all() { // not in the order of a map, or a trace would differ each time
		if unused(l) {
			r.end(l)
			r.lanes.drop(l)
		}
	}
	maps.DeleteFunc(r.lanes.byTask, func(_ any, l *lane) bool { return unused(l) })
	r.lanes.swept()
}

// end tells that a lane ends. The caller holds mu.
func (r *tracer) end(l *lane) {
	if l.phase != unseen {
		r.move(l, gone, event{kind: switchOut, actor: l, state: 'X'})
	}
}

// all returns the lanes in the order of their pids. The caller holds mu.
func (r *tracer) all() (all []*lane) {
	for _, l := range r.lanes.byTask {
		all = append(all, l)
	}
	for _, l := range r.lanes.bySelf {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *lane) int { return a.pid - b.pid })
	return slices.Compact(all)
}
