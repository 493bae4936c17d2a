package kthread

import (
	"cmp"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"weak"

	"github.com/kprim/kprim/waitqueue"
)

// threads lists the threads that are not gone. It holds them weakly: one that
// is stuck for ever must look to a leak detector as if there were no list.
var threads registry

// profile has the stacks that created them, by pid.
var (
	profile   = pprof.NewProfile("kthread")
	profiling atomic.Bool
)

// SetProfile says whether the stacks of those who create threads from now on are
// kept, for as long as the threads are not gone, in the profile "kthread" of
// package runtime/pprof. At first they are not: a stack takes about as long as
// starting a goroutine.
func SetProfile(on bool) { profiling.Store(on) }

type registry struct {
	mu   sync.Mutex
	last int                   // pid
	all  []weak.Pointer[place] // of threads, or free
}

// A place stands for a thread in the list. The thread holds it, and gives it
// back at its end: to make a weak pointer takes longer than all else here, so
// there is one for all the threads that have the place in turn.
type place struct {
	thread *Thread // or nil; guarded by the list's mu
}

var places = sync.Pool{New: func() any { return threads.newPlace() }}

func (r *registry) newPlace() *place {
	p := new(place)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == cap(r.all) {
		r.prune()
	}
	r.all = append(r.all, weak.Make(p))
	return p
}

// prune drops the places that were collected: free ones, and those of threads
// that never ran. The caller holds mu.
func (r *registry) prune() {
	r.all = slices.DeleteFunc(r.all, func(p weak.Pointer[place]) bool { return p.Value() == nil })
}

// add gives t a pid and a place. The stack of the profile begins at the caller
// of Create, Run, or Start.
func (r *registry) add(t *Thread) {
	t.place = places.Get().(*place)
	r.mu.Lock()
	r.last++
	t.pid = r.last
	t.place.thread = t
	r.mu.Unlock()
	if profiling.Load() {
		profile.Add(t.pid, 4)
		t.profiled = true
	}
}

// remove takes t off, at its end.
func (r *registry) remove(t *Thread) {
	if t.profiled {
		profile.Remove(t.pid)
	}
	p := t.place
	t.place = nil // or the handle would keep alive who has the place next
	r.mu.Lock()
	p.thread = nil
	r.mu.Unlock()
	places.Put(p)
}

// live returns the threads that are there.
func (r *registry) live() (live []*Thread) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prune()
	for _, weak := range r.all {
		if p := weak.Value(); p != nil && p.thread != nil {
			live = append(live, p.thread)
		}
	}
	return live
}

// Info says what a thread does at one moment.
//
// Kernel: /proc/PID/stat, /proc/PID/wchan
type Info struct {
	Pid     int             // counts from 1 in the order of creation; no process has it
	State   waitqueue.State // D before the first run
	Wchan   string          // the name of the queue that it sleeps on, or ""
	Age     time.Duration   // since it was created
	WakeUps uint32          // how often it was woken; the first run counts
	Name    string          // in full, see Comm
}

// Comm returns the name cut to 15 bytes, or fewer rather than a part of a
// character.
//
// Kernel: task_struct.comm, TASK_COMM_LEN
func (i Info) Comm() string {
	const most = 15
	if len(i.Name) <= most {
		return i.Name
	}
	n := most
	for n > 0 && !utf8.RuneStart(i.Name[n]) {
		n--
	}
	return i.Name[:n]
}

// Info returns what the thread does now. Like all that is seen from outside, it
// is stale when it is returned, unless something keeps the thread asleep.
//
// Kernel: task_state_to_char, get_wchan
func (t *Thread) Info() Info {
	return Info{
		Pid:     t.pid,
		State:   t.task.State(),
		Wchan:   t.task.Wchan(),
		Age:     max(0, time.Since(t.born)),
		WakeUps: t.task.WakeUps(),
		Name:    t.name,
	}
}

// Infos is a list of threads. Printed, it is a table like that of ps(1).
type Infos []Info

// Tasks returns the threads that are not gone, by pid: those that run, sleep,
// and have not run yet. It does not keep them alive.
//
// Kernel: for_each_process, ps(1)
func Tasks() Infos {
	infos := Infos{}
	for _, t := range threads.live() {
		infos = append(infos, t.Info())
	}
	slices.SortFunc(infos, func(a, b Info) int { return cmp.Compare(a.Pid, b.Pid) })
	return infos
}

// String returns a line for each thread, below a line of headings. The names
// are in brackets, as ps(1) shows kernel threads, and cut to 15 bytes; those of
// queues are whole.
func (infos Infos) String() string {
	wide := 15
	for _, i := range infos {
		wide = max(wide, len(i.Wchan))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "  PID S ELAPSED WAKE-UPS %-*s COMMAND\n", wide, "WCHAN")
	for _, i := range infos {
		wchan := cmp.Or(i.Wchan, "-")
		fmt.Fprintf(&text, "%5d %s %7v %8d %-*s [%s]\n", i.Pid, i.State, i.Age.Truncate(time.Second), i.WakeUps, wide, wchan, i.Comm())
	}
	return text.String()
}
