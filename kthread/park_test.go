package kthread_test

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// parks is a thread that parks and stops when it is asked to, and counts its
// rounds.
func parks(rounds *int) func(*kthread.Current) error {
	return func(cur *kthread.Current) error {
		var q waitqueue.Queue
		_ = cur.Allow(usr1)
		for {
			*rounds++
			_ = cur.Wait(&q, func() bool { return cur.ShouldStop() || cur.ShouldPark() })
			switch {
			case cur.ShouldStop():
				return errMine
			case cur.ShouldPark():
				cur.ParkMe()
			default:
				cur.Flush()
			}
		}
	}
}

func TestKernel18Park(t *testing.T) {
	t.Run("(a) create, park, stop: the function is called, and should stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			called := false
			thread := kthread.Create("t", func(cur *kthread.Current) error {
				called = true
				require.True(t, cur.ShouldStop())
				return errMine
			})
			require.NoError(t, thread.Park(t.Context()))
			require.False(t, called)
			require.Equal(t, waitqueue.Parked, thread.Info().State)
			require.Equal(t, errMine, thread.Stop())
			require.True(t, called)
		})
	})
	t.Run("(b) twice", func(t *testing.T) {
		inRounds(t, func(t *testing.T, thread *kthread.Thread, _ *int) {
			require.NoError(t, thread.Park(t.Context()))
			require.ErrorIs(t, thread.Park(t.Context()), syscall.EBUSY)
		})
	})
	t.Run("(c) after exit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			thread := kthread.Run("t", func(*kthread.Current) error { return nil })
			require.NoError(t, thread.Wait(t.Context()))
			require.ErrorIs(t, thread.Park(t.Context()), syscall.ENOSYS)
			thread.Unpark()
		})
	})
	t.Run("(d) a parked thread is not woken, and not interrupted", func(t *testing.T) {
		inRounds(t, func(t *testing.T, thread *kthread.Thread, rounds *int) {
			require.NoError(t, thread.Park(t.Context()))
			before := *rounds
			require.False(t, thread.WakeUp())
			require.NoError(t, thread.Signal(usr1))
			synctest.Wait()
			require.Equal(t, before, *rounds)
			require.Equal(t, waitqueue.Parked, thread.Info().State)
			require.Equal(t, "P", thread.Info().State.String())
		})
	})
	t.Run("(e) itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			self := make(chan *kthread.Thread, 1)
			thread := kthread.Run("t", func(cur *kthread.Current) error {
				require.NoError(t, (<-self).Park(context.Background()))
				require.True(t, cur.ShouldPark())
				cur.ParkMe()
				return errMine
			})
			self <- thread
			synctest.Wait()
			require.Equal(t, waitqueue.Parked, thread.Info().State)
			thread.Unpark()
			require.Equal(t, errMine, thread.Wait(t.Context()))
		})
	})
	t.Run("(f) unpark when not asked to park", func(t *testing.T) {
		inRounds(t, func(t *testing.T, thread *kthread.Thread, rounds *int) {
			thread.Unpark()
			synctest.Wait()
			require.Equal(t, 1, *rounds)
		})
	})
}

// inRounds runs test in a bubble with a thread that sleeps in its first round,
// and stops it.
func inRounds(t *testing.T, test func(t *testing.T, thread *kthread.Thread, rounds *int)) {
	synctest.Test(t, func(t *testing.T) {
		rounds := 0
		thread := kthread.Run("t", parks(&rounds))
		synctest.Wait()
		test(t, thread, &rounds)
		require.Equal(t, errMine, thread.Stop(), "also while it is parked")
	})
}

func TestUnparkedThreadGoesOnWhereItWas(t *testing.T) {
	inRounds(t, func(t *testing.T, thread *kthread.Thread, rounds *int) {
		for n := 1; n < 5; n++ {
			require.Equal(t, n, *rounds)
			require.NoError(t, thread.Park(t.Context()))
			require.Equal(t, n, *rounds)
			thread.Unpark()
			synctest.Wait()
		}
	})
}

func TestParkedBeforeItsFirstRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rounds := 0
		thread := kthread.Create("t", parks(&rounds))
		require.NoError(t, thread.Park(t.Context()))
		require.Zero(t, rounds)
		thread.Unpark()
		synctest.Wait()
		require.Equal(t, 1, rounds)
		require.Equal(t, errMine, thread.Stop())
	})
}

