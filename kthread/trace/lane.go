package trace

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kprim/kprim/internal/watch"
)

// A lane is a thread, a task with a name, or a goroutine without a name.
type lane struct {
	// Written once. The events refer to these three, and are written later.
	pid, cpu int
	comm     string

	phase  phase
	sleep  *sleep  // the last one that it has gone to, or nil
	state  byte    // the letter of its last sleep, or 0
	self   uintptr // the goroutine that it was seen on last, or 0
	thread bool
	name   string // the whole name

	wakeUps, spurious uint64

	region region
}

// A phase is the last state of a lane in the text.
type phase uint8

const (
	unseen  phase = iota
	running       // or it sleeps in a way that this module does not know
	asleep
	woken // and does not run yet
	gone
)

// lanes are the lanes of all threads, tasks and goroutines that the tracer has seen.
type lanes struct {
	byTask  map[any]*lane     // threads, and tasks with a name
	bySelf  map[uintptr]*lane // the lane that a goroutine has
	threads map[*lane]any     // the task of each thread; events refer to lanes, and must not keep a thread alive
	cpus    []int             // that ended lanes have given back
	used    int               // CPUs that were ever used
	tasks   int               // numbers given to tasks
	others  int               // numbers given to goroutines without a name
	limit   int               // of lanes, before some are dropped
}

// Threads have the pids of package kthread, which counts them from 1. The others have
// numbers far above these. All fit in the 31 bits that readers have for a pid.
const (
	firstTask      = 1_000_000_000
	firstGoroutine = 2_000_000_000
)

// most is how many lanes may come before unused lanes are dropped.
const most = 4096

func (l *lanes) reset() {
	*l = lanes{byTask: map[any]*lane{}, bySelf: map[uintptr]*lane{}, threads: map[*lane]any{}, limit: most}
}

// add makes a lane. Each lane has a CPU of its own, because goroutines run side by side.
func (l *lanes) add(pid int, name, comm string) *lane {
	cpu := l.used
	if n := len(l.cpus); n > 0 {
		cpu, l.cpus = l.cpus[n-1], l.cpus[:n-1]
	} else {
		l.used++
	}
	return &lane{pid: pid, cpu: cpu, name: name, comm: comm}
}

// ofThread returns the lane of a thread. Its goroutine has the lane from its begin on.
func (l *lanes) ofThread(t watch.Thread) *lane {
	lane := l.byTask[t.Task]
	if lane == nil {
		lane = l.add(t.Pid, t.Name, comm(t.Name))
		lane.thread = true
		l.byTask[t.Task], l.threads[lane] = lane, t.Task
	}
	if t.Self != 0 {
		l.give(lane, t.Self)
	}
	return lane
}

// give gives a lane to a goroutine. The lane is then no longer the lane of another goroutine.
func (l *lanes) give(lane *lane, self uintptr) {
	if l.bySelf[lane.self] == lane {
		delete(l.bySelf, lane.self)
	}
	lane.self = self
	l.bySelf[self] = lane
}

// ofSleeper returns the lane of a sleeper that calls on its own goroutine. A thread has its
// own lane, also in a wait with a named task.
func (l *lanes) ofSleeper(sleeper any, name string) *lane {
	if lane := l.byTask[sleeper]; lane != nil && lane.thread {
		return lane
	}
	self := watch.Self()
	if lane := l.bySelf[self]; name == "" || lane != nil && lane.thread {
		return l.current()
	}
	lane := l.byTask[sleeper]
	if lane == nil {
		l.tasks++
		lane = l.add(firstTask+l.tasks, name, comm(name))
		l.byTask[sleeper] = lane
	}
	l.give(lane, self)
	return lane
}

// current returns the lane of the calling goroutine.
func (l *lanes) current() *lane {
	self := watch.Self()
	lane := l.bySelf[self]
	if lane == nil {
		l.others++
		name := fmt.Sprint("goroutine/", l.others)
		if l.others > 99_999 { // it has to fit into a comm
			name = fmt.Sprint("g/", l.others)
		}
		lane = l.add(firstGoroutine+l.others, "", name)
		lane.self = self
		l.bySelf[self] = lane
	}
	return lane
}

// remove drops the lane of a thread or a task. Its goroutine may go on, without a name.
func (l *lanes) remove(task any, lane *lane) {
	delete(l.byTask, task)
	delete(l.threads, lane)
	l.drop(lane)
}

func (l *lanes) drop(lane *lane) {
	if l.bySelf[lane.self] == lane {
		delete(l.bySelf, lane.self)
	}
	l.cpus = append(l.cpus, lane.cpu)
}

// crowded reports whether lanes must be dropped, because most of them may be of goroutines
// that are gone.
func (l *lanes) crowded() bool { return len(l.byTask)+len(l.bySelf) > l.limit }

// swept sets the next limit, so that the lanes double before it is reached.
func (l *lanes) swept() { l.limit = most + 2*(len(l.byTask)+len(l.bySelf)) }

// comm returns the name as the text has it: at most 15 bytes, none of them a space or an
// equals sign, which would end the name. It does not begin with a "#", because Chromium's trace
// viewer takes such a line for a comment.
func comm(name string) string {
	const size = 15
	name = word(name)
	switch {
	case name == "":
		return "-"
	case name[0] == '#':
		name = "_" + name[1:]
	}
	n := min(len(name), size)
	for n < len(name) && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}

// word returns the text without characters that would end it where another tool reads it.
func word(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '=' || r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, text)
}
