package picture

import "slices"

// A state is how a lane is drawn.
type state int

const (
	absent state = iota
	running
	ready  // it can run
	asleep // as state S, or a state that is not D
	deep   // state D
)

// A span is a piece of a lane.
type span struct {
	from, to int64
	state    state
	name     string // the queue of a sleep, or the name of a slice
}

// A row is a lane with its places on the axis.
type row struct {
	name   string
	spans  []span // in order; they do not overlap
	slices []span // a slice comes after the slices inside it

	state     state // now
	since     int64
	queue     string // of the sleep now
	last      int64  // where its last event is
	scheduled bool   // the trace tells when it runs and sleeps
	open      []span // slices that have not ended
}

// A note is a point of a lane. text is an index of layout.texts.
type note struct {
	x    int64
	lane int
	text int
}

// An arrow is a wake-up. from is the lane of the waker, or -1.
type arrow struct {
	x        int64
	from, to int
}

// A counter is a value that changes.
type counter struct {
	name string
	x    []int64
	v    []int64
}

// stepLength is the length of a step. A wake-up is in the middle of its step, so even a
// sleep that it ends at once can be seen.
const stepLength = 2

// A layout is a Chart with a place on the axis for everything. The axis goes from
// 0 to length, in nanoseconds or in halves of a step. The events end at known.
type layout struct {
	steps    bool
	length   int64
	known    int64
	rows     []row
	arrows   []arrow
	signals  []arrow
	ends     []arrow // of threads
	notes    []note
	texts    []string // of the notes, each once
	counters []counter

	text    map[string]int // an index of texts
	counter map[string]int // an index of counters
}

// layout finds the places.
func (c *Chart) layout() *layout {
	l := &layout{
		steps: c.Steps, rows: make([]row, len(c.lanes)),
		text: map[string]int{}, counter: map[string]int{},
	}
	for i, lane := range c.lanes {
		l.rows[i].name = lane.name
	}
	for _, e := range c.events {
		if !c.Steps {
			l.length = int64(e.at - c.events[0].at)
		}
		l.event(e)
	}
	l.known = l.length
	l.length += l.tail()
	for i := range l.rows {
		l.rows[i].finish(l)
	}
	return l
}

// tail returns the length behind the last event. It gives that event a place. In steps, it
// also shows how threads sleep on.
func (l *layout) tail() int64 {
	asleep := slices.ContainsFunc(l.rows, func(r row) bool { return r.state >= asleep })
	if l.steps && asleep {
		return 3 * stepLength
	}
	if l.steps && l.length > 0 {
		return 0
	}
	return l.least()
}

// event places one event.
func (l *layout) event(e event) {
	switch e.kind {
	case counts:
		l.count(e)
	case wakes:
		l.wake(e)
	case signals:
		l.signal(e)
	case mark, begins:
		l.mark(e)
	default:
		l.own(&l.rows[e.lane], e)
	}
}

// own places an event that concerns its own thread alone.
func (l *layout) own(r *row, e event) {
	switch e.kind {
	case sleeps:
		x := l.step()
		l.acts(e.lane, x)
		r.set(after(l, x), map[bool]state{false: asleep, true: deep}[e.name == "D"])
		r.last, r.queue, r.scheduled = x, "", true
	case runs:
		r.scheduled = true
		if l.steps && r.state >= asleep { // by a timer, or it did not sleep after all
			l.acts(e.lane, l.step())
		} else if !l.steps {
			r.set(l.length, running)
		}
	case preempt:
		if !l.steps {
			r.set(l.length, ready)
		}
	case blocked:
		r.blocked(e.name)
	case closes:
		r.close(l.sliceEnd(r))
	case ends:
		x := l.step()
		l.acts(e.lane, x)
		l.ends = append(l.ends, arrow{x, -1, e.lane})
		r.set(after(l, x), absent)
	}
}

// step returns the place of an event that has a column of its own.
func (l *layout) step() int64 {
	if !l.steps {
		return l.length
	}
	l.length += stepLength
	return l.length - stepLength
}

// least returns the length of a step, or the least length on an axis of time.
func (l *layout) least() int64 {
	if l.steps {
		return stepLength
	}
	return 1
}

// after returns the place behind the column x. On an axis of time that is x.
func after(l *layout, x int64) int64 {
	if l.steps {
		return x + stepLength
	}
	return x
}

