//go:build !mutant

package kthread_test

import (
	"context"
	"fmt"
	"time"

	"github.com/kprim/kprim/internal/view"
	"github.com/kprim/kprim/waitqueue"
)

// An op is one call of a script. It returns the result as the kernel writes it, "" if
// there is none.
type op func(a *actor, args []string) string

// background is a wait that nothing ends.
var background = context.Background()

// timeout calls wait with a context that ends after n jiffies. The kernel's waits
// do not sleep at all if n is 0.
func (a *actor) timeout(n string, wait func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(background, a.duration(n))
	defer cancel()
	return wait(ctx)
}

const century = 100 * 365 * 24 * time.Hour

// duration returns the time of a timer of n jiffies, or 0 if n is 0 or less.
func (a *actor) duration(n string) time.Duration {
	switch {
	case n == "max":
		return century
	case number(n) <= 0:
		return 0
	}
	return a.w.ticks(number(n))
}

// sharp returns the time of a timer of high resolution.
func (a *actor) sharp(ms string) time.Duration {
	end := time.Duration(a.w.now())*jiffy + time.Duration(number(ms))*time.Millisecond
	return max(0, end-time.Since(a.w.start))
}

// waitEvent is wait_event with any state, written out. The kernel tests once before
// it queues, then after each prepare and each sleep. A d below 0 is no timer.
func (a *actor) waitEvent(q *waitqueue.Queue, s waitqueue.State, exclusive bool, d time.Duration, cond func() bool) string {
	switch {
	case cond():
		return "0"
	case d == 0:
		return "-62"
	}
	e := &waitqueue.Entry{Task: a.cur.Task()}
	defer q.Finish(e)
	for {
		prepare(q, e, s, exclusive)
		switch {
		case cond():
			return "0"
		case s&waitqueue.Interruptible != 0 && e.Task.Interrupted():
			return "-512"
		case d < 0:
			e.Task.Schedule()
		default:
			d = e.Task.ScheduleTimeout(d)
		}
		switch {
		case cond():
			return "0"
		case d == 0:
			return "-62"
		}
	}
}

func prepare(q *waitqueue.Queue, e *waitqueue.Entry, s waitqueue.State, exclusive bool) {
	if exclusive {
		q.PrepareExclusive(e, s)
	} else {
		q.Prepare(e, s)
	}
}

// stateWait is a wait in any state.
func stateWait(s waitqueue.State, exclusive bool) op {
	return func(a *actor, args []string) string {
		return a.waitEvent(&a.w.queue(args[0]).Queue, s, exclusive, -1, a.cond(args[1]))
	}
}

// stateTimeout is stateWait for some jiffies.
func stateTimeout(s waitqueue.State) op {
	return func(a *actor, args []string) string {
		ret := a.waitEvent(&a.w.queue(args[0]).Queue, s, false, a.duration(args[2]), a.cond(args[1]))
		switch ret {
		case "0":
			return "left"
		case "-62":
			return "0"
		}
		return ret
	}
}

// loop is the loop that is written out in a script.
func loop(exclusive bool) op {
	return func(a *actor, args []string) string {
		q, e, cond, s := a.w.queue(args[0]), a.w.entries[args[1]], a.cond(args[2]), parseState(args[3])
		task := a.cur.Task()
		defer q.Finish(e.Entry)
		for {
			prepare(&q.Queue, e.Entry, s, exclusive)
			if cond() {
				return "0"
			}
			if s&waitqueue.Interruptible != 0 && task.Interrupted() {
				return "-512"
			}
			task.Schedule()
		}
	}
}

