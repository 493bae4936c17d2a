package rwevent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A subject is a slot, or a table whose events have a key each.
type subject struct {
	post  func(v int) error
	take  func() (int, error)
	takes func(ctx context.Context, body func(v int)) (end error)
	by    func(by rwevent.Sleeper, body func(v int) (goOn bool)) (end error) // takes too
	wait  func(after uint64) (int, uint64, error)
	close func()
	there func() bool
	lost  func() uint64
}

func slotSubject() subject {
	var s rwevent.Slot[int]
	ctx := context.Background()
	return subject{
		post: s.Post,
		take: func() (int, error) { return s.Take(ctx) },
		takes: func(ctx context.Context, body func(v int)) (end error) {
			for v := range s.Takes(ctx, &end) {
				body(v)
			}
			return end
		},
		by: func(by rwevent.Sleeper, body func(v int) bool) (end error) {
			for v := range s.TakesBy(by, &end) {
				if !body(v) {
					break
				}
			}
			return end
		},
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
		post: func(v int) error { return t.Post(v, v) },
		take: func() (int, error) { e, err := t.Take(ctx); return e.Value, err },
		takes: func(ctx context.Context, body func(v int)) (end error) {
			for e := range t.Takes(ctx, &end) {
				body(e.Value)
			}
			return end
		},
		by: func(by rwevent.Sleeper, body func(v int) bool) (end error) {
			for e := range t.TakesBy(by, &end) {
				if !body(e.Value) {
					break
				}
			}
			return end
		},
		wait:  func(after uint64) (int, uint64, error) { e, err := t.Wait(ctx, after); return e.Value, e.Gen, err },
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

// Two loops take until the close. Each event goes to one of them, or was replaced.
func TestInterleavingsPostsAndLoops(t *testing.T) {
	explored(t, "posted, closed, take", func(m *explore.Model, x subject) {
		var taken []int
		var ends []error
		for _, name := range []string{"loop A", "loop B"} {
			m.Go(name, func(*explore.Thread) {
				ends = append(ends, x.takes(context.Background(), func(v int) { taken = append(taken, v) }))
			})
		}
		m.Go("poster", func(th *explore.Thread) {
			for v := range 2 {
				th.Step("post")
				_ = x.post(v)
			}
			th.Step("close")
			x.close()
		})
		m.Check(func() error {
			slices.Sort(taken)
			closed := len(ends) == 2 && errors.Is(ends[0], os.ErrClosed) && errors.Is(ends[1], os.ErrClosed)
			if !closed || x.there() || len(taken)+int(x.lost()) != 2 || !slices.Contains(taken, 1) {
				return errors.New(fmt.Sprint("taken: ", taken, "; replaced: ", x.lost(), "; ends: ", ends))
			}
			return nil
		})
	})
}

// A context ends one of two loops. It has the event, or it leaves the event to the other one.
// The event of a post before the end of the context is taken in any case.
func TestInterleavingsEndOfALoop(t *testing.T) {
	explored(t, "posted, take", func(m *explore.Model, x subject) {
		ctx, cancel := context.WithCancel(context.Background())
		var taken []int
		var end error
		m.MaySleep("loop B") // for more
		m.Go("loop A", func(*explore.Thread) {
			end = x.takes(ctx, func(v int) { taken = append(taken, v) })
		})
		m.Go("loop B", func(*explore.Thread) {
			_ = x.takes(context.Background(), func(v int) { taken = append(taken, v) })
		})
		m.Go("poster", func(th *explore.Thread) {
			for v := range 2 {
				th.Step("post")
				_ = x.post(v)
			}
		})
		m.Go("canceller", func(th *explore.Thread) {
			th.Step("cancel")
			cancel()
		})
		m.Check(func() error {
			slices.Sort(taken)
			if x.there() || len(taken)+int(x.lost()) != 2 || !slices.Contains(taken, 1) || !errors.Is(end, context.Canceled) {
				return errors.New(fmt.Sprint("taken: ", taken, "; replaced: ", x.lost(), "; end: ", end))
			}
			return nil
		})
	})
}

// The body ends one of two loops at its first event. An interruption ends the other one. Both
// leave an event that they have not got. The first one does not sleep beside it.
func TestInterleavingsBreakAndInterruption(t *testing.T) {
	explored(t, "posted, take", func(m *explore.Model, x subject) {
		var broken, interrupted waitqueue.Task
		var taken []int
		var ends []error
		m.MaySleep("broken") // if the other one was quicker
		m.Go("broken", func(*explore.Thread) {
			end := x.by(&broken, func(v int) bool { taken = append(taken, v); return false })
			ends = append(ends, end)
		})
		m.Go("interrupted", func(*explore.Thread) {
			end := x.by(&interrupted, func(v int) bool { taken = append(taken, v); return true })
			if !errors.Is(end, syscall.EINTR) {
				ends = append(ends, errors.New("of no interruption"))
			}
		})
		m.Go("poster", func(th *explore.Thread) {
			for v := range 2 {
				th.Step("post")
				_ = x.post(v)
			}
		})
		m.Go("interrupter", func(th *explore.Thread) {
			th.Step("interrupt")
			interrupted.Interrupt()
		})
		m.Check(func() error {
			posts := len(taken) + int(x.lost())
			if x.there() {
				posts++
			}
			slices.Sort(taken)
			beside := x.there() && slices.Contains(m.Asleep(), "broken")
			if beside || posts != 2 || len(slices.Compact(taken)) != len(taken) || errors.Join(ends...) != nil {
				return errors.New(fmt.Sprint("taken: ", taken, "; there: ", x.there(), "; replaced: ", x.lost(), "; ends: ", ends))
			}
			return nil
		})
	})
}

// One taker wants the event of a key, and others want any. None of them sleeps beside an
// event, though the first one may be quicker than a taker that was woken.
func TestInterleavingsTakeOfAKey(t *testing.T) {
	orders.Explore(t, "posted, take", func(m *explore.Model) {
		var table rwevent.Table[int, int]
		var taken []int
		m.Release(table.Close)
		m.MaySleep("taker A", "taker B")
		for _, name := range []string{"taker A", "taker B"} {
			m.Go(name, func(*explore.Thread) {
				if e, err := table.Take(context.Background()); err == nil {
					taken = append(taken, e.Key)
				}
			})
		}
		m.Go("taker of 1", func(th *explore.Thread) {
			th.Step("look")
			if e, ok := table.TryTakeKey(1); ok {
				taken = append(taken, e.Key)
			}
		})
		m.Go("poster", func(th *explore.Thread) {
			for k := range 2 {
				th.Step("post")
				_ = table.Post(k, k)
			}
		})
		m.Check(func() error {
			slices.Sort(taken)
			if !slices.Equal(taken, []int{0, 1}) || table.Len() != 0 {
				return errors.New(fmt.Sprint("taken: ", taken, "; there: ", table.Len()))
			}
			return nil
		})
	})
}
