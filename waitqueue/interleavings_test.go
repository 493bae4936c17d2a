package waitqueue_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/explore"
	"github.com/kprim/kprim/waitqueue"
)

var explorer = explore.Explorer{SetYield: waitqueue.SetYield, Schedules: schedules}

// There are three ways to sleep: until a wake-up, in a select with a context, and
// at the place of a task. The last two can be ended.
var endForms = []string{"ctx", "task"}

// A waiter waits in one of the forms.
type waiter struct {
	task *waitqueue.Task
	ctx  context.Context
	end  func()

	returned bool
	err      error
}

func newWaiter(t *testing.T, form string) *waiter {
	w := &waiter{ctx: context.Background()}
	switch form {
	case "ctx":
		w.ctx, w.end = context.WithCancel(t.Context())
	case "deadline":
		w.ctx, w.end = context.WithTimeout(t.Context(), time.Hour)
	case "task":
		w.task = new(waitqueue.Task)
		w.end = w.task.Interrupt
	}
	return w
}

func (w *waiter) wait(q *waitqueue.Queue, cond func() bool) {
	if w.task != nil {
		w.err = w.task.Wait(q, cond)
	} else {
		w.err = q.Wait(w.ctx, cond)
	}
	w.returned = true
}

func (w *waiter) waitExclusive(q *waitqueue.Queue, cond func() bool) {
	if w.task != nil {
		w.err = w.task.WaitExclusive(q, cond)
	} else {
		w.err = q.WaitExclusive(w.ctx, cond)
	}
	w.returned = true
}

func (w *waiter) succeeded() bool { return w.returned && w.err == nil }

func timeIsShort() bool { return testing.Short() || explore.Race }

// few returns points, and more unless time is short.
func few(points, more string) string {
	if timeIsShort() {
		return points
	}
	return points + "," + more
}

// pointsOf is the points of a model in each form. A wait with a context comes
// neither to "commit" nor to "interrupted".
type pointsOf map[string]string

func same(points string, forms ...string) pointsOf {
	all := pointsOf{}
	for _, form := range forms {
		all[form] = points
	}
	return all
}

// inEachForm explores a model in each form.
func inEachForm(t *testing.T, points pointsOf, model func(t *testing.T, s *explore.Schedule, form string)) {
	for form, points := range points {
		t.Run(form, func(t *testing.T) {
			explorer.Explore(t, points, func(t *testing.T, s *explore.Schedule) { model(t, s, form) })
		})
	}
}

// The explorer finds what [TestOldLoopLosesTheWakeUpEveryTime] has to know.
func TestInterleavingsOfTheOldLoop(t *testing.T) {
	model := func(loop func(*waitqueue.Task, *waitqueue.Queue, *atomic.Int32, func(int))) func(*testing.T, *explore.Schedule) {
		return func(t *testing.T, s *explore.Schedule) {
			var q waitqueue.Queue
			var event atomic.Int32
			s.Thread("helper", func(th *explore.Thread) {
				loop(new(waitqueue.Task), &q, &event, func(step int) { th.At(fmt.Sprintf("step %d", step)) })
			})
			s.Thread("monitor", func(th *explore.Thread) {
				th.At("post and wake")
				post(&q, &event)
			})
			s.Wrong = func() string {
				if len(s.Asleep()) > 0 {
					return "the event is there"
				}
				return ""
			}
			s.Release = func() { q.WakeUp() }
		}
	}
	explorer.Explore(t, "", model(rightLoop))

	explored, bad, first := explorer.Search(t, "", model(oldLoop))
	require.Equal(t, []int{3, 1}, []int{explored, bad})
	require.Equal(t, ` 1 monitor: post and wake
 2 helper: step 1
 3 helper: step 2
asleep: ["helper"]; the event is there`, first)
}

// A waiter that tests, is overtaken by the waker, and then sleeps: that is the
// lost wake-up.
func TestInterleavingsOneWaiterOneWaker(t *testing.T) {
	inEachForm(t, pointsOf{
		"background": "tested, commit, awake, unpark",
		"task":       "tested, commit, awake, unpark",
		"ctx":        "tested, awake, unpark",
	}, func(t *testing.T, s *explore.Schedule, form string) {
		var q waitqueue.Queue
		var ready atomic.Bool
		w := newWaiter(t, form)
		s.Thread("waiter", func(th *explore.Thread) { w.wait(&q, th.Test(ready.Load)) })
		s.Thread("waker", func(th *explore.Thread) {
			th.At("set")
			ready.Store(true)
			th.At("wake")
			q.WakeUp()
		})
		s.Wrong = func() string {
			if !w.succeeded() || q.Active() {
				return fmt.Sprintf("the condition holds; error %v, on the queue %t", w.err, q.Active())
			}
			return ""
		}
	})
}

