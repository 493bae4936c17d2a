package waitqueue

import "github.com/kprim/kprim/internal/watch"

// A tracer is told of each sleep and of each wake-up: see package watch. These functions run
// only while there is one.

func init() {
	watch.Woken = func(task any) { task.(*Task).word.Add(wakeUp) }
}

// sleeper is the name that a tracer knows the waiter by.
func (e *Entry) sleeper() any {
	if e.Task != nil {
		return e.Task
	}
	return e.kick
}

// tellOfAnnouncement tells that the waiter of e is about to sleep on q. No waker can find it
// yet: a wake-up is told behind the sleep that it ends.
func (q *Queue) tellOfAnnouncement(e *Entry) {
	on := watch.On()
	if on == nil {
		return
	}
	name := ""
	if e.Task != nil {
		name = e.Task.Name
	}
	on.Announce(e.sleeper(), name, q.Name, uint32(e.state))
}

// tellOfEnd tells that a wait is over.
func (e *Entry) tellOfEnd() { watch.Over(e.sleeper()) }

// setStateWatched is SetState while there may be a tracer. It tells of an announcement before
// a waker can find it, and of the end of a sleep.
func (t *Task) setStateWatched(s State) {
	on := watch.On()
	switch {
	case on == nil:
		t.setState(s)
	case s != Running:
		on.Announce(t, t.Name, t.place(), uint32(s))
		t.setState(s)
	case t.waiting:
		t.setState(s)
		on.Awake(t)
	default: // a loop that is written out does not tell when it is over
		t.setState(s)
		on.Over(t)
	}
}

// tellOfPlace tells of a queue on which the task was put after it had announced its sleep.
func (t *Task) tellOfPlace() { watch.Place(t, t.place()) }

// claimWatched is claim while there may be a tracer.
func (t *Task) claimWatched(mask State, flag uint64) bool {
	on := watch.On()
	if on == nil {
		return t.take(mask, flag)
	}
	on.Hold()
	defer on.Release()
	claimed := t.take(mask, flag)
	if claimed {
		on.Wake(t)
	}
	return claimed
}

// expire is WakeUp by a timer.
func (t *Task) expire() {
	watch.Idle(func() { t.WakeUp(Normal) })
}
