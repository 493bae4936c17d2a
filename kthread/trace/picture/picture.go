// Package picture draws a trace: one lane for each thread, which shows where the
// thread sleeps and which thread wakes it.
//
// [Parse] reads the text that package kthread/trace writes. It also reads the text of
// the kernel's own tracer, ftrace, if it traces events and no functions. The lanes
// are in the order of the pids. [Chart.Text] draws for a terminal, and [Chart.SVG] for a
// browser. The same trace gives the same picture each time.
//
// A chart in text looks like this:
//
//	opener/0 |=.WaitQ...!-==.WaitQ!1|
//	opener/1 |  =.WaitQ.!-1         |
//	closer   |        =^^----====^=-|
//
// Here opener/0 sleeps on the queue WaitQ, is woken, sleeps again, and is woken
// once more. The lines below the lanes explain the signs.
package picture

import "time"

// A Chart is the contents of one trace. Make one with [Parse]. A Chart is not
// changed by drawing, so several goroutines may draw it at the same time.
type Chart struct {
	// Steps selects the horizontal axis. If it is false, the axis is time. If it
	// is true, each step has one column. A step is a sleep, a wake-up, a signal, a
	// mark, or the end of a thread.
	//
	// Steps suits a trace whose threads take turns, as on one CPU. The picture
	// then depends on the order of these steps alone. It does not depend on
	// their time, or on when the runtime lets a woken thread run.
	Steps bool

	lanes  []lane  // in the order of their pids
	events []event // in the order of the text; at does not decrease
}

// A lane is a thread of the trace.
type lane struct {
	name string
	pid  int
}

// A kind of event. The comments speak of the thread of the event's lane.
type kind int

const (
	runs    kind = iota // the thread got a CPU
	sleeps              // it gave up the CPU; name is its state
	preempt             // it gave up the CPU and can run
	wakes               // it can run; by is the waker
	ends                // it ended
	blocked             // name is the queue of its last sleep
	signals             // a signal was sent to it; name is the number
	mark                // it wrote name
	begins              // it began a slice of that name
	closes              // it ended the slice that it began last
	counts              // name has value from now on
)

// An event is a line of the trace that Parse understands.
type event struct {
	kind  kind
	at    time.Duration
	lane  int // an index of Chart.lanes
	by    int // another one, or -1
	name  string
	value int64
}