// The same with a lock, and with a stop at every place where it is held.
func TestInterleavingsWaitLocked(t *testing.T) {
	inEachForm(t, pointsOf{"background": "tested, commit, awake, unpark", "ctx": "tested, awake, unpark"}, func(t *testing.T, s *explore.Schedule, form string) {
		var q waitqueue.Queue
		l := newLock(s)
		ready := false
		w := newWaiter(t, form)
		s.Thread("waiter", func(th *explore.Thread) {
			l.Lock()
			w.err = q.WaitLocked(w.ctx, l, th.Test(func() bool { return ready }))
			w.returned = true
			l.Unlock()
		})
		s.Thread("waker", func(th *explore.Thread) {
			th.At("set")
			l.Lock()
			ready = true
			l.Unlock()
			q.WakeUp()
		})
		s.Wrong = func() string {
			if !w.succeeded() || q.Active() {
				return fmt.Sprintf("the condition holds; error %v, on the queue %t", w.err, q.Active())
			}
			return ""
		}
	})
}

// A lock that keeps others durably asleep, so that its holder may stop. There
// is a point where it has just been released.
type lock struct {
	s    *explore.Schedule
	held chan struct{}
}

func newLock(s *explore.Schedule) sync.Locker { return &lock{s, make(chan struct{}, 1)} }

func (l *lock) Lock() { l.held <- struct{}{} }

func (l *lock) Unlock() {
	<-l.held
	l.s.At("unlocked")
}

// A condition that came true before the end of the wait beats it, also if that
// was after the test and before the look at the context.
func TestInterleavingsTrueBeforeTheEnd(t *testing.T) {
	inEachForm(t, pointsOf{
		"ctx":  "sampled, tested, awake",
		"task": "sampled, tested, commit, awake, interrupted",
	}, func(t *testing.T, s *explore.Schedule, form string) {
		var q waitqueue.Queue
		var ready atomic.Bool
		w := newWaiter(t, form)
		s.Thread("waiter", func(th *explore.Thread) {
			w.wait(&q, func() bool {
				th.At("test")
				done := ready.Load()
				th.At("leave the test")
				return done
			})
		})
		s.Thread("ender", func(th *explore.Thread) {
			th.At("set")
			ready.Store(true)
			th.At("end")
			w.end()
		})
		s.Thread("stray", func(th *explore.Thread) {
			th.At("wake")
			q.WakeUp()
		})
		s.Wrong = func() string {
			if !w.succeeded() || q.Active() {
				return fmt.Sprintf("error %v, on the queue %t", w.err, q.Active())
			}
			return ""
		}
	})
}

// rivals are two who want the tokens of one queue. B is there to the end.
type rivals struct {
	q    waitqueue.Queue
	tok  tokens
	put  int32
	a, b *waiter

	ended, woken bool // A; and the wake-up came when it was not ended
}

// wrong: nobody may sleep while a token is free, a token is taken if and only
// if a wait succeeds, and who was not ended has no error.
func (r *rivals) wrong(s *explore.Schedule) string {
	free, taken := r.tok.Load(), int32(0)
	for _, w := range []*waiter{r.a, r.b} {
		if w.succeeded() {
			taken++
		}
	}
	sleepers := len(s.Asleep())
	switch {
	case free > 0 && sleepers > 0:
		return "a token is free"
	case free+taken != r.put:
		return fmt.Sprintf("%d tokens put, %d free, %d taken", r.put, free, taken)
	case r.b.err != nil:
		return "B failed: " + r.b.err.Error()
	case r.q.Active() != (sleepers > 0):
		return "somebody is left on the queue"
	}
	return ""
}

