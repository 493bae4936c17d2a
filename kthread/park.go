package kthread

import (
	"context"
	"fmt"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

var (
	errParkExited = fmt.Errorf("kthread: park: the thread is gone: %w", syscall.ENOSYS)
	errParkTwice  = fmt.Errorf("kthread: park: asked for already: %w", syscall.EBUSY)
	errUnparked   = fmt.Errorf("kthread: unparked or stopped before it parked: %w", syscall.EINTR)
	errParkAsked  = fmt.Errorf("kthread: asked to park: %w", syscall.EINTR)
)

// Park asks the thread to park, and waits until it sleeps in
// [Current.ParkMe] or ctx ends. Nothing but Unpark, or a stop, lets it go on.
// If the thread has not run yet, it parks before its function is called. The
// request wakes a sleeping thread as a [Thread.WakeUp] does, and makes
// [Current.Sleep] end, so a condition that is waited for must ask for
// [Current.ShouldPark] too.
//
// The error matches [syscall.ENOSYS] if the thread is gone, or ends without
// having parked; [syscall.EBUSY] if it is asked to park already; and EINTR if it
// is unparked or asked to stop before it parks. If ctx ends, the error is that of
// [waitqueue.ContextErr], and the request stands. Called by the thread itself,
// Park returns nil at once: it parks at its next ParkMe.
//
// Kernel: kthread_park
//
// Differs: the kernel's wait cannot be ended, and lasts for ever if the thread does not park.
func (t *Thread) Park(ctx context.Context) error {
	p := newReply() // a request of its own: it must not get what was meant for another
	if err := t.askPark(p); err != nil {
		return err
	}
	if t.isCaller() {
		return nil
	}
	at("park is asked")
	t.WakeUp()
	return p.wait(ctx)
}

// askPark makes ShouldPark true. A thread that exits answers what it finds, so
// it must not be gone already. Nor may a stop have been asked: what takes back a
// request for the stop's sake has run or will not find this one, and a thread
// that looks for a park first would park on its way out.
func (t *Thread) askPark(p *reply) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.exited:
		return errParkExited
	case t.stop.Load(): // set later, its Unpark comes after this section
		return errUnparked
	case t.parking.Load() != nil:
		return errParkTwice
	}
	t.parking.Store(p)
	return nil
}

// Unpark takes back the request to park. A parked thread goes on. If there is
// no request, it does nothing.
//
// Kernel: kthread_unpark
func (t *Thread) Unpark() {
	// Taken back before the thread is woken, or it would park again.
	if p := t.parking.Swap(nil); p != nil {
		p.answer(errUnparked)
		at("park is taken back")
		t.task.WakeUp(waitqueue.Parked)
	}
}

// ShouldPark reports whether the thread is asked to park. It costs one atomic
// load.
//
// Kernel: kthread_should_park
func (cur *Current) ShouldPark() bool { return cur.t.parking.Load() != nil }

// ParkMe parks the thread if that is asked, and returns when it has been
// unparked or asked to stop. Wake-ups and signals do not end it.
//
// Kernel: kthread_parkme
func (cur *Current) ParkMe() { cur.t.parkMe() }

func (t *Thread) parkMe() {
	for {
		// The state first, then the look: an Unpark that comes after the look
		// finds the state and undoes it. And the answer last, so that whoever
		// gets it finds the thread parked.
		t.task.SetState(waitqueue.Parked)
		p := t.parking.Load()
		at("looked")
		if p == nil {
			break
		}
		p.answer(nil)
		at("answered")
		t.task.Schedule()
	}
	t.task.SetState(waitqueue.Running)
}
