package waitqueue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A wake-up may come between the release of the queue's lock and the sleep. It is not lost. If A
// is interrupted, the token is for B.
func TestInterleavingsWaitHeld(t *testing.T) {
	orders.Explore(t, "released, awake, unpark", func(m *explore.Model) {
		var r rivals
		wait := func(w *waiter) func(*explore.Thread) {
			return func(th *explore.Thread) {
				th.Step("lock")
				r.q.Lock()
				defer r.q.Unlock()
				w.err = w.task.WaitExclusiveHeld(&r.q, r.tok.tryTake)
				w.returned = true
			}
		}
		r.a, r.b = newWaiter(m, "task"), newWaiter(m, "task")
		m.Go("A", wait(r.a))
		m.Go("B", wait(r.b))
		r.judge(m)
		r.waker(m, 1)
		r.canceller(m)
	})
}

// Two wake-ups with the queue's lock held are for two exclusive waiters, one each. The wakers
// come before the sleep, during it, or together.
func TestInterleavingsWaitHeldTwoTokens(t *testing.T) {
	orders.Explore(t, "commit, awake, released", func(m *explore.Model) {
		var q waitqueue.Queue
		tokens := 0 // guarded by the queue's lock
		take := func() bool {
			if tokens == 0 {
				return false
			}
			tokens--
			return true
		}
		tasks := map[string]*waitqueue.Task{"A": {}, "B": {}}
		for _, name := range []string{"A", "B"} {
			task := tasks[name]
			m.Go(name, func(th *explore.Thread) {
				th.Step("lock")
				q.Lock()
				defer q.Unlock()
				_ = task.WaitExclusiveHeld(&q, take)
			})
		}
		for _, name := range []string{"X", "Y"} {
			m.Go(name, func(th *explore.Thread) {
				th.Step("lock")
				q.Lock()
				defer q.Unlock()
				tokens++
				q.WakeHeld(waitqueue.Normal, 1)
			})
		}
		m.Release(func() { q.WakeUpAll(); tasks["A"].Interrupt(); tasks["B"].Interrupt() })
	})
}

// A wake-up may come before, during or after the look at the remembered wake-up. It always ends
// the sleep. The waker stops with the queue locked, so the waiter must not use the queue.
func TestInterleavingsWokenEntry(t *testing.T) {
	orders.Explore(t, "commit, awake, remembered, unpark", func(m *explore.Model) {
		var q waitqueue.Queue
		var tok tokens
		took := false
		e := waitqueue.NewWokenEntry(new(waitqueue.Task))
		q.Add(&e.Entry)
		m.Go("waiter", func(th *explore.Thread) {
			for took = th.Test(tok.tryTake)(); !took; took = th.Test(tok.tryTake)() {
				th.Step("announce")
				e.Wait(waitqueue.Uninterruptible, 1000*time.Hour, func() bool {
					th.Step("look")
					return false
				})
			}
		})
		m.Go("waker", func(th *explore.Thread) {
			th.Step("put a token")
			tok.Add(1)
			th.Step("wake")
			q.WakeUp()
		})
		m.Check(func() error {
			if !took {
				return errors.New("the waiter sleeps, and a token is there")
			}
			return nil
		})
	})
}