// A thread that does not look, and one that ends: Park returns all the same.
func TestParkReturnsThoughTheThreadDoesNotPark(t *testing.T) {
	for name, end := range map[string]struct {
		act  func(*kthread.Thread, chan struct{})
		want error
	}{
		"it ends":  {func(_ *kthread.Thread, goOn chan struct{}) { close(goOn) }, syscall.ENOSYS},
		"unparked": {func(thread *kthread.Thread, _ chan struct{}) { thread.Unpark() }, syscall.EINTR},
		"stopped": {func(thread *kthread.Thread, _ chan struct{}) {
			go func() { _ = thread.Stop() }()
		}, syscall.EINTR},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				goOn := make(chan struct{})
				thread := kthread.Run("t", func(*kthread.Current) error { <-goOn; return nil })
				synctest.Wait()
				result := make(chan error, 1)
				go func() { result <- thread.Park(context.Background()) }()
				synctest.Wait()
				require.Empty(t, result)
				end.act(thread, goOn)
				require.ErrorIs(t, <-result, end.want)
				if name != "it ends" {
					close(goOn)
				}
				require.NoError(t, thread.Stop())
			})
		})
	}
}

func TestParkIsBoundedByItsContextAndTheRequestStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			_ = cur.Context().Err()
			<-time.After(time.Hour) // does not look
			cur.ParkMe()
			return errMine
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, thread.Park(ctx), syscall.ETIMEDOUT)
		require.ErrorIs(t, thread.Park(ctx), syscall.EBUSY)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Equal(t, waitqueue.Parked, thread.Info().State)
		thread.Unpark()
		require.Equal(t, errMine, thread.Wait(t.Context()))
	})
}

// The answer to a request that was given up is not taken for the next answer.
func TestParkGetsItsOwnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			for range 2 {
				<-goOn
				cur.ParkMe()
			}
			return nil
		})
		synctest.Wait()
		require.Error(t, thread.Park(endedContext(t)))
		goOn <- struct{}{}
		synctest.Wait()
		thread.Unpark() // it had parked
		synctest.Wait()
		second := make(chan error, 1)
		go func() { second <- thread.Park(context.Background()) }()
		synctest.Wait()
		require.Empty(t, second, "answered, and it does not look")
		close(goOn)
		require.NoError(t, <-second)
		require.NoError(t, thread.Stop())
	})
}

func TestParkEndsASleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			err := cur.Sleep(time.Hour)
			require.ErrorIs(t, err, syscall.EINTR)
			require.NotErrorIs(t, err, kthread.ErrStopped)
			require.Equal(t, err, cur.Sleep(time.Hour), "and the next one")
			require.True(t, cur.ShouldPark())
			cur.ParkMe()
			return errMine
		})
		synctest.Wait()
		require.NoError(t, thread.Park(t.Context()))
		require.Zero(t, time.Since(start))
		thread.Unpark()
		require.Equal(t, errMine, thread.Wait(t.Context()))
	})
}

func TestParkMeReturnsAtOnceWhenNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			cur.ParkMe()
			require.Equal(t, waitqueue.Running, cur.Task().State())
			return nil
		})
		require.NoError(t, thread.Wait(t.Context()))
	})
}

// 10,000 threads are started, signalled, parked, unparked and stopped from many
// goroutines. Every stop returns its own thread's answer.
func TestHammerStartSignalParkStop(t *testing.T) {
	const goroutines, each = 8, 1250
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range each {
				life(t, i%2 == 0)
			}
		})
	}
	all.Wait()
}

// life is the life of one thread. It is stopped while others signal and park it, or
// after that.
func life(t *testing.T, early bool) {
	mine := new(answer)
	thread, err := kthread.Start(context.Background(), "t", func(cur *kthread.Current) error {
		rounds := 0
		cur.Ready()
		_ = parks(&rounds)(cur)
		return mine
	})
	if err != nil {
		t.Error(err)
		return
	}
	var others sync.WaitGroup
	others.Go(func() { _ = thread.Signal(usr1) })
	others.Go(func() {
		_ = thread.Park(context.Background())
		thread.WakeUp()
		thread.Unpark()
	})
	if early {
		others.Go(func() { thread.Unpark() })
	}
	others.Go(func() { _ = kthread.Tasks().String() })
	if !early {
		others.Wait()
	}
	if thread.Stop() != error(mine) {
		t.Error("an answer of another thread")
	}
	others.Wait()
}

// A thread is asked to park, and a signal or a stop ends its sleep too. The sleep
// says so, because a loop that parks would not look for these.
func TestSleepNamesASignalOrAStopBeforeAPark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thread := kthread.Run("t", func(cur *kthread.Current) error {
			_ = cur.Allow(usr1)
			_ = cur.Thread().Park(t.Context())
			require.EqualError(t, cur.Sleep(time.Hour), "kthread: asked to park")
			_ = cur.Thread().Signal(usr1)
			return cur.Sleep(time.Hour)
		})
		require.EqualError(t, thread.Wait(t.Context()), "kthread: interrupted by a signal")
	})
}
