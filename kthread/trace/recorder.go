package trace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"github.com/kprim/kprim/waitqueue"
)

// A FlightRecorder keeps the last moments of the program in memory. [FlightRecorder.WriteTo]
// writes them as a trace, when something has gone wrong. One recorder at a time can run. The zero
// value is ready to use.
//
// Any goroutine may call the methods. A recorder in a bubble of testing/synctest must be stopped
// there. The names of marks do not count in MaxBytes: each of them has at most 100 bytes.
//
// Kernel: /sys/kernel/tracing/snapshot
type FlightRecorder struct {
	Keep     time.Duration // how far back WriteTo goes; 0 stands for ten seconds
	MaxBytes int           // of memory, from Start on; 0 stands for 4 MiB

	// Guarded by the tracer's mu.
	ring []event
	next int // where the next event goes
	full bool
	base int64

	scene, reasons []event // at Stop
}

// Start begins to record. Keep and MaxBytes must not be changed from now on. Events that were recorded
// before are dropped. The error matches [syscall.EBUSY] if a recorder runs already, or if this package
// is in use with another clock: see the function Start.
func (f *FlightRecorder) Start() error {
	the.mu.Lock()
	defer the.mu.Unlock()
	if the.recorder != nil {
		return &failure{"a flight recorder runs already", syscall.EBUSY}
	}
	if err := the.otherClock(); err != nil {
		return err
	}
	size := f.MaxBytes
	if size <= 0 {
		size = 4 << 20
	}
	f.ring = make([]event, max(1, size/int(unsafe.Sizeof(event{}))))
	f.next, f.full = 0, false
	f.scene, f.reasons = nil, nil
	the.change(func() {
		the.recorder = f
		f.base = the.now()
	})
	return nil
}

// Stop ends the recording. The last moments before it can still be written.
func (f *FlightRecorder) Stop() {
	the.mu.Lock()
	defer the.mu.Unlock()
	if the.recorder == f {
		f.scene, f.reasons = the.scene(), the.reasons()
		the.change(func() { the.recorder = nil })
	}
}

// add puts e over the oldest event. The caller holds the tracer's mu.
func (f *FlightRecorder) add(e event) {
	f.ring[f.next] = e
	if f.next++; f.next == len(f.ring) {
		f.next, f.full = 0, true
	}
}

// WriteTo writes the last moments as a trace: see [Start]. At its beginning the lanes sleep or
// run as they did then. The recording goes on. If the recorder was never started, WriteTo writes
// a trace without events. The error is from w.
func (f *FlightRecorder) WriteTo(w io.Writer) (n int64, err error) {
	text := f.text("")
	written, err := w.Write(text)
	return int64(written), err
}

// text returns the last moments, below a comment.
func (f *FlightRecorder) text(comment string) []byte {
	events, base := f.last()
	if len(events) > 0 {
		base = min(base, events[0].at) // the opening may be before the start
	}
	t := writer{base: base}
	t.text = append(append(t.text, header...), comment...)
	for i := range events {
		t.write(&events[i])
	}
	return t.text
}

// last returns the events of the last moments, and the time 0 of their text.
func (f *FlightRecorder) last() (events []event, base int64) {
	the.mu.Lock()
	defer the.mu.Unlock()
	if f.full {
		events = append(events, f.ring[f.next:]...)
	}
	events = append(events, f.ring[:f.next]...)
	if the.recorder != f {
		return closed(opened(events, f.scene...), f.reasons), f.base
	}
	keep := f.Keep
	if keep <= 0 {
		keep = 10 * time.Second
	}
	from := the.now() - int64(keep)
	for len(events) > 0 && events[0].at < from {
		events = events[1:]
	}
	if len(events) == 0 {
		events = []event{{at: the.stamp(1), kind: loss}}
	}
	return closed(opened(events, the.scene()...), the.reasons()), f.base
}

// closed returns the events, and after them others that say where the lanes still
// sleep.
func closed(events, reasons []event) []event {
	if len(events) == 0 {
		return nil
	}
	last := events[len(events)-1]
	for i, e := range reasons {
		e.at = last.at + max(1, last.lines()) + int64(i)
		events = append(events, e)
	}
	return events
}