// waits are the ops that wait on a queue for a condition.
var waits = map[string]op{
	"wait": func(a *actor, args []string) string {
		_ = a.w.queue(args[0]).Wait(background, a.cond(args[1]))
		return ""
	},
	"waiti": func(a *actor, args []string) string {
		return waited(a.cur.Wait(&a.w.queue(args[0]).Queue, a.cond(args[1])))
	},
	"waitix": func(a *actor, args []string) string {
		return waited(a.cur.WaitExclusive(&a.w.queue(args[0]).Queue, a.cond(args[1])))
	},
	"waitk":  stateWait(0x102, false),
	"waitkx": stateWait(0x102, true),
	"waitidle": func(a *actor, args []string) string {
		stateWait(waitqueue.Idle, false)(a, args)
		return ""
	},
	"waitidlex": func(a *actor, args []string) string {
		stateWait(waitqueue.Idle, true)(a, args)
		return ""
	},
	"waitf":     stateWait(0x2001, false),
	"waitfx":    stateWait(0x2001, true),
	"waitkt":    stateTimeout(0x102),
	"waitidlet": stateTimeout(waitqueue.Idle),
	"waitft":    stateTimeout(0x2001),
	"waits": func(a *actor, args []string) string {
		if s := parseState(args[2]); s != waitqueue.Interruptible {
			return stateWait(s, false)(a, args)
		}
		return waited(a.cur.Wait(&a.w.queue(args[0]).Queue, a.cond(args[1])))
	},
	"waitt": func(a *actor, args []string) string {
		cond := a.cond(args[1])
		return timed(a.timeout(args[2], func(ctx context.Context) error { return a.w.queue(args[0]).Wait(ctx, cond) }))
	},
	"waitit": func(a *actor, args []string) string {
		return timed(a.cur.WaitTimeout(&a.w.queue(args[0]).Queue, a.duration(args[2]), a.cond(args[1])))
	},
	"waithr": func(a *actor, args []string) string {
		ctx, cancel := context.WithTimeout(background, a.sharp(args[2]))
		defer cancel()
		return hired(a.w.queue(args[0]).Wait(ctx, a.cond(args[1])))
	},
	"waitihr": func(a *actor, args []string) string {
		return hired(a.cur.WaitTimeout(&a.w.queue(args[0]).Queue, a.sharp(args[2]), a.cond(args[1])))
	},
	"waitcmd": func(a *actor, args []string) string {
		_ = a.w.queue(args[0]).WaitLocked(background, commands{}, a.cond(args[1]))
		return ""
	},
	"waitlock": func(a *actor, args []string) string {
		return a.locked(args[0], func(q *queue) string {
			return waited(q.WaitLocked(background, &q.guard, a.cond(args[1])))
		})
	},
	"waitilock": func(a *actor, args []string) string {
		return a.locked(args[0], func(q *queue) string {
			return waited(a.cur.WaitLocked(&q.Queue, &q.guard, a.cond(args[1])))
		})
	},
	"waitilockt": func(a *actor, args []string) string {
		return a.locked(args[0], func(q *queue) string {
			return timed(a.cur.WaitLockedTimeout(&q.Queue, &q.guard, a.duration(args[2]), a.cond(args[1])))
		})
	},
	"waitiL": func(a *actor, args []string) string {
		q := a.w.queue(args[0])
		q.Lock()
		defer q.Unlock()
		return waited(a.cur.Task().WaitHeld(&q.Queue, a.cond(args[1])))
	},
	"waitixL": func(a *actor, args []string) string {
		q := a.w.queue(args[0])
		q.Lock()
		defer q.Unlock()
		return waited(a.cur.Task().WaitExclusiveHeld(&q.Queue, a.cond(args[1])))
	},
	"loop":  loop(false),
	"loopx": loop(true),
}

// commands stand for the two that wait_event_cmd runs around each sleep.
type commands struct{}

func (commands) Lock()   {}
func (commands) Unlock() {}

// locked calls wait with the lock of the queue's user held, and tells whether it is
// held afterwards.
func (a *actor) locked(name string, wait func(q *queue) string) string {
	q := a.w.queue(name)
	q.guard.Lock()
	ret := wait(q)
	a.w.cpu.enter(goroutine(), a.name, nil)
	a.w.note("lock", fmt.Sprint("lock held after: ", !q.guard.TryLock()))
	q.guard.Unlock()
	return ret
}

// completionWaits are the ops that wait for a completion.
var completionWaits = map[string]op{
	"wc":   func(a *actor, args []string) string { _ = a.w.completion(args[0]).Wait(background); return "" },
	"wcio": func(a *actor, args []string) string { _ = a.w.completion(args[0]).Wait(background); return "" },
	"wci": func(a *actor, args []string) string {
		k := a.w.completion(args[0])
		return waited(a.cur.WaitExclusive(k.WaitQueue(), k.TryWait))
	},
	"wck": func(a *actor, args []string) string { return a.waitCompletion(args[0], 0x102, -1) },
	"wcs": func(a *actor, args []string) string { return a.waitCompletion(args[0], parseState(args[1]), -1) },
	"wct": func(a *actor, args []string) string {
		// With a time of 0 this wait sleeps to the next tick, where all others do not
		// sleep at all.
		d := a.duration(args[1])
		if d == 0 {
			d = a.w.ticks(0)
		}
		ctx, cancel := context.WithTimeout(background, d)
		defer cancel()
		return timed(a.w.completion(args[0]).Wait(ctx))
	},
	"wcit": func(a *actor, args []string) string {
		k := a.w.completion(args[0])
		return timed(a.cur.WaitTimeout(k.WaitQueue(), max(a.duration(args[1]), a.w.ticks(0)), k.TryWait))
	},
	"wckt": func(a *actor, args []string) string {
		ret := a.waitCompletion(args[0], 0x102, max(a.duration(args[1]), a.w.ticks(0)))
		switch ret {
		case "0":
			return "left"
		case "-62":
			return "0"
		}
		return ret
	},
}

