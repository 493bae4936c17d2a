package waitqueue_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/explore"
	"github.com/kprim/kprim/waitqueue"
)

// A wake-up in any place of the loop of a WokenEntry ends its sleep, though the loop
// tests before it announces that. The state is Uninterruptible.
func TestWokenEntryInEveryOrder(t *testing.T) {
	explored, bad, first := explorer.Search(t, "commit,unpark,remembered", func(t *testing.T, s *explore.Schedule) {
		var q waitqueue.Queue
		var ready atomic.Bool
		e := waitqueue.NewWokenEntry(new(waitqueue.Task))
		q.Add(&e.Entry)
		s.Thread("waiter", func(th *explore.Thread) {
			for !ready.Load() {
				th.At("tested")
				e.Wait(waitqueue.Uninterruptible, time.Hour, func() bool { th.At("looked"); return false })
			}
		})
		s.Thread("waker", func(th *explore.Thread) {
			th.At("set")
			ready.Store(true)
			th.At("wake")
			q.WakeUp()
		})
		s.Wrong = func() string {
			if len(s.Asleep()) > 0 {
				return "it is ready"
			}
			return ""
		}
		s.Release = func() { e.Task.WakeUp(waitqueue.Normal) }
	})
	require.Zero(t, bad, "of %d; the first is\n%s", explored, first)
	require.Greater(t, explored, 10)
}

// A wake-up of a waiter that holds the queue's lock is not lost, and of two exclusive
// waiters each gets one. The wakers come before the sleep, during it, or together.
func TestWaitHeldInEveryOrder(t *testing.T) {
	explored, bad, first := explorer.Search(t, "commit,awake,released", func(t *testing.T, s *explore.Schedule) {
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
	require.Zero(t, bad, "of %d; the first is\n%s", explored, first)
	require.Greater(t, explored, 10)
}
