//go:build !mutant

package kthread_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/view"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// A jiffy is 10 ms of the bubble's clock. The timers of a tick fire a few
// nanoseconds before it, in the order that ticks says. A moment is longer than these.
const (
	jiffy  = 10 * time.Millisecond
	moment = 10 * time.Microsecond
)

// A world is all that one case is about.
type world struct {
	cpu    *cpu
	start  time.Time
	timers int // that were made; see ticks
	until  int // when the tick of this step is over
	log    []event
	faults []string // of the library, in any case
	ended  bool     // all is let go

	actors      map[string]*actor
	all         []*actor // a script may create two of one name
	runner      *actor
	byGoroutine sync.Map // of *actor
	sleepers    sync.Map // of *actor, by the task or the entry with which it sleeps

	queues      map[string]*queue
	completions map[string]*waitqueue.Completion
	entries     map[string]*entry
	names       map[any]string // of the entries
	results     map[any]int    // of the wake functions in one walk
	vars        map[string]int
	hooks       map[string]*hook
	gates       map[string]*waitqueue.Queue
	works       map[string]*work
	workers     map[string]runner
	onQueues    bool // works run on workqueues
}

// A queue is a queue under test, and a lock for the waits that take one.
type queue struct {
	waitqueue.Queue
	guard sync.Mutex
}

// An event is a line of the log.
type event struct {
	by, text, ret string
	evals         int // how often the condition was tested, or -1
	t             int // jiffies since the start
}

func newWorld() *world {
	w := &world{
		cpu:   &cpu{wakeUps: map[any]int{}},
		start: time.Now(),

		actors:      map[string]*actor{},
		queues:      map[string]*queue{},
		completions: map[string]*waitqueue.Completion{},
		entries:     map[string]*entry{},
		names:       map[any]string{},
		results:     map[any]int{},
		vars:        map[string]int{},
		hooks:       map[string]*hook{},
		gates:       map[string]*waitqueue.Queue{},
		works:       map[string]*work{},
		workers:     map[string]runner{},
	}
	w.runner = &actor{w: w, name: "."}
	point.Hook(w.point)
	return w
}

// point is called at each point of the packages.
func (w *world) point(name string, subject any) {
	switch name {
	case "unpark":
		w.cpu.woken(subject)
	case "awake", "begin":
		id := goroutine()
		actorsName := ""
		if a, ok := w.byGoroutine.Load(id); ok {
			actorsName = a.(*actor).name
		}
		w.cpu.enter(id, actorsName, subject)
	case "tested", "commit":
		if a, ok := w.byGoroutine.Load(goroutine()); ok {
			w.sleepers.Store(subject, a)
		}
	}
}

// now returns the number of jiffies since the start.
func (w *world) now() int { return int((time.Since(w.start) + moment) / jiffy) }

// ticks returns how long a timer of n jiffies takes from now. The kernel's fires at
// the tick after the n-th: the running jiffy has begun already, and a timer must not
// be early. Of two timers for one tick the later one fires first there.
func (w *world) ticks(n int) time.Duration {
	w.timers++
	return time.Duration(w.now()+n+1)*jiffy - time.Since(w.start) - time.Duration(w.timers)
}

// left returns the jiffies that a timer of n jiffies has left when it has d left.
func left(d time.Duration) int { return max(0, int((d+jiffy-1)/jiffy)-1) }

// pass lets n ticks pass, at which time the runner sleeps. Its timer is one of the
// others. So timers of the last tick that are older fire, but the threads that they
// wake do not run before the runner goes on.
func (w *world) pass(n int) {
	last := time.Duration(w.now()+n) * jiffy
	own := w.ticks(n-1) + time.Since(w.start)
	w.cpu.settle()
	for tick := time.Duration(w.now()+1) * jiffy; tick < last; tick += jiffy {
		w.sleepUntil(tick + moment)
		w.cpu.settle()
	}
	w.sleepUntil(own)
	w.cpu.settle()
	w.sleepUntil(last + moment)
	w.cpu.take()
}

// tickOf returns how long a tick of n jiffies takes. From 63 on the kernel rounds up
// to 8 jiffies, from 504 on to 64, and only the case says where these begin.
func (w *world) tickOf(n int) int {
	grain := 0
	switch {
	case n >= 504:
		grain = 64
	case n >= 63:
		grain = 8
	}
	return min(max(n+1, w.until-w.now()), n+1+grain)
}

func (w *world) sleepUntil(t time.Duration) { time.Sleep(t - time.Since(w.start)) }

