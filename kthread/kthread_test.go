package kthread_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

var errMine = errors.New("the thread's own error")

// untilStopped sleeps until the thread is asked to stop.
func untilStopped(cur *kthread.Current) error {
	var q waitqueue.Queue
	if err := cur.Wait(&q, cur.ShouldStop); err != nil {
		return err
	}
	return errMine
}

// isDone reports whether the thread is gone, once all goroutines are parked.
func isDone(t *kthread.Thread) bool {
	synctest.Wait()
	select {
	case <-t.Done():
		return true
	default:
		return false
	}
}

func endedContext(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestRunAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("a thread with a long name", untilStopped)
		require.Equal(t, "a thread with a long name", thread.Name())
		require.False(t, isDone(thread))
		require.Equal(t, errMine, thread.Stop())
		require.True(t, isDone(thread))
		require.Equal(t, errMine, thread.Stop(), "again")
		require.Equal(t, errMine, thread.Wait(endedContext(t)), "gone beats an ended context")
		require.Equal(t, errMine, thread.StopContext(endedContext(t)))
		require.False(t, thread.WakeUp())
	})
}

func TestManyStoppersGetTheSameAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", untilStopped)
		synctest.Wait()
		var stoppers sync.WaitGroup
		for range 10 {
			stoppers.Go(func() { require.Equal(t, errMine, thread.Stop()) })
			stoppers.Go(func() { require.Equal(t, errMine, thread.Wait(context.Background())) })
		}
		stoppers.Wait()
	})
}

func TestThreadThatEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(*kthread.Current) error { return errMine })
		require.Equal(t, errMine, thread.Wait(context.Background()))
		require.Equal(t, errMine, thread.Stop())
		require.NoError(t, kthread.Run("t", func(*kthread.Current) error { return nil }).Wait(t.Context()))
	})
}

func TestCreatedThreadWaitsForItsWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		thread := kthread.Create("t", func(cur *kthread.Current) error {
			runs.Add(1)
			return untilStopped(cur)
		})
		synctest.Wait()
		require.Zero(t, runs.Load())
		require.True(t, thread.WakeUp())
		synctest.Wait()
		thread.WakeUp() // the second start is only a wake-up
		synctest.Wait()
		require.EqualValues(t, 1, runs.Load())
		require.Equal(t, errMine, thread.Stop())
	})
}

func TestStopBeforeTheFirstRunNeverCallsTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Create("t", func(*kthread.Current) error {
			t.Error("the function was called")
			return nil
		})
		for range 2 {
			require.ErrorIs(t, thread.Stop(), syscall.EINTR)
		}
		require.True(t, isDone(thread))
		thread.WakeUp()
		synctest.Wait()
	})
}

func TestWaitDoesNotAskToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", untilStopped)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := thread.Wait(ctx)
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, isDone(thread))
		require.Equal(t, errMine, thread.Stop())
	})
}

func TestStopContextGivesUpWaitingNotAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			<-hold
			require.True(t, cur.ShouldStop())
			return errMine
		})
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("no patience")
		time.AfterFunc(time.Second, func() { cancel(why) })
		err := thread.StopContext(ctx)
		for _, want := range []error{syscall.EINTR, context.Canceled, why} {
			require.ErrorIs(t, err, want)
		}
		close(hold)
		require.Equal(t, errMine, thread.Wait(context.Background()))
	})
}

// The flag is there when the sleeps end: no condition that asks for it comes
// out false, and no stop is taken for a signal.
func TestHammerFlagIsSetBeforeTheWakeUp(t *testing.T) {
	for range 2000 {
		var polling atomic.Bool
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			for !cur.Interrupted() {
				polling.Store(true)
				runtime.Gosched()
			}
			if !cur.ShouldStop() {
				return errors.New("woken before the flag was set")
			}
			return nil
		})
		for !polling.Load() {
			runtime.Gosched()
		}
		require.NoError(t, thread.Stop())
	}
}

func TestStopEndsEverySleep(t *testing.T) {
	var q waitqueue.Queue
	never := func() bool { return false }
	for name, fn := range map[string]func(*kthread.Current) error{
		"Wait":          func(cur *kthread.Current) error { return cur.Wait(&q, never) },
		"WaitExclusive": func(cur *kthread.Current) error { return cur.WaitExclusive(&q, never) },
		"WaitTimeout":   func(cur *kthread.Current) error { return cur.WaitTimeout(&q, time.Hour, never) },
		"Sleep":         func(cur *kthread.Current) error { return cur.Sleep(time.Hour) },
		"Context":       func(cur *kthread.Current) error { return q.Wait(cur.Context(), never) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					first := fn(cur)
					require.Equal(t, first.Error(), fn(cur).Error(), "and the next one too")
					cur.Flush() // does not take the stop back
					require.True(t, cur.Interrupted())
					require.Error(t, fn(cur))
					return first
				})
				synctest.Wait()
				err := thread.Stop()
				require.ErrorIs(t, err, kthread.ErrStopped)
				require.ErrorIs(t, err, syscall.EINTR)
				require.Zero(t, time.Since(start))
			})
		})
	}
}

func TestTrueConditionBeatsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			require.NoError(t, cur.Wait(&q, cur.ShouldStop))
			require.NoError(t, cur.WaitExclusive(&q, cur.ShouldStop))
			require.NoError(t, cur.Sleep(0), "all of it has passed")
			require.NoError(t, cur.Sleep(-1))
			return nil
		})
		synctest.Wait()
		require.NoError(t, thread.Stop())
	})
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		thread := kthread.Run("t", func(cur *kthread.Current) error { return cur.Sleep(time.Hour) })
		time.Sleep(time.Minute)
		require.True(t, thread.WakeUp())
		require.NoError(t, thread.Wait(context.Background()))
		require.Equal(t, time.Hour, time.Since(start), "a stray wake-up does not shorten it")
	})
}

// The signal comes at the very moment at which the sleep is over anyway.
func TestTimeThatHasPassedBeatsASignal(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			thread := kthread.Run("t", func(cur *kthread.Current) error {
				require.NoError(t, cur.Allow(usr1))
				return cur.Sleep(time.Hour)
			})
			time.AfterFunc(time.Hour, func() { _ = thread.Signal(usr1) })
			require.NoError(t, thread.Wait(context.Background()))
		})
	}
}

func TestContextOfAThread(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		ctx := make(chan context.Context, 1)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			require.Nil(t, cur.Context().Value(key{}))
			require.Equal(t, cur.Context(), cur.Context())
			name, _ := pprof.Label(cur.Context(), "kthread")
			require.Equal(t, "t", name)
			ctx <- cur.Context()
			return untilStopped(cur)
		})
		c := <-ctx
		require.NoError(t, c.Err())
		_ = thread.Stop()
		require.Equal(t, context.Canceled, c.Err())
		require.Equal(t, kthread.ErrStopped, context.Cause(c))
	})
}

// The creator's labels stay with the creator.
func TestThreadHasNoLabelButItsName(t *testing.T) {
	pprof.Do(t.Context(), pprof.Labels("secret", "hunter2"), func(context.Context) {
		thread, err := kthread.Start(t.Context(), "labelled", func(cur *kthread.Current) error {
			cur.Ready()
			return untilStopped(cur)
		})
		require.NoError(t, err)
		var text strings.Builder
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&text, 1))
		require.Equal(t, 1, strings.Count(text.String(), `labels: {"kthread":"labelled"}`))
		require.Equal(t, errMine, thread.Stop())
	})
}

func TestGoexitCompletesEveryHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(*kthread.Current) error {
			runtime.Goexit()
			return nil
		})
		require.ErrorContains(t, thread.Wait(t.Context()), "Goexit")
		require.True(t, isDone(thread))

		thread, err := kthread.Start(t.Context(), "t", func(*kthread.Current) error {
			runtime.Goexit()
			return nil
		})
		require.Nil(t, thread)
		require.ErrorContains(t, err, "Goexit")
	})
}

func TestStartWaitsForReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		setUp := false
		thread, err := kthread.Start(t.Context(), "t", func(cur *kthread.Current) error {
			require.NoError(t, cur.Sleep(time.Minute))
			setUp = true
			cur.Ready()
			cur.Ready() // does nothing
			return untilStopped(cur)
		})
		require.NoError(t, err)
		require.True(t, setUp)
		require.Equal(t, errMine, thread.Stop())
	})
}

func TestStartOfThreadThatIsNeverReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread, err := kthread.Start(t.Context(), "t", func(*kthread.Current) error { return errMine })
		require.Nil(t, thread)
		require.Equal(t, errMine, err)

		thread, err = kthread.Start(t.Context(), "t", func(*kthread.Current) error { return nil })
		require.Nil(t, thread)
		require.ErrorContains(t, err, "ready")
	})
}

func TestStartOfThreadThatIsReadyAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread, err := kthread.Start(t.Context(), "t", func(cur *kthread.Current) error {
			cur.Ready()
			return errMine
		})
		require.NoError(t, err)
		require.Equal(t, errMine, thread.Stop())
	})
}

func TestStartIsBoundedByItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		thread, err := kthread.Start(ctx, "t", untilStopped)
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.Equal(t, errMine, thread.Wait(context.Background()), "it was asked to stop")
	})
}

func TestContextOfStartIsForTheHandshakeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		thread, err := kthread.Start(ctx, "t", func(cur *kthread.Current) error {
			cur.Ready()
			return untilStopped(cur)
		})
		require.NoError(t, err)
		cancel()
		require.False(t, isDone(thread))
		require.Equal(t, errMine, thread.Stop())
	})
}

// A stop wakes any sleep, though it interrupts only those that allow it.
func TestStopWakesAnUninterruptibleSleeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			cur.Task().SetState(waitqueue.Uninterruptible)
			cur.Task().Schedule()
			require.True(t, cur.ShouldStop())
			return nil
		})
		synctest.Wait()
		require.NoError(t, thread.Stop())
	})
}

func TestThreadThatIsGoneCannotBeWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			cur.Task().SetState(waitqueue.Interruptible)
			return nil
		})
		require.NoError(t, thread.Wait(t.Context()))
		require.False(t, thread.WakeUp())
	})
}

func TestContextEndsWithTheThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ctx context.Context
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			ctx = cur.Context()
			return nil
		})
		require.NoError(t, thread.Wait(t.Context()))
		require.Equal(t, context.Canceled, context.Cause(ctx))
	})
}

func TestHammerDoneIsClosedWhenStopReturns(t *testing.T) {
	for range 20000 {
		thread := kthread.Run("t", func(*kthread.Current) error { return nil })
		_ = thread.Stop()
		select {
		case <-thread.Done():
		default:
			t.Fatal("Stop has returned, and Done is open")
		}
	}
}

func TestWaitOfAThreadAllocatesNothing(t *testing.T) {
	var q waitqueue.Queue
	var turn atomic.Int64
	const rounds = 1000
	allocs := make(chan float64, 1)
	other := kthread.Run("other", func(cur *kthread.Current) error {
		next := int64(1)
		cond := func() bool { return turn.Load() == next }
		for cur.Wait(&q, cond) == nil {
			next += 2
			turn.Add(1)
			q.WakeUp()
		}
		return nil
	})
	thread := kthread.Run("t", func(cur *kthread.Current) error {
		next := int64(0)
		cond := func() bool { return turn.Load() == next }
		allocs <- testing.AllocsPerRun(rounds, func() {
			_ = cur.WaitExclusive(&q, cond)
			next += 2
			turn.Add(1)
			q.WakeUp()
		})
		return nil
	})
	require.Less(t, <-allocs, 0.1, "allocations a round trip")
	require.NoError(t, thread.Wait(t.Context()))
	require.NoError(t, other.Stop())
}

func TestTaskOfAThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := make(chan *waitqueue.Task, 1)
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			task <- cur.Task()
			return untilStopped(cur)
		})
		synctest.Wait()
		require.Equal(t, waitqueue.Interruptible, (<-task).State())
		_ = thread.Stop()
	})
}

// Done is one channel, at every call, before and after the end.
func TestDoneIsOneChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", untilStopped)
		early := thread.Done()
		synctest.Wait()
		require.Equal(t, early, thread.Done())
		require.Equal(t, errMine, thread.Stop())
		<-early
		require.Equal(t, early, thread.Done())

		gone := kthread.Run("t", untilStopped)
		synctest.Wait()
		require.Equal(t, errMine, gone.Stop())
		late := gone.Done()
		<-late
		require.Equal(t, late, gone.Done())
	})
}

// A context that carries a task ends the waits for a thread as any other does.
func TestWaitsForAThreadWithAContextThatCarriesATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		ctx, stop := waitqueue.WithTask(parent, "")
		defer stop()
		release := make(chan struct{})
		thread := kthread.Run("held", func(*kthread.Current) error {
			<-release
			return nil
		})
		result := make(chan error, 1)
		go func() { result <- thread.Wait(ctx) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-result, syscall.EINTR)
		close(release)
		synctest.Wait()
		require.NoError(t, thread.Wait(ctx), "it is gone, which beats an ended context")
	})
}

// The loop of a thread may wait with its own context, which carries a task then.
func TestContextOfAThreadCarriesATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q waitqueue.Queue
		task := make(chan *waitqueue.Task, 1)
		thread := kthread.Run("loop", func(cur *kthread.Current) error {
			ctx, stop := waitqueue.WithTask(cur.Context(), "loop")
			defer stop()
			task <- waitqueue.TaskOf(ctx)
			return q.Wait(ctx, func() bool { return false })
		})
		synctest.Wait()
		require.Equal(t, waitqueue.Interruptible, (<-task).State())
		require.ErrorIs(t, thread.Stop(), kthread.ErrStopped)
	})
}
