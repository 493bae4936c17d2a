package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

var errReason = errors.New("out of memory")

// requireStoppedBy fails unless the error says that a stop for errReason ended a sleep.
func requireStoppedBy(t *testing.T, err error) {
	t.Helper()
	require.EqualError(t, err, "kthread: asked to stop: out of memory")
	for _, want := range []error{kthread.ErrStopped, errReason, syscall.EINTR} {
		require.ErrorIs(t, err, want)
	}
}

// Every sleep, the cause of the context, and the result have the reason.
func TestAskStopWithAReason(t *testing.T) {
	var q waitqueue.Queue
	never := func() bool { return false }
	for name, sleep := range map[string]func(*kthread.Current) error{
		"Wait":          func(cur *kthread.Current) error { return cur.Wait(&q, never) },
		"WaitExclusive": func(cur *kthread.Current) error { return cur.WaitExclusive(&q, never) },
		"WaitTimeout":   func(cur *kthread.Current) error { return cur.WaitTimeout(&q, time.Hour, never) },
		"Sleep":         func(cur *kthread.Current) error { return cur.Sleep(time.Hour) },
		"Context": func(cur *kthread.Current) error {
			<-cur.Context().Done()
			return context.Cause(cur.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					err := sleep(cur)
					requireStoppedBy(t, err)
					requireStoppedBy(t, context.Cause(cur.Context()))
					return err
				})
				synctest.Wait()
				start := time.Now()
				thread.AskStop(errReason)
				require.Zero(t, time.Since(start))
				requireStoppedBy(t, thread.Wait(t.Context()))
				requireStoppedBy(t, thread.Stop())
			})
		})
	}
}

// The result of a thread matches the reason, and keeps the error of its function.
func TestResultOfAThreadThatIsStoppedWithAReason(t *testing.T) {
	for name, c := range map[string]struct {
		fn   func(*kthread.Current) error
		text string
		errs []error
	}{
		"nil":             {func(cur *kthread.Current) error { return nil }, "kthread: asked to stop: out of memory", nil},
		"the sleep's":     {untilItsSleepEnds, "kthread: asked to stop: out of memory", nil},
		"the sleep's, in": {func(cur *kthread.Current) error { return fmt.Errorf("flush: %w", untilItsSleepEnds(cur)) }, "flush: kthread: asked to stop: out of memory", nil},
		"its own":         {func(cur *kthread.Current) error { return errMine }, "kthread: the thread's own error (asked to stop: out of memory)", []error{errMine}},
		"the reason":      {func(cur *kthread.Current) error { return errReason }, "kthread: out of memory (asked to stop: out of memory)", nil},
		"none":            {func(cur *kthread.Current) error { runtime.Goexit(); return nil }, "kthread: the function called runtime.Goexit (asked to stop: out of memory)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					_ = untilItsSleepEnds(cur)
					return c.fn(cur)
				})
				synctest.Wait()
				thread.AskStop(errReason)
				for _, err := range []error{thread.Wait(t.Context()), thread.Stop()} {
					require.EqualError(t, err, c.text)
					for _, want := range append(c.errs, kthread.ErrStopped, errReason, syscall.EINTR) {
						require.ErrorIs(t, err, want)
					}
				}
			})
		})
	}
}

func untilItsSleepEnds(cur *kthread.Current) error { return cur.Sleep(time.Hour) }

// A plain stop leaves the result as it is.
func TestAskStopWithoutAReason(t *testing.T) {
	for _, want := range []error{nil, errMine} {
		synctest.Test(t, func(t *testing.T) {
			thread := kthread.Run("t", func(cur *kthread.Current) error {
				require.Equal(t, kthread.ErrStopped, untilItsSleepEnds(cur))
				require.Equal(t, kthread.ErrStopped, context.Cause(cur.Context()))
				return want
			})
			synctest.Wait()
			thread.AskStop(nil)
			require.Equal(t, want, thread.Wait(t.Context()))
		})
	}
}

// The first stop counts, also if it is a plain one.
func TestFirstReasonStays(t *testing.T) {
	stop := func(thread *kthread.Thread) { _ = thread.StopContext(context.Background()) }
	ask := func(reason error) func(*kthread.Thread) {
		return func(thread *kthread.Thread) { thread.AskStop(reason) }
	}
	for name, c := range map[string]struct {
		asks []func(*kthread.Thread)
		want error
	}{
		"a reason, then others":       {[]func(*kthread.Thread){ask(errReason), ask(errMine), ask(nil), stop}, errReason},
		"a stop, then a reason":       {[]func(*kthread.Thread){stop, ask(errReason)}, kthread.ErrStopped},
		"a plain ask, then a reason":  {[]func(*kthread.Thread){ask(nil), ask(errReason)}, kthread.ErrStopped},
		"a reason, then another kind": {[]func(*kthread.Thread){ask(errReason), ask(kthread.ErrStopped)}, errReason},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				thread := kthread.Run("t", func(cur *kthread.Current) error {
					<-hold
					require.ErrorIs(t, context.Cause(cur.Context()), c.want)
					require.NotErrorIs(t, context.Cause(cur.Context()), errMine)
					return untilItsSleepEnds(cur)
				})
				synctest.Wait()
				for _, ask := range c.asks {
					go ask(thread)
					synctest.Wait()
				}
				close(hold)
				err := thread.Wait(t.Context())
				require.ErrorIs(t, err, c.want)
				require.NotErrorIs(t, err, errMine)
			})
		})
	}
}

func TestAskStopBeforeTheFirstRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Create("t", func(*kthread.Current) error {
			t.Error("the function was called")
			return nil
		})
		thread.AskStop(errReason)
		err := thread.Wait(t.Context())
		require.EqualError(t, err, "kthread: stopped before its first run (asked to stop: out of memory)")
		for _, want := range []error{errReason, kthread.ErrStopped, syscall.EINTR} {
			require.ErrorIs(t, err, want)
		}
		require.True(t, isDone(thread))
	})
}

// A stop that comes when the function has returned changes nothing.
func TestAskStopOfAThreadThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(*kthread.Current) error { return nil })
		require.NoError(t, thread.Wait(t.Context()))
		thread.AskStop(errReason)
		require.NoError(t, thread.Stop())
	})
}

// A thread may ask itself, with a reason that is its result.
func TestThreadAsksItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			cur.Thread().AskStop(errReason)
			require.True(t, cur.ShouldStop())
			return nil
		})
		requireStoppedBy(t, thread.Wait(t.Context()))
	})
}

// AskStop unparks a parked thread, as Stop does.
func TestAskStopOfAParkedThread(t *testing.T) {
	rounds := 0
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", parks(&rounds))
		synctest.Wait()
		require.NoError(t, thread.Park(t.Context()))
		thread.AskStop(errReason)
		require.ErrorIs(t, thread.Wait(t.Context()), errMine)
		require.ErrorIs(t, thread.Wait(t.Context()), errReason)
	})
}

// The stop of one thread is the reason of another one. The text says it once.
func TestReasonThatIsTheStopOfAnotherThread(t *testing.T) {
	for reason, text := range map[error]string{
		nil:       "kthread: asked to stop",
		errReason: "kthread: asked to stop: out of memory",
	} {
		synctest.Test(t, func(t *testing.T) {
			parent := kthread.Run("parent", func(cur *kthread.Current) error {
				child := kthread.Run("child", untilItsSleepEnds)
				child.StopWith(cur.Context())
				return child.Wait(context.Background())
			})
			synctest.Wait()
			parent.AskStop(reason)
			err := parent.Wait(t.Context())
			require.EqualError(t, err, text)
			require.ErrorIs(t, err, kthread.ErrStopped)
		})
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Stopping is closed by a stop, whether the channel is made before or after it.
func TestStopping(t *testing.T) {
	for _, early := range []bool{false, true} {
		for name, stop := range map[string]func(*kthread.Thread){
			"AskStop": func(thread *kthread.Thread) { thread.AskStop(errReason) },
			"Stop":    func(thread *kthread.Thread) { go thread.Stop() },
		} {
			t.Run(fmt.Sprint(name, ", made before: ", early), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					hold := make(chan struct{})
					thread := kthread.Run("t", func(cur *kthread.Current) error { <-hold; return nil })
					synctest.Wait()
					if early {
						require.False(t, isClosed(thread.Stopping()))
					}
					stop(thread)
					synctest.Wait()
					require.True(t, isClosed(thread.Stopping()))
					require.False(t, isClosed(thread.Done()))
					require.Equal(t, thread.Stopping(), thread.Stopping())
					close(hold)
					<-thread.Done()
				})
			})
		}
	}
}

// The end of a thread that was not asked closes Stopping too, or a select would wait for
// ever.
func TestStoppingOfAThreadThatEndsByItself(t *testing.T) {
	for _, early := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			hold := make(chan struct{})
			thread := kthread.Run("t", func(cur *kthread.Current) error { <-hold; return nil })
			synctest.Wait()
			if early {
				require.False(t, isClosed(thread.Stopping()))
			}
			close(hold)
			<-thread.Done()
			require.True(t, isClosed(thread.Stopping()))
		})
	}
}

