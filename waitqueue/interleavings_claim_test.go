package waitqueue_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

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