// spot returns the place of an event that has no length: in steps, the middle of its column.
func (l *layout) spot(x int64) int64 {
	if l.steps {
		return x + stepLength/2
	}
	return x
}

// sliceEnd returns the place where a slice ends, which has no column of its own. In
// steps it is behind the last column of the row, and does not depend on other rows.
func (l *layout) sliceEnd(r *row) int64 {
	if l.steps {
		return after(l, r.last)
	}
	return l.length
}

// acts shows that a thread runs at x, because it does something there.
func (l *layout) acts(lane int, x int64) {
	if lane < 0 {
		return
	}
	r := &l.rows[lane]
	if l.steps {
		r.set(x, running)
		r.set(after(l, x), ready)
	} else if r.state == absent {
		r.set(x, running)
	}
	r.last = x
}

// wake places a wake-up. The trace tells of each twice, as sched_waking and
// sched_wakeup. The second finds a thread that can run.
func (l *layout) wake(e event) {
	r := &l.rows[e.lane]
	if r.state == running || r.state == ready {
		return
	}
	x := l.step()
	r.set(l.spot(x), ready)
	r.last, r.scheduled = x, true
	l.arrows = append(l.arrows, arrow{x, e.by, e.lane})
	l.acts(e.by, x)
}

// signal places a signal. If the thread has no earlier event, its lane begins here.
func (l *layout) signal(e event) {
	x := l.step()
	l.signals = append(l.signals, arrow{x, e.by, e.lane})
	if r := &l.rows[e.lane]; r.state == absent {
		r.set(x, ready)
		r.last = x
	}
	l.acts(e.by, x)
}

// mark places a mark, or the beginning of a slice.
func (l *layout) mark(e event) {
	x := l.step()
	l.acts(e.lane, x)
	text, known := l.text[e.name]
	if !known {
		text = len(l.texts)
		l.text[e.name] = text
		l.texts = append(l.texts, e.name)
	}
	l.notes = append(l.notes, note{x, e.lane, text})
	if e.kind == begins {
		r := &l.rows[e.lane]
		r.open = append(r.open, span{from: x, name: e.name})
	}
}

// count places a value. In steps it is where the last step is.
func (l *layout) count(e event) {
	i, known := l.counter[e.name]
	if !known {
		i = len(l.counters)
		l.counter[e.name] = i
		l.counters = append(l.counters, counter{name: e.name})
	}
	c, x := &l.counters[i], l.length
	if l.steps {
		x = max(0, x-stepLength)
	}
	if n := len(c.x); n > 0 && c.x[n-1] == x {
		c.v[n-1] = e.value
		return
	}
	c.x, c.v = append(c.x, x), append(c.v, e.value)
}

// set ends the span of the row at x and begins another.
func (r *row) set(x int64, s state) {
	if r.state != absent && x > r.since {
		r.add(span{r.since, x, r.state, r.queue})
		r.queue = ""
	}
	r.state, r.since = s, max(x, r.since)
}

// add adds a span. It continues the last one if that was no sleep and has the same state.
func (r *row) add(s span) {
	if n := len(r.spans); n > 0 && s.state < asleep && r.spans[n-1].state == s.state && r.spans[n-1].to == s.from {
		r.spans[n-1].to = s.to
		return
	}
	r.spans = append(r.spans, s)
}

// blocked names the queue of the sleep now, or of the last one.
func (r *row) blocked(queue string) {
	if r.state >= asleep {
		r.queue = queue
		return
	}
	for i := len(r.spans) - 1; i >= 0; i-- {
		if r.spans[i].state >= asleep {
			r.spans[i].name = queue
			return
		}
	}
}

// close ends the innermost slice.
func (r *row) close(x int64) {
	if n := len(r.open); n > 0 {
		s := r.open[n-1]
		s.to, r.open = x, r.open[:n-1]
		r.slices = append(r.slices, s)
	}
}

// finish ends all spans. The trace does not say how long some threads run, for
// example a goroutine that only wakes others. Their bars end at their last event.
func (r *row) finish(l *layout) {
	x := l.length
	if !r.scheduled {
		x = r.last + l.least()
	}
	for len(r.open) > 0 {
		r.close(x)
	}
	r.set(x, absent)
}
