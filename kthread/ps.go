package kthread

import (
	"cmp"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"weak"

	"github.com/kprim/kprim/internal/watch"
	"github.com/kprim/kprim/waitqueue"
)

// threads lists the threads that are not gone. It holds them weakly: a thread
// that is stuck for ever must look to a leak detector as if there were no list.
var threads registry

// profile has the stacks that created the threads, by pid.
var (
	profile   = pprof.NewProfile("kthread")
	profiling atomic.Bool
)

// SetProfile says whether profiles show more of the threads. At first they do
// not. After SetProfile(true):
//
//   - The profile "kthread" of package runtime/pprof has the stack that created
//     each thread, for threads that are created from then on, until they are gone.
//     A stack takes about as long as starting a goroutine.
//   - While a thread waits through its [Current] on a queue with a name, it has
//     the profiler label wchan, the name. The wait replaces all labels that the
//     thread's function has set, as with pprof.Do, and they are gone after it:
//     Go does not let a package read them.
func SetProfile(on bool) { profiling.Store(on) }

type registry struct {
	mu   sync.Mutex
	last int                   // pid
	all  []weak.Pointer[place] // of threads, or free
}

// A place stands for a thread in the list. The thread holds it, and gives it
// back at its end.
//
// Optimization: making a weak pointer takes longer than all else in a start, so
// places are used again.
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

// prune drops the places that were collected. They were free, or had a thread
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
	t.place = nil // or the handle would keep the next thread there alive
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

// Info is the state of a thread at one moment.
//
// Kernel: /proc/PID/stat, /proc/PID/wchan
type Info struct {
	Pid     int             // counts from 1 in the order of creation; no process has it
	State   waitqueue.State // D before the first run; R also in other sleeps, see [Thread.Info]
	Wchan   string          // the name of the queue that it sleeps on, or ""
	Age     time.Duration   // since it was created, see [Thread.Info]
	WakeUps uint32          // how often it was woken; the first run counts
	Name    string          // in full, see Comm
}

// Comm returns the name cut to 15 bytes, or fewer rather than a part of a
// character.
//
// Kernel: task_struct.comm, TASK_COMM_LEN
//
// Differs: the kernel cuts inside a character too.
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

// Info returns the state of the thread. It is stale when it is returned, unless
// something keeps the thread asleep.
//
// State shows the sleeps that the thread makes through its [Current] or its Task.
// While package trace runs, it shows the thread's other waits of package waitqueue
// too, such as a Wait with [context.Background], if they began after trace did.
// Wchan and WakeUps have them then. A thread that sleeps on a channel, in a mutex or
// in a system call is shown as running, R.
//
// Age is by the clock of the caller. A bubble of testing/synctest has a clock of
// its own. So Age is 0 if the caller is in a bubble and the thread is not, or the
// other way round. Between two bubbles Age means nothing.
//
// Kernel: task_state_to_char, get_wchan
//
// Differs: a thread that sleeps in a handshake, as in Stop or Flush, is shown as running, R.
func (t *Thread) Info() Info {
	info := Info{
		Pid:     t.pid,
		State:   t.task.State(),
		Wchan:   t.wchan(),
		Age:     t.age(),
		WakeUps: t.task.WakeUps(),
		Name:    t.label.name,
	}
	if on := watch.On(); on != nil && info.State == waitqueue.Running {
		if state, queue := on.Sleep(&t.task); state != 0 {
			info.State, info.Wchan = waitqueue.State(state), queue
		}
	}
	return info
}

// wchan returns the name of the queue that the thread sleeps on. A thread that runs works
// sleeps on none when there are none.
func (t *Thread) wchan() string {
	t.mu.Lock()
	m := t.member
	t.mu.Unlock()
	name := t.task.Wchan()
	if name == "" && m != nil {
		name = m.wchan()
	}
	return name
}

// age returns the time since the thread was created, or 0 if the clock of that
// moment was another one.
func (t *Thread) age() time.Duration {
	now := time.Now()
	if inBubble(now) != inBubble(t.born) {
		return 0
	}
	return max(0, now.Sub(t.born))
}

// inBubble reports whether t, as time.Now returned it, is by the clock of a
// bubble. Such a time has no monotonic part.
func inBubble(t time.Time) bool { return t == t.Round(0) }

// Infos is a list of threads. Printed, it is a table as from ps(1).
type Infos []Info

// Tasks returns the threads that are not gone, in the order of their pids. They
// run, sleep, or have not run yet. Tasks does not keep them alive.
//
// Kernel: for_each_process, ps(1)
//
// Differs: ps(1): shows the whole name of a kernel thread, which /proc has; a printed list has comm.
func Tasks() Infos {
	infos := Infos{}
	for _, t := range threads.live() {
		infos = append(infos, t.Info())
	}
	slices.SortFunc(infos, func(a, b Info) int { return cmp.Compare(a.Pid, b.Pid) })
	return infos
}

// Blocked returns the threads of the list that are in state D, in their order. They
// sleep, and neither a signal nor a stop ends that sleep. A thread that has not run yet is
// among them: no wake-up has reached it, so its WakeUps are 0.
//
// Kernel: show_state_filter
//
// Differs: returns a list, where the kernel prints stacks to its log.
func (infos Infos) Blocked() Infos {
	awake := func(i Info) bool { return i.State != waitqueue.Uninterruptible }
	return slices.DeleteFunc(slices.Clone(infos), awake)
}

// String returns a table as ps(1) prints it. It has a line for each thread, below
// a line of headings. The names of threads are in brackets, as ps(1) shows kernel
// threads, and cut to 15 bytes. The names of queues are whole. A name that would break
// its line, or change the colours of a terminal, is in the quotes of Go.
func (infos Infos) String() string {
	rows := [][]string{{"PID", "S", "ELAPSED", "WAKE-UPS", "WCHAN", "COMMAND"}}
	for _, i := range infos {
		rows = append(rows, []string{
			strconv.Itoa(i.Pid), i.State.String(), i.Age.Truncate(time.Second).String(),
			strconv.FormatUint(uint64(i.WakeUps), 10), cmp.Or(printable(i.Wchan), "-"), "[" + printable(i.Comm()) + "]",
		})
	}
	wide := [...]int{5, 1, 7, 8, 15}
	for _, row := range rows {
		for i := range wide {
			wide[i] = max(wide[i], utf8.RuneCountInString(row[i]))
		}
	}
	wide[4] = min(wide[4], 40) // one long name must not widen all lines
	var text strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&text, "%*s %*s %*s %*s %-*s %s\n",
			wide[0], row[0], wide[1], row[1], wide[2], row[2], wide[3], row[3], wide[4], row[4], row[5])
	}
	return text.String()
}

// printable returns a name as a part of a line.
func printable(name string) string {
	hidden := func(r rune) bool { return !strconv.IsPrint(r) }
	if utf8.ValidString(name) && !strings.ContainsFunc(name, hidden) {
		return name
	}
	return strconv.Quote(name)
}
