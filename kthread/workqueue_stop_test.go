package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/kthread"
)

// Destroy tells whether a stop has dropped works: with the reason of the stop, and the same
// before the stop and after it.
func TestDestroyTellsWhetherWorksWereDropped(t *testing.T) {
	for _, drops := range []bool{false, true} {
		for reason, text := range map[error]string{
			nil:       "kthread: the workqueue is gone (asked to stop)",
			errReason: "kthread: the workqueue is gone (asked to stop: out of memory)",
		} {
			t.Run(fmt.Sprint(drops, reason), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := kthread.AllocWorkqueue("test", 1)
					works := holdAll(t, q, 1)
					if drops {
						works = append(works, holdAll(t, q, 1)...)
					}
					require.True(t, q.EnqueueAfter(&kthread.DelayedWork{Func: func() {}}, time.Hour), "does not count")
					before := answerOf(q.Destroy)
					synctest.Wait()
					q.AskStop(reason)
					after := answerOf(q.Destroy)
					synctest.Wait()
					require.Empty(t, after, "a work runs")
					works[0].end()
					for _, err := range []error{<-before, <-after, q.Destroy(endedContext(t))} {
						if !drops {
							require.NoError(t, err)
							continue
						}
						require.EqualError(t, err, text)
						for _, want := range []error{syscall.ESRCH, kthread.ErrStopped} {
							require.ErrorIs(t, err, want)
						}
						if reason != nil {
							require.ErrorIs(t, err, reason)
						}
					}
				})
			})
		}
	}
}

// A drain and a flush whose works are dropped have the reason too.
func TestReasonOfAStopIsInTheErrorsOfAWorkqueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 1)
		works := holdAll(t, q, 2)
		timed := kthread.DelayedWork{Func: func() {}}
		require.True(t, q.EnqueueAfter(&timed, time.Hour))
		answers := []<-chan error{answerOf(q.Flush), answerOf(q.Drain), answerOf(works[1].Flush)}
		synctest.Wait()
		q.AskStop(errReason)
		for _, answer := range append(answers, answerOf(timed.Flush)) {
			require.ErrorIs(t, <-answer, errReason)
		}
		requireStoppedBy(t, context.Cause(q.Context()))
		works[0].end()
	})
}

// One StopWith and one Destroy let works finish until a context ends.
func TestStopWithOfAWorkqueue(t *testing.T) {
	for name, inTime := range map[string]bool{"in time": true, "too late": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := kthread.AllocWorkqueue("test", 1)
				works := holdAll(t, q, 2)
				works[0].then = func() { require.Equal(t, !inTime, q.Context().Err() != nil) }
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				q.StopWith(ctx)
				destroy := answerOf(q.Destroy)
				synctest.Wait()
				if !inTime {
					cancel(errReason)
					<-q.Context().Done()
					requireStoppedBy(t, context.Cause(q.Context()))
				}
				works[0].end()
				synctest.Wait()
				if inTime {
					works[1].end()
					require.NoError(t, <-destroy)
				} else {
					require.ErrorIs(t, <-destroy, errReason)
					require.Zero(t, works[1].begun)
				}
			})
		})
	}
}

// A context that has ended stops the workqueue at once. Of several the first one counts.
func TestStopWithOfAWorkqueueAndSeveralContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 1)
		q.StopWith(endedContext(t))
		require.ErrorIs(t, context.Cause(q.Context()), context.Canceled)
		require.NoError(t, q.Destroy(t.Context()))

		q = newWorkqueue(t, 1)
		first, end := context.WithCancelCause(t.Context())
		second, endSecond := context.WithCancelCause(t.Context())
		q.StopWith(second)
		q.StopWith(first)
		end(errReason)
		synctest.Wait()
		endSecond(errMine)
		requireStoppedBy(t, context.Cause(q.Context()))
	})
}

// A context that outlives the workqueue has nothing of it when Destroy returns, whether it
// was tied before the end or after it.
func TestStopWithOfAWorkqueueLeavesNothingAtTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx := &countingContext{opaque: opaque{parent}}
		q := kthread.AllocWorkqueue("test", 1)
		works := holdAll(t, q, 1)
		q.StopWith(ctx)
		q.StopWith(ctx)
		destroy := answerOf(q.Destroy)
		synctest.Wait()
		require.Equal(t, 2, ctx.registered)
		works[0].end()
		require.NoError(t, <-destroy)
		require.Zero(t, ctx.registered)
		q.StopWith(ctx)
		require.Zero(t, ctx.registered)
	})
}

