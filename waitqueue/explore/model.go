package explore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// A Model is one run of a model. It has the goroutines of one order, and the check of its
// end. Any goroutine of the order may call At, Asleep, Context and NewLock. Only the
// function of the model may call the other methods, on its own goroutine.
type Model struct {
	*explorer
	order  *Order
	host   int64 // in a program: the goroutine that chooses, and calls the functions of the user
	ctx    context.Context
	before map[int64]string       // in a program: the goroutines that are not of the model
	doing  atomic.Pointer[string] // which function of the user the host has called last
	wrong  atomic.Pointer[string] // use of the package, or nil

	mu      sync.Mutex
	threads []*Thread         // guarded by mu; goroutines that are adopted are added while others run
	adopts  map[string]string // names, by point
	bubble  string            // of all goroutines, or ""; known if some may be adopted

	byID     sync.Map               // of threads, by goroutine
	turn     atomic.Pointer[Thread] // that was let go last: a goroutine that moves beside it was woken
	free     atomic.Bool            // no goroutine stops
	over     atomic.Bool            // the order was judged
	settling atomic.Bool            // the goroutine that chooses waits for the others; only known in a program
	making   bool                   // the function of the model runs
	early    bool                   // it is one of the first orders, see order

	check    func() error
	maySleep []string
	release  func()
}

// tooLong is a number of steps that no good order comes near.
const tooLong = 500

// Go adds a goroutine. It runs up to its first point, and Go returns then. Names
// are unique: they tell the goroutines of an order from each other.
//
// If f panics or calls runtime.Goexit, the order ends there and is bad.
func (m *Model) Go(name string, f func(*Thread)) {
	m.mustBeMaking("Go")
	m.settle(m) // for a goroutine that is about to be adopted: the order of the threads counts
	th := m.add(name, f == nil)
	m.turn.Store(th)
	go th.run(f)
	m.settle(m)
}

// Event adds a step that is made once, at any moment, such as a cancellation. An order
// shows its name only. happen runs on the goroutine that makes the choices, and must not
// wait. In a test it may call time.Sleep: the clock of the bubble moves then, because all
// goroutines sleep.
func (m *Model) Event(name string, happen func()) {
	m.mustBeMaking("Event")
	m.settle(m)
	th := m.add(name, happen == nil)
	th.event = happen
	th.at.Store(&stand{point: "happens"})
}

// Check has f judge each order at its end, when no goroutine can go on. The error says
// why the order is bad. The order is also bad if f panics or calls runtime.Goexit, as the
// FailNow of a test does. A second Check replaces the first.
func (m *Model) Check(f func() error) {
	m.mustBeMaking("Check")
	m.check = f
}

// MaySleep says that these goroutines may be asleep at the end of an order. A goroutine
// that it does not name makes the order bad then. Use [Model.Asleep] in the check to say
// when they may sleep.
func (m *Model) MaySleep(names ...string) {
	m.mustBeMaking("MaySleep")
	m.maySleep = append(m.maySleep, names...)
}

// Release has f wake the goroutines that sleep at the end of an order, after the order was
// judged. A goroutine that sleeps on is a fault. There is no need of Release for goroutines
// at a point, in a [Lock], in [Thread.Sleep], or in a wait that ends with [Model.Context].
// It is not called if a goroutine has panicked, which may hold a lock that f wants.
func (m *Model) Release(f func()) {
	m.mustBeMaking("Release")
	m.release = f
}

// Before sets the scene: goroutines that set adds run on, past their points, until
// they are asleep or at their end.
func (m *Model) Before(set func()) {
	m.mustBeMaking("Before")
	m.free.Store(true)
	defer m.free.Store(false)
	set()
	m.settle(m)
}

