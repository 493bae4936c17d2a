package explore_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A script has the calls of a goroutine: s is a step, L and M lock one of two Locks, l and m
// unlock it.
type script string

func (s script) model(m *explore.Model, name string, locks map[rune]*explore.Lock) {
	m.Go(name, func(th *explore.Thread) {
		for _, c := range s {
			switch c {
			case 's':
				th.Step("step")
			case 'L', 'M':
				locks[c].Lock()
			default:
				locks[c-'a'+'A'].Unlock()
			}
		}
	})
}

// A machine goes through the orders of scripts, without the explorer and without goroutines.
type machine struct {
	left    []script // of each goroutine, from where it stands
	holders map[byte]int
}

func (m machine) copy() machine {
	c := machine{append([]script(nil), m.left...), map[byte]int{}}
	for lock, holder := range m.holders {
		c.holders[lock] = holder
	}
	return c
}

func (m machine) ready(i int) bool {
	if m.left[i] == "" {
		return false
	}
	_, held := m.holders[m.left[i][0]]
	return !held
}

// run takes goroutine i from where it stands to where it stops again.
func (m machine) run(i int, chosen bool) {
	for first := chosen; m.left[i] != ""; first = false {
		c := m.left[i][0]
		switch {
		case c == 's' || c == 'u':
			if !first {
				return
			}
		case c == 'L' || c == 'M':
			if !m.ready(i) {
				return
			}
			m.holders[c] = i
		default:
			delete(m.holders, c-'a'+'A')
			m.left[i] = "u" + m.left[i][1:] // there is a point behind it
			continue
		}
		m.left[i] = m.left[i][1:]
	}
}

// orders counts the orders, and those that end with sleepers.
func (m machine) orders() (orders, bad int) {
	stuck, ended := true, true
	for i := range m.left {
		ended = ended && m.left[i] == ""
		if m.ready(i) {
			stuck = false
			next := m.copy()
			next.run(i, true)
			o, b := next.orders()
			orders, bad = orders+o, bad+b
		}
	}
	switch {
	case stuck && ended:
		return 1, 0
	case stuck:
		return 1, 1
	}
	return orders, bad
}

var scripts = [][]script{
	{"sLsl", "sLsl"}, {"sLsl", "sLsl", "sLl"}, {"Lsl", "Ll"}, {"sLsMsml", "sMsLslm"}, {"sLsMml", "sMsLlm"},
	{"sLsMml", "sLsMml"}, {"sLlLl", "sLsl"}, {"sLMmls", "ss", "sMm"}, {"sLs", "sLl"}, {"Ls", "Ll", "sLl"},
}

func TestOrdersWithLocks(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		for _, all := range scripts {
			m := machine{append([]script(nil), all...), map[byte]int{}}
			for i := range all {
				m.run(i, false)
			}
			orders, bad := m.orders()
			r := find(full, func(m *explore.Model) {
				locks := map[rune]*explore.Lock{'L': m.NewLock(), 'M': m.NewLock()}
				for i, s := range all {
					s.model(m, fmt.Sprint(i), locks)
				}
			})
			require.Equal(t, []int{orders, bad}, []int{r.Orders, r.Bad}, all)
		}
	})
}

func TestLockExcludesOthers(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			l := m.NewLock()
			holders := 0
			for _, name := range []string{"a", "b", "c"} {
				m.Go(name, func(th *explore.Thread) {
					th.Step("lock")
					l.Lock()
					defer l.Unlock()
					holders++
					th.Step("hold")
					if holders != 1 {
						panic("two hold it")
					}
					holders--
				})
			}
		})
		require.Zero(t, r.Bad, r)
	})
}

// The point after an Unlock has the name that the caller gives it.
func TestUnlockAt(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		var steps []string
		held := 0
		find(explore.Search{Each: func(o explore.Order) { steps = o.Steps }}, func(m *explore.Model) {
			l := m.NewLock()
			m.Go("a", func(th *explore.Thread) {
				th.Step("lock")
				l.Lock()
				held++
				l.UnlockAt("sleep")
				l.Lock()
				held++
				l.Unlock()
			})
		})
		require.Equal(t, 2, held)
		require.Equal(t, []string{"a: lock", "a: sleep", "a: unlocked"}, steps)
	})
}

// barge adds a goroutine that locks l after so many steps and says so.
func barge(m *explore.Model, l *explore.Lock, name string, steps int, got func(name string)) {
	m.Go(name, func(th *explore.Thread) {
		for range steps {
			th.Step("come")
		}
		l.Lock()
		got(name)
		l.Unlock()
	})
}

