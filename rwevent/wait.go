package rwevent

import (
	"context"
	"iter"

	"github.com/kprim/kprim/waitqueue"
)

// A Sleeper is a goroutine that can wait on a queue until cond is true or it is
// interrupted: a [waitqueue.Task], and so a kthread.Current.
//
// Kernel: current
//
// Differs: a Task or a kernel thread, which the caller names.
type Sleeper interface {
	// Wait blocks until cond returns true, which beats every interruption.
	//
	// Kernel: wait_event_interruptible
	Wait(q *waitqueue.Queue, cond func() bool) error

	// WaitExclusive is Wait for a waiter that takes something.
	//
	// Kernel: wait_event_interruptible_exclusive
	WaitExclusive(q *waitqueue.Queue, cond func() bool) error

	// Interrupted reports whether a Wait whose cond is false would return an error.
	//
	// Kernel: signal_pending
	Interrupted() bool
}

// A source is a Slot or a Table, as the waits see it.
type source[E any] interface {
	take() (e E, gen uint64, err error)              // errNone if the caller has to sleep
	newer(after uint64) (e E, gen uint64, err error) // as take
	ready(after uint64) bool                         // whether newer, or take for 0, has an answer
	count(after uint64) int                          // how many more events a loop may have after its end
	WaitQueue() *waitqueue.Queue
}

// wait is the loop of all waits. The end of ctx ends it; or the interruption of by, if that is
// not nil.
//
// The condition of the sleep only looks. Another taker may take the event between that look
// and take, and so has used the wake-up. Then the loop starts again, and looks before it
// sleeps.
//
// Optimization: it is one function, because after a switch each return from a function takes
// long. A function value for a Sleeper is allocated, and is smaller with s of type S than with
// an interface. So each case makes its own, and the cases with a context need not pay.
func wait[E any, S source[E]](s S, ctx context.Context, by Sleeper, take bool, after uint64) (event E, gen uint64, err error) {
	for q := s.WaitQueue(); ; {
		if take {
			event, gen, err = s.take()
		} else {
			event, gen, err = s.newer(after)
		}
		if err != errNone {
			return event, gen, err
		}
		switch {
		case by == nil && take:
			err = q.WaitExclusive(ctx, func() bool { return s.ready(after) })
		case by == nil:
			err = q.Wait(ctx, func() bool { return s.ready(after) })
		case take:
			err = by.WaitExclusive(q, func() bool { return s.ready(after) })
		default:
			err = by.Wait(q, func() bool { return s.ready(after) })
		}
		if err != nil {
			return event, 0, own(err)
		}
	}
}

// each returns the sequence of all loop forms. Each pass tells ends how it went. Passes at the
// same time share nothing else.
func each[E any, S source[E]](s S, ctx context.Context, by Sleeper, take bool, ends []*error) iter.Seq2[E, uint64] {
	return func(yield func(E, uint64) bool) {
		tell(ends, nil) // the body may panic, and an earlier pass may have told an error
		tell(ends, pass(s, ctx, by, take, yield))
	}
}

// values returns the sequence without the generations.
func values[E any](events iter.Seq2[E, uint64]) iter.Seq[E] {
	return func(yield func(E) bool) {
		events(func(e E, _ uint64) bool { return yield(e) })
	}
}

// tell passes over a nil pointer, which a caller gives that does not want to know.
func tell(ends []*error, err error) {
	for _, end := range ends {
		if end != nil {
			*end = err
		}
	}
}

// pass returns the error that has ended the loop, or nil if the body has.
func pass[E any, S source[E]](s S, ctx context.Context, by Sleeper, take bool, yield func(E, uint64) bool) error {
	var after uint64
	for left := -1; ; left-- { // below zero if nothing has ended the loop
		// Asked before the look. With the other order, this could happen:
		//	loop: look, find event 1
		//	poster: post event 2, end ctx
		//	loop: find ctx ended, and end without event 2
		ended := over(s.WaitQueue(), ctx, by)
		switch {
		case ended == nil:
			left = -1 // again, if the body has flushed a signal
		case left < 0:
			left = s.count(after)
		}
		if left == 0 {
			if _, _, err := s.newer(after); err == errClosed {
				return err // beats the end of ctx, as in wait
			}
			return ended
		}
		event, gen, err := wait(s, ctx, by, take, after)
		if err != nil {
			return err
		}
		if !take {
			after = gen
		}
		if !yield(event, gen) {
			return nil
		}
	}
}

// over returns the error that a wait would get now instead of a sleep, or nil if it would
// sleep. The condition is true if the interruption is over meanwhile, so nothing sleeps
// here.
func over(q *waitqueue.Queue, ctx context.Context, by Sleeper) error {
	var err error
	if by == nil {
		err = waitqueue.ContextErr(ctx)
	} else if by.Interrupted() {
		err = by.Wait(q, func() bool { return !by.Interrupted() })
	}
	if err != nil {
		return own(err)
	}
	return nil
}
