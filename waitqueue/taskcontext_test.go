package waitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// asleepWith reports how the task of ctx sleeps, once all goroutines are parked. A wait
// that goes the usual way leaves it Running.
func asleepWith(ctx context.Context) waitqueue.State {
	synctest.Wait()
	return waitqueue.TaskOf(ctx).State()
}

// servedWaits are the waits that find the task.
func servedWaits(t *testing.T) map[string]func(ctx context.Context, q *waitqueue.Queue, cond func() bool) error {
	waits := contextWaits(t)
	delete(waits, "WaitAny")
	return waits
}

// The waits sleep with the task, and its state shows how. The errors are the same as with the
// parent.
func TestWithTaskServesTheWaits(t *testing.T) {
	reason := errors.New("the reason")
	for name, wait := range contextWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(t.Context())
				ctx, stop := waitqueue.WithTask(parent, "reader")
				defer stop()
				var q waitqueue.Queue
				result := asleep(func() error { return wait(ctx, &q, never) })
				want := waitqueue.Interruptible
				if name == "WaitAny" {
					want = waitqueue.Running
				}
				require.Equal(t, want, asleepWith(ctx))
				cancel(reason)
				err := <-result
				require.ErrorIs(t, err, syscall.EINTR)
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, reason)
				require.Equal(t, waitqueue.ContextErr(parent), err)
				require.Equal(t, waitqueue.Running, asleepWith(ctx))
				require.Equal(t, err, wait(ctx, &q, never), "it has ended before")
				require.NoError(t, wait(ctx, &q, func() bool { return true }))
				require.False(t, q.Active())
			})
		})
	}
}

func TestWithTaskAndADeadline(t *testing.T) {
	for name, wait := range contextWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reason := errors.New("the reason")
				parent, cancel := context.WithTimeoutCause(t.Context(), time.Minute, reason)
				defer cancel()
				ctx, stop := waitqueue.WithTask(parent, "")
				defer stop()
				start := time.Now()
				err := wait(ctx, new(waitqueue.Queue), never)
				require.Equal(t, time.Minute, time.Since(start))
				require.ErrorIs(t, err, reason)
				require.ErrorIs(t, err, syscall.ETIMEDOUT)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, syscall.EINTR)
			})
		})
	}
}

// Without an end the sleep is uninterruptible, so an interrupt changes nothing. The next test
// is for the waits of Cond and Completion, because q is not their queue.
func TestWithTaskOfAContextWithoutAnEnd(t *testing.T) {
	waits := servedWaits(t)
	for _, name := range []string{"Wait", "WaitExclusive", "WaitLocked", "WaitExclusiveLocked"} {
		wait := waits[name]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := waitqueue.WithTask(context.Background(), "")
				var q waitqueue.Queue
				var tok tokens
				result := asleep(func() error { return wait(ctx, &q, tok.tryTake) })
				require.Equal(t, waitqueue.Uninterruptible, asleepWith(ctx))
				require.Zero(t, q.WakeUpInterruptible())
				waitqueue.TaskOf(ctx).Interrupt()
				q.WakeUp()
				require.False(t, ended(result), "no interrupt ends it")
				stop()
				require.Equal(t, waitqueue.Uninterruptible, asleepWith(ctx))
				tok.Store(1)
				q.WakeUp()
				require.NoError(t, <-result)
				waitqueue.TaskOf(ctx).ClearInterrupt()
				require.False(t, waitqueue.TaskOf(ctx).Interrupted())

				result = asleep(func() error { return wait(ctx, &q, tok.tryTake) })
				require.Equal(t, waitqueue.Running, asleepWith(ctx), "after stop it goes the usual way")
				tok.Store(1)
				q.WakeUp()
				require.NoError(t, <-result)
			})
		})
	}
}

func TestCondAndCompletionWithATaskWithoutAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, _ := waitqueue.WithTask(context.Background(), "")
		c := waitqueue.NewCond(newGate())
		result := condWait(t, ctx, c)
		require.Equal(t, waitqueue.Uninterruptible, asleepWith(ctx))
		waitqueue.TaskOf(ctx).Interrupt()
		require.False(t, ended(result))
		c.Signal()
		require.NoError(t, <-result)

		var done waitqueue.Completion
		result = asleep(func() error { return done.Wait(ctx) })
		require.Equal(t, waitqueue.Uninterruptible, asleepWith(ctx))
		done.Complete()
		require.NoError(t, <-result)
	})
}

// An Interrupt of the task ends each wait, and none of them spins. It also ends each later wait,
// until ClearInterrupt.
func TestInterruptOfATaskThatAContextCarries(t *testing.T) {
	for name, wait := range servedWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := waitqueue.WithTask(t.Context(), "")
				defer stop()
				task := waitqueue.TaskOf(ctx)
				var q waitqueue.Queue
				tests := 0
				cond := func() bool {
					if tests++; tests > 100 {
						panic("it spins")
					}
					return false
				}
				result := asleep(func() error { return wait(ctx, &q, cond) })
				task.Interrupt()
				for range 2 {
					err := <-result
					require.ErrorIs(t, err, syscall.EINTR)
					require.NotErrorIs(t, err, context.Canceled)
					require.EqualError(t, err, "waitqueue: wait interrupted: an interrupt is set")
					result = asleep(func() error { return wait(ctx, &q, cond) })
				}
				require.Error(t, <-result)
				require.NoError(t, wait(ctx, &q, func() bool { return true }))
				require.False(t, q.Active())

				task.ClearInterrupt()
				result = asleep(func() error { return wait(ctx, &q, cond) })
				require.False(t, ended(result))
				task.Interrupt()
				require.Error(t, <-result)
			})
		})
	}
}

// A caller clears an interrupt of its own, and does not know that the context has ended. No wait
// may sleep for ever after that, also a wait that has looked at the context before the end.
func TestInterleavingsClearInterruptKeepsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		ctx, stop := waitqueue.WithTask(parent, "")
		defer stop()
		var q waitqueue.Queue
		tests := 0
		result := asleep(func() error {
			return q.Wait(ctx, func() bool {
				if tests++; tests == 2 { // on the queue; a sleep would be for ever
					cancel()
					time.Sleep(time.Second) // until it has interrupted the task
					waitqueue.TaskOf(ctx).ClearInterrupt()
				}
				return false
			})
		})
		time.Sleep(time.Minute)
		require.True(t, ended(result), "it sleeps on")
		require.ErrorIs(t, <-result, context.Canceled)
		require.True(t, waitqueue.TaskOf(ctx).Interrupted())
	})
}

// A WakeUp of the task ends no wait except Cond.Wait, which may always return early.
func TestWakeUpOfATaskThatAContextCarries(t *testing.T) {
	for name, wait := range servedWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(t.Context())
				ctx, stop := waitqueue.WithTask(parent, "")
				defer stop()
				result := asleep(func() error { return wait(ctx, new(waitqueue.Queue), never) })
				require.True(t, waitqueue.TaskOf(ctx).WakeUp(waitqueue.Normal))
				if name == "Cond.Wait" {
					require.NoError(t, <-result)
					cancel()
					return
				}
				require.False(t, ended(result))
				require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
				cancel()
				require.ErrorIs(t, <-result, syscall.EINTR)
			})
		})
	}
}

// A second wait goes the usual way, and so does a wait in the condition of the first. The task
// is free again after the first wait.
func TestOneWaitAtATimeHasTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		ctx, stop := waitqueue.WithTask(parent, "")
		defer stop()
		var q, other waitqueue.Queue
		var tok, ready tokens
		ready.Store(1)
		first := asleep(func() error {
			return q.WaitExclusive(ctx, func() bool {
				_ = other.Wait(ctx, func() bool { return ready.Load() > 0 }) // though it should not
				return tok.tryTake()
			})
		})
		require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
		ready.Store(0)
		q.WakeUp()
		require.Equal(t, waitqueue.Running, asleepWith(ctx), "the condition sleeps by itself")
		require.True(t, other.Active())
		ready.Store(1)
		other.WakeUp()
		require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))

		second := asleep(func() error { return q.WaitExclusive(ctx, tok.tryTake) })
		tok.Store(2)
		require.Equal(t, 2, q.WakeUpN(2))
		require.NoError(t, <-first)
		require.NoError(t, <-second)

		first = asleep(func() error { return q.Wait(ctx, tok.tryTake) })
		require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
		second = asleep(func() error { return q.Wait(ctx, tok.tryTake) })
		cancel()
		require.ErrorIs(t, <-first, syscall.EINTR)
		require.ErrorIs(t, <-second, syscall.EINTR)
		require.False(t, q.Active())
	})
}

