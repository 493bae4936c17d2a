// Package view shows the inside of the wait queues to the tests and tools of this
// module. No other module can import it.
//
// Package waitqueue sets the functions at its start. A program that calls none of
// them pays nothing for them.
package view

// An Entry is the state of one entry of a wait queue.
type Entry struct {
	ID        any // the *waitqueue.Entry
	Task      any // its *waitqueue.Task; nil for a wait that a context can end
	State     uint32
	Exclusive bool
	Priority  bool
	Queued    bool
	Stays     bool // a wake-up leaves it on the queue
}

var (
	// Queue returns the entries of a *waitqueue.Queue, in the order of a walk.
	Queue func(queue any) []Entry

	// Of returns the state of a *waitqueue.Entry.
	Of func(entry any) Entry

	// Woken returns the latch of a *waitqueue.WokenEntry.
	Woken func(entry any) bool

	// Tokens returns the number of tokens of a *waitqueue.Completion.
	Tokens func(completion any) uint32
)