func (w *world) add(e event) {
	e.t = w.now()
	w.log = append(w.log, e)
}

// note logs a line that has no time.
func (w *world) note(by, text string) {
	w.log = append(w.log, event{by: by, text: text, evals: -1, t: -1})
}

// give has an actor do the ops of a step.
func (w *world) give(name string, ops []string) {
	if name == "." {
		for _, op := range ops {
			w.runner.do(op)
		}
		return
	}
	a := w.actors[name]
	if a == nil || a.begun && a.gone() || a.step != nil {
		w.note("", "error: "+name+" is busy or gone")
		return
	}
	a.step = ops
	a.idle.WakeUp()
}

// step does one step of a script and returns the log and the states after it.
func (w *world) step(text string) (log []event, now map[string]string) {
	w.log = nil
	name, rest, _ := strings.Cut(text, " ")
	var ops []string
	for op := range strings.SplitSeq(rest, ",") {
		ops = append(ops, strings.TrimSpace(op))
	}
	w.give(name, ops)
	w.pass(2)
	now = map[string]string{}
	for name, a := range w.actors {
		now[name] = a.now()
	}
	return w.log, now
}

// end makes all conditions true, completes, opens, unparks and wakes everything. It
// returns the actors that are busy after that.
func (w *world) end() (stuck []string) {
	w.ended = true
	clear(w.hooks)
	for range 3 {
		w.letGo()
		w.pass(2)
	}
	for name, a := range w.actors {
		if a.begun && !a.gone() && a.op != "" {
			stuck = append(stuck, name)
		}
	}
	slices.Sort(stuck)
	return stuck
}

func (w *world) letGo() {
	for _, q := range w.queues {
		q.WakeUpAll()
		q.WakeMask(^waitqueue.State(0), 0, nil)
	}
	for _, k := range w.completions {
		k.CompleteAll()
	}
	for _, g := range w.gates {
		g.WakeUpAll()
	}
	for _, a := range w.actors {
		a.thread.Unpark()
		if a.begun && a.op != "" {
			a.thread.OwnTask().WakeUp(^waitqueue.State(0))
		}
	}
	for _, r := range w.workers {
		if worker, ok := r.(*kthread.Worker); ok {
			worker.Thread().Unpark()
		}
	}
}

// quit ends all goroutines.
func (w *world) quit() {
	w.cpu.release()
	for _, r := range w.workers {
		stopRunner(r)
	}
	for _, a := range w.all {
		a.quit.Store(true)
		if !a.begun {
			_ = a.thread.Stop()
			continue
		}
		a.idle.WakeUp()
	}
}

// settled returns the entry with which the actor sleeps in a wait without its own
// task, or false.
func (w *world) sleepsWith(a *actor) (view.Entry, bool) {
	var queues []any
	for _, q := range w.queues {
		queues = append(queues, &q.Queue)
	}
	for _, k := range w.completions {
		queues = append(queues, k.WaitQueue())
	}
	for _, q := range queues {
		for _, e := range view.Queue(q) {
			if w.sleeperOf(e) == a {
				return e, true
			}
		}
	}
	return view.Entry{}, false
}

func (w *world) sleeperOf(e view.Entry) *actor {
	for _, key := range []any{e.ID, e.Task} {
		if key == nil || w.names[key] != "" {
			continue
		}
		if a, ok := w.sleepers.Load(key); ok {
			return a.(*actor)
		}
	}
	return nil
}

// list returns the text of a queue, from head to tail.
func (w *world) list(q *waitqueue.Queue) string {
	var parts []string
	for _, e := range view.Queue(q) {
		name := w.names[e.ID]
		if a := w.sleeperOf(e); name == "" && a != nil {
			name = a.name
		}
		parts = append(parts, fmt.Sprintf("%s/%#x", name, w.flags(e)))
	}
	return strings.Join(parts, " ")
}

// flags returns the flags of an entry as the kernel numbers them.
func (w *world) flags(e view.Entry) (flags int) {
	if e.Exclusive {
		flags |= 0x01
	}
	if named := w.entries[w.names[e.ID]]; named != nil && named.woken != nil && view.Woken(named.woken) {
		flags |= 0x02
	}
	if e.Priority {
		flags |= 0x10
	}
	return flags
}

func (w *world) queue(name string) *queue {
	if w.queues[name] == nil {
		w.queues[name] = new(queue)
	}
	return w.queues[name]
}

func (w *world) completion(name string) *waitqueue.Completion {
	if w.completions[name] == nil {
		w.completions[name] = new(waitqueue.Completion)
	}
	return w.completions[name]
}