// At an opaque context a goroutine waits for the end of it, and ends with the workqueue.
func TestStopWithOfAWorkqueueLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	q := kthread.AllocWorkqueue("test", 1)
	q.StopWith(opaque{parent})
	require.True(t, q.Enqueue(&kthread.Work{Func: func() {}}))
	require.NoError(t, q.Destroy(t.Context()))
	goleak.VerifyNone(t, before)
}

// A stop drops a work that is queued after a flush. The flush waits for the runs, and has no
// error.
func TestStopThatDropsLaterWorksLeavesAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 2)
		works := holdAll(t, q, 2)
		flush := answerOf(q.Flush)
		synctest.Wait()
		works = append(works, holdAll(t, q, 1)...)
		later := answerOf(q.Flush)
		synctest.Wait()
		q.AskStop(nil)
		require.ErrorIs(t, <-later, syscall.ESRCH)
		synctest.Wait()
		require.Empty(t, flush)
		works[0].end()
		works[1].end()
		require.NoError(t, <-flush)
		require.Zero(t, works[2].begun)
	})
}

// A work that is set aside and loses its thread begins before the works that were queued
// later.
func TestWorkThatIsSetAsideKeepsItsTurnOnGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue(t, 2)
		k := runHeld(t, q)
		k.then = func() {
			if k.begun == 1 {
				runtime.Goexit()
			}
		}
		require.True(t, q.Enqueue(&k.Work))
		others := holdAll(t, q, 2)
		require.Equal(t, 1, others[0].begun, "its thread has set k aside")
		k.end()
		synctest.Wait()
		require.Equal(t, 2, k.begun)
		require.Zero(t, others[1].begun)
		for _, work := range []*heldWork{others[0], k, others[1]} {
			work.end()
			synctest.Wait()
		}
	})
}

// A thread or a workqueue that is gone keeps no context alive that it was tied to.
func TestStopWithKeepsNoContextAlive(t *testing.T) {
	thread, err := kthread.Start(t.Context(), "t", func(cur *kthread.Current) error {
		cur.Ready()
		return untilStopped(cur)
	})
	require.NoError(t, err)
	q := kthread.AllocWorkqueue("test", 1)
	for name, c := range map[string]struct {
		tie func(context.Context)
		end func()
	}{
		"thread":    {thread.StopWith, func() { _ = thread.Stop() }},
		"workqueue": {q.StopWith, func() { _ = q.Destroy(context.Background()) }},
	} {
		var collected atomic.Bool
		ctx, cancel := context.WithCancel(context.Background())
		tied := &countingContext{opaque: opaque{ctx}}
		runtime.AddCleanup(tied, func(int) { collected.Store(true) }, 0)
		c.tie(tied)
		tied = nil
		c.end()
		require.Eventually(t, func() bool {
			runtime.GC()
			return collected.Load()
		}, 5*time.Second, time.Millisecond, name)
		cancel()
	}
	runtime.KeepAlive(thread)
	runtime.KeepAlive(q)
}

// A slowContext holds back each end of a registration.
type slowContext struct {
	opaque
	hold chan bool
}

func (c *slowContext) AfterFunc(f func()) func() bool {
	stop := context.AfterFunc(c.Context, f)
	return func() bool { <-c.hold; return stop() }
}

// Destroy returns when the last tie has ended, and not before.
func TestDestroyWaitsForTheEndOfItsTies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx := &slowContext{opaque: opaque{parent}, hold: make(chan bool)}
		q := kthread.AllocWorkqueue("test", 1)
		works := holdAll(t, q, 1)
		q.StopWith(ctx)
		go q.AskStop(nil)
		destroy := answerOf(q.Destroy)
		synctest.Wait()
		works[0].end()
		synctest.Wait()
		require.Empty(t, kworkers())
		require.Empty(t, destroy)
		ctx.hold <- true
		require.NoError(t, <-destroy)
	})
}

func TestDestroyOfAWorkqueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("test", 2)
		ran := 0
		last := counter(&ran)
		works := holdAll(t, q, 3)
		works[2].then = func() { require.True(t, q.Enqueue(last)) }
		dropped := kthread.DelayedWork{Func: func() { t.Error("dropped") }}
		require.True(t, q.EnqueueAfter(&dropped, time.Hour))
		destroys := []<-chan error{answerOf(q.Destroy), answerOf(q.Destroy)}
		synctest.Wait()
		require.False(t, q.Enqueue(counter(new(int))))
		require.NoError(t, q.Context().Err(), "works run")
		for _, k := range works {
			require.Empty(t, destroys[0])
			k.end()
			synctest.Wait()
		}
		for _, destroy := range destroys {
			require.NoError(t, <-destroy)
		}
		require.Equal(t, 1, ran)
		require.Empty(t, kworkers())
		require.Equal(t, kthread.ErrStopped, context.Cause(q.Context()))
		require.NoError(t, q.Destroy(endedContext(t)))
		require.NoError(t, q.Drain(t.Context()))
		require.NoError(t, q.Flush(t.Context()))
		require.False(t, q.Enqueue(last))
		require.False(t, q.EnqueueAfter(&kthread.DelayedWork{Func: last.Func}, 0))
		pass(2 * time.Hour)
		require.Equal(t, 1, ran)
	})
}