// In the condition of a Wait of the task itself, a wait with the context goes the usual way. The
// task is free after both.
func TestInterleavingsWaitOfTheTaskItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := waitqueue.WithTask(t.Context(), "")
		defer stop()
		task := waitqueue.TaskOf(ctx)
		var q, other waitqueue.Queue
		var tok, ready tokens
		result := asleep(func() error {
			return task.Wait(&q, func() bool {
				_ = other.Wait(ctx, ready.tryTake)
				return tok.tryTake()
			})
		})
		ready.Store(1)
		other.WakeUp() // the first test
		require.Equal(t, waitqueue.Interruptible, asleepWith(ctx), "announced")
		require.True(t, other.Active())
		ready.Store(1)
		other.WakeUp()
		synctest.Wait()
		tok.Store(1)
		ready.Store(1)
		q.WakeUp()
		require.NoError(t, <-result)
		require.Equal(t, waitqueue.Running, asleepWith(ctx))

		result = asleep(func() error {
			q.Lock()
			defer q.Unlock()
			return task.WaitHeld(&q, func() bool {
				tests := 0
				_ = other.Wait(ctx, func() bool { tests++; return tests == 2 })
				return tok.tryTake()
			})
		})
		tok.Store(1)
		q.WakeUp()
		require.NoError(t, <-result)

		for range 2 {
			result = asleep(func() error { return q.Wait(ctx, tok.tryTake) })
			require.Equal(t, waitqueue.Interruptible, asleepWith(ctx), "the task is free")
			tok.Store(1)
			q.WakeUp()
			require.NoError(t, <-result)
		}
	})
}

// A condition that panics, or ends its goroutine, gives the task back.
func TestInterleavingsWithTaskOfAConditionThatLeaves(t *testing.T) {
	for name, leave := range leavings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := waitqueue.WithTask(t.Context(), "")
				defer stop()
				var q waitqueue.Queue
				var tok tokens
				for leaveAt := range 4 {
					tests := 0
					gone := leaves(t, func() {
						_ = q.WaitExclusive(ctx, func() bool {
							if tests++; tests > leaveAt {
								leave()
							}
							return false
						})
					})
					synctest.Wait()
					q.WakeUp()
					<-gone
					require.False(t, q.Active())
					result := asleep(func() error { return q.Wait(ctx, tok.tryTake) })
					require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
					tok.Store(1)
					q.WakeUp()
					require.NoError(t, <-result)
				}
			})
		})
	}
}

// Contexts that are made from the copy wait the usual way, with their own errors.
func TestContextsMadeFromACopy(t *testing.T) {
	reason := errors.New("the reason")
	for name, wait := range contextWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(t.Context())
				ctx, stop := waitqueue.WithTask(parent, "")
				defer stop()
				var q waitqueue.Queue
				short, done := context.WithTimeoutCause(ctx, time.Minute, reason)
				defer done()
				result := asleep(func() error { return wait(short, &q, never) })
				require.Equal(t, waitqueue.Running, asleepWith(short))
				require.Same(t, waitqueue.TaskOf(ctx), waitqueue.TaskOf(short))
				err := <-result
				require.ErrorIs(t, err, syscall.ETIMEDOUT)
				require.ErrorIs(t, err, reason)

				long, done := context.WithTimeout(ctx, time.Hour)
				defer done()
				result = asleep(func() error { return wait(long, &q, never) })
				cancel(reason)
				err = <-result
				require.ErrorIs(t, err, syscall.EINTR)
				require.ErrorIs(t, err, reason)

				free := context.WithoutCancel(ctx)
				require.NoError(t, wait(free, &q, func() bool { return true }))
				require.Same(t, waitqueue.TaskOf(ctx), waitqueue.TaskOf(free))
			})
		})
	}
}

func TestWithTaskOfACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 9527))
		outer, stopOuter := waitqueue.WithTask(parent, "outer")
		inner, stopInner := waitqueue.WithTask(outer, "inner")
		defer stopInner()
		require.Equal(t, "outer", waitqueue.TaskOf(outer).Name)
		require.Equal(t, "inner", waitqueue.TaskOf(inner).Name)
		require.Equal(t, 9527, inner.Value(key{}))
		require.Nil(t, waitqueue.TaskOf(parent))
		var q waitqueue.Queue
		results := []<-chan error{
			asleep(func() error { return q.Wait(outer, never) }),
			asleep(func() error { return q.Wait(inner, never) }),
		}
		require.Equal(t, waitqueue.Interruptible, asleepWith(outer))
		require.Equal(t, waitqueue.Interruptible, asleepWith(inner))
		stopOuter()
		cancel()
		for _, result := range results {
			require.ErrorIs(t, <-result, syscall.EINTR)
		}
	})
}

// A foreign context has a Done channel that package context has not made. Package context
// starts a goroutine for each context that is made from it.
type foreign struct {
	context.Context
	done chan struct{}
}

func (f foreign) Done() <-chan struct{} { return f.done }

func (f foreign) Err() error {
	select {
	case <-f.done:
		return context.Canceled
	default:
		return nil
	}
}

// afterFunc is a foreign one with the method that package context looks for.
type afterFunc struct {
	foreign
	calls *atomic.Int32
}

func (f afterFunc) AfterFunc(func()) func() bool {
	f.calls.Add(1)
	return func() bool { return true }
}

// WithTask starts no goroutine for a foreign context. So a bubble can end though the context
// never ends, and a cleanup has no channel to close. The waits go the usual way.
func TestInterleavingsWithTaskOfAForeignContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := foreign{Context: context.Background(), done: make(chan struct{})}
		var calls atomic.Int32
		for _, parent := range []context.Context{afterFunc{f, &calls}, f} {
			_, _ = waitqueue.WithTask(parent, "dropped")
			ctx, stop := waitqueue.WithTask(parent, "")
			stop()
			require.Zero(t, calls.Load())
			var q waitqueue.Queue
			var tok tokens
			result := asleep(func() error { return q.Wait(ctx, tok.tryTake) })
			require.Equal(t, waitqueue.Running, asleepWith(ctx))
			tok.Store(1)
			q.WakeUp()
			require.NoError(t, <-result)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := foreign{Context: context.Background(), done: make(chan struct{})}
		ctx, stop := waitqueue.WithTask(f, "")
		defer stop()
		var q waitqueue.Queue
		result := asleep(func() error { return q.Wait(ctx, never) })
		close(f.done)
		require.ErrorIs(t, <-result, syscall.EINTR)

		inside, cancel := context.WithCancel(foreign{Context: context.Background(), done: make(chan struct{})})
		ctx, stop = waitqueue.WithTask(inside, "")
		defer stop()
		result = asleep(func() error { return q.Wait(ctx, never) })
		require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
		cancel()
		require.ErrorIs(t, <-result, syscall.EINTR)
	})
}

