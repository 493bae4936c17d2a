package usermodehelper

import (
	"context"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

func TestBurstHelpersPassWithinAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Burst: 3, Interval: time.Minute}
		begun := time.Now()
		passed := make(chan time.Duration, 20)
		for range 10 {
			begin(func(ctx context.Context) error {
				err := g.enter(ctx, "/x")
				passed <- time.Since(begun)
				return err
			})
			synctest.Wait()
		}
		for i := range 10 {
			require.Equal(t, time.Duration(i/3)*time.Minute, <-passed)
		}
		require.False(t, g.hasTimer())
	})
}

// A counter that starts again at each minute would let six helpers pass within two
// seconds here.
func TestIntervalSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Burst: 3, Interval: time.Minute}
		requireIn(t, arrive(g))
		time.Sleep(59 * time.Second)
		requireIn(t, arrive(g), arrive(g))
		time.Sleep(2 * time.Second)
		requireIn(t, arrive(g))
		requireWaits(t, arrive(g))
		time.Sleep(58*time.Second - time.Nanosecond)
		synctest.Wait()
		require.Equal(t, 1, g.Waiting())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Zero(t, g.Waiting())
	})
}

// At random times, more helpers than Burst never pass within an Interval, and no helper
// waits without a reason.
func TestRateIsNeverExceededAndNeverTooLow(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		burst, interval := 1+random.IntN(9), time.Second
		synctest.Test(t, func(t *testing.T) {
			g := &Gate{Burst: burst, Interval: interval}
			var came, passed []time.Time
			times := make(chan time.Time, 40)
			for range cap(times) {
				came = append(came, time.Now())
				begin(func(ctx context.Context) error {
					err := g.enter(ctx, "/x")
					times <- time.Now()
					return err
				})
				synctest.Wait()
				time.Sleep(time.Duration(random.Int64N(int64(interval) / int64(burst))))
				if random.IntN(4) == 0 { // so the helpers before are forgotten
					time.Sleep(time.Duration(burst) * interval)
				}
			}
			for i := range cap(times) {
				passed = append(passed, <-times)
				earliest := came[i]
				if i >= burst && passed[i-burst].Add(interval).After(earliest) {
					earliest = passed[i-burst].Add(interval)
				}
				require.Equal(t, earliest, passed[i], "helper %d", i)
			}
		})
	}
}

// The gate remembers the helpers of one Interval, even if Burst would allow many more.
func TestLargeBurstNeedsLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Burst: math.MaxInt, Interval: time.Second}
		for i := range 1000 {
			requireIn(t, arrive(g))
			require.LessOrEqual(t, len(g.rate.times), 2, "helper %d", i)
			time.Sleep(time.Second / 2)
		}
	})
}

// A helper counts for a whole Interval, also if fewer than Burst have passed in it.
func TestHelperIsNotForgottenEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Burst: 2, Interval: time.Second}
		requireIn(t, arrive(g))
		time.Sleep(time.Second - time.Nanosecond)
		requireIn(t, arrive(g))
		third := arrive(g)
		requireWaits(t, third)
		time.Sleep(time.Nanosecond)
		requireIn(t, third)
	})
}

// The rate lets a waiter pass while all places are taken: the next helper that leaves
// gives it the place at once.
func TestRateAndPlacesCountTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 1, Interval: time.Minute}
		requireIn(t, arrive(g))
		w := arrive(g)
		time.Sleep(time.Hour)
		requireWaits(t, w)
		require.False(t, g.hasTimer(), "the place is missing, not the time")
		g.leave()
		requireIn(t, w)
		g.leave()
		w = arrive(g)
		requireWaits(t, w)
		time.Sleep(time.Minute)
		requireIn(t, w)
		for range 3 {
			g.overFirst()
		}
		g.leave()
		g.requireIdle(t)
	})
}

func TestNoTimerIsLeftWhenNoHelperWaits(t *testing.T) {
	for _, end := range []func(*Gate, *call){
		func(_ *Gate, w *call) { w.cancel(errWhy) },
		func(g *Gate, _ *call) { _ = g.Disable(canceled()) },
	} {
		synctest.Test(t, func(t *testing.T) {
			g := &Gate{Interval: time.Minute}
			requireIn(t, arrive(g))
			w := arrive(g)
			requireWaits(t, w)
			require.True(t, g.hasTimer())
			end(g, w)
			synctest.Wait()
			require.Error(t, w.err)
			require.False(t, g.hasTimer())
		})
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestFullQueueRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, queue := range []int{-1, 1, 2} {
			for _, g := range []*Gate{{Max: 1, Queue: queue}, {Interval: time.Minute, Queue: queue}} {
				requireIn(t, arrive(g))
				var line []*call
				for range max(queue, 0) {
					line = append(line, arrive(g))
				}
				requireWaits(t, line...)
				for range 2 {
					full := arrive(g)
					requireEnded(t, full, syscall.ENOBUFS)
					require.NotErrorIs(t, full.err, syscall.ECANCELED)
				}
				for _, w := range line {
					w.cancel(errWhy)
					requireEnded(t, w, syscall.ECANCELED, syscall.EINTR)
					require.NotErrorIs(t, w.err, syscall.ENOBUFS)
				}
				g.leave()
				g.overFirst()
				time.Sleep(time.Minute)
				requireIn(t, arrive(g))
				g.leave()
				g.overFirst()
				g.requireIdle(t)
			}
		}
	})
}

