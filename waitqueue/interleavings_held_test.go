package waitqueue_test

import (
	"testing"
	"time"

	"github.com/kprim/kprim/internal/explore"
	"github.com/kprim/kprim/waitqueue"
)

// A wake-up that comes when the lock of the queue has just been released, before the
// sleep, is not lost. If A is interrupted, the token is for B.
func TestInterleavingsWaitHeld(t *testing.T) {
	explorer.Explore(t, "released, awake, unpark", func(t *testing.T, s *explore.Schedule) {
		var r rivals
		wait := func(w *waiter) func(*explore.Thread) {
			return func(th *explore.Thread) {
				th.At("lock")
				r.q.Lock()
				defer r.q.Unlock()
				w.err = w.task.WaitExclusiveHeld(&r.q, r.tok.tryTake)
				w.returned = true
			}
		}
		r.a, r.b = newWaiter(t, "task"), newWaiter(t, "task")
		s.Thread("A", wait(r.a))
		s.Thread("B", wait(r.b))
		r.judge(s)
		r.waker(s, 1)
		r.canceller(s)
	})
}

// A wake-up of a waiter that holds the queue's lock is not lost, and of two exclusive
// waiters each gets one. The wakers come before the sleep, during it, or together.
func TestInterleavingsWaitHeldTwoTokens(t *testing.T) {
	explorer.Explore(t, "commit, awake, released", func(t *testing.T, s *explore.Schedule) {
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
			s.Thread(name, func(th *explore.Thread) {
				th.At("lock")
				q.Lock()
				defer q.Unlock()
				_ = task.WaitExclusiveHeld(&q, take)
			})
		}
		for _, name := range []string{"X", "Y"} {
			s.Thread(name, func(th *explore.Thread) {
				th.At("lock")
				q.Lock()
				defer q.Unlock()
				tokens++
				q.WakeHeld(waitqueue.Normal, 1)
			})
		}
		s.Wrong = func() string {
			if len(s.Asleep()) > 0 {
				return "there are tokens for both"
			}
			return ""
		}
		s.Release = func() { q.WakeUpAll(); tasks["A"].Interrupt(); tasks["B"].Interrupt() }
	})
}

// A wake-up before, in or after the look at what is remembered ends the sleep. The
// waker stops with the queue locked, so the waiter leaves the queue alone.
func TestInterleavingsWokenEntry(t *testing.T) {
	explorer.Explore(t, "commit, awake, remembered, unpark", func(t *testing.T, s *explore.Schedule) {
		var q waitqueue.Queue
		var tok tokens
		took := false
		e := waitqueue.NewWokenEntry(new(waitqueue.Task))
		q.Add(&e.Entry)
		s.Thread("waiter", func(th *explore.Thread) {
			for took = th.Test(tok.tryTake)(); !took; took = th.Test(tok.tryTake)() {
				th.At("announce")
				e.Wait(waitqueue.Uninterruptible, 1000*time.Hour, func() bool {
					th.At("look")
					return false
				})
			}
		})
		s.Thread("waker", func(th *explore.Thread) {
			th.At("put a token")
			tok.Add(1)
			th.At("wake")
			q.WakeUp()
		})
		s.Wrong = func() string {
			if !took {
				return "the waiter sleeps, and a token is there"
			}
			return ""
		}
	})
}