// The Err of a broken context stays nil. The rules are the same with a task.
func TestWithTaskOfAContextThatEndsWithoutAnErr(t *testing.T) {
	for name, wait := range contextWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(t.Context())
				foreign := newBroken()
				for _, c := range []struct {
					ctx context.Context
					end func()
				}{
					{silent{parent}, cancel}, // its Done is of package context
					{foreign, func() { close(foreign.done) }},
				} {
					ctx, stop := waitqueue.WithTask(c.ctx, "")
					defer stop()
					var q waitqueue.Queue
					gone := make(chan any, 1)
					go func() {
						defer func() { gone <- recover() }()
						_ = wait(ctx, &q, never)
					}()
					synctest.Wait()
					c.end()
					require.Equal(t, noErr, <-gone)
					require.PanicsWithValue(t, noErr, func() { _ = wait(ctx, &q, never) })
					require.NoError(t, wait(ctx, &q, func() bool { return true }))
					require.False(t, q.Active())
				}
				for _, over := range []context.Context{silent{parent}, foreign} {
					ctx, stop := waitqueue.WithTask(over, "")
					defer stop()
					require.PanicsWithValue(t, noErr, func() { _ = wait(ctx, new(waitqueue.Queue), never) })
				}
			})
		})
	}
}

func TestWithTaskOfNil(t *testing.T) {
	var none context.Context
	require.PanicsWithValue(t, "waitqueue: WithTask of a nil context", func() { waitqueue.WithTask(none, "") })
}

// In a wait of the task itself the end of the context is an interrupt. After stop it is
// none any more.
func TestTheEndInterruptsAWaitOfTheTaskItself(t *testing.T) {
	waits := map[string]func(*waitqueue.Task, *waitqueue.Queue) error{
		"Wait":        func(task *waitqueue.Task, q *waitqueue.Queue) error { return task.Wait(q, never) },
		"WaitTimeout": func(task *waitqueue.Task, q *waitqueue.Queue) error { return task.WaitTimeout(q, time.Hour, never) },
		"WaitHeld": func(task *waitqueue.Task, q *waitqueue.Queue) error {
			q.Lock()
			defer q.Unlock()
			return task.WaitHeld(q, never)
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, stopped := range []bool{false, true} {
					parent, cancel := context.WithCancel(t.Context())
					ctx, stop := waitqueue.WithTask(parent, "")
					defer stop()
					if stopped {
						stop()
					}
					task := waitqueue.TaskOf(ctx)
					var q waitqueue.Queue
					result := asleep(func() error { return wait(task, &q) })
					cancel()
					require.Equal(t, !stopped, ended(result))
					task.Interrupt()
					err := <-result
					require.EqualError(t, err, "waitqueue: wait interrupted: an interrupt is set")
					require.NotErrorIs(t, err, context.Canceled)
				}
			})
		})
	}
}

// A copy of a context that has ended has ended too.
func TestWithTaskOfAContextThatHasEnded(t *testing.T) {
	for name, wait := range contextWaits(t) {
		t.Run(name, func(t *testing.T) {
			ctx, stop := waitqueue.WithTask(cancelled(t), "")
			defer stop()
			var q waitqueue.Queue
			tests := 0
			require.ErrorIs(t, wait(ctx, &q, func() bool { tests++; return false }), syscall.EINTR)
			require.LessOrEqual(t, tests, 1)
			require.NoError(t, wait(ctx, &q, func() bool { return true }))
		})
	}
}

// A silent context never has an Err.
type silent struct{ context.Context }

func (silent) Err() error { return nil }

// An Interrupt ends a wait, and the wait looks at its context twice to find the reason. The
// context ends between the two looks. It has an Err then, which the first look has not found.
func TestInterleavingsEndWhileTheInterruptIsLookedInto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, cancel := context.WithCancel(t.Context())
		parent := &endsAfterALook{Context: inner, end: cancel}
		ctx, stop := waitqueue.WithTask(parent, "")
		defer stop()
		var q waitqueue.Queue
		result := asleep(func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
				}
			}()
			return q.Wait(ctx, never)
		})
		parent.armed.Store(true)
		waitqueue.TaskOf(ctx).Interrupt()
		require.EqualError(t, <-result, "waitqueue: wait interrupted: an interrupt is set")
	})
}

// endsAfterALook ends right after a call of its Err.
type endsAfterALook struct {
	context.Context
	end   func()
	armed atomic.Bool
}

func (c *endsAfterALook) Err() error {
	err := c.Context.Err()
	if c.armed.Load() {
		c.end()
	}
	return err
}

