package explore

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"

	"github.com/kprim/kprim/internal/point"
)

// one is held during an order: the points of the packages are the whole program's.
var one sync.Mutex

// now is the order that runs, or the last one that ran.
var now atomic.Pointer[Model]

// order runs one order of the model.
func (e *explorer) order(next scheduler) (o Order) {
	e.fail.Helper()
	one.Lock()
	defer one.Unlock()
	defer point.Hook(nil)
	defer e.running.Store(false)
	// Optimization: only the first orders ask which goroutine calls a method. Later ones are
	// made by the same code.
	early := e.orders < 100
	e.orders++
	failed := e.failed()
	m := &Model{explorer: e, order: &o, adopts: map[string]string{}, early: early}
	m.inside(func() { marked(hostMark, func() { m.run(next) }) })
	if wrong := m.wrong.Load(); wrong != nil {
		e.fail.Fatalf("%s", *wrong)
	}
	if !failed && e.failed() {
		m.blame(testFailed)
	}
	return o
}

// inside runs an order in its bubble. A bubble that is left with sleepers panics. The order
// says so already, unless they were adopted, or are not of the model. If the goroutine that
// chooses sleeps itself, no order comes of it.
func (m *Model) inside(run func()) {
	left := false
	defer func() {
		p := recover()
		switch {
		case p == nil:
		case left:
			m.blame("asleep when all was over: a goroutine that was adopted, or is not of the model")
		default:
			text := fmt.Sprintf("explore: %s sleeps, and nothing wakes it: %v", *m.doing.Load(), p)
			m.wrong.CompareAndSwap(nil, &text)
		}
	}()
	m.within(func() {
		defer func() { left = true }()
		run()
	})
}

// alone runs a function on a goroutine of its own, so that a runtime.Goexit in it goes no
// further.
func alone(run func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run()
	}()
	<-ended
}

// misuse ends the calling goroutine, and has the search fail for wrong use of the package.
func misuse(format string, args ...any) {
	text := "explore: " + fmt.Sprintf(format, args...)
	m := now.Load()
	if m == nil || m.over.Load() {
		panic(text)
	}
	m.wrong.CompareAndSwap(nil, &text)
	runtime.Goexit()
}

// run makes the order.
func (m *Model) run(next scheduler) {
	ctx, cancel := context.WithCancel(context.Background())
	m.ctx = ctx
	if !m.bubbles {
		m.host, _ = goroutine()
		m.before = m.lookAtProgram(m.host)
	}
	now.Store(m)
	point.Hook(m.hook)
	defer m.end(cancel)
	m.moved()
	m.making = true
	m.attempt("the function of the model", func() { m.model(m) })
	m.making = false
	m.steps(next)
	if len(m.all()) == 0 && m.order.Fault == "" {
		misuse("the model has no goroutine, no Event, and no goroutine that was adopted")
	}
	m.judge()
}

// blame notes a fault, unless there is one.
func (m *Model) blame(fault string) {
	if m.order.Fault == "" {
		m.order.Fault = fault
	}
}

// attempt calls a function of the user on the goroutine that chooses. If that panics it is
// a fault. So it is if that calls runtime.Goexit, and attempt does not return then.
func (m *Model) attempt(name string, f func()) {
	m.doing.Store(&name)
	returned := false
	defer func() {
		if how := ending(returned, recover()); how != "" {
			m.blame(name + " " + how)
		}
	}()
	f()
	returned = true
}

// steps has the threads make their steps.
func (m *Model) steps(next scheduler) {
	var last *Thread
	for {
		m.settle(m)
		m.blameThreads()
		s := scene{all: m.all(), ready: m.ready(), last: last, preemptions: m.order.Preemptions}
		if m.order.Fault != "" || len(s.ready) == 0 {
			return
		}
		if len(m.order.made) == tooLong {
			m.blame(noEnd)
			return
		}
		m.running.Store(false)
		var fault string
		if last, fault = next(s); last == nil {
			m.blame(fault)
			return
		}
		m.moved()
		m.order.add(last, s)
		last.step()
	}
}

func (m *Model) ready() (ready []*Thread) {
	for _, th := range m.all() {
		if th.ready() {
			ready = append(ready, th)
		}
	}
	return ready
}

// blameThreads notes the first fault of a thread.
func (m *Model) blameThreads() {
	for _, th := range m.all() {
		if fault := th.fault.Load(); fault != nil {
			m.blame(*fault)
		}
	}
}

// judge judges the end of an order.
func (m *Model) judge() {
	if m.order.Fault != "" {
		return
	}
	for _, name := range m.maySleep {
		if m.named(name) == nil {
			misuse("MaySleep of %q, and no goroutine has this name", name)
		}
	}
	defer m.blameSleepers(m.Asleep())
	if m.check == nil {
		return
	}
	m.attempt("the check", func() {
		if err := m.check(); err != nil {
			m.blame(cmp.Or(err.Error(), "the check returns an error"))
		}
	})
}

// blameSleepers names the sleepers if one of them should not sleep, or if there is another
// fault.
func (m *Model) blameSleepers(asleep []string) {
	unasked := slices.ContainsFunc(asleep, func(name string) bool { return !slices.Contains(m.maySleep, name) })
	fault := m.order.Fault
	if !unasked && (fault == "" || len(asleep) == 0) {
		return
	}
	m.order.Fault = "asleep: " + strings.Join(asleep, ", ")
	if fault != "" {
		m.order.Fault += "; " + fault
	}
}

// end ends the goroutines.
func (m *Model) end(cancel func()) {
	defer m.lookBack()
	panicked := slices.ContainsFunc(m.all(), func(th *Thread) bool { return th.fault.Load() != nil })
	m.over.Store(true)
	m.turn.Store(nil) // a goroutine that the Release wakes leaves at its Lock
	for _, th := range m.all() {
		if th.dismiss() {
			m.settle(m)
		}
	}
	cancel()
	// A goroutine that has panicked may hold a lock that the Release wants.
	if m.release != nil && !panicked {
		m.attempt("the Release", m.release)
	}
}

// lookBack looks for goroutines that nothing has ended.
func (m *Model) lookBack() {
	m.settle(m)
	if left := m.Asleep(); len(left) > 0 {
		m.blame("asleep when all was over: " + strings.Join(left, ", "))
	}
}

// wake has a thread go on whose Sleep is over, and reports whether there was one.
func (m *Model) wake() bool {
	for _, th := range m.all() {
		if th.woken() {
			th.step()
			return true
		}
	}
	return false
}

// settleInBubble returns when every goroutine of the model is stopped, asleep or gone.
func settleInBubble(m *Model) {
	for synctest.Wait(); m.wake(); synctest.Wait() {
	}
}
