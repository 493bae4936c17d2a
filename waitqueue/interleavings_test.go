package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/models"
	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A wait that can end sleeps in a select with a context, or at the place of a task. A plain
// wait without an end is the form "background".
var endForms = []string{"ctx", "task"}

// A waiter waits in one of the forms.
type waiter struct {
	task *waitqueue.Task
	ctx  context.Context
	end  func()

	returned bool
	err      error
}

func newWaiter(m *explore.Model, form string) *waiter {
	w := &waiter{ctx: context.Background()}
	switch form {
	case "ctx":
		w.ctx, w.end = context.WithCancel(m.Context())
	case "deadline":
		w.ctx, w.end = context.WithTimeout(m.Context(), time.Hour)
	case "WithTask":
		w.ctx, w.end, _ = carrier(m)
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

func (w *waiter) waitLocked(q *waitqueue.Queue, l sync.Locker, cond func() bool) {
	if w.task != nil {
		w.err = w.task.WaitLocked(q, l, cond)
	} else {
		w.err = q.WaitLocked(w.ctx, l, cond)
	}
	w.returned = true
}

func (w *waiter) succeeded() bool { return w.returned && w.err == nil }

func timeIsShort() bool { return testing.Short() || models.Race }

// few returns points, and more unless time is short.
func few(points, more string) string {
	if timeIsShort() {
		return points
	}
	return points + "," + more
}

// pointsOf has the points of a model in each form. A wait with a context reaches neither
// "commit" nor "interrupted".
type pointsOf map[string]string

func same(points string, forms ...string) pointsOf {
	all := pointsOf{}
	for _, form := range forms {
		all[form] = points
	}
	return all
}

// inEachForm explores a model in each form.
func inEachForm(t *testing.T, points pointsOf, model func(m *explore.Model, form string)) {
	for form, points := range points {
		t.Run(form, func(t *testing.T) {
			orders.Explore(t, points, func(m *explore.Model) { model(m, form) })
		})
	}
}

func TestInterleavingsOfTheRightLoop(t *testing.T) {
	orders.Explore(t, "", helperAndMonitor(rightLoop))
}

// The lost wake-up: the waiter tests, the waker sets the condition and wakes nobody, the
// waiter sleeps.
func TestInterleavingsOneWaiterOneWaker(t *testing.T) {
	inEachForm(t, pointsOf{
		"background": "tested, commit, awake, unpark",
		"task":       "tested, commit, awake, unpark",
		"WithTask":   "tested, commit, awake, unpark",
		"ctx":        "tested, awake, unpark",
	}, func(m *explore.Model, form string) {
		var q waitqueue.Queue
		var ready atomic.Bool
		w := newWaiter(m, form)
		m.Go("waiter", func(th *explore.Thread) { w.wait(&q, th.Test(ready.Load)) })
		m.Go("waker", func(th *explore.Thread) {
			th.Step("set")
			ready.Store(true)
			th.Step("wake")
			q.WakeUp()
		})
		m.Check(func() error {
			if !w.succeeded() || q.Active() {
				return fmt.Errorf("the condition holds; error %v, on the queue %t", w.err, q.Active())
			}
			return nil
		})
	})
}

// The same with a lock. The goroutines stop at every place where they hold it.
func TestInterleavingsWaitLocked(t *testing.T) {
	inEachForm(t, pointsOf{
		"background": "tested, commit, awake, unpark",
		"ctx":        "tested, awake, unpark",
		"task":       "tested, commit, awake, unpark",
		"WithTask":   "tested, commit, awake, unpark",
	}, func(m *explore.Model, form string) {
		var q waitqueue.Queue
		l := m.NewLock()
		ready := false
		w := newWaiter(m, form)
		m.Go("waiter", func(th *explore.Thread) {
			l.Lock()
			w.waitLocked(&q, l, th.Test(func() bool { return ready }))
			l.Unlock()
		})
		m.Go("waker", func(th *explore.Thread) {
			th.Step("set")
			l.Lock()
			ready = true
			l.Unlock()
			q.WakeUp()
		})
		m.Check(func() error {
			if !w.succeeded() || q.Active() {
				return fmt.Errorf("the condition holds; error %v, on the queue %t", w.err, q.Active())
			}
			return nil
		})
	})
}

// The condition comes true before the end of the wait. Then the wait succeeds, also if both
// come after its test and before its look at the context.
func TestInterleavingsTrueBeforeTheEnd(t *testing.T) {
	inEachForm(t, pointsOf{
		"ctx":      "sampled, tested, awake",
		"task":     "sampled, tested, commit, awake, interrupted",
		"WithTask": "sampled, tested, commit, awake",
	}, func(m *explore.Model, form string) {
		var q waitqueue.Queue
		var ready atomic.Bool
		w := newWaiter(m, form)
		m.Go("waiter", func(th *explore.Thread) {
			w.wait(&q, func() bool {
				th.Step("test")
				done := ready.Load()
				th.Step("leave the test")
				return done
			})
		})
		m.Go("ender", func(th *explore.Thread) {
			th.Step("set")
			ready.Store(true)
			th.Step("end")
			w.end()
		})
		m.Go("stray", func(th *explore.Thread) {
			th.Step("wake")
			q.WakeUp()
		})
		m.Check(func() error {
			if !w.succeeded() || q.Active() {
				return fmt.Errorf("error %v, on the queue %t", w.err, q.Active())
			}
			return nil
		})
	})
}

// rivals are two waiters that want the tokens of one queue. B is never ended.
type rivals struct {
	q    waitqueue.Queue
	tok  tokens
	put  int32
	a, b *waiter

	ended bool // A
	woken bool // the wake-up came before the end of A
}

// check returns an error if a waiter sleeps while a token is free, or if the number of taken
// tokens is not the number of waits that succeeded. B is not ended, so it must have no error.
func (r *rivals) check(m *explore.Model) error {
	free, taken := r.tok.Load(), int32(0)
	for _, w := range []*waiter{r.a, r.b} {
		if w.succeeded() {
			taken++
		}
	}
	sleepers := len(m.Asleep())
	switch {
	case free > 0 && sleepers > 0:
		return errors.New("a token is free")
	case free+taken != r.put:
		return fmt.Errorf("%d tokens put, %d free, %d taken", r.put, free, taken)
	case r.b.err != nil:
		return fmt.Errorf("B failed: %w", r.b.err)
	case r.q.Active() != (sleepers > 0):
		return errors.New("somebody is left on the queue")
	}
	return nil
}

// start makes A and B of a model, in their forms, and judges them.
func (r *rivals) start(m *explore.Model, formA, formB string) {
	r.a, r.b = newWaiter(m, formA), newWaiter(m, formB)
	m.Go("A", func(th *explore.Thread) { r.a.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	m.Go("B", func(th *explore.Thread) { r.b.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	r.judge(m)
}

func (r *rivals) judge(m *explore.Model) {
	m.Check(func() error { return r.check(m) })
	m.Release(func() {
		r.tok.Add(2)
		r.q.WakeUpAll()
	})
}

// waker adds a goroutine that puts n tokens, each with a wake-up.
func (r *rivals) waker(m *explore.Model, n int) {
	if n == 1 {
		m.MaySleep("B") // if A got the token; the wait of A ends
	}
	m.Go("waker", func(th *explore.Thread) {
		for range n {
			th.Step("put a token")
			r.put++
			r.tok.Add(1)
			th.Step("wake")
			r.woken = !r.ended
			r.q.WakeUp()
		}
	})
}

// lockedWaker adds a waker that puts its token with the lock held, and wakes without it.
func (r *rivals) lockedWaker(m *explore.Model, l *explore.Lock) {
	m.Go("waker", func(th *explore.Thread) {
		th.Step("put a token")
		l.Lock()
		r.put++
		r.tok.Add(1)
		l.Unlock()
		r.q.WakeUp()
	})
}

func (r *rivals) canceller(m *explore.Model) {
	m.Go("canceller", func(th *explore.Thread) {
		th.Step("end A")
		r.ended = true
		r.a.end()
	})
}

// A wake-up picks A, and A gives up. Then the wake-up is for B.
func TestInterleavingsCancelAndWake(t *testing.T) {
	for _, formB := range []string{"background", "task"} {
		t.Run("B="+formB, func(t *testing.T) {
			inEachForm(t, pointsOf{
				"ctx":  "sampled, tested, commit, awake, unpark", // B commits
				"task": "sampled, tested, commit, awake, unpark, interrupted",
			}, func(m *explore.Model, formA string) {
				var r rivals
				m.Before(func() { r.start(m, formA, formB) })
				r.waker(m, 1)
				r.canceller(m)
			})
		})
	}
}

// The same, but A and B may still be on their way to sleep.
func TestInterleavingsCancelOnTheWay(t *testing.T) {
	inEachForm(t, same(few("", "tested"), endForms...), cancelOnTheWay)
}

func cancelOnTheWay(m *explore.Model, form string) {
	var r rivals
	r.start(m, form, "background")
	r.waker(m, 1)
	r.canceller(m)
}

// Two tokens for two waiters. A waiter may take a token on its way to sleep, before any
// wake-up. It is still on the queue when the wake-up for the second token comes.
func TestInterleavingsTwoTokens(t *testing.T) {
	inEachForm(t, same("tested", endForms...), func(m *explore.Model, form string) {
		var r rivals
		r.start(m, form, form)
		r.waker(m, 2)
	})
}

// The same with an end of A, which is behind B on the queue:
//
//	waker: puts a token, and its wake-up picks B
//	A: its wait is ended, it takes that token
//	B: finds no token, sleeps again
//	waker: puts the second token, and its wake-up must not pick A, which is about to leave
func TestInterleavingsTwoTokensAndCancel(t *testing.T) {
	inEachForm(t, pointsOf{"ctx": "", "task": "interrupted", "WithTask": ""}, twoTokensAndCancel)
}

func twoTokensAndCancel(m *explore.Model, form string) {
	r := rivals{a: newWaiter(m, form), b: newWaiter(m, "background")}
	m.Before(func() {
		m.Go("B", func(th *explore.Thread) { r.b.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	})
	m.Go("A", func(th *explore.Thread) {
		r.a.waitExclusive(&r.q, func() bool {
			th.Step("test")
			took := r.tok.tryTake()
			th.Step("leave the test")
			return took
		})
	})
	r.judge(m)
	r.waker(m, 2)
	r.canceller(m)
}

// A came first. If its wait has not ended before the wake-up, A gets the only token.
func TestInterleavingsFirstComeFirstServed(t *testing.T) {
	inEachForm(t, pointsOf{
		"ctx":      "tested, awake, unpark",
		"task":     "tested, commit, awake, unpark, interrupted",
		"WithTask": "tested, commit, awake, unpark",
	}, func(m *explore.Model, form string) {
		var r rivals
		m.Before(func() { r.start(m, form, form) })
		r.waker(m, 1)
		r.canceller(m)
		m.Check(func() error {
			if err := r.check(m); err != nil {
				return err
			}
			if r.woken && !r.a.succeeded() {
				return errors.New("A was passed over")
			}
			return nil
		})
	})
}

// One wake-up is for all watchers and for one taker. A watcher does not use up the wake-up of
// the taker.
func TestInterleavingsWatcherAndTaker(t *testing.T) {
	inEachForm(t, pointsOf{"background": "commit", "ctx": "", "task": "commit"}, func(m *explore.Model, form string) {
		var q waitqueue.Queue
		var tok tokens
		var seen atomic.Bool
		watcher, taker := newWaiter(m, form), newWaiter(m, form)
		m.Go("watcher", func(th *explore.Thread) { watcher.wait(&q, th.Test(seen.Load)) })
		m.Go("taker", func(th *explore.Thread) { taker.waitExclusive(&q, th.Test(tok.tryTake)) })
		m.Go("waker", func(th *explore.Thread) {
			th.Step("put a token")
			tok.Add(1)
			seen.Store(true)
			th.Step("wake")
			q.WakeUp()
		})
		m.Check(func() error {
			if !watcher.succeeded() || !taker.succeeded() {
				return fmt.Errorf("watcher %t, taker %t", watcher.succeeded(), taker.succeeded())
			}
			return nil
		})
	})
}

// A deadline may come at any moment, like the canceller.
func TestInterleavingsDeadline(t *testing.T) {
	orders.Explore(t, few("", "tested"), deadline)
}

func deadline(m *explore.Model) {
	var r rivals
	r.start(m, "deadline", "background")
	r.waker(m, 1)
	m.Event("deadline", func() { time.Sleep(2 * time.Hour) })
}

// A loop written out that has a timeout and no context.
func TestInterleavingsScheduleTimeout(t *testing.T) {
	orders.Explore(t, "commit, awake, unpark", func(m *explore.Model) {
		var q waitqueue.Queue
		var tok tokens
		var took, late bool
		m.Go("waiter", func(th *explore.Thread) {
			var task waitqueue.Task
			e := waitqueue.Entry{Task: &task}
			left := time.Hour
			for {
				q.Prepare(&e, waitqueue.Interruptible)
				th.Step("test")
				if took = tok.tryTake(); took || left == 0 {
					break
				}
				th.Step("sleep")
				left = task.ScheduleTimeout(left)
			}
			q.Finish(&e)
		})
		m.Go("waker", func(th *explore.Thread) {
			th.Step("put a token")
			tok.Add(1)
			th.Step("wake")
			q.WakeUp()
		})
		m.Event("deadline", func() {
			late = true
			time.Sleep(2 * time.Hour)
		})
		m.Check(func() error {
			if q.Active() || took != (tok.Load() == 0) || !late {
				return fmt.Errorf("took the token %t, %d free", took, tok.Load())
			}
			return nil
		})
	})
}

// A Signal that has picked A reaches B if A gives up, whether A is about to
// sleep, asleep, or waiting for the lock.
func TestInterleavingsCondSignalAndCancel(t *testing.T) {
	inEachForm(t, pointsOf{"Wait": few("", "commit"), "WaitFor": "", "WithTask": ""}, condSignalAndCancel) // WaitFor sleeps in Wait
}

func condSignalAndCancel(m *explore.Model, form string) {
	formA := "ctx"
	if form == "WithTask" {
		formA, form = form, "WaitFor"
	}
	s := shelf{c: waitqueue.NewCond(m.NewLock()), a: newWaiter(m, formA), b: newWaiter(m, "background")}
	m.Go("A", func(th *explore.Thread) { s.take(th, s.a, form) })
	m.Go("B", func(th *explore.Thread) { s.take(th, s.b, form) })
	s.signalAndCancel(m)
}

// signalAndCancel adds an item, and a goroutine that ends A.
func (s *shelf) signalAndCancel(m *explore.Model) {
	m.Go("signaller", func(th *explore.Thread) {
		th.Step("add an item")
		s.add(1)
		s.c.Signal()
	})
	m.Go("canceller", func(th *explore.Thread) {
		th.Step("end A")
		s.a.end()
	})
	m.MaySleep("B") // if A got the item
	m.Check(s.check)
	m.Release(func() {
		s.add(2)
		s.c.Broadcast()
	})
}

// A shelf has items for A and B, which take one each.
type shelf struct {
	c     *waitqueue.Cond
	items int // guarded by c.L
	a, b  *waiter
}

func (s *shelf) add(n int) {
	s.c.L.Lock()
	s.items += n
	s.c.L.Unlock()
}

func (s *shelf) take(th *explore.Thread, w *waiter, form string) {
	s.c.L.Lock()
	defer s.c.L.Unlock()
	ready := th.Test(func() bool { return s.items > 0 })
	if form == "WaitFor" {
		w.err = s.c.WaitFor(w.ctx, ready)
	} else {
		for !ready() && w.err == nil {
			w.err = s.c.Wait(w.ctx)
		}
	}
	w.returned = true
	if w.err == nil {
		s.items--
	}
}

func (s *shelf) check() error {
	switch {
	case s.items > 0 && !s.b.returned:
		return errors.New("an item is there")
	case s.b.err != nil:
		return fmt.Errorf("B failed: %w", s.b.err)
	case s.items < 0 || s.a.succeeded() && s.b.succeeded():
		return errors.New("the item was taken twice")
	}
	return nil
}

// Two tokens for two waiters, and a third goroutine that does not wait but may be quicker.
func TestInterleavingsCompletionBarging(t *testing.T) {
	inEachForm(t, same("added, tested, awake", "background", "ctx"), func(m *explore.Model, form string) {
		var c waitqueue.Completion
		var passed atomic.Int32
		for _, name := range []string{"W1", "W2"} {
			w := newWaiter(m, form)
			m.Go(name, func(*explore.Thread) {
				if c.Wait(w.ctx) == nil {
					passed.Add(1)
				}
			})
		}
		m.Go("completer", func(th *explore.Thread) {
			for range 2 {
				th.Step("complete")
				c.Complete()
			}
		})
		m.Go("T3", func(th *explore.Thread) {
			th.Step("try")
			if c.TryWait() {
				passed.Add(1)
			}
		})
		m.Check(func() error {
			if passed.Load() != 2 || c.IsDone() {
				return fmt.Errorf("%d of 2 passed, token left: %t", passed.Load(), c.IsDone())
			}
			return nil
		})
		m.MaySleep("W1", "W2") // if T3 was quicker
		m.Release(c.CompleteAll)
	})
}

// One waiter on two queues, each of which has a waker.
func TestInterleavingsWaitAny(t *testing.T) {
	inEachForm(t, same("awake, unpark", "background", "ctx"), func(m *explore.Model, form string) {
		var left, right waitqueue.Queue
		var n atomic.Int32
		w := newWaiter(m, form)
		m.Go("waiter", func(th *explore.Thread) {
			w.err = waitqueue.WaitAny(w.ctx, th.Test(func() bool { return n.Load() == 2 }), &left, &right)
			w.returned = true
		})
		for i, q := range []*waitqueue.Queue{&left, &right} {
			m.Go(fmt.Sprintf("waker %d", i), func(th *explore.Thread) {
				th.Step("add and wake")
				n.Add(1)
				q.WakeUp()
			})
		}
		m.Check(func() error {
			if !w.succeeded() || left.Active() || right.Active() {
				return errors.New("both wakers have come")
			}
			return nil
		})
	})
}

// The first Signal comes without the lock, so it may come at any moment: for example, when the
// waiter is on the queue and has not released the lock. The second Signal comes with the lock.
// If the waiter is there by then, one of the two reaches it.
func TestInterleavingsCondSignalWithoutTheLock(t *testing.T) {
	for form, points := range (pointsOf{
		"background": "queued, commit, awake, unpark",
		"WithTask":   "queued, commit, awake, unpark",
		"ctx":        "queued, awake, unpark",
	}) {
		t.Run(form, func(t *testing.T) {
			orders.Explore(t, points, func(m *explore.Model) {
				c := waitqueue.NewCond(m.NewLock())
				w := newWaiter(m, form)
				came, signalled := false, false // guarded by c.L
				m.Go("waiter", func(*explore.Thread) {
					c.L.Lock()
					defer c.L.Unlock()
					came = true
					w.err = c.Wait(w.ctx)
					w.returned = true
				})
				m.Go("signaller", func(th *explore.Thread) {
					th.Step("signal")
					c.Signal()
					th.Step("signal again")
					c.L.Lock()
					signalled = came
					c.Signal()
					c.L.Unlock()
				})
				m.MaySleep("waiter") // if it was not signalled
				m.Check(func() error {
					if signalled && !w.succeeded() {
						return errors.New("it had come, and was signalled")
					}
					return nil
				})
				m.Release(c.Broadcast)
			})
		})
	}
}

// A waker has claimed the task of a wait and has not signalled it yet. The wait ends. The
// goroutine waits again at once, on another queue, where nobody wakes it. The late signal must
// not reach it there. So its condition runs twice: before it is on the queue, and on the queue.
func TestInterleavingsLateSignal(t *testing.T) {
	orders.Explore(t, "tested, commit, unpark", func(m *explore.Model) {
		var q, other waitqueue.Queue
		var ready, over atomic.Bool
		var tests atomic.Int32
		m.Go("waiter", func(th *explore.Thread) {
			_ = q.Wait(context.Background(), th.Test(ready.Load))
			_ = other.Wait(context.Background(), func() bool {
				tests.Add(1)
				return over.Load()
			})
		})
		m.Go("waker", func(th *explore.Thread) {
			th.Step("set")
			ready.Store(true)
			th.Step("wake")
			q.WakeUp()
		})
		m.MaySleep("waiter") // on the other queue
		m.Check(func() error {
			if n := tests.Load(); n != 2 {
				return fmt.Errorf("%d tests", n)
			}
			return nil
		})
		m.Release(func() {
			over.Store(true)
			other.WakeUp()
		})
	})
}

// A goroutine that sees a task about to sleep finds its entry on the queue. The models have no
// point between the entry and the state, so this test looks at every point: if the task sleeps,
// the entry is there.
func TestInterleavingsTheStateIsSeenAfterTheEntry(t *testing.T) {
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
			point.Hook(func(at string, _ any) {
				if task.State() != waitqueue.Running && !q.Active() {
					missing = append(missing, at)
				}
			})
			defer point.Hook(nil)
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

// At the point "claim" the queue is locked, so no goroutine of a model may stop there. In the
// tests below the hook of that point makes the step of the other goroutine.

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
			if i != lost+1 { // the waiter that the wake-up picks
				want = append(want, &tasks[i])
			}
		}
		var claimed atomic.Bool
		point.Hook(func(at string, _ any) {
			if at == "claim" && !claimed.Swap(true) {
				tasks[lost].WakeUp(waitqueue.Normal)
			}
		})
		require.Equal(t, 1, q.WakeUp())
		point.Hook(nil)
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
		point.Hook(func(at string, _ any) {
			if at == "claim" && !claimed.Swap(true) {
				task.WakeUp(waitqueue.Normal)
			}
		})
		defer point.Hook(nil)
		result := asleep(func() error { return task.WaitExclusive(&q, tok.tryTake) })
		require.Zero(t, q.WakeUp())
		require.False(t, ended(result))
		tok.Store(1)
		require.Equal(t, 1, q.WakeUp())
		require.NoError(t, <-result)
	})
}

// A waker is held right before its claim of a task, and the condition of the task is true. If
// the task was claimed already, it could leave without the lock of the queue and put its entry
// on another queue. The waker must not take the entry off that one.
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
			point.Hook(func(at string, _ any) {
				if at != "claim" || ready.Load() {
					return
				}
				close(claiming)
				// A task that needs no lock gets to the other queue. A task that needs
				// the lock waits for this goroutine, and this loop ends without it.
				for range 10_000 {
					if task.State() == waitqueue.Interruptible && other.Active() {
						return
					}
					runtime.Gosched()
				}
			})
			defer point.Hook(nil)
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