// After stop the waits go the usual way, and the end of the context reaches them. A wait that
// has the task at stop keeps it, and the end reaches it. The next wait does not get the task.
func TestStopOfWithTask(t *testing.T) {
	for name, wait := range servedWaits(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(t.Context())
				ctx, stop := waitqueue.WithTask(parent, "")
				var q waitqueue.Queue
				first := asleep(func() error { return wait(ctx, &q, never) })
				stop()
				stop()
				require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
				waitqueue.TaskOf(ctx).Interrupt()
				require.ErrorIs(t, <-first, syscall.EINTR)

				second := asleep(func() error { return wait(ctx, &q, never) })
				require.Equal(t, waitqueue.Running, asleepWith(ctx), "after stop")
				stop()
				waitqueue.TaskOf(ctx).ClearInterrupt()
				cancel()
				require.ErrorIs(t, <-second, syscall.EINTR)
				stop()
				require.False(t, waitqueue.TaskOf(ctx).Interrupted(), "ctx has forgotten the task")
				require.Error(t, wait(ctx, &q, never))

				parent, cancel = context.WithCancel(t.Context())
				ctx, stop = waitqueue.WithTask(parent, "")
				third := asleep(func() error { return wait(ctx, &q, never) })
				stop()
				cancel()
				require.ErrorIs(t, <-third, context.Canceled, "the wait had the task at stop")
				stop()
			})
		})
	}
}

// The parent lives on. The garbage collector frees copies that were dropped without stop, also
// after a wait with them.
func TestInterleavingsDroppedCopiesAreCollected(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	const copies = 10_000
	drop := func() {
		for i := range copies {
			ctx, stop := waitqueue.WithTask(parent, "dropped")
			var q waitqueue.Queue
			require.NoError(t, q.Wait(ctx, func() bool { return true }))
			if i%100 == 0 { // once with a sleep
				tests := 0
				require.NoError(t, q.Wait(ctx, func() bool {
					if tests++; tests == 2 {
						go q.WakeUp()
					}
					return tests > 2
				}))
			}
			if i%10 == 0 {
				stop()
			}
		}
	}
	drop() // a map in the parent grows, and keeps its size
	before := heapInUse()
	const perCopy = 100 // bytes that may be left, of 432 and three rounds
	after := before
	for range 3 {
		drop()
		for range 10 {
			if after = heapInUse(); after < before+copies*perCopy {
				break
			}
		}
	}
	require.Less(t, after, before+copies*perCopy, "bytes on the heap, before %d", before)
}

// The same in a bubble. The cleanup runs outside, where no code may wake a goroutine of the
// bubble.
func TestDroppedCopiesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		for _, parent := range []context.Context{
			parent, foreign{Context: t.Context(), done: make(chan struct{})}, context.Background(),
		} {
			for range 100 {
				_, _ = waitqueue.WithTask(parent, "dropped")
			}
		}
		heapInUse()
		var q waitqueue.Queue
		ctx, _ := waitqueue.WithTask(parent, "")
		result := asleep(func() error { return q.Wait(ctx, never) })
		heapInUse()
		cancel()
		require.ErrorIs(t, <-result, syscall.EINTR, "a sleeper keeps its copy")
	})
	heapInUse()
}

// A queue and a completion outlive the bubbles. Each bubble has a copy of its own.
func TestWithTaskInSeveralBubbles(t *testing.T) {
	var q waitqueue.Queue
	var c waitqueue.Completion
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithCancel(t.Context())
			ctx, stop := waitqueue.WithTask(parent, "")
			defer stop()
			var tok tokens
			result := asleep(func() error { return q.Wait(ctx, tok.tryTake) })
			tok.Store(1)
			q.WakeUp()
			require.NoError(t, <-result)
			result = asleep(func() error { return c.Wait(ctx) })
			c.Complete()
			require.NoError(t, <-result)
			result = asleep(func() error { return c.Wait(ctx) })
			cancel()
			require.ErrorIs(t, <-result, syscall.EINTR)
		})
	}
}

func TestACopyPrintsAsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.Background())
		ctx, stop := waitqueue.WithTask(parent, "worker")
		defer stop()
		require.Equal(t, "context.Background.WithCancel.WithTask(worker R)", fmt.Sprint(ctx))
		q := waitqueue.Queue{Name: "jobs"}
		result := asleep(func() error { return q.Wait(ctx, never) })
		require.Equal(t, waitqueue.Interruptible, asleepWith(ctx))
		require.Equal(t, "jobs", waitqueue.TaskOf(ctx).Wchan())
		require.Equal(t, "worker", waitqueue.TaskOf(ctx).Name)
		require.Equal(t, "Task(worker S jobs)", fmt.Sprint(waitqueue.TaskOf(ctx)))
		require.Equal(t, "context.Background.WithCancel.WithTask(worker S jobs)", fmt.Sprintf("%+v", ctx))
		short, done := context.WithCancel(ctx)
		done()
		require.Equal(t, "context.Background.WithCancel.WithTask(worker S jobs).WithCancel", fmt.Sprint(short))
		cancel()
		require.Error(t, <-result)
		require.Empty(t, waitqueue.TaskOf(ctx).Wchan(), "the task keeps no queue alive")

		ctx, _ = waitqueue.WithTask(foreign{Context: context.Background(), done: make(chan struct{})}, "")
		require.Equal(t, "waitqueue_test.foreign.WithTask(R)", fmt.Sprint(ctx))
		require.Nil(t, waitqueue.TaskOf(parent))
	})
}

// Any goroutine may print a copy and look at its task while other goroutines wait with it.
func TestPrintingACopyIsNoDataRace(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	ctx, stop := waitqueue.WithTask(parent, "worker")
	defer stop()
	q := waitqueue.Queue{Name: "jobs"}
	var tok tokens
	var waits sync.WaitGroup
	for range 2 {
		waits.Go(func() {
			for q.WaitExclusive(ctx, tok.tryTake) == nil {
				continue
			}
		})
	}
	for range 300 {
		tok.Add(1)
		q.WakeUp()
		require.Contains(t, fmt.Sprint(ctx), "WithTask(worker ")
		runtime.Gosched()
	}
	cancel()
	waits.Wait()
}

// Two loops that hand a turn to each other, by a queue, a Cond and a Completion.
func TestAWaitWithATaskAllocatesNothing(t *testing.T) {
	const rounds = 1000
	for name, play := range map[string]func(ctx context.Context, other bool){
		"Queue": func() func(context.Context, bool) {
			var q waitqueue.Queue
			var turn atomic.Bool
			return func(ctx context.Context, other bool) {
				mine := func() bool { return turn.Load() == other }
				for range rounds {
					_ = q.Wait(ctx, mine)
					turn.Store(!other)
					q.WakeUp()
				}
			}
		}(),
		"Cond": func() func(context.Context, bool) {
			c, turn := waitqueue.NewCond(new(sync.Mutex)), false
			return func(ctx context.Context, other bool) {
				for range rounds {
					c.L.Lock()
					for turn != other {
						_ = c.Wait(ctx)
					}
					turn = !other
					c.Signal()
					c.L.Unlock()
				}
			}
		}(),
		"Completion": func() func(context.Context, bool) {
			var turns [2]waitqueue.Completion
			return func(ctx context.Context, other bool) {
				mine, next := &turns[0], &turns[1]
				if other {
					mine, next = next, mine
					mine.Complete()
				}
				for range rounds {
					next.Complete()
					_ = mine.Wait(ctx)
				}
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := waitqueue.WithTask(t.Context(), "")
			defer stop()
			ctx2, stop2 := waitqueue.WithTask(t.Context(), "")
			defer stop2()
			allocs := testing.AllocsPerRun(10, func() {
				var both sync.WaitGroup
				both.Go(func() { play(ctx2, true) })
				play(ctx, false)
				both.Wait()
			})
			require.Less(t, allocs/rounds, 0.1, "allocations a round trip")
		})
	}
}
