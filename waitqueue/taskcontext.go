package waitqueue

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"weak"

	"github.com/kprim/kprim/internal/watch"
)

// WithTask returns a copy of ctx that carries a [Task], for a goroutine that waits
// with one context again and again. Queue, Cond, Completion, and packages that are built
// on them find the task in the copy. Their waits sleep at the place of the task and
// allocate nothing. Their errors are the same as with ctx. The task gets the name.
//
// One wait at a time has the task. These waits go the usual way, with the same
// results:
//
//   - a wait while another one has the task
//   - a wait with a context that was made from the copy
//   - WaitAny
//   - a wait after stop
//   - any wait, if ctx has a Done channel that package context has not made; give
//     WithTask the result of [context.WithCancel] for ctx in that case
//
// A copy takes as much time as five to ten waits with it save. Call stop when the loop is
// over. Until then ctx keeps a small record of the copy. If stop is never called, ctx
// drops the record when it ends, or when the garbage collector has freed the copy. Stop
// may be called at any time, by any goroutine, and again. WithTask and stop do not block.
// WithTask panics if ctx is nil.
//
// The copy belongs to the bubble of testing/synctest in which it was made. The end of ctx
// wakes the waiter, so it must come from inside that bubble, also if a plain wait with ctx
// would not need that.
func WithTask(ctx context.Context, name string) (copy context.Context, stop func()) {
	if ctx == nil {
		panic("waitqueue: WithTask of a nil context")
	}
	c := &taskContext{Context: ctx, state: Uninterruptible}
	c.task.Name, c.task.carrier = name, c
	if ctx.Done() != nil {
		c.state = Interruptible
		c.listen()
	}
	return c, c.stop
}

// TaskOf returns the task that [WithTask] gave to ctx, or to a context that ctx was
// made from. If there is none, it returns nil. Any goroutine may look at the task: its
// state shows how the wait that has it sleeps. A wait that goes the usual way leaves it
// Running.
//
// An Interrupt of the task ends the wait that has it, and each later one until
// ClearInterrupt. The error matches [syscall.EINTR]. If ctx cannot end, an Interrupt has
// no effect on these waits. A WakeUp of the task makes [Cond.Wait] return nil, and makes
// any other wait test its condition.
//
// The methods Wait, SetState and Schedule of the task are for the goroutine that waits
// with ctx. No other goroutine may wait with ctx while it is in one of them. The end of
// ctx interrupts the task, so it ends a Wait of the task too, with the error of an
// Interrupt. After stop it does not. It does not either if all waits with ctx go the
// usual way.
func TaskOf(ctx context.Context) *Task {
	t, _ := ctx.Value(taskKey{}).(*Task)
	return t
}

type taskKey struct{}

// A taskContext is a context with a task for the waits that have it.
//
// Invariant: some fields of a task are only for its own goroutine. Here only the wait that
// has borrowed the task uses them. The next wait sees the values that this wait has left,
// because use is atomic.
type taskContext struct {
	context.Context
	task   Task
	state  State         // how the task sleeps
	use    atomic.Uint32 // lent and stopped
	forget func() bool   // ends the AfterFunc of Context; nil if there is none
}

// The bits of the use of a task.
const (
	lent    = 1 << iota // a wait has the task
	stopped             // no later wait gets the task
)

// listen makes the end of the parent interrupt the task. If the parent is a foreign one, no
// wait gets the task.
//
// The parent has a weak pointer to the copy, because it may live much longer than a copy that
// was dropped without stop.
func (c *taskContext) listen() {
	carrier := weak.Make(c)
	parent := &parent{Context: c.Context}
	forget := context.AfterFunc(parent, func() {
		watch.Idle(func() {
			if c := carrier.Value(); c != nil {
				c.task.Interrupt()
			}
		})
	})
	if parent.foreign {
		c.use.Store(stopped)
		return
	}
	c.forget = forget
	runtime.AddCleanup(c, func(forget func() bool) { forget() }, forget)
}

// A parent finds out whether its Context is a foreign one, which has a Done channel that
// package context has not made. For a foreign context [context.AfterFunc] calls the method
// AfterFunc, if there is one. Without that method it starts a goroutine.
//
// That goroutine would wait for a channel of its bubble. The cleanup of a dropped copy runs
// outside the bubble and would close that channel, which ends the program.
type parent struct {
	context.Context
	foreign bool
}

func (p *parent) AfterFunc(func()) func() bool {
	p.foreign = true
	return func() bool { return true }
}

// Err returns an error for a context whose Done channel is closed and whose Err is nil.
// Without an Err package context panics in WithTask, though no wait has to sleep. It
// calls Err only if Done is closed.
func (p *parent) Err() error { return cmp.Or(p.Context.Err(), errNoErr) }

// stop ends the AfterFunc of the parent. If a wait has the task at this moment, the end of
// the parent must still reach it. That wait ends the AfterFunc when it gives the task back.
func (c *taskContext) stop() {
	watch.Forget(&c.task)
	if c.use.Or(stopped) == 0 && c.forget != nil {
		c.forget()
	}
}

// borrow takes the task for one wait, and reports whether it was free. giveBack ends the
// loan.
func (c *taskContext) borrow() bool {
	if !c.use.CompareAndSwap(0, lent) {
		return false
	}
	if c.task.waiting { // in a Wait of its own, whose condition waits with c
		c.giveBack()
		return false
	}
	return true
}

// giveBack ends a loan. After a Wait of the task itself there is no loan, and it does
// nothing.
func (c *taskContext) giveBack() {
	if !c.use.CompareAndSwap(lent, 0) && c.use.CompareAndSwap(lent|stopped, stopped) && c.forget != nil {
		c.forget()
	}
}

// interruption returns the error of a wait with c whose task was interrupted: by the
// end of c, or by a caller of Interrupt.
func (c *taskContext) interruption() error {
	// Done before Err: the context may end between the two looks. With the other order a
	// context with an Err would look like a broken one.
	over := false
	select {
	case <-c.Done():
		over = true
	default:
	}
	err := ContextErr(c)
	if err == nil && over {
		return errNoErr
	}
	if err == nil {
		return errInterrupted
	}
	return err
}

func (c *taskContext) Value(key any) any {
	if key == (taskKey{}) {
		return &c.task
	}
	return c.Context.Value(key)
}

// String returns the text of the parent and of the task, as in
// "context.Background.WithCancel.WithTask(worker S jobs)". Without this method package fmt
// would read the fields while other goroutines write them.
func (c *taskContext) String() string {
	parent := fmt.Sprintf("%T", c.Context)
	if s, ok := c.Context.(fmt.Stringer); ok {
		parent = s.String()
	}
	return parent + "." + words("WithTask", c.task.Name, c.task.State().String(), c.task.Wchan())
}