// The end of a context stops the thread, with its cause as the reason.
func TestStopWith(t *testing.T) {
	late := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	given := func(t *testing.T) context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errReason) })
		return ctx
	}
	for name, c := range map[string]struct {
		ctx  func(*testing.T) context.Context
		want error
	}{
		"deadline":  {late, context.DeadlineExceeded},
		"cause":     {given, errReason},
		"has ended": {endedContext, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				thread := kthread.Run("t", func(*kthread.Current) error { return nil })
				require.NoError(t, thread.Wait(t.Context()))
				thread.StopWith(c.ctx(t)) // is too late
				thread = kthread.Run("t", untilItsSleepEnds)
				synctest.Wait()
				ctx := c.ctx(t)
				thread.StopWith(ctx)
				require.Equal(t, ctx.Err() != nil, isClosed(thread.Stopping()), "at once if it has ended")
				err := thread.Wait(t.Context())
				for _, want := range []error{kthread.ErrStopped, c.want} {
					require.ErrorIs(t, err, want)
				}
			})
		})
	}
}

// Of several contexts the first one that ends counts, also for a worker.
func TestStopWithSeveralContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worker := kthread.RunWorker("w")
		first, end := context.WithCancelCause(t.Context())
		second, endSecond := context.WithCancelCause(t.Context())
		synctest.Wait()
		for _, ctx := range []context.Context{second, first} {
			worker.Thread().StopWith(ctx)
		}
		end(errReason)
		synctest.Wait()
		endSecond(errMine)
		err := worker.Thread().Wait(t.Context())
		requireStoppedBy(t, err)
		require.NotErrorIs(t, err, errMine)
	})
}

// An opaque context is of a kind that package context does not know.
type opaque struct{ context.Context }

func (opaque) Value(any) any { return nil }

// A countingContext counts the functions that are registered with it.
type countingContext struct {
	opaque
	registered int
}

func (c *countingContext) AfterFunc(f func()) func() bool {
	c.registered++
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		stopped := stop()
		if stopped {
			c.registered--
		}
		return stopped
	}
}

// A context that outlives the thread has nothing of it, whether it was tied before the
// end or after it.
func TestStopWithLeavesNothingAtTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx := &countingContext{opaque: opaque{parent}}
		hold := make(chan struct{})
		thread := kthread.Run("t", func(*kthread.Current) error { <-hold; return errMine })
		synctest.Wait()
		thread.StopWith(ctx)
		thread.StopWith(ctx)
		require.Equal(t, 2, ctx.registered)
		close(hold)
		require.Equal(t, errMine, thread.Wait(t.Context()))
		require.Zero(t, ctx.registered)
		thread.StopWith(ctx)
		require.Zero(t, ctx.registered)
	})
}

// At an opaque context a goroutine waits for the end of it, and ends with the thread.
func TestStopWithLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	thread, err := kthread.Start(t.Context(), "t", func(cur *kthread.Current) error {
		cur.Ready()
		return untilStopped(cur)
	})
	require.NoError(t, err)
	thread.StopWith(opaque{parent})
	require.Equal(t, errMine, thread.Stop())
	goleak.VerifyNone(t, before)
}

// Stops with a reason each come from everywhere while the thread starts, sleeps and ends.
// One of them is the reason of the sleep, of the context and of the result.
func TestHammerReasons(t *testing.T) {
	rounds := 5000
	if testing.Short() {
		rounds = 500
	}
	for range rounds {
		ctx, cancel := context.WithCancelCause(t.Context())
		var slept, cause error
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			slept = untilItsSleepEnds(cur)
			<-cur.Context().Done()
			cause = context.Cause(cur.Context())
			return nil
		})
		var askers sync.WaitGroup
		for _, ask := range []func(){
			func() { thread.AskStop(errReason) },
			func() { thread.AskStop(errOther) },
			func() { thread.StopWith(ctx) },
			func() { cancel(errMine) },
			func() { <-thread.Stopping() },
		} {
			askers.Go(ask)
		}
		result := thread.Wait(t.Context())
		askers.Wait()
		reasons := 0
		for _, reason := range []error{errReason, errOther, errMine} {
			if errors.Is(result, reason) {
				reasons++
				require.True(t, slept == nil || errors.Is(slept, reason) && errors.Is(cause, reason), "%v; %v; %v", result, slept, cause)
			}
		}
		require.Equal(t, 1, reasons, "%v", result)
		require.True(t, isClosed(thread.Stopping()))
	}
}

// One context ends the thread and a wait for it. The doc comment of Wait says how to tell
// the errors apart.
func TestWaitWithTheContextThatStopsTheThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		thread := kthread.Run("t", func(*kthread.Current) error { <-hold; return nil })
		ctx, cancel := context.WithCancelCause(t.Context())
		synctest.Wait()
		thread.StopWith(ctx)
		cancel(errReason)
		err := thread.Wait(ctx)
		require.ErrorIs(t, err, errReason)
		require.NotErrorIs(t, err, kthread.ErrStopped)
		synctest.Wait() // the stop comes on a goroutine of its own
		close(hold)
		requireStoppedBy(t, thread.Wait(t.Context()))
		requireStoppedBy(t, thread.Wait(ctx))
	})
}
