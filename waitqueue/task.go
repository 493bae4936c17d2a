package waitqueue

import (
	"context"
	"sync"
	"time"
)

// A State says whether a task runs or how it sleeps. States are bits, so that
// a set of them is a mask. The zero value is Running.
//
// Kernel: TASK_RUNNING, TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE, TASK_NORMAL
type State uint32

const (
	Running         State = 0      // awake
	Interruptible   State = 1 << 0 // an interrupt ends the sleep
	Uninterruptible State = 1 << 1 // only a wake-up ends it

	Normal = Interruptible | Uninterruptible // the mask of an ordinary wake-up
)

// String returns the letter that ps(1) shows for s: R, S or D.
func (s State) String() string {
	switch s {
	case Running:
		return "R"
	case Interruptible:
		return "S"
	}
	return "D"
}

// A Task represents a goroutine that sleeps and is woken. Its own
// goroutine calls SetState, Schedule, ScheduleTimeout, Wait and WaitExclusive;
// anybody may call the other methods. A Task sleeps at one place, which both
// wake-ups and interrupts reach, so that its own Wait allocates nothing.
//
// The zero value is a running task. A Task must not be copied after first use.
//
// Kernel: struct task_struct, as far as sleeping goes
type Task struct {
	mu          sync.Mutex
	state       State     // guarded by mu
	interrupted bool      // guarded by mu
	parked      sync.Cond // the place to sleep; L is &mu
	own         Entry     // of the task's own Wait; of its goroutine only
	waiting     bool      // own is in use; of its goroutine only

	// The task of a plain wait lives for that wait only, and sleeps in a
	// select. Both are written before anybody else can see the task.
	ctx  context.Context
	kick chan struct{} // buffered, 1: a wake-up not yet acted on
}

// SetState announces how the task is about to sleep, or that it is not. From
// then on a wake-up with a mask that contains s sets it back to Running. Test
// the condition after this call and before Schedule.
//
// Kernel: set_current_state, __set_current_state
func (t *Task) SetState(s State) {
	t.mu.Lock()
	t.state = s
	t.mu.Unlock()
}

// State returns the state that the task is in now. It is stale when it
// returns, unless something keeps the task asleep.
//
// Kernel: task_struct.__state, task_state_to_char
func (t *Task) State() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// Schedule sleeps until the task is Running, and returns with it Running. It
// returns at once if the task is not about to sleep, and if the announced
// sleep is Interruptible and an interrupt is set. It may return with nothing
// changed: always test the condition again.
//
// Kernel: schedule
func (t *Task) Schedule() {
	if t.kick != nil {
		select {
		case <-t.kick:
		case <-t.ctx.Done():
		}
		t.SetState(Running)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parked.L = &t.mu
	for t.state != Running && !(t.interrupted && t.state&Interruptible != 0) {
		t.parked.Wait()
	}
	t.state = Running
}

// ScheduleTimeout is Schedule for at most d. It returns how much of d is left:
// 0 if all of it has passed, more if the task was woken or interrupted before.
// If d is 0 or less it does not sleep.
//
// Kernel: schedule_timeout
//
// Differs: takes and returns a [time.Duration], not jiffies; does not sleep to the next tick for a d of 0.
func (t *Task) ScheduleTimeout(d time.Duration) time.Duration {
	if d <= 0 {
		t.SetState(Running)
		return 0
	}
	start := time.Now()
	// A timer that fires as it is stopped wakes a later sleep for nothing,
	// which every sleeper has to expect anyway.
	timer := time.AfterFunc(d, func() { t.WakeUp(Normal) })
	t.Schedule()
	timer.Stop()
	return max(0, d-time.Since(start))
}

// WakeUp makes the task run if it sleeps, or has announced to sleep, in a
// state of mask. It reports whether it did. [Normal] is the usual mask.
//
// Kernel: wake_up_process, wake_up_state, try_to_wake_up
func (t *Task) WakeUp(mask State) bool {
	t.mu.Lock()
	if t.state&mask == 0 {
		t.mu.Unlock()
		return false
	}
	t.state = Running
	t.mu.Unlock()

	// The sleeper tests state and takes its place in parked with mu held all
	// the while, so this finds it there or it has seen the new state.
	if t.kick == nil {
		t.parked.Signal()
		return true
	}
	// Never blocks: each sleep that was announced is undone once, and the
	// sleeper takes what undid it before it announces another.
	t.kick <- struct{}{}
	return true
}

// Interrupt ends the task's interruptible sleeps, this one and every later
// one, until ClearInterrupt. It is a level, not an event.
//
// Kernel: signal_wake_up, TIF_SIGPENDING
func (t *Task) Interrupt() {
	t.mu.Lock()
	t.interrupted = true
	t.mu.Unlock()
	t.WakeUp(Interruptible)
}

// ClearInterrupt lets the task sleep again. Whoever has several reasons to
// interrupt a task must hold a lock over the test that none is left and this
// call, or it wipes out a reason that has just come.
//
// Kernel: clear_thread_flag(TIF_SIGPENDING), recalc_sigpending
func (t *Task) ClearInterrupt() {
	t.mu.Lock()
	t.interrupted = false
	t.mu.Unlock()
}

// Interrupted reports whether an interrupt is set.
//
// Kernel: signal_pending
func (t *Task) Interrupted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.interrupted
}

// Wait blocks until cond returns true or the task is interrupted. It is
// [Queue.Wait] with the task's interrupt in the place of a context, and it
// allocates nothing. If an interrupt is set and cond is false, it returns an
// error that matches [syscall.EINTR].
//
// Kernel: wait_event_interruptible
func (t *Task) Wait(q *Queue, cond func() bool) error {
	return t.wait(q, false, cond)
}

// WaitExclusive is [Queue.WaitExclusive] in the same way.
//
// Kernel: wait_event_interruptible_exclusive
func (t *Task) WaitExclusive(q *Queue, cond func() bool) error {
	return t.wait(q, true, cond)
}

func (t *Task) wait(q *Queue, exclusive bool, cond func() bool) error {
	err := t.interruption()
	if cond() {
		return nil
	}
	if err != nil {
		return err
	}
	if t.waiting { // a condition that waits itself
		return q.wait(t, new(Entry), Interruptible, exclusive, cond)
	}
	t.waiting = true
	defer func() { t.waiting = false }()
	return q.wait(t, &t.own, Interruptible, exclusive, cond)
}

// interruption returns the error of a wait that has to end now, or nil.
func (t *Task) interruption() error {
	if t.ctx != nil {
		return ContextErr(t.ctx)
	}
	if t.Interrupted() {
		return errInterrupted
	}
	return nil
}

// A sleeper is the task and entry of one plain wait.
type sleeper struct {
	task  Task
	entry Entry
	state State
}

// newSleeper makes the sleeper of a wait that ctx may end. Its channel is made
// here, on the waiter's goroutine, so that it belongs to the waiter's bubble.
func newSleeper(ctx context.Context) *sleeper {
	w := &sleeper{state: Uninterruptible}
	if ctx.Done() != nil {
		w.state = Interruptible
		w.task.ctx = ctx
		w.task.kick = make(chan struct{}, 1)
	}
	return w
}
