package waitqueue

import (
	"sync/atomic"
	"time"

	"github.com/kprim/kprim/internal/point"
)

// A WokenEntry is an [Entry] that remembers a wake-up. Its loop may test the
// condition, and anything else, before it announces a sleep: a wake-up meanwhile
// makes the next Wait return at once. Several wake-ups count as one.
//
//	e := waitqueue.NewWokenEntry(task)
//	q.Add(&e.Entry)
//	for !ready.Load() {
//		e.Wait(waitqueue.Interruptible, time.Second, nil)
//	}
//	q.Remove(&e.Entry)
//
// Make it with [NewWokenEntry]; Wait panics for the zero value and for a copy. One
// goroutine calls Wait: the one that the task stands for. Others may wake the queue at
// any time.
//
// Kernel: WQ_FLAG_WOKEN
type WokenEntry struct {
	Entry

	woken atomic.Bool
	self  *WokenEntry // the entry itself, except in a copy, which Wait must not use
}

// NewWokenEntry returns an entry for t that is on no queue.
//
// Kernel: woken_wake_function
func NewWokenEntry(t *Task) *WokenEntry {
	e := &WokenEntry{Entry: Entry{Task: t}}
	e.Func, e.self = e.wake, e
	return e
}

// wake is the wake function. It remembers the wake-up first. With the other order
// that wake-up is lost:
//
//	waker: the task is awake, so wake nobody
//	waiter: announce the sleep, find nothing remembered, sleep
//	waker: remember the wake-up
func (e *WokenEntry) wake(_ *Entry, mask State, _ any) int {
	e.woken.Store(true)
	point.At("remembered", &e.Entry)
	if e.Task.WakeUp(mask) {
		return 1
	}
	return 0
}

// Wait sleeps in state s for at most d, and forgets the wake-ups that were
// remembered. It returns how much of d is left, as [Task.ScheduleTimeout] does.
//
// It does not sleep if a wake-up is remembered, if s is interruptible and the task
// is interrupted, or if unless returns true. unless may be nil. It is called when
// the sleep is announced.
//
// Kernel: wait_woken
//
// Differs: unless stands for kthread_should_stop, which package kthread has.
func (e *WokenEntry) Wait(s State, d time.Duration, unless func() bool) time.Duration {
	if e.self != e {
		panic("waitqueue: a WokenEntry that NewWokenEntry has not made, or a copy of one")
	}
	// Announce the sleep, then look: a wake-up after the look undoes the sleep.
	e.Task.SetState(s)
	if !e.woken.Load() && (unless == nil || !unless()) {
		d = e.Task.ScheduleTimeout(d)
	}
	e.Task.SetState(Running)
	e.woken.Store(false)
	return d
}
