package kthread

import (
	"context"
	"syscall"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
)

var (
	errParkExited = &failure{"park: the thread is gone", syscall.ENOSYS}
	errParkTwice  = &failure{"park: asked for already", syscall.EBUSY}
	errUnparked   = &failure{"unparked or stopped before it parked", syscall.EINTR}
	errParkAsked  = &failure{"asked to park", syscall.EINTR}
)

// Park asks the thread to park, and waits until it sleeps in
// [Current.ParkMe] or ctx ends. Nothing but Unpark, or a stop, lets it go on.
// If the thread has not run yet, it parks before its function is called.
//
// The request wakes a sleeping thread as a [Thread.WakeUp] does, and makes
// [Current.Sleep] end. A condition of a wait must ask for [Current.ShouldPark]
// itself.
//
// The error matches:
//
//   - [syscall.ENOSYS] if the thread is gone, or ends without having parked;
//   - [syscall.EBUSY] if it is asked to park already;
//   - EINTR if it is unparked or asked to stop before it parks.
//
// If ctx ends, the error is as from [Thread.Wait], and the request stands. If
// the thread itself calls Park, it returns nil at once, and the thread parks at
// its next ParkMe.
//
// Kernel: kthread_park
//
// Differs: the kernel's wait cannot be ended, and lasts for ever if the thread does not park.
//
// Differs: a park that is withdrawn, by Unpark, a stop or the end of the thread, gets an error. There its parker hangs, or gets the answer to the next park.
//
// Differs: a park after a stop is refused. There it parks a thread that should stop.
func (t *Thread) Park(ctx context.Context) error {
	p := newReply() // for this request only: it must not get the answer to another
	if err := t.askPark(p); err != nil {
		return err
	}
	if t.isCaller() {
		return nil
	}
	point.At("park is asked", t)
	t.WakeUp()
	return p.wait(ctx)
}

// askPark makes ShouldPark true. It refuses if the thread has exited: its exit
// may have answered the requests already. It also refuses if a stop is asked:
// the stop's Unpark may have run already, so nothing would ever unpark a thread
// that parks on its way out.
func (t *Thread) askPark(p *reply) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.exited:
		return errParkExited
	case t.stop.Load() != nil: // a stop that sets it later finds this request
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
	// Take the request back before the wake-up. A thread that is woken first
	// finds the request and parks again.
	if p := t.parking.Swap(nil); p != nil {
		p.answer(errUnparked)
		point.At("park is taken back", t)
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
		// Set the state, then look: an Unpark after the look finds the state
		// and undoes it. Answer last: a caller of Park must find the thread
		// parked.
		t.task.SetState(waitqueue.Parked)
		p := t.parking.Load()
		point.At("looked", t)
		if p == nil {
			break
		}
		p.answer(nil)
		point.At("answered", t)
		t.task.Schedule()
	}
	t.task.SetState(waitqueue.Running)
}
