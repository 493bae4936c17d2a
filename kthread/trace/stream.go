package trace

import (
	"errors"
	"io"
)

// A stream is a trace that is written while it runs.
//
// The events wait in a buffer until the stream's goroutine writes them. If the buffer is full,
// the next events are counted and lost. So a slow Writer delays no thread, and uses no more
// memory.
type stream struct {
	w    io.Writer
	base int64
	err  error // the first one of w

	panicked any // by w, on the stream's goroutine

	// Guarded by the tracer's mu.
	events, spare []event
	lost          int64

	// more tells the goroutine that there is something to write. It is closed at the end. In
	// a bubble of testing/synctest it is nil, and there is no goroutine: that would keep the
	// bubble from noticing that it hangs.
	more chan struct{}
	done chan struct{}
}

const (
	streamSize = 1 << 16        // events
	streamLow  = streamSize / 8 // as many wake the goroutine
)

func newStream(w io.Writer, base int64, virtual bool) *stream {
	s := &stream{w: w, base: base}
	if !virtual {
		s.events, s.spare = make([]event, 0, streamSize), make([]event, 0, streamSize)
		s.more, s.done = make(chan struct{}, 1), make(chan struct{})
		go s.run()
	}
	return s
}

// add appends e. The caller holds the tracer's mu.
func (s *stream) add(e event) {
	if len(s.events) >= streamSize-1 { // there is room for the loss
		s.lost++
		return
	}
	if s.lost > 0 {
		s.events = append(s.events, event{kind: loss, n: s.lost})
		s.lost = 0
	}
	s.events = append(s.events, e)
	if s.more != nil && len(s.events) >= streamLow {
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
}

func (s *stream) run() {
	defer close(s.done)
	defer func() { s.panicked = recover() }()
	s.write([]byte(header))
	for range s.more {
		s.flush()
	}
}

// flush writes the events of the buffer.
func (s *stream) flush() {
	the.mu.Lock()
	events := s.events
	s.events = s.spare[:0]
	the.mu.Unlock()
	w := writer{base: s.base}
	for i := range events {
		w.write(&events[i])
		if len(w.text) > 1<<16 {
			s.write(w.text)
			w.text = w.text[:0]
		}
	}
	s.write(w.text)
	clear(events)
	s.spare = events
}

// errGone is the error of a Write that panicked, or ended its goroutine.
var errGone = errors.New("trace: a Write did not return")

// write writes text, unless w has failed before.
func (s *stream) write(text []byte) {
	if s.err == nil && len(text) > 0 {
		s.err = errGone
		_, s.err = write(s.w, text)
	}
}

// close writes the rest, or continues a panic of w. The stream gets no more events.
func (s *stream) close() error {
	if s.more == nil {
		s.write([]byte(header))
	} else {
		close(s.more)
		<-s.done
	}
	if s.lost > 0 {
		s.events = append(s.events, event{kind: loss, n: s.lost})
	}
	s.flush()
	if s.panicked != nil {
		panic(s.panicked)
	}
	return s.err
}