// waitCompletion is wait_for_completion with any state.
func (a *actor) waitCompletion(name string, s waitqueue.State, d time.Duration) string {
	k := a.w.completion(name)
	if s == waitqueue.Interruptible {
		return waited(a.cur.WaitExclusive(k.WaitQueue(), k.TryWait))
	}
	return a.waitEvent(k.WaitQueue(), s, true, d, k.TryWait)
}

// completing are the ops that complete and look.
var completing = map[string]op{
	"complete":    func(a *actor, args []string) string { a.w.completion(args[0]).Complete(); return "" },
	"completecpu": func(a *actor, args []string) string { a.w.completion(args[0]).Complete(); return "" },
	"completeall": func(a *actor, args []string) string { a.w.completion(args[0]).CompleteAll(); return "" },
	"reinit":      func(a *actor, args []string) string { a.w.completion(args[0]).Reinit(); return "" },
	"try":         func(a *actor, args []string) string { return truth(a.w.completion(args[0]).TryWait()) },
	"done":        func(a *actor, args []string) string { return truth(a.w.completion(args[0]).IsDone()) },
	"count":       func(a *actor, args []string) string { return fmt.Sprint(view.Tokens(a.w.completion(args[0]))) },
}

// sleeps are the ops that sleep, and set the state for it.
var sleeps = map[string]op{
	"state":   func(a *actor, args []string) string { a.cur.Task().SetState(parseState(args[0])); return "" },
	"mystate": func(a *actor, args []string) string { return fmt.Sprint(uint32(a.cur.Task().State())) },
	"sched":   func(a *actor, args []string) string { a.cur.Task().Schedule(); return "" },
	"schedt":  func(a *actor, args []string) string { return a.remaining(args[0], a.cur.Task().ScheduleTimeout) },
	"schedti": scheduleIn(waitqueue.Interruptible),
	"schedtk": scheduleIn(0x102),
	"schedtu": scheduleIn(waitqueue.Uninterruptible),
	"schedtl": scheduleIn(waitqueue.Idle),
	"msleep": func(a *actor, args []string) string {
		for n := jiffies(args[0]); n > 0; { // a timer of its own for each sleep
			a.cur.Task().SetState(waitqueue.Uninterruptible)
			n = left(a.cur.Task().ScheduleTimeout(a.w.ticks(n)))
		}
		return ""
	},
	"msleepi": func(a *actor, args []string) string {
		if a.cur.Sleep(a.w.ticks(jiffies(args[0]))) == nil {
			return "0"
		}
		return "left"
	},
	"woken": func(a *actor, args []string) string {
		e := a.w.entries[args[0]].woken
		return a.remaining(args[2], func(d time.Duration) time.Duration { return a.cur.WaitWoken(e, parseState(args[1]), d) })
	},
}

// jiffies returns how many jiffies some milliseconds are, rounded up.
func jiffies(ms string) int { return (number(ms) + 9) / 10 }

func scheduleIn(s waitqueue.State) op {
	return func(a *actor, args []string) string {
		a.cur.Task().SetState(s)
		return a.remaining(args[0], a.cur.Task().ScheduleTimeout)
	}
}

// remaining sleeps for some jiffies and returns how many are left. With 0 it sleeps
// to the next tick, with less it does not sleep.
func (a *actor) remaining(text string, sleep func(time.Duration) time.Duration) string {
	if text == "max" {
		sleep(century)
		return "left"
	}
	n := number(text)
	if n < 0 {
		sleep(0)
		return "0"
	}
	return fmt.Sprint(left(sleep(a.w.ticks(n))))
}
