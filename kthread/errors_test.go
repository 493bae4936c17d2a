package kthread_test

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// Every error begins with the name of the package, and says in words which thing
// went wrong. The errno is for errors.Is only.
func TestErrorsSayInWordsWhatWentWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		held := kthread.Run("held", func(*kthread.Current) error { <-hold; return nil })
		gone := kthread.Run("gone", func(*kthread.Current) error { return nil })
		require.NoError(t, gone.Wait(t.Context()))
		goneWorker := kthread.RunWorker("gone")
		var delayed kthread.DelayedWork
		delayed.Func = func() {}
		goneWorker.EnqueueAfter(&delayed, 100*time.Hour)
		synctest.Wait()
		require.NoError(t, goneWorker.Thread().Stop())
		late, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		ended := endedContext(t)

		// in returns the error of a call by a thread.
		in := func(call func(cur *kthread.Current) error, ask func(*kthread.Thread)) error {
			thread := kthread.Run("t", call)
			synctest.Wait()
			if ask != nil {
				ask(thread)
			}
			return thread.Wait(t.Context())
		}
		stop := func(thread *kthread.Thread) { go thread.Stop() }
		var q waitqueue.Queue
		never := func() bool { return false }
		start := func(fn func(*kthread.Current) error) error {
			_, err := kthread.Start(t.Context(), "t", fn)
			return err
		}
		for text, c := range map[string]struct {
			err  error
			errs []error
		}{
			"kthread: asked to stop": {in(func(cur *kthread.Current) error { return cur.Wait(&q, never) }, stop), []error{syscall.EINTR}},
			"kthread: interrupted by a signal": {in(func(cur *kthread.Current) error {
				_ = cur.Allow(usr1)
				return cur.WaitExclusive(&q, never)
			}, func(thread *kthread.Thread) { _ = thread.Signal(usr1) }), []error{syscall.EINTR}},
			"kthread: wait timed out":                            {in(func(cur *kthread.Current) error { return cur.WaitTimeout(&q, time.Hour, never) }, nil), []error{syscall.ETIMEDOUT}},
			"kthread: asked to park":                             {in(func(cur *kthread.Current) error { return cur.Sleep(time.Hour) }, func(thread *kthread.Thread) { go thread.Park(ended) }), []error{syscall.EINTR}},
			"kthread: stopped before its first run":              {kthread.Create("t", untilStopped).Stop(), []error{syscall.EINTR}},
			"kthread: a thread cannot wait for itself":           {in(func(cur *kthread.Current) error { return cur.Thread().Stop() }, nil), []error{syscall.EDEADLK}},
			"kthread: the function called runtime.Goexit":        {in(func(*kthread.Current) error { runtime.Goexit(); return nil }, nil), nil},
			"kthread: the function returned before it was ready": {start(func(*kthread.Current) error { return nil }), nil},
			"kthread: wait interrupted: context canceled":        {held.Wait(ended), []error{syscall.EINTR, context.Canceled}},
			"kthread: wait timed out: context deadline exceeded": {held.StopContext(late), []error{syscall.ETIMEDOUT, context.DeadlineExceeded}},
			"kthread: park: the thread is gone":                  {gone.Park(t.Context()), []error{syscall.ENOSYS}},
			"kthread: unparked or stopped before it parked":      {held.Park(t.Context()), []error{syscall.EINTR}}, // it is asked to stop
			"kthread: signal 1: the thread is gone":              {gone.Signal(1), []error{syscall.ESRCH}},
			"kthread: no signal has the number 65":               {held.Signal(65), []error{syscall.EINVAL}},
			"kthread: the worker is gone (asked to stop)":        {delayed.Flush(t.Context()), []error{syscall.ESRCH}},
		} {
			require.Error(t, c.err, text)
			require.EqualError(t, c.err, text)
			for _, want := range c.errs {
				require.ErrorIs(t, c.err, want, text)
			}
		}
		byStop, stopped := context.WithCancelCause(t.Context())
		stopped(kthread.ErrStopped)
		require.EqualError(t, held.Wait(byStop), "kthread: wait interrupted: asked to stop", "the name of the package comes once")
		require.ErrorIs(t, held.Wait(byStop), kthread.ErrStopped)
		_, err := kthread.Start(ended, "t", untilStopped)
		require.EqualError(t, err, "kthread: wait interrupted: context canceled")
		parked := kthread.Create("t", untilStopped)
		require.NoError(t, parked.Park(t.Context()))
		require.EqualError(t, parked.Park(t.Context()), "kthread: park: asked for already")
		require.Equal(t, errMine, parked.Stop())
		w := newWorker(t)
		k := runHeld(t, w)
		require.EqualError(t, w.Flush(ended), "kthread: wait interrupted: context canceled")
		_, err = k.CancelSync(late)
		require.EqualError(t, err, "kthread: wait timed out: context deadline exceeded")
		var timeout interface{ Timeout() bool }
		require.True(t, errors.As(err, &timeout) && timeout.Timeout(), "as net.Error has it")
		k.end()
		close(hold)
	})
}