// It goes on as after the Shutdown of an http.Server.
func TestDestroyWhoseContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("test", 1)
		works := holdAll(t, q, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, q.Destroy(ctx), syscall.ETIMEDOUT)
		require.False(t, q.Enqueue(counter(new(int))), "it takes no new works")
		works[0].end()
		synctest.Wait()
		require.Equal(t, 1, works[1].begun)
		require.NoError(t, q.Context().Err())
		works[1].end()
		synctest.Wait()
		require.Equal(t, kthread.ErrStopped, context.Cause(q.Context()), "it has ended by itself")
		require.Empty(t, kworkers())
		require.NoError(t, q.Destroy(endedContext(t)))
	})
}

func TestAskStopOfAWorkqueue(t *testing.T) {
	reason := errors.New("no power")
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("test", 2)
		idle := holdAll(t, q, 2)
		idle[1].end() // and one runs on
		k, again := idle[0], &idle[0].Work
		require.True(t, q.Enqueue(again))
		synctest.Wait()
		running := answerOf(q.Flush)
		synctest.Wait()
		second := runHeld(t, q)
		pending := holdAll(t, q, 2)
		delayed := kthread.DelayedWork{Func: func() { t.Error("dropped") }}
		require.True(t, q.EnqueueAfter(&delayed, time.Hour))
		lost := []<-chan error{answerOf(q.Flush), answerOf(pending[0].Flush), answerOf(q.Drain), answerOf(k.Flush)}
		run := cancelOf(t.Context(), second.CancelSync)
		synctest.Wait()
		destroy := answerOf(q.Destroy)
		synctest.Wait()
		q.AskStop(reason)
		q.AskStop(errors.New("a second reason"))
		cause := context.Cause(q.Context())
		require.ErrorIs(t, cause, kthread.ErrStopped)
		require.ErrorIs(t, cause, reason)
		require.EqualError(t, cause, "kthread: asked to stop: no power")
		for _, answer := range lost {
			require.ErrorIs(t, <-answer, syscall.ESRCH)
		}
		require.ErrorIs(t, <-running, syscall.ESRCH, "the work that was set aside is dropped")
		require.False(t, q.Enqueue(again))
		synctest.Wait()
		require.Empty(t, destroy, "two works run")
		require.Empty(t, run)
		k.end()
		second.end()
		require.Equal(t, cancelled{false, nil}, <-run)
		require.ErrorIs(t, <-destroy, syscall.ESRCH)
		require.ErrorIs(t, q.Destroy(t.Context()), reason, "the same as before")
		require.Empty(t, kworkers())
		require.Equal(t, 1, k.begun)
		require.Zero(t, pending[0].begun)
		pass(2 * time.Hour)
	})
}

// A flush that waits for runs only does not mind an AskStop, and Destroy waits for them.
func TestAskStopLetsTheRunsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := kthread.AllocWorkqueue("test", 2)
		works := holdAll(t, q, 2)
		flushes := []<-chan error{answerOf(q.Flush), answerOf(works[0].Flush), answerOf(q.Drain)}
		synctest.Wait()
		q.AskStop(nil)
		require.Equal(t, kthread.ErrStopped, context.Cause(q.Context()))
		destroy := answerOf(q.Destroy)
		synctest.Wait()
		for _, k := range works {
			require.Empty(t, destroy)
			k.end()
		}
		for _, flush := range append(flushes, destroy) {
			require.NoError(t, <-flush)
		}
	})
}

func TestGoexitInAWorkOfAWorkqueue(t *testing.T) {
	for _, maxActive := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			q := newWorkqueue(t, maxActive)
			k, runs := runHeld(t, q), 0
			k.then = func() {
				if k.begun == 1 {
					runtime.Goexit()
				}
			}
			require.True(t, q.Enqueue(&k.Work), "a new thread runs it again")
			require.True(t, q.Enqueue(counter(&runs)))
			synctest.Wait()
			flush, drain := answerOf(k.Flush), answerOf(q.Drain)
			synctest.Wait()
			k.end()
			synctest.Wait()
			require.Equal(t, 2, k.begun)
			k.end()
			require.NoError(t, <-flush)
			require.NoError(t, <-drain)
			require.Equal(t, 1, runs)
			require.NoError(t, q.Destroy(t.Context()))
		})
	}
}
