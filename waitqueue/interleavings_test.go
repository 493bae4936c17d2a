package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kprim/kprim/internal/models"
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
