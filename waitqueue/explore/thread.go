package explore

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
)

// A Thread is one goroutine of a [Model]. Its methods are for that goroutine only.
type Thread struct {
	of      *Model
	name    string
	number  int                   // from 1, in the order in which they were added
	at      atomic.Pointer[stand] // where it is stopped, or nil
	goOn    chan bool             // true: make the step; false: the order is over
	event   func()                // in place of a goroutine: its only step
	adopted bool
	passes  int // of points after the end of the order

	id      atomic.Int64 // of the goroutine; 0 before it runs, and in a bubble if it is not adopted
	leaving bool         // its deferred calls run, since the order is over
	fault   atomic.Pointer[string]
	done    atomic.Bool
}

// A stand is the place at which a thread is stopped.
type stand struct {
	point string      // where it is; "" for Sleep
	awake func() bool // or nil: it can go on at once
}

// standAt is the stand of a point. An order shows its name.
func standAt(point string) *stand {
	if point == "" {
		misuse("a point has no name")
	}
	return &stand{point: point}
}

// Step begins a step, which lasts until the goroutine comes to its next point, sleeps or
// ends. The goroutine stops here until it is chosen. The code before its first point runs
// when the goroutine is added. The code after a sleep, up to the next point, belongs to the
// step of the waker.
//
// When the order is over, Step ends the goroutine, and its deferred calls run.
func (th *Thread) Step(name string) {
	th.mustBeOwn("Step")
	th.stop(standAt(name))
}

// Test returns the condition with a step before it, which is called "test".
func (th *Thread) Test(cond func() bool) func() bool {
	return func() bool {
		th.Step("test")
		return cond()
	}
}

// Sleep is a sleep that the model makes up, for a model of a primitive that is not built
// yet. The goroutine sleeps until awake returns true. The explorer calls awake after each
// step of the others. Then the goroutine runs on, like a goroutine that was woken. Sleep
// returns at once if awake returns true at the beginning.
//
// When the order is over, Sleep ends the goroutine, as Step does.
func (th *Thread) Sleep(awake func() bool) {
	th.mustBeOwn("Sleep")
	if !awake() {
		th.stop(&stand{awake: awake})
	}
}

// mustBeOwn ends the order if another goroutine calls the method.
func (th *Thread) mustBeOwn(method string) {
	if th.of.early && th.of.caller() != th {
		misuse("Thread.%s of %s is called by another goroutine", method, th.name)
	}
}

// run is the goroutine.
func (th *Thread) run(f func(*Thread)) {
	returned := false
	defer func() {
		if fault := ending(returned, recover()); fault != "" {
			fault = th.name + " " + fault
			th.fault.Store(&fault)
		}
		th.done.Store(true)
	}()
	if th.of.bubbles {
		marked(hostMark+th.number, func() { f(th) })
	} else {
		id, _ := goroutine()
		th.of.byID.Store(id, th)
		th.id.Store(id)
		f(th)
	}
	returned = true
}

// ending says why a function has not ended well, or returns "".
func ending(returned bool, panicked any) string {
	switch {
	case panicked != nil:
		return fmt.Sprintf("has panicked: %v%s", panicked, panickedAt())
	case !returned:
		return "has called runtime.Goexit, as t.FailNow does"
	}
	return ""
}

const thisPackage = "github.com/kprim/kprim/waitqueue/explore."

// panickedAt returns where the panic came from that is being recovered.
func panickedAt() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") && !strings.HasPrefix(frame.Function, thisPackage) {
			return fmt.Sprintf(", at %s:%d", filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return ""
		}
	}
}

// stop stops the goroutine until it is chosen. It does not return if the order is over.
func (th *Thread) stop(s *stand) {
	m := th.of
	switch {
	case th.leaving:
	case m.over.Load():
		th.leave()
	case m.free.Load() && s.awake == nil:
	default:
		th.at.Store(s)
		if !<-th.goOn {
			th.leave()
		}
	}
}

func (th *Thread) leave() {
	th.leaving = true
	runtime.Goexit()
}

// pause is stop for code that has to go on, also if the order is over, and reports
// whether the goroutine has stopped. It may come from a sync.Cond, which gives the
// race detector no edge. So all that is read here is atomic, or the goroutine's own.
func (th *Thread) pause(point string) (stopped bool) {
	m := th.of
	if m.over.Load() {
		if th.passes++; th.passes > tooLong { // there is no end to it
			th.leave()
		}
		return false
	}
	if m.free.Load() {
		return false
	}
	th.at.Store(standAt(point))
	return <-th.goOn
}

// move is the step that the thread makes if it is chosen.
func (th *Thread) move() move {
	if th.event != nil {
		return move{th.number, th.name, ""}
	}
	return move{th.number, th.name, th.at.Load().point}
}

// ready reports whether the thread can make a step.
func (th *Thread) ready() bool {
	s := th.at.Load()
	return s != nil && s.point != "" && (s.awake == nil || s.awake())
}

// woken reports whether a Sleep is over.
func (th *Thread) woken() bool {
	s := th.at.Load()
	if s == nil || s.point != "" {
		return false
	}
	awake := false
	th.of.attempt(th.name, func() { awake = s.awake() })
	return awake
}

func (th *Thread) asleep() bool { return th.event == nil && !th.done.Load() && !th.ready() }

// step has the thread make its step, or begin to.
func (th *Thread) step() {
	th.at.Store(nil)
	th.of.turn.Store(th)
	if th.event == nil {
		th.goOn <- true
		return
	}
	defer th.done.Store(true)
	th.of.attempt(th.name, th.event)
}

// dismiss has a thread leave, if it is stopped, and reports whether it was.
func (th *Thread) dismiss() bool {
	if th.at.Swap(nil) == nil {
		return false
	}
	if th.event != nil {
		th.done.Store(true)
	} else {
		th.goOn <- false
	}
	return true
}

// goroutine returns the number of the calling goroutine, and the name of its bubble in a
// traceback. The points of a package do not name the goroutine.
func goroutine() (id int64, bubble string) {
	var buf [96]byte
	id, state := header(buf[:runtime.Stack(buf[:], false)])
	_, bubble, _ = strings.Cut(state, "synctest bubble ")
	return id, bubble
}
