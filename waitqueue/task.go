package waitqueue

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/watch"
)

// A State says whether a task runs or how it sleeps. States are bits, so that
// a set of them is a mask. The zero value is Running.
//
// Kernel: TASK_RUNNING, TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE, TASK_IDLE, TASK_PARKED, TASK_DEAD, TASK_NORMAL
//
// Differs: TASK_IDLE: keeps a sleeper out of the load average. Go has none, so only the letter differs from Uninterruptible.
type State uint32

const (
	Running         State = 0      // awake
	Interruptible   State = 1 << 0 // an interrupt ends the sleep
	Uninterruptible State = 1 << 1 // only a wake-up ends it
	Parked          State = 1 << 6 // only a wake-up whose mask has it ends it, see package kthread
	Dead            State = 1 << 7 // does not run any more

	Idle = Uninterruptible | noLoad // waits for work: the same sleep, with a letter of its own

	Normal = Interruptible | Uninterruptible // the mask of an ordinary wake-up

	noLoad State = 1 << 10
)

// A Task represents a goroutine that sleeps and is woken. Only its own
// goroutine calls SetState, Schedule, ScheduleTimeout and the waits. Any
// goroutine may call the other methods. A Task sleeps at one place, which
// both wake-ups and interrupts reach, so that its own Wait allocates nothing. After
// a wait it holds no reference to the queue.
//
// The zero value is a running task. A Task must not be copied after first use.
//
// Kernel: struct task_struct, as far as sleeping goes
//
// Differs: has no thread of its own, no signals and no credentials.
type Task struct {
	Name string // for String and for tools that list tasks; set it before the first use, if at all

	word   atomic.Uint64 // a State, the flags below, and how often it was woken
	parked sync.Cond     // the place to sleep; L is the task itself, as a bed

	// Of the task's own goroutine only.
	own       Entry // of its own Wait
	waiting   bool  // own is in use
	announced bool  // a sleep was announced that it has not gone to yet
	pooled    bool  // of a plain wait; written before another goroutine can see the task

	// A claimer's Signal may still be in flight, so a pooled Task must not be
	// reused. Of the task's own goroutine only.
	stray bool

	// The queues with a name that Wchan shows: of an Add or Prepare, and of a Wait
	// of its own, which goes first. Each is nil again when the task has left that queue, or
	// the task would keep the queue alive, and the struct around it.
	wchan, waitsOn atomic.Pointer[Queue]

	carrier *taskContext // the context that carries the task, or nil; set by WithTask
}

// A task's word says all that a waiter and its wakers have to agree on. Each change of it is
// one atomic operation.
//
//	bits         needed by                   why
//	state        waiter and wakers           a waker claims only a task that sleeps
//	interrupted  the waiter                  a level: it also ends the sleeps to come
//	taken        Optimization                the waiter leaves without the queue's lock
//	wakeUp       a goroutine that looks      a count, for WakeUps
//
//	event             by             state         interrupted  taken
//	SetState          the task       as given      stays        cleared, if the state changes
//	announce          the task       as given      stays        cleared
//	commit            the task       only read     only read    stays
//	claim             any waker      Running       stays        as the claimer says
//	Interrupt         any goroutine  as claim does set          as claim does
//	ClearInterrupt    any goroutine  stays         cleared      stays
//	run               the task       Running       stays        cleared, unless it was claimed
//
// A tracer adds to the count of a thread's task when the thread is woken in a wait with another
// task.
//
// The life of a wait. The waiter may be claimed at any time after announce.
//
//	waiter                        waker
//	goes on the queue
//	announce
//	tests: the condition is false
//	                              makes the condition true
//	                              takes the waiter off the queue
//	                              claim
//	commit: sleeps if not claimed
//	                              unpark: ends the sleep
//	run
//	tests: the condition is true
//
// Invariant: a claimer unparks the task once, after the claim. If the waiter finds the claim at
// commit, or at run without a sleep, that signal is stray: it may come during a later sleep.
const (
	states      = taken - 1
	taken       = 1 << 30 // its claimer has taken the entry of its wait off the queue
	interrupted = 1 << 31
	wakeUp      = 1 << 32 // the rest is a count of these

	kept uint64 = -wakeUp&(1<<64-1) | interrupted // by each change of the state
)

