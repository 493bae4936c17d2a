package rwevent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A subject is a slot, or a table whose events have a key each.
type subject struct {
	post  func(v int) error
	take  func() (int, error)
	wait  func(after uint64) (int, uint64, error)
	close func()
	there func() bool
	lost  func() uint64
}

func slotSubject() subject {
	var s rwevent.Slot[int]
	ctx := context.Background()
	return subject{
		post:  s.Post,
		take:  func() (int, error) { return s.Take(ctx) },
		wait:  func(after uint64) (int, uint64, error) { return s.Wait(ctx, after) },
		close: s.Close,
		there: func() bool { _, _, ok := s.Load(); return ok },
		lost:  s.Overwritten,
	}
}

func tableSubject() subject {
	var t rwevent.Table[int, int]
	ctx := context.Background()
	return subject{
		post:  func(v int) error { return t.Post(v, v) },
		take:  func() (int, error) { _, v, err := t.Take(ctx); return v, err },
		wait:  func(after uint64) (int, uint64, error) { _, v, gen, err := t.Wait(ctx, after); return v, gen, err },
		close: t.Close,
		there: func() bool { return t.Len() > 0 },
		lost:  t.Overwritten,
	}
}

// explored goes through the orders of a model with a slot, and with a table.
func explored(t *testing.T, points string, model func(m *explore.Model, x subject)) {
	for name, subject := range map[string]func() subject{"Slot": slotSubject, "Table": tableSubject} {
		t.Run(name, func(t *testing.T) {
			orders.Explore(t, points, func(m *explore.Model) {
				x := subject()
				m.Release(x.close)
				model(m, x)
			})
		})
	}
}

// No taker sleeps beside an event. Each event is taken once, or replaced, or there.
func TestInterleavingsPostsAndTakers(t *testing.T) {
	explored(t, "posted, take", func(m *explore.Model, x subject) {
		var taken []int
		m.MaySleep("taker A", "taker B") // if an event was replaced
		for _, name := range []string{"taker A", "taker B"} {
			m.Go(name, func(*explore.Thread) {
				if v, err := x.take(); err == nil {
					taken = append(taken, v)
				}
			})
		}
		for v := range 2 {
			m.Go(fmt.Sprint("poster ", v), func(th *explore.Thread) {
				th.Step("post")
				_ = x.post(v)
			})
		}
		m.Check(func() error {
			posts := len(taken) + int(x.lost())
			if x.there() {
				posts++
			}
			slices.Sort(taken)
			if x.there() || posts != 2 || len(slices.Compact(taken)) != len(taken) {
				return errors.New(fmt.Sprint("taken: ", taken, "; there: ", x.there(), "; replaced: ", x.lost()))
			}
			return nil
		})
	})
}

// A close ends each Take that gets no event.
func TestInterleavingsCloseAndTakers(t *testing.T) {
	explored(t, "posted, closed, take", func(m *explore.Model, x subject) {
		posted, taken, ended := false, 0, 0
		for _, name := range []string{"taker A", "taker B"} {
			m.Go(name, func(*explore.Thread) {
				switch _, err := x.take(); {
				case err == nil:
					taken++
				case errors.Is(err, os.ErrClosed):
					ended++
				}
			})
		}
		m.Go("poster", func(th *explore.Thread) {
			th.Step("post")
			posted = x.post(1) == nil
		})
		m.Go("closer", func(th *explore.Thread) {
			th.Step("close")
			x.close()
		})
		m.Check(func() error {
			if taken+ended != 2 || posted != (taken == 1) {
				return errors.New(fmt.Sprint("posted: ", posted, "; taken: ", taken, "; ended: ", ended))
			}
			return nil
		})
	})
}

// A watcher sees the last event, and hears of the close behind it.
func TestInterleavingsPostsAndWatcher(t *testing.T) {
	explored(t, "posted, closed, look", func(m *explore.Model, x subject) {
		var seen []int
		var end error
		m.Go("watcher", func(*explore.Thread) {
			var after uint64
			for end == nil {
				var v int
				if v, after, end = x.wait(after); end == nil {
					seen = append(seen, v)
				}
			}
		})
		m.Go("poster", func(th *explore.Thread) {
			for v := range 2 {
				th.Step("post")
				_ = x.post(v)
			}
			th.Step("close")
			x.close()
		})
		m.Check(func() error {
			if len(seen) == 0 || seen[len(seen)-1] != 1 || !errors.Is(end, os.ErrClosed) {
				return errors.New(fmt.Sprint("seen: ", seen, "; end: ", end))
			}
			return nil
		})
	})
}
