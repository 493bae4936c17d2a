package waitqueue_test

import (
	"context"
	"errors"
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