// sleeps reports whether a task with this word has to sleep on.
func sleeps(word uint64) bool {
	s := State(word & states)
	return s != Running && !(word&interrupted != 0 && s&Interruptible != 0)
}

// SetState announces how the task is about to sleep, or that it is not. From
// then on a wake-up with a mask that contains s sets it back to Running. Test
// the condition after this call and before Schedule.
//
// Kernel: set_current_state, __set_current_state
func (t *Task) SetState(s State) {
	if watch.On() != nil {
		t.setStateWatched(s)
	} else {
		t.setState(s)
	}
}

// setState is SetState without a tracer, and reports whether the state was another one before.
func (t *Task) setState(s State) bool {
	for {
		w := t.word.Load()
		if State(w&states) == s {
			return false
		}
		if t.word.CompareAndSwap(w, w&kept|uint64(s)&states) {
			return true
		}
	}
}

// State returns the state of the task. If nothing keeps the task asleep, the state
// may change at once.
//
// Kernel: task_struct.__state, task_state_to_char
func (t *Task) State() State { return State(t.word.Load() & states) }

// WakeUps returns how often the task was woken, modulo 1<<32. The count takes no
// time of its own, because a waker changes the same word anyway.
//
// Kernel: task_struct.nvcsw, voluntary_ctxt_switches
//
// Differs: counts wake-ups, not the sleeps that they ended.
func (t *Task) WakeUps() uint32 { return uint32(t.word.Load() / wakeUp) }

// Schedule sleeps until the task is Running, and returns with it Running. It
// returns at once if the task is not about to sleep. It also does if the announced
// sleep is Interruptible and an interrupt is set. It may return with nothing
// changed: always test the condition again.
//
// Kernel: schedule
func (t *Task) Schedule() {
	t.parked.L = (*bed)(t)
	t.parked.Wait()
	point.At("awake", t)
	t.SetState(Running)
}

// A bed is the lock L of a task's parked. Wait of parked calls Unlock when the sleeper
// has its place there and does not sleep yet. From then on a Signal finds the sleeper.
// So Unlock takes the last look. If a waker claims the task later, its Signal ends the
// sleep. If a waker has claimed it before, Unlock sees that, and the Signal of that
// waker may come at any time from here on.
type bed Task

func (b *bed) Unlock() {
	point.At("commit", (*Task)(b))
	b.announced = false // or leave would take the wake-up of this sleep for a stray one
	if !sleeps(b.word.Load()) {
		b.stray = true
		b.parked.Signal() // gives the place back
		return
	}
	watch.Asleep((*Task)(b))
}

func (b *bed) Lock() {}

// announce is setState in a wait of the task's own, which ends by leave.
func (t *Task) announce(s State) {
	t.announced = true
	t.setState(s)
}

// run makes the task Running at the end of a wait. The last sleep may have been announced, and
// not have begun. If a waker has claimed the task since then, its signal is stray: it comes when
// this wait is over, and must not find another one.
func (t *Task) run() {
	claimed := !t.setState(Running)
	t.stray = t.stray || claimed && t.announced
	t.announced = false
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
	// A timer that fires while Stop is called wakes a later sleep for nothing. Every
	// sleeper has to expect that anyway.
	timer := time.AfterFunc(d, t.expire)
	t.Schedule()
	timer.Stop()
	return max(0, d-time.Since(start))
}

// WakeUp makes the task run if it sleeps, or has announced to sleep, in a
// state of mask. It reports whether it did. [Normal] is the usual mask.
//
// Kernel: wake_up_process, wake_up_state, try_to_wake_up
func (t *Task) WakeUp(mask State) bool {
	claimed := t.claim(mask, 0)
	if claimed {
		t.unpark()
	}
	return claimed
}

// claim sets the task Running, with the given flag, if it is in a state of
// mask. The claimer has to unpark the task.
func (t *Task) claim(mask State, flag uint64) bool {
	if watch.On() != nil {
		return t.claimWatched(mask, flag)
	}
	return t.take(mask, flag)
}