// opened returns the events, and before them others that show how the lanes slept or ran at
// first. The scene also has lanes without an event.
func opened(events []event, scene ...event) []event {
	var before []event
	seen := map[*lane]bool{}
	for i := range events {
		e := &events[i]
		for _, l := range []*lane{e.actor, e.subject} {
			if l != nil && !seen[l] && !(e.kind == signal && l == e.subject) {
				seen[l] = true
				before = append(before, e.opening(l)...)
			}
		}
	}
	for _, e := range scene {
		if !seen[e.actor] {
			before = append(before, e)
		}
	}
	slices.SortFunc(before, func(a, b event) int { return a.actor.pid - b.actor.pid })
	for i := range before {
		before[i].at = events[0].at - int64(len(before)-i)
	}
	return append(before, events...)
}

// opening returns the event that shows how l slept or ran before e, the first one of l.
func (e *event) opening(l *lane) []event {
	switch {
	case l == e.actor && e.kind != switchIn:
		return []event{{kind: switchIn, actor: l}}
	case e.state != 0: // how it slept
		return []event{{kind: switchOut, actor: l, state: e.state}}
	}
	return nil
}

// scene returns events, without a time, that show how the lanes sleep or run. The caller holds
// mu.
func (r *tracer) scene() (events []event) {
	for _, l := range r.all() {
		switch l.phase {
		case running:
			events = append(events, event{kind: switchIn, actor: l})
		case asleep:
			events = append(events, event{kind: switchOut, actor: l, state: l.state})
		}
	}
	return events
}

// reasons returns events, without a time, that say where the lanes sleep. The caller holds mu.
func (r *tracer) reasons() (events []event) {
	for _, s := range r.sleeps {
		if s.isAsleep() && s.lane.phase == asleep && s.queue != "" {
			events = append(events, event{kind: reason, actor: s.lane, text: s.queue})
		}
	}
	slices.SortFunc(events, func(a, b event) int { return a.actor.pid - b.actor.pid })
	return events
}

// DumpOnPanic writes the last moments to w if the calling function panics. The panic goes on.
// Defer it:
//
//	defer recorder.DumpOnPanic(os.Stderr)
func (f *FlightRecorder) DumpOnPanic(w io.Writer) {
	if r := recover(); r != nil {
		_, _ = w.Write(f.text(fmt.Sprintf("# panic: %s\n", oneLine(r))))
		panic(r)
	}
}

// oneLine returns the text of a panic's value, as a part of a comment.
func oneLine(r any) []byte {
	return bytes.ReplaceAll(fmt.Append(nil, r), []byte("\n"), []byte(" "))
}

// DumpWhenStuck waits until a waiter has slept uninterruptibly, in state D, for longer than
// after. Then it writes the last moments to w, and returns nil or the error of w. A comment at
// their beginning names the waiters. If ctx ends before, it returns the error of
// [waitqueue.ContextErr].
//
// It looks eight times in the time of after, so it may notice a stuck waiter an eighth of that
// time later. An after of 0 or less stands for 120 seconds. A sleep with a context that can end
// is not in state D, so it is never stuck. The recorder must run.
//
// Kernel: khungtaskd
//
// Differs: writes once, and returns.
func (f *FlightRecorder) DumpWhenStuck(ctx context.Context, after time.Duration, w io.Writer) error {
	if after <= 0 {
		after = 120 * time.Second
	}
	ticker := time.NewTicker(max(1, after/8))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return waitqueue.ContextErr(ctx)
		case <-ticker.C:
		}
		if comment := the.stuck(after); comment != "" {
			_, err := w.Write(f.text(comment))
			return err
		}
	}
}

// stuck returns a comment with a line for each waiter that is stuck.
func (r *tracer) stuck(after time.Duration) (comment string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.all() {
		for _, s := range r.sleeps {
			slept := time.Duration(r.now() - s.began)
			if s.lane == l && s.isAsleep() && s.letter() == 'D' && slept > after {
				comment += fmt.Sprintf("# %s-%d is stuck at %q for %v\n", l.comm, l.pid, s.queue, slept.Truncate(time.Millisecond))
			}
		}
	}
	return comment
}
