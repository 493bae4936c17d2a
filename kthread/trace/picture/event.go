package picture

import (
	"fmt"
	"strconv"
	"strings"
)

// event adds the event of a line of the thread current, if the event is known.
func (p *parser) event(current task, name, args string) error {
	switch name {
	case "sched_switch":
		return p.switched(args)
	case "sched_waking", "sched_wakeup", "sched_wakeup_new":
		return p.of(name, args, event{kind: wakes}, current)
	case "sched_process_exit":
		return p.of(name, args, event{kind: ends}, current)
	case "signal_generate":
		return p.signal(name, args, current)
	case "sched_blocked_reason":
		return p.blocked(args)
	case "tracing_mark_write", "print":
		p.mark(current, args)
	case "workqueue_execute_start":
		_, function, _ := strings.Cut(args, " function ")
		p.add(event{kind: begins, name: function}, current, current)
	case "workqueue_execute_end":
		p.add(event{kind: closes}, current, current)
	}
	return nil
}

// malformed is the error of an event that is known and has other arguments.
func malformed(name, args string) error { return fmt.Errorf("%s: arguments %.80q", name, args) }

// value returns the value of a key of the arguments. It ends at a space.
func value(args, key string) string {
	_, text, _ := strings.Cut(" "+args, " "+key+"=")
	text, _, _ = strings.Cut(text, " ")
	return text
}

// taskIn returns the task of the arguments prefix+comm and prefix+pid. A comm may have
// spaces.
func taskIn(args, prefix string) (t task, ok bool) {
	_, rest, ok := strings.Cut(" "+args, " "+prefix+"comm=")
	comm, _, found := strings.Cut(rest, " "+prefix+"pid=")
	t, err := taskOf(comm, value(rest, prefix+"pid"))
	return t, ok && found && err == nil
}

// of adds an event for the thread in the arguments. The thread by has caused it.
func (p *parser) of(name, args string, e event, by task) error {
	t, ok := taskIn(args, "")
	if !ok {
		return malformed(name, args)
	}
	p.add(e, t, by)
	return nil
}

// switched adds the end of one thread's run, and the beginning of another's.
func (p *parser) switched(args string) error {
	before, after, _ := strings.Cut(args, " ==> ")
	prev, ok1 := taskIn(before, "prev_")
	next, ok2 := taskIn(after, "next_")
	state := value(before, "prev_state")
	if !ok1 || !ok2 || state == "" {
		return malformed("sched_switch", args)
	}
	switch state[0] {
	case 'R':
		p.add(event{kind: preempt}, prev, prev)
	case 'X', 'Z':
		p.add(event{kind: ends}, prev, prev)
	default:
		p.add(event{kind: sleeps, name: state[:1]}, prev, prev)
	}
	p.add(event{kind: runs}, next, next)
	return nil
}

// signal adds a signal that was delivered. Otherwise res is not 0.
func (p *parser) signal(name, args string, by task) error {
	if res := value(args, "res"); res != "" && res != "0" {
		return nil
	}
	return p.of(name, args, event{kind: signals, name: value(args, "sig")}, by)
}

// blocked reads the queue of a sleep. The line names no comm, but the thread has a lane
// already if it sleeps.
func (p *parser) blocked(args string) error {
	pid, err := strconv.Atoi(value(args, "pid"))
	_, queue, ok := strings.Cut(args, " caller=")
	if err != nil || !ok {
		return malformed("sched_blocked_reason", args)
	}
	if _, known := p.lanes[pid]; known {
		t := task{pid: pid}
		p.add(event{kind: blocked, name: queue}, t, t)
	}
	return nil
}

// mark reads the text that a program wrote: B|pid|name, E|pid, I|pid|name,
// C|pid|name|value, or text of another form, which is a mark.
func (p *parser) mark(current task, args string) {
	part := strings.SplitN(args, "|", 3)
	switch {
	case part[0] == "E":
		p.add(event{kind: closes}, current, current)
	case len(part) == 3 && part[0] == "B":
		p.add(event{kind: begins, name: part[2]}, current, current)
	case len(part) == 3 && part[0] == "I":
		p.add(event{kind: mark, name: part[2]}, current, current)
	case len(part) == 3 && part[0] == "C":
		p.count(part[2])
	default:
		p.add(event{kind: mark, name: args}, current, current)
	}
}

// count reads NAME|VALUE of a counter. The name may have bars.
func (p *parser) count(text string) {
	bar := max(0, strings.LastIndexByte(text, '|'))
	if v, err := strconv.ParseInt(strings.TrimPrefix(text[bar:], "|"), 10, 64); err == nil {
		p.add(event{kind: counts, name: text[:bar], value: v}, task{}, task{})
	}
}
