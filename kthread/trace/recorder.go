package trace

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unsafe"

	"github.com/kprim/kprim/waitqueue"
)

// A FlightRecorder keeps the last moments of the program in memory. [FlightRecorder.WriteTo]
// writes them as a trace, when something has gone wrong. One recorder at a time can run. The zero
// value is ready to use.
//
// Any goroutine may call the methods. A recorder in a bubble of testing/synctest must be stopped
// there. MaxBytes does not count the names of marks and queues, of which 100 bytes are kept. It
// does not count the records of threads that have ended either.
//
// Kernel: /sys/kernel/tracing/snapshot
type FlightRecorder struct {
	Keep     time.Duration // how far back WriteTo goes; 0 or less stands for ten seconds
	MaxBytes int           // of memory, from Start on; 0 or less stands for 4 MiB

	// Guarded by the tracer's mu.
	ring []event
	next int // where the next event goes
	full bool
	base int64

	ended          int64   // the time of Stop
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
	f.ended, f.scene, f.reasons = 0, nil, nil
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
		f.ended, f.scene, f.reasons = the.time(), the.scene(), the.reasons()
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
	return write(w, f.text(""))
}

// write writes text. A Writer that takes less, and returns no error, has one all the same.
func write(w io.Writer, text []byte) (n int64, err error) {
	written, err := w.Write(text)
	if err == nil && written < len(text) {
		err = io.ErrShortWrite
	}
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
	events, scene, reasons, end, base := f.copied()
	if scene == nil && len(events) == 0 {
		return nil, base
	}
	keep := f.Keep
	if keep <= 0 {
		keep = 10 * time.Second
	}
	for len(events) > 0 && events[0].at < end-int64(keep) {
		events = events[1:]
	}
	if len(events) == 0 {
		events = []event{{at: end, kind: loss}} // the time of the scene
	}
	return closed(opened(events, scene...), reasons), base
}

// copied returns the contents of the recorder, and the time at which it ended, or now.
func (f *FlightRecorder) copied() (events, scene, reasons []event, end, base int64) {
	the.mu.Lock()
	defer the.mu.Unlock()
	if f.full {
		events = append(events, f.ring[f.next:]...)
	}
	events = append(events, f.ring[:f.next]...)
	if the.recorder == f {
		return events, the.scene(), the.reasons(), the.time(), f.base
	}
	return events, f.scene, f.reasons, f.ended, f.base
}

// closed returns the events, and after them others that say where the lanes still
// sleep.
func closed(events, reasons []event) []event {
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
	case l == e.actor && e.first:
		return nil // another lane may have had its CPU before
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
			events = append(events, event{kind: reason, actor: s.lane, text: cut(s.queue)})
		}
	}
	slices.SortFunc(events, func(a, b event) int { return a.actor.pid - b.actor.pid })
	return events
}

// DumpOnPanic writes the last moments to w if the calling function panics. The panic goes on,
// also if w fails or panics. Defer it:
//
//	defer recorder.DumpOnPanic(os.Stderr)
func (f *FlightRecorder) DumpOnPanic(w io.Writer) {
	if r := recover(); r != nil {
		defer panic(r)
		_, _ = w.Write(f.text(fmt.Sprintf("# panic: %s\n", oneLine(fmt.Sprint(r)))))
	}
}

// oneLine returns the text of a panic's value, as a part of a comment. Readers of a trace bound
// the length of a line.
func oneLine(text string) string {
	const size = 1000
	if len(text) > size {
		text = text[:size] + "..."
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// DumpWhenStuck waits until a waiter has slept uninterruptibly, in state D, for longer than
// after. Then it writes the last moments to w, and returns nil or the error of w. A comment at
// their beginning names the waiters. If ctx ends before, it returns the error of
// [waitqueue.ContextErr].
//
// It looks eight times within the duration after, so it notices a stuck waiter up to
// after/8 too late. An after of 0 or less stands for 120 seconds. A sleep with a context that can
// end is not in state D, so it is never stuck. The recorder must run.
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
			_, err := write(w, f.text(comment))
			return err
		}
	}
}

// stuck returns a comment with a line for each waiter that is stuck.
func (r *tracer) stuck(after time.Duration) (comment string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.time()
	var stuck []*sleep
	for _, s := range r.sleeps {
		if s.isAsleep() && s.letter() == 'D' && now-s.began > int64(after) {
			stuck = append(stuck, s)
		}
	}
	slices.SortFunc(stuck, func(a, b *sleep) int { return a.lane.pid - b.lane.pid })
	for _, s := range stuck {
		slept := time.Duration(now - s.began).Truncate(time.Millisecond)
		comment += fmt.Sprintf("# %s-%d is stuck at %q for %v\n", s.lane.comm, s.lane.pid, cut(s.queue), slept)
	}
	return comment
}