// Adopt is for a goroutine that the tested code starts. It joins the model when it comes to
// this point, and stops there. It gets the name. A second such goroutine gets the name and
// the number 2. The model does not see the end of an adopted goroutine, so it never counts
// as asleep. In a test it must end after the order. [Model.Release] may make it end.
func (m *Model) Adopt(point, name string) {
	m.mustBeMaking("Adopt")
	if isLibrarys(point) && !m.points[point] {
		misuse("Adopt at %q, which is not in Points", point)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, m.bubble = goroutine()
	m.adopts[point] = name
}

// At is a point for code that does not know its [Thread]. A package of yours may have a
// variable for it, which does nothing outside of tests. A goroutine that is not of this
// order does not stop.
func (m *Model) At(point string) {
	if th := m.self(point); th != nil {
		th.pause(point)
	}
}

// Asleep returns the names of the goroutines that can not go on and are not at their
// end, in the order in which they were added. It is for the check.
func (m *Model) Asleep() (names []string) {
	for _, th := range m.all() {
		if !th.adopted && th.asleep() {
			names = append(names, th.name)
		}
	}
	return names
}

// Context returns a context that ends after the order was judged. In a test it belongs to
// the bubble, so goroutines of the model may wait for contexts made from it.
func (m *Model) Context() context.Context { return m.ctx }

func (m *Model) mustBeMaking(method string) {
	if !m.making || m.early && !m.isHost() {
		misuse("Model.%s is for the function of the model: for its goroutine, and until it returns", method)
	}
}

// add adds a thread.
func (m *Model) add(name string, doesNothing bool) *Thread {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case name == "":
		misuse("a goroutine of the model has no name")
	case doesNothing:
		misuse("the function of %s is nil", name)
	case m.named(name) != nil:
		misuse("two goroutines of the model are called %q", name)
	}
	return m.append(name)
}

func (m *Model) append(name string) *Thread {
	th := &Thread{of: m, name: name, number: len(m.threads) + 1, goOn: make(chan bool)}
	m.threads = append(m.threads, th)
	return th
}

func (m *Model) named(name string) *Thread {
	for _, th := range m.threads {
		if th.name == name {
			return th
		}
	}
	return nil
}

func (m *Model) all() []*Thread {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.threads
}

// self returns the thread of the calling goroutine, which may become one at this point, or nil.
func (m *Model) self(point string) *Thread {
	if th := m.caller(); th != nil {
		return th
	}
	m.mu.Lock()
	name, ok := m.adopts[point]
	of := m.bubble
	m.mu.Unlock()
	if !ok || m.over.Load() {
		return nil
	}
	id, bubble := goroutine()
	if _, others := m.before[id]; others || bubble != of {
		return nil
	}
	th := m.adopt(name)
	th.id.Store(id)
	m.byID.Store(id, th)
	return th
}

// isHost reports whether the calling goroutine is the one that chooses.
func (m *Model) isHost() bool {
	if m.bubbles {
		return onStack() == hostMark
	}
	id, _ := goroutine()
	return id == m.host
}

// caller returns the thread of the calling goroutine, or nil. A goroutine of a later order is
// none of this model, though it may have the number of one on its stack.
func (m *Model) caller() *Thread {
	if now.Load() != m {
		return nil
	}
	if m.bubbles {
		if number := onStack(); number > hostMark {
			return m.all()[number-hostMark-1]
		}
		if !m.mayAdopt() {
			return nil
		}
	}
	id, _ := goroutine()
	th, _ := m.byID.Load(id)
	known, _ := th.(*Thread)
	return known
}

func (m *Model) mayAdopt() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.adopts) > 0
}

// adopt adds a thread for a goroutine that has come from elsewhere.
func (m *Model) adopt(name string) *Thread {
	m.mu.Lock()
	defer m.mu.Unlock()
	unique := name
	for n := 2; m.named(unique) != nil; n++ {
		unique = fmt.Sprint(name, " ", n)
	}
	th := m.append(unique)
	th.adopted = true
	return th
}

// hook is called at the points of the packages.
func (m *Model) hook(point string, _ any) {
	if !m.points[point] {
		return
	}
	if th := m.self(point); th != nil && th.pause(point) {
		m.reached.Store(point, true)
	}
}
