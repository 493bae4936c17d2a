package trace

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// header begins each text. Perfetto and Chromium's trace viewer know the form by it.
const header = "# tracer: nop\n#\n"

// A writer writes events as text.
type writer struct {
	text []byte
	base int64 // the time 0 of the text
}

// tgid is the number of the process in the text: all lanes are threads of one process.
const tgid = 1

// prio is the priority in the text of a thread with nice 0.
const prio = 120

// write appends the lines of e.
func (w *writer) write(e *event) {
	a := e.actor
	switch e.kind {
	case switchIn:
		w.idle(a.cpu, e.at, "sched_switch")
		w.addf("prev_comm=swapper/%d prev_pid=0 prev_prio=%d prev_state=R ==> next_comm=%s next_pid=%d next_prio=%d\n",
			a.cpu, prio, a.comm, a.pid, prio)
	case switchOut:
		w.line(a, e.at, "sched_switch")
		w.addf("prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%c ==> next_comm=swapper/%d next_pid=0 next_prio=%d\n",
			a.comm, a.pid, prio, e.state, a.cpu, prio)
	case wake:
		w.wake(e)
	case reason:
		w.idle(a.cpu, e.at, "sched_blocked_reason")
		w.reason(a, e.text)
	case signal:
		w.line(a, e.at, "signal_generate")
		w.addf("sig=%d errno=0 code=0 comm=%s pid=%d grp=0 res=%d\n", e.n, e.subject.comm, e.subject.pid, e.state)
	case workBegins:
		w.line(a, e.at, "workqueue_execute_start")
		w.addf("work struct %016x: function %s\n", e.n, e.text)
	case workEnds:
		w.line(a, e.at, "workqueue_execute_end")
		w.addf("work struct %016x: function %s\n", e.n, e.text)
	case loss:
		if e.n > 0 { // 0 stands for a moment without events
			w.addf("# %d events are lost here\n", e.n)
		}
	default:
		w.mark(e)
	}
}

// wake writes the three lines of a wake-up. Perfetto reads the first two, others the last.
func (w *writer) wake(e *event) {
	s, at := e.subject, e.at
	w.waker(e, at, "sched_waking")
	w.addf("comm=%s pid=%d prio=%d target_cpu=%03d\n", s.comm, s.pid, prio, s.cpu)
	if at++; e.text != "" {
		w.waker(e, at, "sched_blocked_reason")
		w.reason(s, e.text)
		at++
	}
	w.waker(e, at, "sched_wakeup")
	w.addf("comm=%s pid=%d prio=%d target_cpu=%03d\n", s.comm, s.pid, prio, s.cpu)
}

// reason ends a line that says where a lane sleeps.
func (w *writer) reason(l *lane, queue string) {
	w.addf("pid=%d iowait=0 caller=%s\n", l.pid, word(queue))
}

func (w *writer) waker(e *event, at int64, name string) {
	if e.actor == nil {
		w.idle(e.subject.cpu, at, name)
	} else {
		w.line(e.actor, at, name)
	}
}

// mark writes a mark of the user's.
func (w *writer) mark(e *event) {
	w.line(e.actor, e.at, "tracing_mark_write")
	switch e.kind {
	case sliceBegins:
		w.addf("B|%d|%s\n", tgid, e.text)
	case sliceEnds:
		w.addf("E|%d\n", tgid)
	case instant:
		w.addf("I|%d|%s\n", tgid, e.text)
	case counter:
		w.addf("C|%d|%s|%d\n", tgid, e.text, e.n)
	}
}

// cut returns at most 100 bytes of a name. The rest is not kept in memory.
func cut(name string) string {
	const size = 100
	if len(name) <= size {
		return name
	}
	return strings.Clone(strings.ToValidUTF8(name[:size], ""))
}

// markName returns the name without characters that would end it, and not too long.
func markName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '|' || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, cut(name))
}

// line begins a line of a lane, on its CPU:
//
//	waiter/0-101     (      1) [000] ....     0.011000000: sched_switch:
func (w *writer) line(l *lane, at int64, name string) {
	w.begin(l.comm, strconv.Itoa(l.pid), strconv.Itoa(tgid), l.cpu, at, name)
}

// idle begins a line of the idle task of a CPU, which belongs to no process.
func (w *writer) idle(cpu int, at int64, name string) {
	w.begin("<idle>", "0", "-----", cpu, at, name)
}

func (w *writer) begin(comm, pid, tgid string, cpu int, at int64, name string) {
	at -= w.base
	w.addf("%16s-%-7s (%7s) [%03d] .... %5d.%09d: %s: ", comm, pid, tgid, cpu, at/1e9, at%1e9, name)
}

func (w *writer) addf(format string, args ...any) { w.text = fmt.Appendf(w.text, format, args...) }
