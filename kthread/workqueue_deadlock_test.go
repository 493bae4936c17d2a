package kthread_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

// Each of these would wait for ever.
func TestWorkCannotWaitForItsOwnWorkqueue(t *testing.T) {
	type scene struct {
		q    *kthread.Workqueue
		self *kthread.Work
	}
	cancel := func(ctx context.Context, s *scene) error { _, err := s.self.CancelSync(ctx); return err }
	alone := map[string]func(context.Context, *scene) error{
		"Workqueue.Flush":   func(ctx context.Context, s *scene) error { return s.q.Flush(ctx) },
		"Workqueue.Drain":   func(ctx context.Context, s *scene) error { return s.q.Drain(ctx) },
		"Workqueue.Destroy": func(ctx context.Context, s *scene) error { return s.q.Destroy(ctx) },
		"Flush itself":      func(ctx context.Context, s *scene) error { return s.self.Flush(ctx) },
		"CancelSync itself": cancel,
		"Flush itself when pending": func(ctx context.Context, s *scene) error {
			s.q.Enqueue(s.self)
			defer func() { _ = cancel(ctx, s) }()
			return s.self.Flush(ctx)
		},
	}
	for name, wait := range alone {
		for _, maxActive := range []int{1, 3} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := scene{q: newWorkqueue(t, maxActive)}
					var err error
					runs := 0
					s.self = &kthread.Work{Func: func() {
						if runs++; runs == 1 {
							err = wait(t.Context(), &s)
						}
					}}
					require.True(t, s.q.Enqueue(s.self))
					synctest.Wait()
					require.ErrorIs(t, err, syscall.EDEADLK)
					require.True(t, s.q.Enqueue(s.self), "it can be used as before")
					require.NoError(t, s.q.Destroy(t.Context()))
					require.Equal(t, 2, runs)
				})
			})
		}
	}
}

// A work may wait for another one, as long as that can run and does not wait for it.
func TestWorkMayWaitForAnotherOfItsWorkqueue(t *testing.T) {
	for _, c := range []struct {
		maxActive int
		want      error
	}{{1, syscall.EDEADLK}, {2, nil}} {
		synctest.Test(t, func(t *testing.T) {
			q, runs := newWorkqueue(t, c.maxActive), 0
			other := counter(&runs)
			var flushed error
			require.True(t, q.Enqueue(&kthread.Work{Func: func() {
				require.True(t, q.Enqueue(other))
				flushed = other.Flush(t.Context())
			}}))
			require.NoError(t, q.Flush(t.Context()))
			synctest.Wait()
			require.Equal(t, c.want, errors.Unwrap(flushed))
			require.Equal(t, 1, runs)
		})
	}
}

// Two works that flush each other, and three in a circle: the last one is told.
func TestWorksThatWaitForEachOtherAreTold(t *testing.T) {
	for _, n := range []int{2, 3} {
		synctest.Test(t, func(t *testing.T) {
			q := newWorkqueue(t, n+2)
			works, errs := make([]*heldWork, n), make([]error, n)
			for i := range works {
				works[i] = newHeld()
				works[i].then = func() { errs[i] = works[(i+1)%n].Flush(t.Context()) }
				require.True(t, q.Enqueue(&works[i].Work))
			}
			for _, k := range works {
				k.end()
				synctest.Wait()
			}
			for i, err := range errs[:n-1] {
				require.NoError(t, err, i)
			}
			require.ErrorIs(t, errs[n-1], syscall.EDEADLK)
			require.NoError(t, q.Flush(t.Context()))
		})
	}
}

// All threads wait for pending works: the last one is told.
func TestLastThreadMayNotWaitForAPendingWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, runs := newWorkqueue(t, 2), 0
		works := []*heldWork{newHeld(), newHeld()}
		pending := counter(&runs)
		errs := make([]error, 2)
		for i, k := range works {
			k.then = func() { errs[i] = pending.Flush(t.Context()) }
			require.True(t, q.Enqueue(&k.Work))
		}
		require.True(t, q.Enqueue(pending))
		synctest.Wait()
		works[0].end()
		synctest.Wait()
		works[1].end()
		require.NoError(t, q.Flush(t.Context()))
		require.NoError(t, errs[0])
		require.ErrorIs(t, errs[1], syscall.EDEADLK)
		require.Equal(t, 1, runs)
	})
}

// A work whose wait is over waits no longer, though it has not gone on yet.
func TestWorkWhoseWaitIsOverDoesNotCountAsWaiting(t *testing.T) {
	q := newWorkqueue(t, 2)
	for range 300 {
		var first, second, third kthread.Work
		var errs [2]error
		third.Func = func() {}
		second.Func = func() {
			q.Enqueue(&third)
		}
		flusher := kthread.Work{Func: func() { errs[1] = third.Flush(context.Background()) }}
		first.Func = func() {
			q.Enqueue(&second)
			q.Enqueue(&flusher)
			errs[0] = second.Flush(context.Background())
		}
		require.True(t, q.Enqueue(&first))
		require.NoError(t, q.Drain(t.Context()))
		require.NoError(t, errors.Join(errs[:]...))
	}
}
