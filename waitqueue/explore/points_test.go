package explore_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// waitAndWake is a model of a waiter and a waker. It has a check that shows an order in which
// the waiter begins.
func waitAndWake(m *explore.Model) {
	var queue waitqueue.Queue
	var set, early atomic.Bool
	m.Go("waiter", func(th *explore.Thread) {
		th.Step("wait")
		early.Store(!set.Load())
		_ = queue.Wait(m.Context(), set.Load)
	})
	m.Go("waker", func(th *explore.Thread) {
		th.Step("set")
		set.Store(true)
		queue.WakeUp()
	})
	m.Check(func() error { return isWrong(early.Load()) })
}

func TestPointsOfThePackages(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		for points, want := range map[string]string{
			"":               "waiter: wait, waker: set",
			"tested":         "waiter: wait, waiter: tested, waker: set",
			"unpark":         "waiter: wait, waker: set, waker: unpark",
			"tested, unpark": "waiter: wait, waiter: tested, waker: set, waker: unpark",
			"waitqueue":      "waiter: wait, waiter: tested, waker: set, waker: unpark, waiter: awake",
		} {
			var s explore.Search
			if points != "" {
				s.Points = strings.Split(points, ", ")
			}
			r := find(s, waitAndWake)
			require.Equal(t, want, strings.Join(r.Simplest.Steps, ", "), points)
		}
	})
}

// More points are more orders.
func TestMorePointsAreMoreOrders(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		none := find(full, waitAndWake)
		one := find(explore.Search{Points: []string{"tested"}}, waitAndWake)
		all := find(explore.Search{Points: []string{"waitqueue"}}, waitAndWake)
		require.Equal(t, 2, none.Orders)
		require.Greater(t, one.Orders, none.Orders)
		require.Greater(t, all.Orders, one.Orders)
	})
}

// Each point of the list may be named, alone and by its package.
func TestAllPointsAreKnown(t *testing.T) {
	for _, p := range point.All {
		for _, name := range []string{p.Name, p.Package} {
			said := message(t, func() { explore.Search{Points: []string{name}}.Run(oneWalker) })
			require.Contains(t, said, "no goroutine of the model comes to these points")
			require.Contains(t, said, name)
		}
	}
}

// Of a package's points it is enough to come to one. A point that is named as well is
// needed.
func TestPointsThatAreReached(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		find(explore.Search{Points: []string{"waitqueue", "tested"}}, waitAndWake)
	})
	require.Equal(t, `explore: no goroutine of the model comes to these points: ["added"]`,
		message(t, func() { explore.Search{Points: []string{"waitqueue", "added"}}.Run(waitAndWake) }))
}

// Before, and after the end of an order, no goroutine stops, so no point is reached there.
func TestPointsThatArePassed(t *testing.T) {
	require.Equal(t, `explore: no goroutine of the model comes to these points: ["added"]`,
		message(t, func() {
			explore.Search{Points: []string{"added"}}.Run(func(m *explore.Model) {
				var c waitqueue.Completion
				m.Before(func() { m.Go("before", func(*explore.Thread) { c.Complete() }) })
				m.Event("event", c.Complete)
				m.Go("after", func(*explore.Thread) {
					<-m.Context().Done()
					c.Complete()
				})
				m.MaySleep("after")
			})
		}))
}

// Meanwhile a goroutine of another test may come to a point. It passes, and is not adopted.
func TestPointsOfOtherTests(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		calls, answers := make(chan bool), make(chan bool)
		go func() {
			for range calls {
				new(waitqueue.Completion).Complete()
				answers <- true
			}
		}()
		defer close(calls)
		r := find(explore.Search{Points: []string{"added"}}, func(m *explore.Model) {
			m.Adopt("added", "worker")
			m.Go("a", func(th *explore.Thread) {
				th.Step("step")
				new(waitqueue.Completion).Complete()
			})
			m.Event("elsewhere", func() {
				calls <- true
				<-answers
			})
		})
		require.Equal(t, explore.Result{Orders: 3}, r)
	})
}

// Nor does a goroutine count that a search in a program has left behind.
func TestPointsOfEarlierSearches(t *testing.T) {
	gate, ended := make(chan bool), make(chan bool)
	full.Run(func(m *explore.Model) {
		for i := range 3 {
			m.Go(fmt.Sprint(i), func(*explore.Thread) {
				<-gate
				new(waitqueue.Completion).Complete()
				ended <- true
			})
		}
	})
	r := explore.Search{Points: []string{"added"}}.Find(t, func(m *explore.Model) {
		m.Go("a", func(*explore.Thread) { new(waitqueue.Completion).Complete() })
		m.Event("a woken goroutine ends", func() {
			gate <- true
			<-ended
		})
	})
	require.Equal(t, explore.Result{Orders: 2}, r)
	gate <- true
	<-ended
}

// A worker that a package starts is adopted at its first point.
func TestAdoptAtAPointOfAPackage(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(explore.Search{Points: []string{"added"}}, func(m *explore.Model) {
			var done waitqueue.Completion
			m.Adopt("added", "worker")
			m.Go("a", func(th *explore.Thread) {
				th.Step("start")
				go done.Complete()
				_ = done.Wait(m.Context())
			})
			m.Check(func() error { return errWrong })
		})
		require.Equal(t, []string{"a: start", "worker: added"}, r.Simplest.Steps)
	})
}

// After a search a point costs no more than before.
func TestPointsAfterASearch(t *testing.T) {
	search := explore.Search{Points: []string{"added"}}
	search.Run(func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) {
			th.Step("step")
			new(waitqueue.Completion).Complete()
		})
	})
	require.Zero(t, testing.AllocsPerRun(10, func() { point.At("added", nil) }))
}

// A package stands for its points at which it holds no lock. Another goroutine would wait for
// that, and not sleep.
func TestPointsWithALock(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		for points, want := range map[string]string{
			"waitqueue":  "waiter: commit, waker: wake, waker: unpark, waiter: awake",
			"remembered": "waker: wake, waker: remembered",
		} {
			r := find(explore.Search{Points: []string{points}}, func(m *explore.Model) {
				var queue waitqueue.Queue
				entry := waitqueue.NewWokenEntry(new(waitqueue.Task))
				queue.Add(&entry.Entry)
				m.Go("waiter", func(*explore.Thread) { entry.Wait(waitqueue.Interruptible, time.Hour, func() bool { return false }) })
				m.Go("waker", func(th *explore.Thread) {
					th.Step("wake")
					queue.WakeUp()
				})
				m.Check(func() error { return errWrong })
			})
			require.Equal(t, want, strings.Join(r.Simplest.Steps, ", "))
		}
	})
}
