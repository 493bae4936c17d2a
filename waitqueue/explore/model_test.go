package explore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// An event comes at any time, once. The clock may move in it.
func TestClockEvent(t *testing.T) {
	orders := map[time.Duration]int{}
	r := full.Find(t, func(m *explore.Model) {
		begin := time.Now()
		m.Event("an hour passes", func() { time.Sleep(time.Hour) })
		m.Go("a", func(th *explore.Thread) {
			th.Step("one")
			th.Step("two")
			orders[time.Since(begin)]++
		})
	})
	require.Equal(t, explore.Result{Orders: 3}, r)
	require.Equal(t, map[time.Duration]int{0: 1, time.Hour: 2}, orders)
}

// Without such an event the clock stands still, and a deadline does not come.
func TestDeadline(t *testing.T) {
	for passes, want := range map[bool][]int{false: {1, 1}, true: {1, 0}} {
		r := full.Find(t, func(m *explore.Model) {
			ctx, cancel := context.WithTimeout(m.Context(), time.Minute)
			m.Go("waiter", func(*explore.Thread) {
				defer cancel()
				<-ctx.Done()
			})
			m.Event("time passes", func() {
				if passes {
					time.Sleep(time.Hour)
				}
			})
		})
		require.Equal(t, want, []int{r.Orders, r.Bad})
	}
}

// A second check, or Release, takes the place of the first.
// A variable of a package may keep the At of an earlier order. Nothing stops there.
func TestAtOfAnEarlierOrder(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		var earlier *explore.Model
		find(full, func(m *explore.Model) {
			earlier = m
			m.Go("only", oneStep)
		})
		r := find(full, func(m *explore.Model) {
			for _, name := range []string{"a", "b"} {
				m.Go(name, func(th *explore.Thread) {
					th.Step("step")
					for range 600 {
						earlier.At("here")
					}
				})
			}
		})
		require.Equal(t, explore.Result{Orders: 2}, r)
	})
}

// The context of the test may be looked at, and be the parent of others.
func TestContextOfTheTest(t *testing.T) {
	require.Contains(t, child(t, "TestContextOfTheTestInAChild"), "--- PASS: TestContextOfTheTestInAChild")
}

func TestContextOfTheTestInAChild(t *testing.T) {
	skipUnlessChild(t)
	explore.Test(t, func(m *explore.Model) {
		ctx, cancel := context.WithCancel(t.Context())
		m.Event("end", cancel)
		m.Go("a", func(*explore.Thread) { <-ctx.Done() })
	})
}

func TestLastCheckCounts(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		released := ""
		r := find(full, func(m *explore.Model) {
			m.Go("a", oneStep)
			m.Check(func() error { return errWrong })
			m.Check(func() error { return nil })
			m.Release(func() { released += "first" })
			m.Release(func() { released += "second" })
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
		require.Equal(t, "second", released)
	})
}

// Goroutines that Before starts do not stop at their points, but sleep.
func TestBefore(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			log, awake := "", false
			gate := make(chan bool)
			m.Before(func() {
				walk(m, &log, "a", 9)
				m.Go("sleeper", func(th *explore.Thread) {
					m.At("passed")
					th.Sleep(func() bool { return awake })
					log += "s"
				})
				m.Go("receiver", func(th *explore.Thread) {
					th.Step("passed")
					<-gate
					th.Step("stop")
					log += "r"
				})
				require.Equal(t, "aaaaaaaaa", log)
			})
			m.Event("wake", func() { awake = true })
			m.Event("open", func() { close(gate) })
			m.Check(func() error { return isWrong(log != "aaaaaaaaasr" && log != "aaaaaaaaars") })
		})
		require.Equal(t, explore.Result{Orders: 3}, r)
	})
}

// In Before a Sleep ends too, as soon as it may.
func TestSleepInBefore(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			log := ""
			m.Before(func() {
				m.Go("a", func(th *explore.Thread) {
					th.Sleep(func() bool { return log == "b" })
					log += "a"
				})
				require.Empty(t, log)
				walk(m, &log, "b", 1)
			})
			require.Equal(t, "ba", log)
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}