// Each waiter may get a Lock that is freed, and so may a goroutine that comes later.
func TestAnyWaiterMayGetTheLock(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		seen := map[string]bool{}
		find(full, func(m *explore.Model) {
			l, order := m.NewLock(), ""
			got := func(name string) { order += name }
			m.Go("holder", func(th *explore.Thread) {
				l.Lock()
				th.Step("hold")
				l.Unlock()
			})
			barge(m, l, "a", 0, got)
			barge(m, l, "b", 0, got)
			barge(m, l, "c", 1, got)
			m.Check(func() error {
				seen[order] = true
				return nil
			})
		})
		require.Len(t, seen, 6, "all orders of three")
	})
}

// The steps say where it waits, and that it goes on after an Unlock.
func TestPointsOfALock(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			l := m.NewLock()
			m.Go("a", func(th *explore.Thread) {
				l.Lock()
				th.Step("hold")
				l.Unlock()
			})
			m.Go("b", func(th *explore.Thread) { l.Lock() })
			m.Check(func() error { return errWrong })
		})
		require.Equal(t, []string{"a: hold", "a: unlocked", "b: lock"}, r.Simplest.Steps)
	})
}

// A goroutine that an event, or another goroutine, has woken stops at a Lock that is free.
func TestWokenStopsAtTheLock(t *testing.T) {
	for want, add := range map[string]func(m *explore.Model, wake func()){
		"wake": func(m *explore.Model, wake func()) { m.Event("wake", wake) },
		"waker: wake": func(m *explore.Model, wake func()) {
			m.Go("waker", func(th *explore.Thread) {
				th.Step("wake")
				wake()
			})
		},
	} {
		inBoth(t, func(t *testing.T, find finder) {
			r := find(full, func(m *explore.Model) {
				l := m.NewLock()
				gate := make(chan bool)
				m.Go("a", func(*explore.Thread) {
					<-gate
					l.Lock()
				})
				add(m, func() { close(gate) })
				m.Check(func() error { return errWrong })
			})
			require.Equal(t, []string{want, "a: lock"}, r.Simplest.Steps)
		})
	}
}

// Each returns the Wait and the Signal of a condition variable.
var conds = map[string]func(l sync.Locker) (wait, signal func()){
	"sync": func(l sync.Locker) (wait, signal func()) {
		cond := sync.NewCond(l)
		return cond.Wait, cond.Signal
	},
	"waitqueue": func(l sync.Locker) (wait, signal func()) {
		cond := waitqueue.Cond{L: l}
		return func() { _ = cond.Wait(context.Background()) }, func() { cond.Signal() }
	},
}

// condModel has two goroutines that take an item, and one that puts two.
func condModel(m *explore.Model, l sync.Locker, wait, signal func()) {
	items := 0
	for _, name := range []string{"taker A", "taker B"} {
		m.Go(name, func(th *explore.Thread) {
			l.Lock()
			defer l.Unlock()
			for items == 0 {
				wait()
			}
			items--
		})
	}
	m.Go("putter", func(th *explore.Thread) {
		for range 2 {
			l.Lock()
			items++
			signal()
			l.Unlock()
		}
	})
	m.Check(func() error { return isWrong(items != 0) })
}

// The Lock of a condition variable may be held over a point.
func TestLockOfACond(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		for name, cond := range conds {
			r := find(full, func(m *explore.Model) {
				l := m.NewLock()
				wait, signal := cond(l)
				condModel(m, l, wait, signal)
			})
			require.Zero(t, r.Bad, "%s: %v", name, r)
			require.Greater(t, r.Orders, 10, name)
		}
	})
}

// While Before sets the scene there is no choice: a goroutine gets the Lock when it is free.
func TestLockInBefore(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			l := m.NewLock()
			var order []string
			m.Before(func() {
				m.Go("a", func(th *explore.Thread) {
					l.Lock()
					order = append(order, "a")
					th.Sleep(func() bool { return len(order) == 2 })
					l.Unlock()
				})
				m.Go("b", func(*explore.Thread) {
					l.Lock()
					order = append(order, "b")
					l.Unlock()
				})
				m.Go("c", func(*explore.Thread) { order = append(order, "c") })
			})
			m.Event("event", func() {})
			m.Check(func() error { return isWrong(strings.Join(order, "") != "acb") })
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}

// A goroutine that does not belong to the model waits for the Lock, too.
func TestLockOfAChild(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			l := m.NewLock()
			ended := make(chan bool)
			m.Go("a", func(th *explore.Thread) {
				l.Lock()
				go func() {
					defer close(ended)
					l.Lock()
					defer l.Unlock()
				}()
				th.Step("hold")
				l.Unlock()
				<-ended
			})
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}