// A newcomer finds a queue that is full of helpers that may pass by now.
func TestLateTimerDoesNotFillTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Burst: 2, Interval: time.Minute, Queue: 1}
		requireIn(t, arrive(g), arrive(g))
		w := arrive(g)
		requireWaits(t, w)
		g.mu.Lock()
		g.timer.Stop()
		g.mu.Unlock()
		time.Sleep(time.Minute)
		requireWaits(t, w)
		requireIn(t, arrive(g), w)
		next := arrive(g)
		requireWaits(t, next)
		next.cancel(errWhy)
		synctest.Wait()
		require.False(t, g.hasTimer())
	})
}

func TestQueueErrorSaysWhyHelpersWait(t *testing.T) {
	places, pace := &Gate{Max: 1, Queue: -1}, &Gate{Burst: 2, Interval: time.Hour, Queue: -1}
	require.NoError(t, places.enter(t.Context(), "/x"))
	require.NoError(t, pace.enter(t.Context(), "/x"))
	require.NoError(t, pace.enter(t.Context(), "/x"))
	require.EqualError(t, places.enter(t.Context(), "/x"),
		"usermodehelper: /x was not started: all 1 places are taken, and 0 helpers wait: "+syscall.ENOBUFS.Error())
	require.EqualError(t, pace.enter(t.Context(), "/x"),
		"usermodehelper: /x was not started: 2 may start within 1h0m0s, and 0 helpers wait: "+syscall.ENOBUFS.Error())
}

func TestGateWithANegativeFieldRefusesEveryHelper(t *testing.T) {
	for _, g := range []*Gate{{Max: -1}, {Burst: -1}, {Interval: -1}} {
		require.ErrorIs(t, g.check("/x"), syscall.EINVAL)
	}
	require.NoError(t, (&Gate{Queue: -1}).check("/x"))
}

func TestWaitCountsRunningAndWaitingHelpersAndNoNewcomers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 1}
		requireIn(t, wait(g)) // there is none
		first, second := arrive(g), arrive(g)
		w := wait(g)
		newcomer := arrive(g)
		g.leave()
		g.over(first.visit)
		requireIn(t, second)
		requireWaits(t, w)
		g.leave()
		requireIn(t, newcomer)
		requireWaits(t, w) // the Cleanup of the second
		g.over(second.visit)
		requireIn(t, w)

		later := wait(g)
		requireWaits(t, later)
		later.cancel(errWhy)
		requireEnded(t, later, syscall.EINTR, errWhy)
		require.NotErrorIs(t, later.err, syscall.EAGAIN)
		require.EqualError(t, later.err, "usermodehelper: helpers not over yet: 1: no more need")
		g.leave()
		g.over(newcomer.visit)
		require.NoError(t, g.Wait(canceled()), "there is none to wait for")
		g.requireIdle(t)
	})
}

// The helper is refused while it waits, but its Cleanup has not returned.
func TestWaitCountsTheCleanupOfAHelperThatWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 1}
		requireIn(t, arrive(g))
		v, err := g.join("/x")
		require.NoError(t, err)
		require.ErrorIs(t, g.await(canceled(), v, "/x"), syscall.ECANCELED)
		w := wait(g)
		g.leave()
		g.overFirst()
		requireWaits(t, w)
		next := arrive(g)
		requireIn(t, next)
		d := disable(g)
		g.leave()
		requireWaits(t, d)
		g.over(next.visit)
		requireIn(t, d) // which does not count v
		requireWaits(t, w)
		g.over(v)
		requireIn(t, w)
		g.requireIdle(t)
	})
}

// A member of the first helper's group has outlived SIGKILL.
func TestWaitAndDisableCountAHelperThatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(Gate)
		c := arrive(g)
		w, d := wait(g), disable(g)
		g.keep(c.visit)
		g.leave()
		g.over(c.visit)
		requireWaits(t, w, d)
		g.over(c.visit)
		requireIn(t, w, d)
		g.requireIdle(t)
	})
}

func TestWaitWithoutAContext(t *testing.T) {
	var none context.Context
	require.ErrorIs(t, new(Gate).Wait(none), syscall.EINVAL)
}

// The context lives, and its task is interrupted.
func TestInterruptEndsEachWaitAtAGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 1}
		requireIn(t, arrive(g))
		ctx, stop := waitqueue.WithTask(t.Context(), "x")
		defer stop()
		const first, late = "usermodehelper: /x was not started: all 1 places are taken: ", "usermodehelper: helpers not over yet: 1: "
		for _, c := range []struct {
			wait  func() error
			text  string
			match error
		}{
			{func() error { return g.enter(ctx, "/x") }, first, syscall.ECANCELED},
			{func() error { return g.Wait(ctx) }, late, syscall.EINTR},
			{func() error { return g.Disable(ctx) }, late, syscall.EAGAIN},
		} {
			w := begin(func(context.Context) error { return c.wait() })
			requireWaits(t, w)
			waitqueue.TaskOf(ctx).Interrupt()
			requireEnded(t, w, syscall.EINTR, c.match)
			require.EqualError(t, w.err, c.text+syscall.EINTR.Error())
			waitqueue.TaskOf(ctx).ClearInterrupt()
		}
		g.leave()
		g.overFirst()
		g.requireIdle(t)
	})
}
