package kthread_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

// Each of these would have the worker wait for itself.
func TestWorkCannotWaitForItsOwnWorker(t *testing.T) {
	var w *kthread.Worker
	var self, other *kthread.Work
	cancel := func(k **kthread.Work, want bool) func(context.Context) error {
		return func(ctx context.Context) error {
			wasPending, err := (*k).CancelSync(ctx)
			if wasPending != want {
				return errors.New("it was pending, or was not")
			}
			return err
		}
	}
	for name, f := range map[string]func(context.Context) error{
		"Worker.Flush":   func(ctx context.Context) error { return w.Flush(ctx) },
		"Worker.Destroy": func(ctx context.Context) error { return w.Destroy(ctx) },
		"Flush itself":   func(ctx context.Context) error { return self.Flush(ctx) },
		"Flush itself when pending": func(ctx context.Context) error {
			w.Enqueue(self)
			defer cancel(&self, true)(ctx)
			return self.Flush(ctx)
		},
		"Flush a pending one": func(ctx context.Context) error { return other.Flush(ctx) },
		"Flush a delayed one": func(ctx context.Context) error {
			d := kthread.DelayedWork{Func: func() {}}
			w.EnqueueAfter(&d, time.Hour)
			return d.Flush(ctx)
		},
		"CancelSync itself": cancel(&self, false),
		"CancelSync itself when pending": func(ctx context.Context) error {
			w.Enqueue(self)
			return cancel(&self, true)(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				w = newWorker(t)
				runs, others := 0, 0
				other = counter(&others)
				var err error
				self = &kthread.Work{Func: func() {
					if runs++; runs == 1 {
						require.True(t, w.Enqueue(other))
						err = f(t.Context())
					}
				}}
				require.True(t, w.Enqueue(self))
				synctest.Wait()
				require.ErrorIs(t, err, syscall.EDEADLK)
				require.Equal(t, 1, runs)
				require.Equal(t, 1, others, "the worker lives on")
				require.True(t, w.Enqueue(self), "and can be used as before")
				require.NoError(t, w.Destroy(t.Context()))
				require.Equal(t, 2, runs)
				require.Zero(t, time.Since(start))
			})
		})
	}
}

func TestDelayedWorkCannotWaitForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, runs := newWorker(t), 0
		var d kthread.DelayedWork
		d.Func = func() {
			runs++
			require.ErrorIs(t, d.Flush(t.Context()), syscall.EDEADLK)
			require.True(t, w.EnqueueAfter(&d, time.Hour))
			wasPending, err := d.CancelSync(t.Context())
			require.ErrorIs(t, err, syscall.EDEADLK)
			require.True(t, wasPending)
		}
		require.True(t, w.EnqueueAfter(&d, 0))
		pass(2 * time.Hour)
		require.Equal(t, 1, runs)
		require.True(t, w.EnqueueAfter(&d, 0))
		require.NoError(t, w.Destroy(t.Context()))
		require.Equal(t, 2, runs)
	})
}

func TestWorkMayAskWhereThereIsNothingToWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, runs := newWorker(t), 0
		idle, pending, never := counter(&runs), counter(&runs), counter(&runs)
		require.True(t, w.Enqueue(idle))
		require.NoError(t, w.Flush(t.Context()))
		require.True(t, w.Enqueue(&kthread.Work{Func: func() {
			require.NoError(t, idle.Flush(t.Context()))
			require.NoError(t, never.Flush(t.Context()))
			wasPending, err := idle.CancelSync(t.Context())
			require.NoError(t, err)
			require.False(t, wasPending)

			require.True(t, w.Enqueue(pending))
			wasPending, err = pending.CancelSync(t.Context())
			require.NoError(t, err)
			require.True(t, wasPending)
		}}))
		require.NoError(t, w.Destroy(t.Context()))
		require.Equal(t, 1, runs)
	})
}

// Only the worker's own goroutine would wait for itself.
func TestWorkOfAnotherWorkerMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, other := newWorker(t), newWorker(t)
		k := runHeld(t, w)
		var err, spawned error
		require.True(t, other.Enqueue(&kthread.Work{Func: func() { err = w.Flush(t.Context()) }}))
		k.then = func() {
			done := answerOf(func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				return w.Flush(ctx)
			})
			spawned = <-done
		}
		k.end()
		require.NoError(t, other.Destroy(t.Context()))
		require.NoError(t, err)
		require.ErrorIs(t, spawned, syscall.ETIMEDOUT, "it did wait")
	})
}