// start makes A and B of a model, in their forms, and judges them.
func (r *rivals) start(t *testing.T, s *explore.Schedule, formA, formB string) {
	r.a, r.b = newWaiter(t, formA), newWaiter(t, formB)
	s.Thread("A", func(th *explore.Thread) { r.a.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	s.Thread("B", func(th *explore.Thread) { r.b.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	r.judge(s)
}

func (r *rivals) judge(s *explore.Schedule) {
	s.Wrong = func() string { return r.wrong(s) }
	s.Release = func() {
		r.tok.Add(2)
		r.q.WakeUpAll()
	}
}

// waker adds a thread that puts n tokens, each with a wake-up.
func (r *rivals) waker(s *explore.Schedule, n int) {
	s.Thread("waker", func(th *explore.Thread) {
		for range n {
			th.At("put a token")
			r.put++
			r.tok.Add(1)
			th.At("wake")
			r.woken = !r.ended
			r.q.WakeUp()
		}
	})
}

func (r *rivals) canceller(s *explore.Schedule) {
	s.Thread("canceller", func(th *explore.Thread) {
		th.At("end A")
		r.ended = true
		r.a.end()
	})
}

// A is picked, and gives up: the wake-up is for B then.
func TestInterleavingsCancelAndWake(t *testing.T) {
	for _, formB := range []string{"background", "task"} {
		t.Run("B="+formB, func(t *testing.T) {
			inEachForm(t, pointsOf{
				"ctx":  "sampled, tested, commit, awake, unpark", // B commits
				"task": "sampled, tested, commit, awake, unpark, interrupted",
			}, func(t *testing.T, s *explore.Schedule, formA string) {
				var r rivals
				s.Before(func() { r.start(t, s, formA, formB) })
				r.waker(s, 1)
				r.canceller(s)
			})
		})
	}
}

// The same, but A and B may still be on their way.
func TestInterleavingsCancelOnTheWay(t *testing.T) {
	inEachForm(t, same(few("", "tested"), endForms...), func(t *testing.T, s *explore.Schedule, form string) {
		var r rivals
		r.start(t, s, form, "background")
		r.waker(s, 1)
		r.canceller(s)
	})
}

// Two tokens for two. One who took a token on the way to sleep, before any
// wake-up, is still queued when the wake-up for the second token comes.
func TestInterleavingsTwoTokens(t *testing.T) {
	inEachForm(t, same("tested", endForms...), func(t *testing.T, s *explore.Schedule, form string) {
		var r rivals
		r.start(t, s, form, form)
		r.waker(s, 2)
	})
}

// The same, and A, who comes behind B, is ended. It may take the token that B
// was picked for, and B sleeps again: the second token's wake-up must not pick A,
// which has what it wants and has not left yet.
func TestInterleavingsTwoTokensAndCancel(t *testing.T) {
	inEachForm(t, pointsOf{"ctx": "", "task": "interrupted"}, func(t *testing.T, s *explore.Schedule, form string) {
		r := rivals{a: newWaiter(t, form), b: newWaiter(t, "background")}
		s.Before(func() {
			s.Thread("B", func(th *explore.Thread) { r.b.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
		})
		s.Thread("A", func(th *explore.Thread) {
			r.a.waitExclusive(&r.q, func() bool {
				th.At("test")
				took := r.tok.tryTake()
				th.At("leave the test")
				return took
			})
		})
		r.judge(s)
		r.waker(s, 2)
		r.canceller(s)
	})
}

// A came first. If it has not been ended by then, the only token is for it.
func TestInterleavingsFirstComeFirstServed(t *testing.T) {
	inEachForm(t, pointsOf{"ctx": "tested, awake, unpark", "task": "tested, commit, awake, unpark, interrupted"}, func(t *testing.T, s *explore.Schedule, form string) {
		var r rivals
		s.Before(func() { r.start(t, s, form, form) })
		r.waker(s, 1)
		r.canceller(s)
		s.Wrong = func() string {
			if wrong := r.wrong(s); wrong != "" {
				return wrong
			}
			if r.woken && !r.a.succeeded() {
				return "A was passed over"
			}
			return ""
		}
	})
}

// One wake-up is for all who watch and for one who takes: none is at the
// expense of another.
func TestInterleavingsWatcherAndTaker(t *testing.T) {
	inEachForm(t, pointsOf{"background": "commit", "ctx": "", "task": "commit"}, func(t *testing.T, s *explore.Schedule, form string) {
		var q waitqueue.Queue
		var tok tokens
		var seen atomic.Bool
		watcher, taker := newWaiter(t, form), newWaiter(t, form)
		s.Thread("watcher", func(th *explore.Thread) { watcher.wait(&q, th.Test(seen.Load)) })
		s.Thread("taker", func(th *explore.Thread) { taker.waitExclusive(&q, th.Test(tok.tryTake)) })
		s.Thread("waker", func(th *explore.Thread) {
			th.At("put a token")
			tok.Add(1)
			seen.Store(true)
			th.At("wake")
			q.WakeUp()
		})
		s.Wrong = func() string {
			if !watcher.succeeded() || !taker.succeeded() {
				return fmt.Sprintf("watcher %t, taker %t", watcher.succeeded(), taker.succeeded())
			}
			return ""
		}
	})
}

// A deadline is one more who may come at any moment.
func TestInterleavingsDeadline(t *testing.T) {
	explorer.Explore(t, few("", "tested"), func(t *testing.T, s *explore.Schedule) {
		var r rivals
		r.start(t, s, "deadline", "background")
		r.waker(s, 1)
		s.Event("deadline", func() { time.Sleep(2 * time.Hour) })
	})
}

// A loop written out, with a timeout for the sleep in place of a context.
func TestInterleavingsScheduleTimeout(t *testing.T) {
	explorer.Explore(t, "commit, awake, unpark", func(t *testing.T, s *explore.Schedule) {
		var q waitqueue.Queue
		var tok tokens
		var took, late bool
		s.Thread("waiter", func(th *explore.Thread) {
			var task waitqueue.Task
			e := waitqueue.Entry{Task: &task}
			left := time.Hour
			for {
				q.Prepare(&e, waitqueue.Interruptible)
				th.At("test")
				if took = tok.tryTake(); took || left == 0 {
					break
				}
				th.At("sleep")
				left = task.ScheduleTimeout(left)
			}
			q.Finish(&e)
		})
		s.Thread("waker", func(th *explore.Thread) {
			th.At("put a token")
			tok.Add(1)
			th.At("wake")
			q.WakeUp()
		})
		s.Event("deadline", func() {
			late = true
			time.Sleep(2 * time.Hour)
		})
		s.Wrong = func() string {
			if len(s.Asleep()) > 0 || q.Active() || took != (tok.Load() == 0) || !late {
				return fmt.Sprintf("took the token %t, %d free", took, tok.Load())
			}
			return ""
		}
	})
}

// A Signal that has picked A reaches B if A gives up, whether A is about to
// sleep, asleep, or waiting for the lock.
func TestInterleavingsCondSignalAndCancel(t *testing.T) {
	points := few("", "commit")
	inEachForm(t, same(points, "Wait", "WaitFor"), func(t *testing.T, s *explore.Schedule, form string) {
		c := waitqueue.NewCond(newLock(s))
		items := 0
		a, b := newWaiter(t, "ctx"), newWaiter(t, "background")
		take := func(w *waiter) func(*explore.Thread) {
			return func(th *explore.Thread) {
				c.L.Lock()
				defer c.L.Unlock()
				ready := th.Test(func() bool { return items > 0 })
				if form == "WaitFor" {
					w.err = c.WaitFor(w.ctx, ready)
				} else {
					for !ready() && w.err == nil {
						w.err = c.Wait(w.ctx)
					}
				}
				w.returned = true
				if w.err == nil {
					items--
				}
			}
		}
		s.Thread("A", take(a))
		s.Thread("B", take(b))
		s.Thread("signaller", func(th *explore.Thread) {
			th.At("add an item")
			c.L.Lock()
			items++
			c.L.Unlock()
			c.Signal()
		})
		s.Thread("canceller", func(th *explore.Thread) {
			th.At("end A")
			a.end()
		})
		s.Wrong = func() string {
			switch {
			case items > 0 && len(s.Asleep()) > 0:
				return "an item is there"
			case b.err != nil:
				return "B failed: " + b.err.Error()
			case items < 0 || a.succeeded() && b.succeeded():
				return "the item was taken twice"
			}
			return ""
		}
		s.Release = func() {
			c.L.Lock()
			items += 2
			c.L.Unlock()
			c.Broadcast()
		}
	})
}

// Two tokens for two waiters, and a third who does not wait but may be quicker.
func TestInterleavingsCompletionBarging(t *testing.T) {
	inEachForm(t, same("added, tested, awake", "background", "ctx"), func(t *testing.T, s *explore.Schedule, form string) {
		var c waitqueue.Completion
		var passed atomic.Int32
		for _, name := range []string{"W1", "W2"} {
			w := newWaiter(t, form)
			s.Thread(name, func(*explore.Thread) {
				if c.Wait(w.ctx) == nil {
					passed.Add(1)
				}
			})
		}
		s.Thread("completer", func(th *explore.Thread) {
			for range 2 {
				th.At("complete")
				c.Complete()
			}
		})
		s.Thread("T3", func(th *explore.Thread) {
			th.At("try")
			if c.TryWait() {
				passed.Add(1)
			}
		})
		s.Wrong = func() string {
			if passed.Load() != 2 || c.Done() {
				return fmt.Sprintf("%d of 2 passed, token left: %t", passed.Load(), c.Done())
			}
			return ""
		}
		s.Release = c.CompleteAll
	})
}

// One waiter on two queues, each of which has a waker.
func TestInterleavingsWaitAny(t *testing.T) {
	inEachForm(t, same("awake, unpark", "background", "ctx"), func(t *testing.T, s *explore.Schedule, form string) {
		var left, right waitqueue.Queue
		var n atomic.Int32
		w := newWaiter(t, form)
		s.Thread("waiter", func(th *explore.Thread) {
			w.err = waitqueue.WaitAny(w.ctx, th.Test(func() bool { return n.Load() == 2 }), &left, &right)
			w.returned = true
		})
		for i, q := range []*waitqueue.Queue{&left, &right} {
			s.Thread(fmt.Sprintf("waker %d", i), func(th *explore.Thread) {
				th.At("add and wake")
				n.Add(1)
				q.WakeUp()
			})
		}
		s.Wrong = func() string {
			if !w.succeeded() || left.Active() || right.Active() {
				return "both wakers have come"
			}
			return ""
		}
	})
}

// The first Signal comes without the lock, so at any moment: also when the waiter
// is on the queue and has not released the lock. The second comes with the lock.
// If the waiter has come by then, one of them reaches it.
func TestInterleavingsCondSignalWithoutTheLock(t *testing.T) {
	for form, points := range (pointsOf{"background": "queued, commit, awake, unpark", "ctx": "queued, awake, unpark"}) {
		t.Run(form, func(t *testing.T) {
			explorer.Explore(t, points, func(t *testing.T, s *explore.Schedule) {
				c := waitqueue.NewCond(newLock(s))
				w := newWaiter(t, form)
				came, signalled := false, false // guarded by c.L
				s.Thread("waiter", func(*explore.Thread) {
					c.L.Lock()
					defer c.L.Unlock()
					came = true
					w.err = c.Wait(w.ctx)
					w.returned = true
				})
				s.Thread("signaller", func(th *explore.Thread) {
					th.At("signal")
					c.Signal()
					th.At("lock")
					c.L.Lock()
					signalled = came
					c.Signal()
					c.L.Unlock()
				})
				s.Wrong = func() string {
					if signalled && !w.succeeded() {
						return "it had come, and was signalled"
					}
					return ""
				}
				s.Release = c.Broadcast
			})
		})
	}
}

// A wait ends when a waker has claimed its task and not signalled it yet. The
// goroutine waits again at once, on another queue, where nobody wakes it. The late
// signal must not reach it there: it tests once before that sleep, and once on the
// queue.
func TestInterleavingsLateSignal(t *testing.T) {
	explorer.Explore(t, "tested, commit, unpark", func(t *testing.T, s *explore.Schedule) {
		var q, other waitqueue.Queue
		var ready, over atomic.Bool
		var tests atomic.Int32
		s.Thread("waiter", func(th *explore.Thread) {
			_ = q.Wait(context.Background(), th.Test(ready.Load))
			_ = other.Wait(context.Background(), func() bool {
				tests.Add(1)
				return over.Load()
			})
		})
		s.Thread("waker", func(th *explore.Thread) {
			th.At("set")
			ready.Store(true)
			th.At("wake")
			q.WakeUp()
		})
		s.Wrong = func() string {
			if n := tests.Load(); n != 2 {
				return fmt.Sprintf("%d tests", n)
			}
			return ""
		}
		s.Release = func() {
			over.Store(true)
			other.WakeUp()
		}
	})
}

// A goroutine that sees a task about to sleep finds its entry, also on a queue on
// which nobody has been. There is no point between the entry and the state, and no
// need of one: at no point is the state there and the entry not.
func TestInterleavingsWhoSeesTheStateFindsTheEntry(t *testing.T) {
	for name, wait := range map[string]func(task *waitqueue.Task, q *waitqueue.Queue, cond func() bool){
		"Wait":          func(task *waitqueue.Task, q *waitqueue.Queue, cond func() bool) { _ = task.Wait(q, cond) },
		"WaitExclusive": func(task *waitqueue.Task, q *waitqueue.Queue, cond func() bool) { _ = task.WaitExclusive(q, cond) },
		"Prepare": func(task *waitqueue.Task, q *waitqueue.Queue, cond func() bool) {
			e := waitqueue.Entry{Task: task}
			q.Prepare(&e, waitqueue.Interruptible)
			cond()
			q.Finish(&e)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var q waitqueue.Queue
			var task waitqueue.Task
			var missing []string
			waitqueue.SetYield(func(point string) {
				if task.State() != waitqueue.Running && !q.Active() {
					missing = append(missing, point)
				}
			})
			defer waitqueue.SetYield(nil)
			seen := false
			wait(&task, &q, func() bool {
				seen = task.State() != waitqueue.Running
				require.Equal(t, seen, q.Active())
				return seen
			})
			require.True(t, seen)
			require.Empty(t, missing, "points where the task is asleep and not on the queue")
		})
	}
}

// At the point "claim" the queue is locked, so no thread of an explorer may stop
// there. The tests below do by hand the one step of another goroutine that counts.

// Another waker claims the task that a walk is about to claim. The walk goes on as
// if it had not met the entry, which keeps its place.
func TestInterleavingsLostClaimKeepsItsPlace(t *testing.T) {
	const n = 5
	for lost := range n - 1 {
		var q waitqueue.Queue
		var tasks [n]waitqueue.Task
		var want []*waitqueue.Task
		for i := range tasks {
			q.PrepareExclusive(&waitqueue.Entry{Task: &tasks[i]}, waitqueue.Interruptible)
			if i < lost {
				tasks[i].SetState(waitqueue.Running)
			}
			if i != lost+1 { // which the wake-up is for
				want = append(want, &tasks[i])
			}
		}
		var claimed atomic.Bool
		waitqueue.SetYield(func(point string) {
			if point == "claim" && !claimed.Swap(true) {
				tasks[lost].WakeUp(waitqueue.Normal)
			}
		})
		require.Equal(t, 1, q.WakeUp())
		waitqueue.SetYield(nil)
		require.Equal(t, waitqueue.Running, tasks[lost+1].State())
		require.Equal(t, want, q.Entries())
	}
}

// The same for a sole waiter in its Wait.
func TestInterleavingsLostClaimOfASoleWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		var task waitqueue.Task
		var tok tokens
		var claimed atomic.Bool
		waitqueue.SetYield(func(point string) {
			if point == "claim" && !claimed.Swap(true) {
				task.WakeUp(waitqueue.Normal)
			}
		})
		defer waitqueue.SetYield(nil)
		result := asleep(func() error { return task.WaitExclusive(&q, tok.tryTake) })
		require.Zero(t, q.WakeUp())
		require.False(t, ended(result))
		tok.Store(1)
		require.Equal(t, 1, q.WakeUp())
		require.NoError(t, <-result)
	})
}

// A waker is held at its claim of a task whose condition has just been true. A
// task that was claimed already leaves without the lock of the queue, and its entry
// is on another queue then, from which the waker must not take it.
func TestInterleavingsClaimedTaskUsesItsEntryAgain(t *testing.T) {
	for name, beside := range map[string]bool{"sole": false, "many": true} {
		t.Run(name, func(t *testing.T) {
			var q, other waitqueue.Queue
			var task waitqueue.Task
			if beside {
				q.Add(&waitqueue.Entry{Task: new(waitqueue.Task)}) // awake
			}
			var ready atomic.Bool
			var wakers sync.WaitGroup
			claiming := make(chan struct{})
			waitqueue.SetYield(func(point string) {
				if point != "claim" || ready.Load() {
					return
				}
				close(claiming)
				// It gets to the other queue if it needs no lock. If it does, it
				// waits for this goroutine, and nothing is to be seen.
				for range 10_000 {
					if task.State() == waitqueue.Interruptible && other.Active() {
						return
					}
					runtime.Gosched()
				}
			})
			defer waitqueue.SetYield(nil)
			result := make(chan error, 1)
			go func() {
				tests := 0
				_ = task.Wait(&q, func() bool {
					if tests++; tests == 2 {
						wakers.Go(func() { q.WakeUp() })
						<-claiming
					}
					return tests == 2
				})
				result <- task.Wait(&other, ready.Load)
			}()
			<-claiming
			wakers.Wait()
			for task.State() != waitqueue.Interruptible || !other.Active() {
				runtime.Gosched()
			}
			ready.Store(true)
			require.Equal(t, 1, other.WakeUp())
			require.NoError(t, <-result)
		})
	}
}
