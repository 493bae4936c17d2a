package explore_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// A deadlock is a model of which some orders end with sleepers.
var deadlocks = map[string]struct {
	model func(m *explore.Model)
	want  explore.Result
	fault string
	steps []string
}{
	"two Locks in two orders": {twoLocks, explore.Result{Orders: 68, Bad: 4}, "asleep: a, b", []string{
		"a: first", "b: first", "b: second", "a: second"}},
	"a channel": {func(m *explore.Model) {
		ready := make(chan bool)
		m.Go("receiver", func(th *explore.Thread) {
			th.Step("receive")
			<-ready
		})
		m.Go("sender", func(th *explore.Thread) {
			th.Step("send, if it can")
			select {
			case ready <- true:
			default:
			}
		})
		m.Release(func() { close(ready) })
	}, explore.Result{Orders: 2, Bad: 1}, "asleep: receiver", []string{"sender: send, if it can", "receiver: receive"}},
	"sync.Cond": {func(m *explore.Model) {
		cond := sync.NewCond(new(sync.Mutex))
		m.Go("waiter", func(th *explore.Thread) {
			th.Step("wait")
			cond.L.Lock()
			defer cond.L.Unlock()
			cond.Wait()
		})
		m.Event("signal", cond.Signal)
		m.Release(cond.Broadcast)
	}, explore.Result{Orders: 2, Bad: 1}, "asleep: waiter", []string{"signal", "waiter: wait"}},
	"a Queue": {func(m *explore.Model) {
		var queue waitqueue.Queue
		var woken atomic.Bool
		m.Go("waiter", func(th *explore.Thread) {
			th.Step("wait")
			_ = queue.Wait(m.Context(), woken.Load)
		})
		m.Go("waker", func(th *explore.Thread) {
			th.Step("wake up")
			queue.WakeUp()
			th.Step("set the condition")
			woken.Store(true)
		})
	}, explore.Result{Orders: 3, Bad: 2}, "asleep: waiter", []string{"waiter: wait", "waker: wake up", "waker: set the condition"}},
	"a WaitGroup": {func(m *explore.Model) {
		var group sync.WaitGroup
		group.Add(2)
		m.Go("waiter", func(*explore.Thread) { group.Wait() })
		m.Event("done", group.Done)
		m.Release(group.Done)
	}, explore.Result{Orders: 1, Bad: 1}, "asleep: waiter", []string{"done"}},
	"a Sleep": {func(m *explore.Model) {
		told := false
		m.Go("sleeper", func(th *explore.Thread) {
			th.Step("sleep")
			was := told
			th.Sleep(func() bool { return told && !was })
		})
		m.Event("telling", func() { told = true })
	}, explore.Result{Orders: 2, Bad: 1}, "asleep: sleeper", []string{"telling", "sleeper: sleep"}},
}

func twoLocks(m *explore.Model) {
	locks := []*explore.Lock{m.NewLock(), m.NewLock()}
	for i, name := range []string{"a", "b"} {
		m.Go(name, func(th *explore.Thread) {
			th.Step("first")
			locks[i].Lock()
			th.Step("second")
			locks[1-i].Lock()
			th.Step("unlock")
			locks[1-i].Unlock()
			locks[i].Unlock()
		})
	}
}

func TestDeadlock(t *testing.T) {
	for name, c := range deadlocks {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, find finder) {
				r := find(full, c.model)
				require.Equal(t, c.fault, r.Simplest.Fault)
				require.Equal(t, c.steps, r.Simplest.Steps)
				r.Simplest = nil
				require.Equal(t, c.want, r)
			})
		})
	}
}

// A sleeper that is named in MaySleep is no fault. The others are, and all are told.
func TestMaySleep(t *testing.T) {
	sleepers := func(may ...string) func(m *explore.Model) {
		return func(m *explore.Model) {
			for _, name := range []string{"a", "b"} {
				m.Go(name, func(th *explore.Thread) {
					th.Step("sleep")
					<-m.Context().Done()
				})
			}
			for _, name := range may {
				m.MaySleep(name)
			}
		}
	}
	inBoth(t, func(t *testing.T, find finder) {
		require.Equal(t, explore.Result{Orders: 2}, find(full, sleepers("a", "b")))
		for _, may := range []string{"a", "b"} {
			r := find(full, sleepers(may))
			require.Equal(t, []int{2, 2}, []int{r.Orders, r.Bad})
			require.Equal(t, "asleep: a, b", r.Simplest.Fault)
		}
	})
}

