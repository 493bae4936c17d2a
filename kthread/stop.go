package kthread

import (
	"context"
	"errors"
	"strings"

	"github.com/kprim/kprim/internal/point"
)

// AskStop asks the thread to stop, and does not wait. It is for several threads that
// stop side by side: ask each one, then wait for each one with [Thread.Wait] or
// [Thread.Stop]. It may be called any number of times, by any goroutine, also by the
// thread itself and when the thread is gone. Only the first stop counts, and its reason
// stays.
//
// If reason is nil, it is a plain stop, as Stop asks for. Otherwise each of these errors
// matches [ErrStopped] and the reason with [errors.Is]:
//
//   - the error of a sleep that the stop ends;
//   - the cause of the context of [Current.Context];
//   - the error of Stop and Wait, if the stop came before the function returned. If the
//     function returned an error of its own, the error matches that one too.
//
// The text of such an error has the text of the reason.
//
// Kernel: kthread_stop
//
// Differs: does not wait, and has a reason.
func (t *Thread) AskStop(reason error) {
	// The flag comes before the wake-up. The other order loses the stop:
	//	stopper: wake the thread
	//	thread: no stop is asked, so sleep
	//	stopper: set the flag
	t.stop.CompareAndSwap(nil, stopFor(reason))
	point.At("stop flag is set", t)
	// The context ends before the sleep, after which the thread looks at the cause. This takes
	// mu between the flag and the interrupt. So a Flush that has not seen the flag has cleared
	// its interrupt before.
	t.endContext()
	t.task.Interrupt()
	t.Unpark()
	point.At("unparked for the stop", t)
	t.WakeUp()
}

// stopFor returns the error of the sleeps that a stop for this reason ends.
func stopFor(reason error) *failure {
	if reason == nil {
		return errStopped
	}
	text := strings.TrimPrefix(reason.Error(), prefix)
	if !errors.Is(reason, ErrStopped) { // a stop of another thread says it already
		text = errStopped.text + ": " + text
	}
	return &failure{text, errors.Join(errStopped, reason)}
}

// endContext ends the context, if there is one, because a stop is asked. The thread does it
// too when it learns of the stop, for the stopper may be late:
//
//	stopper: set the flag
//	thread: a signal ends its sleep, and a stop is asked; look at the cause
//	stopper: end the context
func (t *Thread) endContext() {
	t.mu.Lock()
	cancel := t.cancel
	t.mu.Unlock()
	if cancel != nil {
		cancel(t.cause()) // which is the first reason, and need not be the caller's
	}
}

// cause returns the error of the sleeps that the stop ends, or nil if no stop is asked.
func (t *Thread) cause() error {
	if f := t.stop.Load(); f != nil {
		return f
	}
	return nil
}

// withReason adds the reason of the stop, if there is one, to the result of the thread.
func (t *Thread) withReason(result error) error {
	stop := t.stop.Load()
	switch {
	case stop == nil || stop == errStopped || errors.Is(result, stop):
		return result
	case result == nil:
		return stop
	}
	return withStop(result, stop)
}

// withStop adds a stop to an error. The result matches both.
func withStop(err error, stop *failure) error {
	text := strings.TrimPrefix(err.Error(), prefix)
	return &failure{text + " (" + stop.text + ")", errors.Join(err, stop)}
}

// Stopping returns a channel that is closed when the thread is asked to stop, for select
// statements of other goroutines. If no stop comes, the channel is closed when the
// thread ends, before the channel of [Thread.Done] is. It is the same channel at every
// call. As with Done, the first call makes it, and must be in the thread's own bubble.
func (t *Thread) Stopping() <-chan struct{} { return t.context().Done() }

// context returns the context of [Current.Context].
func (t *Thread) context() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx == nil {
		t.ctx, t.cancel = context.WithCancelCause(t.label.ctx)
	}
	if t.exited || t.stop.Load() != nil { // whose end of the context was too early, or is late
		t.cancel(t.cause())
	}
	return t.ctx
}

// StopWith ties the thread to ctx, as the thread of a component that ends with its
// parent. When ctx ends, the thread is asked to stop, as by [Thread.AskStop] with
// [context.Cause] of ctx as the reason. If ctx has ended already, StopWith asks at once.
// Otherwise the stop is asked on a goroutine of its own, as by [context.AfterFunc].
//
// After such a stop [Thread.Wait] and Stop return an error that has the reason, also if the
// function has returned nil. If a clean end is to give nil, wait for the end of ctx, and call
// Stop without StopWith.
//
// StopWith does not wait. It may be called with several contexts, and the first one that
// ends counts. When the thread is gone, nothing of it is left at ctx. Until then ctx
// keeps the thread's handle alive, also of a thread that never runs.
//
// The thread of a [Worker] can be tied too. The works that have not begun when ctx ends
// are dropped. To run them first, call [Worker.Destroy].
func (t *Thread) StopWith(ctx context.Context) {
	if ctx.Err() != nil {
		t.AskStop(context.Cause(ctx))
		return
	}
	untie := context.AfterFunc(ctx, func() { t.AskStop(context.Cause(ctx)) })
	point.At("tied", t)
	t.mu.Lock()
	exited := t.exited
	if !exited {
		t.ties = append(t.ties, untie)
	}
	t.mu.Unlock()
	if exited { // and its exit did not find untie
		untie()
	}
}
