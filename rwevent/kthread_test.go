package rwevent_test

import (
	"context"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

// The forms for a kernel thread, by real ones.

func TestAKernelThreadTakesUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		var got []int
		thread := kthread.Run("handler", func(cur *kthread.Current) error {
			for {
				v, err := s.TakeBy(cur)
				if err != nil {
					return err
				}
				got = append(got, v)
			}
		})
		for v := range 3 {
			synctest.Wait()
			_ = s.Post(v)
		}
		synctest.Wait()
		require.ErrorIs(t, thread.Stop(), kthread.ErrStopped)
		require.Equal(t, []int{0, 1, 2}, got)
	})
}

func TestASignalInterruptsAKernelThreadsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		var table rwevent.Table[int, int]
		waits := []func(cur *kthread.Current) error{
			func(cur *kthread.Current) error { _, err := s.TakeBy(cur); return err },
			func(cur *kthread.Current) error { _, _, err := s.WaitBy(cur, 0); return err },
			func(cur *kthread.Current) error { _, err := table.TakeBy(cur); return err },
			func(cur *kthread.Current) error { _, err := table.WaitBy(cur, 0); return err },
		}
		for _, wait := range waits {
			thread := kthread.Run("handler", func(cur *kthread.Current) error {
				if err := cur.Allow(syscall.SIGTERM); err != nil {
					return err
				}
				return wait(cur)
			})
			synctest.Wait()
			thread.Signal(syscall.SIGTERM)
			err := thread.Wait(t.Context())
			require.ErrorIs(t, err, syscall.EINTR)
			require.NotErrorIs(t, err, kthread.ErrStopped)

			thread = kthread.Run("handler", wait)
			synctest.Wait()
			require.ErrorIs(t, thread.Stop(), kthread.ErrStopped)
		}
	})
}

func TestAnEventBeatsAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		_ = s.Post(1)
		thread := kthread.Run("handler", func(cur *kthread.Current) error {
			<-cur.Context().Done()
			if _, _, err := s.WaitBy(cur, 0); err != nil {
				return err
			}
			_, err := s.TakeBy(cur)
			return err
		})
		synctest.Wait() // it runs
		require.NoError(t, thread.Stop())
		_, _, ok := s.Load()
		require.False(t, ok)
	})
}

// The way of a thread that others park, as the doc of Slot.TakesBy has it. No event is lost.
func TestAThreadThatIsParkedWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		var got []int
		thread := kthread.Run("handler", func(cur *kthread.Current) error {
			for {
				var v int
				var ok bool
				err := cur.Wait(s.WaitQueue(), func() bool {
					v, ok = s.TryTake()
					return ok || cur.ShouldPark()
				})
				switch {
				case err != nil:
					return err
				case ok:
					got = append(got, v)
				default:
					cur.ParkMe()
				}
			}
		})
		for v := range 3 {
			synctest.Wait()
			require.NoError(t, thread.Park(t.Context()))
			_ = s.Post(v)
			synctest.Wait()
			require.Len(t, got, v, "it is parked")
			thread.Unpark()
		}
		synctest.Wait()
		require.Equal(t, kthread.ErrStopped, thread.Stop())
		require.Equal(t, []int{0, 1, 2}, got)
	})
}

// A request to park ends no loop. The thread parks when its body does.
func TestARequestToParkIsNoInterruption(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		parks := 0
		thread := kthread.Run("handler", func(cur *kthread.Current) (end error) {
			for range l.by(cur, &end) {
				if cur.ShouldPark() {
					parks++
					cur.ParkMe()
				}
			}
			return end
		})
		parked := make(chan error, 1)
		synctest.Wait()
		go func() { parked <- thread.Park(t.Context()) }()
		synctest.Wait()
		require.Empty(t, parked)
		l.post(1)
		require.NoError(t, <-parked)
		require.Equal(t, kthread.ErrStopped, thread.Stop())
		require.Equal(t, 1, parks)
	})
}

// An Interrupt of the task of a context ends a sleep of the loop. It ends no loop that need not
// sleep, but the end of the context does.
func TestInterruptOfTheTaskOfAContext(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx, stop := waitqueue.WithTask(parent, "handler")
		defer stop()
		waitqueue.TaskOf(ctx).Interrupt()
		n := 0
		var end error
		l.post(0)
		for range l.over(ctx, &end) {
			if n++; n < 10 {
				l.post(n)
			}
		}
		require.Equal(t, 10, n)
		require.EqualError(t, end, "rwevent: wait interrupted: an interrupt is set")

		l.post(0)
		for range l.over(ctx, &end) {
			n++
			cancel()
			l.post(n)
		}
		require.Less(t, n, 10+15)
		require.ErrorIs(t, end, context.Canceled)
	})
}

// A loop's waits with one context that carries a task sleep with that task, on a slot and
// on a table.
func TestWaitsSleepWithTheTaskOfTheirContext(t *testing.T) {
	waits := map[string]func(ctx context.Context, s *rwevent.Slot[int], table *rwevent.Table[int, int]) error{
		"Slot.Take": func(ctx context.Context, s *rwevent.Slot[int], _ *rwevent.Table[int, int]) error {
			_, err := s.Take(ctx)
			return err
		},
		"Slot.Wait": func(ctx context.Context, s *rwevent.Slot[int], _ *rwevent.Table[int, int]) error {
			_, gen, _ := s.Load()
			_, _, err := s.Wait(ctx, gen)
			return err
		},
		"Table.Take": func(ctx context.Context, _ *rwevent.Slot[int], table *rwevent.Table[int, int]) error {
			_, err := table.Take(ctx)
			return err
		},
		"Table.Wait": func(ctx context.Context, _ *rwevent.Slot[int], table *rwevent.Table[int, int]) error {
			_, err := table.Wait(ctx, 0)
			return err
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s rwevent.Slot[int]
				var table rwevent.Table[int, int]
				parent, cancel := context.WithCancel(t.Context())
				ctx, stop := waitqueue.WithTask(parent, "handler")
				defer stop()
				result := make(chan error, 1)
				asleep := func(s *rwevent.Slot[int], table *rwevent.Table[int, int]) {
					go func() { result <- wait(ctx, s, table) }()
					synctest.Wait()
					require.Equal(t, waitqueue.Interruptible, waitqueue.TaskOf(ctx).State())
				}
				asleep(&s, &table)
				_, _ = s.Post(1), table.Post(1, 1)
				require.NoError(t, <-result)
				asleep(new(rwevent.Slot[int]), new(rwevent.Table[int, int]))
				cancel()
				err := <-result
				require.ErrorIs(t, err, syscall.EINTR)
				require.ErrorIs(t, err, context.Canceled)
			})
		})
	}
}
