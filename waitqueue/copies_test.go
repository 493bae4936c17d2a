package waitqueue_test

import (
	"context"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

const copied = "waitqueue: Queue was copied while a waiter was on it"

// copyOf copies *p, in a way that vet does not see.
func copyOf[T any](p *T) *T {
	c := new(T)
	reflect.ValueOf(c).Elem().Set(reflect.ValueOf(p).Elem())
	return c
}

// A queue is copied while a waiter is on it. Each use of the copy panics, because the
// waiter is on the original. The original still works.
func TestCopyOfAQueueWithAWaiterPanics(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q waitqueue.Queue
		var tok tokens
		result := asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) })
		c := copyOf(&q)
		task := new(waitqueue.Task)
		e := &waitqueue.Entry{Task: task}
		for name, use := range map[string]func(){
			"WakeUp":               func() { c.WakeUp() },
			"WakeUpN":              func() { c.WakeUpN(0) },
			"WakeUpAll":            func() { c.WakeUpAll() },
			"WakeUpInterruptible":  func() { c.WakeUpInterruptible() },
			"WakeMask":             func() { c.WakeMask(waitqueue.Normal, 0, nil) },
			"Active":               func() { c.Active() },
			"Len":                  func() { c.Len() },
			"Wait":                 func() { _ = c.Wait(ctx, never) },
			"WaitExclusive":        func() { _ = c.WaitExclusive(ctx, never) },
			"Task.Wait":            func() { _ = task.Wait(c, never) },
			"WaitAny":              func() { _ = waitqueue.WaitAny(ctx, never, new(waitqueue.Queue), c) },
			"Add":                  func() { c.Add(e) },
			"AddExclusive":         func() { c.AddExclusive(e) },
			"AddPriority":          func() { c.AddPriority(e) },
			"AddPriorityExclusive": func() { _ = c.AddPriorityExclusive(e) },
			"Prepare":              func() { c.Prepare(e, waitqueue.Interruptible) },
			"PrepareExclusive":     func() { c.PrepareExclusive(e, waitqueue.Interruptible) },
		} {
			require.PanicsWithValue(t, copied, use, name)
			require.PanicsWithValue(t, copied, use, "%s again: the copy is not left locked", name)
		}
		q.Add(e) // it is free
		q.Remove(e)
		tok.Store(1)
		require.Equal(t, 1, q.WakeUp())
		require.NoError(t, <-result)
		require.PanicsWithValue(t, copied, func() { c.WakeUp() }, "the waiter has left, but not this one")
	})
}

// The waiter has left the original, and its entry is in another wait. A wake-up of the
// copy must not reach that wait.
func TestCopyOfAQueueReachesNoStranger(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q, other waitqueue.Queue
		var first, second tokens
		wait := asleep(func() error {
			// One goroutine, so that it gets the same entry from the pool.
			if err := q.Wait(ctx, first.tryTake); err != nil {
				return err
			}
			return other.Wait(ctx, second.tryTake)
		})
		c := copyOf(&q)
		first.Store(1)
		q.WakeUp()
		require.False(t, ended(wait))
		require.PanicsWithValue(t, copied, func() { c.WakeUpAll() })
		require.PanicsWithValue(t, copied, func() { c.WakeUp() })
		second.Store(1)
		require.Equal(t, 1, other.WakeUp())
		require.NoError(t, <-wait)
	})
}

func TestCopyOfACondWithAWaiterPanics(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		c := waitqueue.NewCond(newGate())
		result := condWait(t, ctx, c)
		d := copyOf(c)
		require.PanicsWithValue(t, copied, d.Signal)
		require.PanicsWithValue(t, copied, d.Broadcast)
		require.PanicsWithValue(t, copied, func() { d.Active() })
		require.PanicsWithValue(t, copied, func() { d.Len() })
		d.L.Lock()
		require.PanicsWithValue(t, copied, func() { _ = d.Wait(ctx) })
		require.PanicsWithValue(t, copied, func() { _ = d.WaitFor(ctx, never) })
		require.True(t, d.L.(gate).held())
		d.L.Unlock()
		c.Signal()
		require.NoError(t, <-result)
		require.PanicsWithValue(t, copied, d.Signal)
	})
}

func TestCopyOfACompletionWithAWaiterPanics(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var c waitqueue.Completion
		result := asleep(func() error { return c.Wait(ctx) })
		d := copyOf(&c)
		require.PanicsWithValue(t, copied, func() { _ = d.Wait(ctx) })
		require.PanicsWithValue(t, copied, d.Complete)
		require.PanicsWithValue(t, copied, d.CompleteAll)
		require.False(t, ended(result))
		c.Complete()
		require.NoError(t, <-result)
	})
}

// An old copy is assigned back to the queue. The last entry of the copy is on another queue
// by now, or not the last one any more. No entry may be put behind it.
func TestCopyThatIsAssignedBackReachesNoStranger(t *testing.T) {
	task := new(waitqueue.Task)
	entry := func() *waitqueue.Entry { return &waitqueue.Entry{Task: task} }
	for name, change := range map[string]func(q, other *waitqueue.Queue, last *waitqueue.Entry){
		"last is on another queue": func(q, other *waitqueue.Queue, last *waitqueue.Entry) {
			q.Remove(last)
			other.AddExclusive(last)
		},
		"last is on no queue":    func(q, _ *waitqueue.Queue, last *waitqueue.Entry) { q.Remove(last) },
		"last is not the last":   func(q, _ *waitqueue.Queue, last *waitqueue.Entry) { q.AddExclusive(entry()) },
		"last has others behind": func(q, _ *waitqueue.Queue, _ *waitqueue.Entry) { q.AddExclusive(entry()); q.AddExclusive(entry()) },
	} {
		t.Run(name, func(t *testing.T) {
			var q, other waitqueue.Queue
			first, last, x := entry(), entry(), entry()
			q.AddExclusive(first)
			q.AddExclusive(last)
			old := copyOf(&q)
			change(&q, &other, last)
			reflect.ValueOf(&q).Elem().Set(reflect.ValueOf(old).Elem())
			require.PanicsWithValue(t, copied, func() { q.AddExclusive(x) })
			task.SetState(waitqueue.Interruptible)
			other.WakeUpAll()
			q.Remove(x)
		})
	}
}

// A slice of structs that have a queue grows, so the structs move.
func TestQueueThatMovedPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type device struct {
			ready atomic.Bool
			queue waitqueue.Queue
		}
		old := new(device)
		result := asleep(func() error { return old.queue.Wait(t.Context(), old.ready.Load) })
		moved := copyOf(old)
		moved.ready.Store(true)
		require.PanicsWithValue(t, copied, func() { moved.queue.WakeUp() })
		old.ready.Store(true)
		old.queue.WakeUp()
		require.NoError(t, <-result)
	})
}

// A copy of a queue on which nobody waits is a queue of its own.
func TestCopyOfAnIdleQueueWorks(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		var q waitqueue.Queue
		var tok tokens
		use := func(q *waitqueue.Queue) {
			result := asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) })
			tok.Store(1)
			require.Equal(t, 1, q.WakeUp())
			require.NoError(t, <-result)
		}
		use(&q)
		c := copyOf(&q)
		use(c)
		use(&q)
		use(c)
	})
}