// A goroutine that model code starts stops at a point of the model if it is adopted.
func TestAdoptedGoroutine(t *testing.T) {
	for adopted, want := range map[bool]int{false: 1, true: 3} {
		inBoth(t, func(t *testing.T, find finder) {
			r := find(full, func(m *explore.Model) {
				if adopted {
					m.Adopt("fire", "timer")
				}
				m.Go("a", func(th *explore.Thread) {
					go m.At("fire")
					th.Step("one")
					th.Step("two")
				})
				m.Check(func() error { return errWrong })
			})
			require.Equal(t, want, r.Orders)
			if adopted {
				require.Equal(t, []string{"a: one", "a: two", "timer: fire"}, r.Simplest.Steps)
			}
		})
	}
}

// A goroutine that was started before another one, or an event, is added gets the first number.
func TestAdoptedNumbers(t *testing.T) {
	for _, add := range []func(m *explore.Model){
		func(m *explore.Model) { m.Go("a", oneStep) },
		func(m *explore.Model) { m.Event("a", func() {}) },
	} {
		inBoth(t, func(t *testing.T, find finder) {
			r := find(full, func(m *explore.Model) {
				m.Adopt("fire", "timer")
				go m.At("fire")
				add(m)
				m.Check(func() error { return errWrong })
			})
			require.Contains(t, r.Simplest.Steps[0], "timer: fire")
			require.Equal(t, "1.2", r.Simplest.Replay)
		})
	}
}

// The others that come there have a number behind the name.
func TestAdoptedNames(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			m.Adopt("fire", "timer")
			m.Go("timer 2", oneStep)
			for i, name := range []string{"one", "two"} {
				m.Event(name, func() { go m.At("fire") })
				_ = i
			}
			m.Check(func() error { return errWrong })
		})
		require.Contains(t, r.String(), "timer: fire\n")
		require.Contains(t, r.String(), "timer 3: fire\n")
	})
}

// An adopted goroutine stops at other points too, and is not adopted again.
func TestAdoptedAtTwoPoints(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			m.Adopt("fire", "timer")
			m.Go("a", func(th *explore.Thread) {
				th.Step("start")
				go func() {
					m.At("fire")
					m.At("elsewhere")
					m.At("fire")
				}()
			})
			m.Check(func() error { return errWrong })
		})
		require.Equal(t, []string{"a: start", "timer: fire", "timer: elsewhere", "timer: fire"}, r.Simplest.Steps)
	})
}

// The end of an adopted goroutine is not seen. So it may sleep.
func TestAdoptedSleeper(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			m.Adopt("fire", "timer")
			m.Event("start", func() {
				go func() {
					m.At("fire")
					<-m.Context().Done()
				}()
			})
			m.Check(func() error { return isWrong(len(m.Asleep()) > 0) })
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}

func TestAdoptedTimer(t *testing.T) {
	r := full.Find(t, func(m *explore.Model) {
		m.Adopt("fire", "timer")
		m.Go("a", func(th *explore.Thread) {
			time.AfterFunc(time.Second, func() { m.At("fire") })
			th.Step("one")
		})
		m.Event("time passes", func() { time.Sleep(time.Minute) })
		m.Check(func() error { return errWrong })
	})
	require.Equal(t, 3, r.Orders)
	require.Equal(t, []string{"a: one", "time passes", "timer: fire"}, r.Simplest.Steps)
}

// A goroutine that is adopted when it comes may be the only one.
func TestModelOfAdoptedOnly(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			m.Adopt("fire", "timer")
			go m.At("fire")
			m.Before(func() {}) // it waits until the goroutine has come
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}

// A function of a package that has a variable for tests does not know its goroutine.
func TestAt(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			atPoint := m.At
			seen := 0
			for _, name := range []string{"a", "b"} {
				m.Go(name, func(*explore.Thread) {
					atPoint("read")
					read := seen
					atPoint("write")
					seen = read + 1
				})
			}
			atPoint("the function of the model passes")
			m.Check(func() error {
				atPoint("the check passes")
				return isWrong(seen != 2)
			})
		})
		require.Equal(t, []int{6, 4}, []int{r.Orders, r.Bad})
		require.Equal(t, []string{"a: read", "b: read", "b: write", "a: write"}, r.Simplest.Steps)
	})
}
