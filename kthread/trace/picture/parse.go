package picture

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxLine is the longest line that Parse takes. The kernel's are below 4096 bytes.
const maxLine = 64 << 10

// Parse reads ftrace text until the end of r. It skips comments, which begin with
// #, and events that it does not know.
//
// The error names the first line that is no line of such a text, or whose time
// is earlier than the time of the line before. A text without any event that
// Parse knows is an error too. An error of r is wrapped.
func Parse(r io.Reader) (*Chart, error) {
	p := parser{lanes: map[int]int{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		if err := p.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("picture: line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("picture: after line %d: %w", n, err)
	}
	if len(p.chart.events) == 0 {
		return nil, errors.New("picture: the text has no event of a thread")
	}
	p.chart.sort()
	return &p.chart, nil
}

// sort puts the lanes into the order of their pids. That is the order in which the threads
// were made, and it does not depend on which one ran first.
func (c *Chart) sort() {
	order := make([]int, len(c.lanes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(c.lanes[i].pid, c.lanes[j].pid) })
	place := map[int]int{-1: -1}
	sorted := make([]lane, len(order))
	for to, from := range order {
		place[from], sorted[to] = to, c.lanes[from]
	}
	for i := range c.events {
		e := &c.events[i]
		e.lane, e.by = place[e.lane], place[e.by]
	}
	c.lanes = sorted
}

// A parser has read some lines.
type parser struct {
	chart Chart
	lanes map[int]int // from a pid to an index of chart.lanes
	now   time.Duration
}

// line reads one line.
func (p *parser) line(text string) error {
	trimmed := strings.TrimSpace(text)
	l, ok := cutLine(trimmed)
	if strings.HasPrefix(text, "#") || trimmed == "" || isLoss(trimmed) {
		return nil
	}
	if !ok && trimmed[0] == '#' { // a comment, and not the line of a thread with such a name
		return nil
	}
	if !ok {
		return fmt.Errorf("no line of ftrace text: %.60q", trimmed)
	}
	at, err := stamp(l.time)
	if err != nil {
		return err
	}
	if at < p.now {
		return fmt.Errorf("the time %s is earlier than the line before", l.time)
	}
	p.now = at
	current, err := taskOf(l.comm, l.pid)
	if err != nil {
		return err
	}
	return p.event(current, l.event, l.args)
}

// isLoss reports whether the line stands for events that the kernel had no room for.
func isLoss(text string) bool {
	return strings.HasPrefix(text, "CPU:") && strings.HasSuffix(text, " EVENTS]")
}

// The parts of a line.
type parts struct{ comm, pid, time, event, args string }

// cutLine cuts a line, which is
//
//	COMM-PID (TGID) [CPU] FLAGS TIME: EVENT: ARGUMENTS
//
// The thread group and the flags may be absent. A comm may have spaces and dashes.
func cutLine(text string) (l parts, ok bool) {
	task, rest, ok := cutCPU(text)
	if group := strings.LastIndex(task, " ("); group >= 0 && strings.HasSuffix(task, ")") {
		task = task[:group]
	}
	task = strings.TrimSpace(task)
	dash := strings.LastIndexByte(task, '-')
	if !ok || dash < 0 || !isDigits(task[dash+1:]) {
		return l, false
	}
	l.comm, l.pid = task[:dash], task[dash+1:]
	before, rest, ok := strings.Cut(rest, ": ")
	fields := strings.Fields(before)
	if !ok || len(fields) < 1 || len(fields) > 2 {
		return l, false
	}
	l.time = fields[len(fields)-1]
	l.event, l.args, ok = strings.Cut(rest+" ", ": ")
	l.args = strings.TrimSpace(l.args)
	return l, ok && l.event != "" && !strings.ContainsAny(l.event, " \t")
}

// cutCPU cuts a line at its CPU, which is the first number in brackets.
func cutCPU(text string) (before, after string, ok bool) {
	for at := 0; ; {
		i := strings.Index(text[at:], " [")
		if i < 0 {
			return "", "", false
		}
		at += i + len(" [")
		cpu, after, ok := strings.Cut(text[at:], "] ")
		if ok && isDigits(cpu) {
			return text[:at-len(" [")], after, true
		}
	}
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// stamp returns the time that text has in seconds.
func stamp(text string) (time.Duration, error) {
	seconds, fraction, ok := strings.Cut(text, ".")
	if !ok || !isDigits(seconds) || !isDigits(fraction) {
		return 0, fmt.Errorf("%.30q is no time", text)
	}
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || s > int64(100*365*24*time.Hour/time.Second) {
		return 0, fmt.Errorf("the time of %s seconds is too large", seconds)
	}
	ns, _ := strconv.Atoi((fraction + "000000000")[:9])
	return time.Duration(s)*time.Second + time.Duration(ns), nil
}

// A task is a thread as a line names it.
type task struct {
	comm string
	pid  int
}

func taskOf(comm, pid string) (task, error) {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return task{}, fmt.Errorf("the pid %.30q is no number", pid)
	}
	return task{comm, n}, nil
}

// add adds an event of t. The thread by has caused it. The idle thread, whose pid
// is 0, has no lane and no events. A counter has no lane either.
func (p *parser) add(e event, t, by task) {
	if t.pid == 0 && e.kind != counts {
		return
	}
	e.at, e.name, e.lane, e.by = p.now, printable(e.name), p.lane(t), -1
	if by.pid != t.pid {
		e.by = p.lane(by)
	}
	p.chart.events = append(p.chart.events, e)
}

// unknownComm is the name of a thread that the kernel's tracer has forgotten. Another line may
// have its name.
const unknownComm = "<...>"

// lane returns the lane of t, or -1 for the idle thread.
func (p *parser) lane(t task) int {
	if t.pid == 0 {
		return -1
	}
	i, known := p.lanes[t.pid]
	if !known {
		i = len(p.chart.lanes)
		p.lanes[t.pid] = i
		p.chart.lanes = append(p.chart.lanes, lane{printable(t.comm), t.pid})
	} else if l := &p.chart.lanes[i]; l.name == unknownComm {
		l.name = printable(t.comm)
	}
	return i
}

// printable replaces each character of text that a terminal would act on, and each byte
// that is no text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
