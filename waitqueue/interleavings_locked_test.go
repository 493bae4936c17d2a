package waitqueue_test

import (
	"cmp"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// Two tasks wait with a lock for one token. If A is interrupted, the token is for B. Each
// has the lock on return, or its Unlock panics.
func TestInterleavingsTaskWaitExclusiveLocked(t *testing.T) {
	orders.Explore(t, "sampled, awake, interrupted", func(m *explore.Model) {
		r := rivals{a: newWaiter(m, "task"), b: newWaiter(m, "task")}
		l := m.NewLock()
		wait := func(w *waiter) func(*explore.Thread) {
			return func(*explore.Thread) {
				l.Lock()
				defer l.Unlock()
				w.err = w.task.WaitExclusiveLocked(&r.q, l, r.tok.tryTake)
				w.returned = true
			}
		}
		m.Go("A", wait(r.a))
		m.Go("B", wait(r.b))
		r.lockedWaker(m, l)
		m.MaySleep("B") // if A got the token
		r.canceller(m)
		r.judge(m)
	})
}

// The time of a wait ends at any moment, and perhaps its task is interrupted. The wait
// succeeds if and only if its condition is true on return. If the time was over first, it
// beats the interrupt.
func TestInterleavingsWaitLockedTimeout(t *testing.T) {
	for _, name := range []string{"alone", "interrupted"} {
		t.Run(name, func(t *testing.T) {
			orders.Explore(t, "commit, awake, unpark", func(m *explore.Model) {
				w := timedWaiter{m: m, l: m.NewLock()}
				w.start()
				if name == "interrupted" {
					m.Go("interrupter", func(th *explore.Thread) {
						th.Step("interrupt")
						w.first = cmp.Or(w.first, "interrupt")
						w.task.Interrupt()
					})
				}
			})
		})
	}
}

// A timedWaiter waits for an hour until ready is true.
type timedWaiter struct {
	m    *explore.Model
	q    waitqueue.Queue
	task waitqueue.Task

	l          *explore.Lock
	ready, was bool   // the condition, guarded by l; and on return
	first      string // of the ends
	err        error
}

func (w *timedWaiter) start() {
	w.err = errors.New("no answer")
	w.m.Go("waiter", func(*explore.Thread) {
		w.l.Lock()
		defer w.l.Unlock()
		w.err = w.task.WaitLockedTimeout(&w.q, w.l, time.Hour, func() bool { return w.ready })
		w.was = w.ready
	})
	w.m.Go("waker", func(th *explore.Thread) {
		th.Step("set")
		w.l.Lock()
		w.ready = true
		w.l.Unlock()
		w.q.WakeUp()
	})
	w.m.Event("deadline", func() {
		w.first = cmp.Or(w.first, "deadline")
		time.Sleep(2 * time.Hour)
	})
	w.m.Check(w.check)
}

func (w *timedWaiter) check() error {
	timedOut, interrupted := errors.Is(w.err, syscall.ETIMEDOUT), errors.Is(w.err, syscall.EINTR)
	if w.was != (w.err == nil) || w.err != nil && !timedOut && !interrupted || w.first == "deadline" && interrupted || w.q.Active() {
		return fmt.Errorf("condition %t, first %s, error %w, on the queue %t", w.was, w.first, w.err, w.q.Active())
	}
	return nil
}
