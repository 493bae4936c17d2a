package trace

// A kind is the sort of an event.
type kind uint8

const (
	switchIn   kind = iota // actor runs; state is the one in which it slept, or 0
	switchOut              // actor sleeps in state
	wake                   // actor, or nil for none, wakes subject, which sleeps in state, or 0, at text
	reason                 // actor sleeps at text
	signal                 // actor sends signal n to subject; state is the result
	workBegins             // of actor; text is the function, n the number
	workEnds
	sliceBegins // of actor; text is the name
	sliceEnds
	instant
	counter // n is the value
	loss    // n events are lost here
)

// An event is a line of the text, or three for a wake-up.
type event struct {
	at             int64 // nanoseconds since the tracer began
	actor, subject *lane
	text           string
	n              int64
	kind           kind
	state          byte
	first          bool // the text has no event of actor before
}

// lines returns how many lines the event has. Each has a time of its own.
func (e *event) lines() int64 {
	switch {
	case e.kind == loss:
		return 0
	case e.kind != wake:
		return 1
	case e.text == "":
		return 2
	}
	return 3
}
