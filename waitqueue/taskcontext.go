package waitqueue

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"weak"
)

// WithTask returns a copy of ctx that carries a [Task], for a goroutine that waits
// with one context again and again. The waits of Queue, Cond and Completion, and of
// packages that are built on them, find the task in the copy. They sleep at the
// task's place and allocate nothing. Their errors are the same as with ctx. The task
// gets the name.
//
// One wait at a time has the task. These waits go the usual way, with the same
// results:
//
//   - a wait while another one has the task
//   - a wait with a context that was made from the copy
//   - WaitAny
//   - a wait after stop
//   - any wait, if ctx has a Done channel that package context has not made; with
//     [context.WithCancel] around ctx its waits have the task
//
// A copy costs as much time as it saves in about seven waits. Call stop when the loop
// is over. Until then ctx refers to a small part of the copy. If stop is never called,
// that lasts until ctx ends, or the garbage collector has found that the program has
// dropped the copy. Stop may be called at any time, by any goroutine, and again. WithTask
// and stop do not block.
//
// As with any context, the copy belongs to the bubble of testing/synctest in which it
// was made.
func WithTask(ctx context.Context, name string) (copy context.Context, stop func()) {
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
// An Interrupt of the task ends the wait that has it, and each later one, with an error
// that matches [syscall.EINTR], until ClearInterrupt. If ctx can not end, it has no
// effect. A WakeUp of the task makes [Cond.Wait] return nil, and any other wait test
// its condition.
//
// The methods Wait, SetState and Schedule of the task are for the goroutine that waits
// with ctx. No other goroutine may wait with ctx while it is in one of them.
func TaskOf(ctx context.Context) *Task {
	t, _ := ctx.Value(taskKey{}).(*Task)
	return t
}

type taskKey struct{}

// A taskContext is a context with a task for the waits that have it.
//
// Invariant: only the wait that has borrowed the task uses the fields of the task that
// are for its own goroutine. The next wait sees them as that wait left them, because use
// is atomic.
type taskContext struct {
	context.Context
	task   Task
	state  State         // how the task sleeps
	use    atomic.Uint32 // lent and stopped
	forget func() bool   // has Context forget the task; nil if it does not know it
}

// The bits of the use of a task.
const (
	lent    = 1 << iota // a wait has it
	stopped             // no other wait gets it
)

// listen has the end of the parent interrupt the task. It gives that up if the parent
// is a foreign one.
//
// The parent has a weak pointer: it may live much longer than a copy that was dropped
// without stop.
func (c *taskContext) listen() {
	carrier := weak.Make(c)
	parent := &parent{Context: c.Context}
	forget := context.AfterFunc(parent, func() {
		if c := carrier.Value(); c != nil {
			c.task.Interrupt()
		}
	})
	if parent.foreign {
		c.use.Store(stopped)
		return
	}
	c.forget = forget
	runtime.AddCleanup(c, func(forget func() bool) { forget() }, forget)
}

// A parent is a context that learns whether it is a foreign one: its Done channel is
// not of package context. Then [context.AfterFunc] calls the method AfterFunc, if there
// is one, and starts a goroutine otherwise.
//
// That goroutine would wait for a channel of its bubble. The cleanup, which runs
// outside, would close that channel, and so end the program.
type parent struct {
	context.Context
	foreign bool
}

func (p *parent) AfterFunc(func()) func() bool {
	p.foreign = true
	return func() bool { return true }
}

// stop has the parent forget the task. A wait that has the task at this moment needs to
// hear of the end of the parent. It has the parent forget when it gives the task back.
func (c *taskContext) stop() {
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

// giveBack ends a loan. If there is none, the task was in a Wait of its own.
func (c *taskContext) giveBack() {
	if !c.use.CompareAndSwap(lent, 0) && c.use.CompareAndSwap(lent|stopped, stopped) && c.forget != nil {
		c.forget()
	}
}

// interruption returns the error of a wait with c whose task was interrupted: by the
// end of c, or by a caller of Interrupt.
func (c *taskContext) interruption() error {
	over := false // looked up first: a context that has ended has an Err
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
// "context.Background.WithCancel.WithTask(worker S jobs)". Without it package fmt would
// read the fields, while others write them.
func (c *taskContext) String() string {
	parent := fmt.Sprintf("%T", c.Context)
	if s, ok := c.Context.(fmt.Stringer); ok {
		parent = s.String()
	}
	return parent + "." + words("WithTask", c.task.Name, c.task.State().String(), c.task.Wchan())
}
