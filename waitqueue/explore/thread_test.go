package explore_test

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// The code of a goroutine before its first step has run when Go returns.
func TestGoRunsUpToTheFirstStep(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		find(full, func(m *explore.Model) {
			log := ""
			m.Go("a", func(th *explore.Thread) {
				log += "a"
				th.Step("step")
				log += "A"
			})
			require.Equal(t, "a", log)
			m.Go("b", func(th *explore.Thread) { log += "b" })
			require.Equal(t, "ab", log)
			m.Check(func() error { return isWrong(log != "abA") })
		})
	})
}

// A goroutine may stop while it, or a coroutine, is in the middle of an iterator.
func TestStepsOfAnIterator(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			m.Go("a", func(th *explore.Thread) {
				next, stop := iter.Pull(slices.Values([]int{1, 2}))
				defer stop()
				for _, more := next(); more; _, more = next() {
					th.Step("step")
				}
			})
			m.Go("b", func(th *explore.Thread) {
				for range slices.Values([]int{1, 2}) {
					th.Step("step")
				}
			})
		})
		require.Equal(t, explore.Result{Orders: multinomial(2, 2)}, r)
	})
}

func TestConditionIsAStep(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		results := map[bool]int{}
		r := find(full, func(m *explore.Model) {
			set := false
			m.Go("a", func(th *explore.Thread) { results[th.Test(func() bool { return set })()]++ })
			m.Event("b", func() { set = true })
			m.Check(func() error { return errWrong })
		})
		require.Equal(t, map[bool]int{true: 1, false: 1}, results)
		require.Equal(t, "   1  a: test\n   2  b\nwrong\nreplay 1.2\n", r.Simplest.String())
	})
}

// A Sleep that awake ends at once is none.
func TestSleepThatIsOver(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		calls := 0
		r := find(full, func(m *explore.Model) {
			m.Go("a", func(th *explore.Thread) {
				th.Sleep(func() bool {
					calls++
					return true
				})
			})
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
		require.Equal(t, 1, calls)
	})
}

// So it does not wait for another goroutine that it has woken.
func TestSleepThatIsOverGoesOnAtOnce(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			log := ""
			m.Go("a", func(th *explore.Thread) {
				th.Sleep(func() bool { return log == "b" })
				log += "a"
			})
			m.Go("b", func(th *explore.Thread) {
				th.Step("wake")
				log += "b"
				th.Sleep(func() bool { return true })
				log += "b"
			})
			m.Check(func() error { return isWrong(log != "bb") })
			m.MaySleep("a")
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}

// A woken goroutine runs on to its next step at once, and so does one that it wakes,
// whichever was added first.
func TestWokenRunOn(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			awake, ran := "", ""
			sleeper := func(name, wakes string) {
				m.Go(name, func(th *explore.Thread) {
					th.Sleep(func() bool { return awake == name })
					ran += name
					awake = wakes
				})
			}
			sleeper("a", "c")
			sleeper("b", "a")
			sleeper("c", "")
			m.Event("waker", func() { awake = "b" })
			m.Check(func() error { return isWrong(ran != "bac") })
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}

// If two are woken, the one that was added first runs on first. They do not run at once: no
// order of theirs is a matter of chance.
func TestWokenRunOnOneAfterTheOther(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			awake, ran := false, ""
			for i := range 5 {
				m.Go(fmt.Sprint(i), func(th *explore.Thread) {
					th.Sleep(func() bool { return awake })
					ran += fmt.Sprint(i)
				})
			}
			m.Event("waker", func() { awake = true })
			m.Check(func() error { return isWrong(ran != "01234") })
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}

// A sleeper that goes back to sleep was not there to be chosen.
func TestSleepInALoop(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			ticks := 0
			m.Go("sleeper", func(th *explore.Thread) {
				for seen := 0; seen < 3; seen = ticks {
					th.Sleep(func() bool { return ticks > seen })
				}
			})
			m.Go("ticker", func(th *explore.Thread) {
				for range 3 {
					th.Step("tick")
					ticks++
				}
			})
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}

// interrupted calls stop. If the end of the order comes there, its deferred call makes steps,
// which do nothing, and notes that.
func interrupted(m *explore.Model, th *explore.Thread, l *explore.Lock, stop func(), note func()) {
	goesOn := false
	defer func() {
		if goesOn {
			return
		}
		th.Step("never made")
		th.Sleep(func() bool { return false })
		l.Lock()
		m.At("never made")
		note()
	}()
	stop()
	goesOn = true
}

// The end of an order ends the goroutines that stand somewhere. Their deferred calls run.
func TestDeferredCallsRunAtTheEnd(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		ran := map[string]int{}
		r := find(full, func(m *explore.Model) {
			l := m.NewLock()
			l.Lock()
			add := func(name string, stop func(th *explore.Thread)) {
				m.Go(name, func(th *explore.Thread) {
					interrupted(m, th, l, func() { stop(th) }, func() { ran[name]++ })
				})
			}
			add("step", func(th *explore.Thread) { th.Step("step") })
			add("sleep", func(th *explore.Thread) { th.Sleep(func() bool { return false }) })
			add("lock", func(*explore.Thread) { l.Lock() })
			m.Event("end", func() { panic("the end") })
		})
		require.Equal(t, []int{2, 2}, []int{r.Orders, r.Bad})
		require.Equal(t, map[string]int{"step": 1, "sleep": 2, "lock": 2}, ran)
	})
}
