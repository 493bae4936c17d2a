package waitqueue_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A Signal that has picked A reaches B if A gives up, whether A is about to
// sleep, asleep, or waiting for the lock.
func TestInterleavingsCondSignalAndCancel(t *testing.T) {
	inEachForm(t, pointsOf{"Wait": few("", "commit"), "WaitFor": "", "WithTask": ""}, condSignalAndCancel) // WaitFor sleeps in Wait
}

func condSignalAndCancel(m *explore.Model, form string) {
	formA := "ctx"
	if form == "WithTask" {
		formA, form = form, "WaitFor"
	}
	s := shelf{c: waitqueue.NewCond(m.NewLock()), a: newWaiter(m, formA), b: newWaiter(m, "background")}
	m.Go("A", func(th *explore.Thread) { s.take(th, s.a, form) })
	m.Go("B", func(th *explore.Thread) { s.take(th, s.b, form) })
	s.signalAndCancel(m)
}

// signalAndCancel adds an item, and a goroutine that ends A.
func (s *shelf) signalAndCancel(m *explore.Model) {
	m.Go("signaller", func(th *explore.Thread) {
		th.Step("add an item")
		s.add(1)
		s.c.Signal()
	})
	m.Go("canceller", func(th *explore.Thread) {
		th.Step("end A")
		s.a.end()
	})
	m.MaySleep("B") // if A got the item
	m.Check(s.check)
	m.Release(func() {
		s.add(2)
		s.c.Broadcast()
	})
}

// A shelf has items for A and B, which take one each.
type shelf struct {
	c     *waitqueue.Cond
	items int // guarded by c.L
	a, b  *waiter
}

func (s *shelf) add(n int) {
	s.c.L.Lock()
	s.items += n
	s.c.L.Unlock()
}

func (s *shelf) take(th *explore.Thread, w *waiter, form string) {
	s.c.L.Lock()
	defer s.c.L.Unlock()
	ready := th.Test(func() bool { return s.items > 0 })
	if form == "WaitFor" {
		w.err = s.c.WaitFor(w.ctx, ready)
	} else {
		for !ready() && w.err == nil {
			w.err = s.c.Wait(w.ctx)
		}
	}
	w.returned = true
	if w.err == nil {
		s.items--
	}
}

func (s *shelf) check() error {
	switch {
	case s.items > 0 && !s.b.returned:
		return errors.New("an item is there")
	case s.b.err != nil:
		return fmt.Errorf("B failed: %w", s.b.err)
	case s.items < 0 || s.a.succeeded() && s.b.succeeded():
		return errors.New("the item was taken twice")
	}
	return nil
}

// The first Signal comes without the lock, so it may come at any moment: for example, when the
// waiter is on the queue and has not released the lock. The second Signal comes with the lock.
// If the waiter is there by then, one of the two reaches it.
func TestInterleavingsCondSignalWithoutTheLock(t *testing.T) {
	for form, points := range (pointsOf{
		"background": "queued, commit, awake, unpark",
		"WithTask":   "queued, commit, awake, unpark",
		"ctx":        "queued, awake, unpark",
	}) {
		t.Run(form, func(t *testing.T) {
			orders.Explore(t, points, func(m *explore.Model) {
				c := waitqueue.NewCond(m.NewLock())
				w := newWaiter(m, form)
				came, signalled := false, false // guarded by c.L
				m.Go("waiter", func(*explore.Thread) {
					c.L.Lock()
					defer c.L.Unlock()
					came = true
					w.err = c.Wait(w.ctx)
					w.returned = true
				})
				m.Go("signaller", func(th *explore.Thread) {
					th.Step("signal")
					c.Signal()
					th.Step("signal again")
					c.L.Lock()
					signalled = came
					c.Signal()
					c.L.Unlock()
				})
				m.MaySleep("waiter") // if it was not signalled
				m.Check(func() error {
					if signalled && !w.succeeded() {
						return errors.New("it had come, and was signalled")
					}
					return nil
				})
				m.Release(c.Broadcast)
			})
		})
	}
}