// The check knows the sleepers, in the order in which they were added.
func TestAsleep(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		var seen [][]string
		var early []int
		find(full, func(m *explore.Model) {
			for _, name := range []string{"c", "a"} {
				m.Go(name, func(*explore.Thread) { <-m.Context().Done() })
			}
			m.Go("ended", func(*explore.Thread) {})
			m.Event("past", func() { early = append(early, len(m.Asleep())) })
			m.Go("b", func(th *explore.Thread) {
				th.Step("sleep")
				<-m.Context().Done()
			})
			m.MaySleep("a", "b", "c")
			m.Check(func() error {
				seen = append(seen, m.Asleep())
				return nil
			})
		})
		require.Equal(t, [][]string{{"c", "a", "b"}, {"c", "a", "b"}}, seen)
		require.Equal(t, []int{2, 3}, early, "before and after the step of b")
	})
}

// Contexts that are made from the Model's end with it.
func TestContextEndsSleep(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		var cause error
		r := find(full, func(m *explore.Model) {
			var queue waitqueue.Queue
			m.Go("waiter", func(*explore.Thread) {
				ctx, cancel := context.WithCancel(m.Context())
				defer cancel()
				cause = queue.Wait(ctx, func() bool { return false })
			})
			m.MaySleep("waiter")
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
		require.ErrorIs(t, cause, context.Canceled)
	})
}

// A Release that forgets a sleeper is a fault.
func TestReleaseThatWakesNobody(t *testing.T) {
	forgets := func(wake chan bool) func(m *explore.Model) {
		return func(m *explore.Model) {
			m.Go("a", func(*explore.Thread) { <-wake })
			m.MaySleep("a")
			m.Release(func() {})
		}
	}
	wake := make(chan bool)
	r := full.Run(forgets(wake))
	requireFault(t, r, "asleep when all was over: a")
	close(wake)
}

// In a bubble too a sleeper for which there is no Release is a fault, and the search goes on.
// But it stays for ever.
func TestSleeperWithoutRelease(t *testing.T) {
	out := child(t, "TestSleeperWithoutReleaseToFail")
	require.Contains(t, out, "2 orders, 2 bad, ")
	require.Contains(t, out, "the simplest is [a: sleep nothing], asleep: a")
	require.Contains(t, out, "goleak: Errors on successful test run")
}

func TestSleeperWithoutReleaseToFail(t *testing.T) {
	skipUnlessChild(t)
	r := full.Find(t, func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) {
			th.Step("sleep")
			<-make(chan bool)
		})
		m.Event("nothing", func() {})
	})
	t.Logf("the simplest is %s, %s", r.Simplest.Steps, r.Simplest.Fault)
}

// Of the goroutines that stand somewhere one ends after the other.
func TestEndsOneAfterTheOther(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		for range 20 {
			ended := ""
			r := find(full, func(m *explore.Model) {
				for _, name := range []string{"a", "b", "c", "d"} {
					m.Go(name, func(th *explore.Thread) {
						defer func() { ended += name }()
						th.Sleep(func() bool { return false })
					})
				}
				m.MaySleep("a", "b", "c", "d")
			})
			require.Equal(t, explore.Result{Orders: 1}, r)
			require.Equal(t, "abcd", ended)
		}
	})
}

// It may wake one goroutine after the other, and add steps that nobody chooses any more.
func TestReleasedRunOn(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		ended := 0
		r := find(full, func(m *explore.Model) {
			one, two := make(chan bool), make(chan bool)
			m.Go("a", func(*explore.Thread) {
				<-one
				m.At("past")
				close(two)
			})
			m.Go("b", func(th *explore.Thread) {
				defer func() { ended++ }()
				<-two
				th.Step("never made")
				t.Error("a step after the end")
			})
			m.MaySleep("a", "b")
			m.Release(func() { close(one) })
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
		require.Equal(t, 1, ended)
	})
}