// take is claim without a tracer.
func (t *Task) take(mask State, flag uint64) bool {
	for {
		w := t.word.Load()
		if w&uint64(mask)&states == 0 {
			return false
		}
		if t.word.CompareAndSwap(w, w&kept+wakeUp|flag) {
			return true
		}
	}
}

// unpark ends the sleep of a task that was claimed.
func (t *Task) unpark() {
	point.At("unpark", t)
	t.parked.Signal()
}

// Wchan returns the name of the queue that the task sleeps on, or "" if it is
// awake. Queues without a name do not count. If the task is on several queues, the
// queue of its own Wait goes first, and then the last one that it went on. Like
// State, it is stale when it returns.
//
// Kernel: wchan of ps(1), get_wchan
//
// Differs: names the queue, not the function that sleeps.
func (t *Task) Wchan() string {
	if t.State() == Running {
		return ""
	}
	return t.place()
}

// place returns the name of the queue that the task sleeps on, or is about to.
func (t *Task) place() string {
	q := t.waitsOn.Load()
	if q == nil {
		q = t.wchan.Load()
	}
	if q == nil {
		return ""
	}
	return q.Name
}

// showWchan has Wchan name q, which costs nothing if q has no name.
func (t *Task) showWchan(q *Queue) {
	if q.Name != "" {
		t.wchan.Store(q)
		if watch.On() != nil {
			t.tellOfPlace()
		}
	}
}

func (t *Task) clearWchan(q *Queue) {
	if q.Name != "" {
		t.wchan.CompareAndSwap(q, nil)
	}
}

// Interrupt ends the task's interruptible sleeps, this one and every later
// one, until ClearInterrupt. It is a level, not an event.
//
// Kernel: signal_wake_up, TIF_SIGPENDING
func (t *Task) Interrupt() {
	t.word.Or(interrupted)
	point.At("interrupted", t)
	t.WakeUp(Interruptible)
}

// ClearInterrupt lets the task sleep again. A caller with several reasons to
// interrupt a task needs a lock. It takes the lock, tests that no reason is left,
// calls this, and unlocks. Without the lock, the call wipes out a reason that has just come. The
// kernel's recalc_sigpending looks for pending signals; ClearInterrupt only clears.
// It cannot wipe out the end of a context that carries the task, see [WithTask].
//
// Kernel: clear_thread_flag(TIF_SIGPENDING)
func (t *Task) ClearInterrupt() {
	t.word.And(^uint64(interrupted))
	if c := t.carrier; c != nil && c.Err() != nil {
		t.Interrupt()
	}
}

// Interrupted reports whether an interrupt is set.
//
// Kernel: signal_pending
func (t *Task) Interrupted() bool { return t.word.Load()&interrupted != 0 }

// Wait blocks until cond returns true or the task is interrupted. It is
// [Queue.Wait] with the task's interrupt in the place of a context, and it
// allocates nothing. If an interrupt is set and cond is false, it returns an
// error that matches [syscall.EINTR].
//
// Kernel: wait_event_interruptible
func (t *Task) Wait(q *Queue, cond func() bool) error {
	return q.wait(t, nil, nil, false, cond)
}

// WaitExclusive is [Queue.WaitExclusive] in the same way.
//
// Kernel: wait_event_interruptible_exclusive
func (t *Task) WaitExclusive(q *Queue, cond func() bool) error {
	return q.wait(t, nil, nil, true, cond)
}

// WaitLocked is [Queue.WaitLocked] in the same way.
//
// Kernel: wait_event_interruptible_lock_irq
//
// Differs: l is any lock, not a spinlock with interrupts off.
func (t *Task) WaitLocked(q *Queue, l sync.Locker, cond func() bool) error {
	mustLock(l)
	return q.wait(t, nil, l, false, cond)
}

// WaitExclusiveLocked is [Queue.WaitExclusiveLocked] in the same way.
func (t *Task) WaitExclusiveLocked(q *Queue, l sync.Locker, cond func() bool) error {
	mustLock(l)
	return q.wait(t, nil, l, true, cond)
}
