package explore_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// inProgram runs a test of the program's runner on several numbers of processors.
func inProgram(t *testing.T, test func(t *testing.T)) {
	for _, processors := range []int{1, 2, 4} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		test(t)
	}
}

// Some ways to sleep, each with a way to be woken.
var sleeps = map[string]func() (sleep, wake func()){
	"a channel that is received from": func() (sleep, wake func()) {
		c := make(chan bool)
		return func() { <-c }, func() { close(c) }
	},
	"a channel that is sent to": func() (sleep, wake func()) {
		c := make(chan bool)
		return func() { c <- true }, func() { <-c }
	},
	"a select": func() (sleep, wake func()) {
		c, d := make(chan bool), make(chan bool)
		return func() {
			select {
			case <-c:
			case d <- true:
			}
		}, func() { c <- true }
	},
	"a mutex": func() (sleep, wake func()) {
		var mu sync.Mutex
		mu.Lock()
		return mu.Lock, mu.Unlock
	},
	"a mutex for readers": func() (sleep, wake func()) {
		var mu sync.RWMutex
		mu.Lock()
		return mu.RLock, mu.Unlock
	},
	"a mutex for a writer": func() (sleep, wake func()) {
		var mu sync.RWMutex
		mu.RLock()
		return mu.Lock, mu.RUnlock
	},
	"a condition variable": func() (sleep, wake func()) {
		cond := sync.NewCond(new(sync.Mutex))
		return func() {
			cond.L.Lock()
			cond.Wait()
			cond.L.Unlock()
		}, cond.Signal
	},
	"a WaitGroup": func() (sleep, wake func()) {
		var group sync.WaitGroup
		group.Add(1)
		return group.Wait, group.Done
	},
}

// Before a sleeper is woken it is not among the goroutines that can go on, and then it is.
func TestWaysToSleepInAProgram(t *testing.T) {
	for name, way := range sleeps {
		inProgram(t, func(t *testing.T) {
			r := full.Run(func(m *explore.Model) {
				sleep, wake := way()
				m.Go("sleeper", func(th *explore.Thread) {
					sleep()
					th.Step("one")
					th.Step("two")
				})
				m.Go("waker", func(th *explore.Thread) {
					th.Step("wait")
					th.Step("wake")
					wake()
					th.Step("one")
					th.Step("two")
				})
			})
			require.Equal(t, explore.Result{Orders: multinomial(2, 2)}, r, name)
		})
	}
}

// Other than in a bubble, a mutex may be held over a point.
func TestMutexOverAPoint(t *testing.T) {
	inProgram(t, func(t *testing.T) {
		r := full.Run(func(m *explore.Model) {
			var mu sync.Mutex
			n := 0
			for _, name := range []string{"a", "b"} {
				m.Go(name, func(th *explore.Thread) {
					th.Step("lock")
					mu.Lock()
					defer mu.Unlock()
					was := n
					th.Step("write")
					n = was + 1
				})
			}
			m.Check(func() error { return isWrong(n != 2) })
		})
		require.Equal(t, explore.Result{Orders: 4}, r)
	})
}

// Some ways to take one's time.
var works = map[string]func(){
	"a processor": func() {
		for end := time.Now().Add(time.Millisecond); time.Now().Before(end); {
		}
	},
	"a processor, and gives it away": func() {
		for end := time.Now().Add(time.Millisecond); time.Now().Before(end); {
			runtime.Gosched()
		}
	},
	"a timer": func() { time.Sleep(time.Millisecond) },
	"children": func() {
		var group sync.WaitGroup
		for range 3 {
			group.Go(runtime.Gosched)
		}
		group.Wait()
	},
}

// parentModel has a goroutine that starts another one in a step, and wakes it in the next. A
// reader sees that as often as this works.
func parentModel(t *testing.T, work func()) func(m *explore.Model) {
	return func(m *explore.Model) {
		var began, ended atomic.Int32
		gate := make(chan bool)
		m.Go("parent", func(th *explore.Thread) {
			th.Step("start")
			began.Add(1)
			go func() {
				work()
				ended.Add(1)
				<-gate
				work()
				ended.Add(1)
			}()
			th.Step("open")
			began.Add(1)
			close(gate)
		})
		m.Go("reader", func(th *explore.Thread) {
			th.Step("read")
			require.Equal(t, began.Load(), ended.Load())
		})
	}
}

// A step is over when the goroutines that it has started have come to rest.
func TestStepWaitsForChildren(t *testing.T) {
	for name, work := range works {
		inProgram(t, func(t *testing.T) {
			require.Equal(t, explore.Result{Orders: 3}, full.Run(parentModel(t, work)), name)
		})
	}
}

// spin uses a processor until stop is closed.
func spin(stop chan bool) {
	for {
		select {
		case <-stop:
			return
		default:
			runtime.Gosched()
		}
	}
}

// The goroutines that the program has already are no part of the model.
func TestOtherGoroutinesOfTheProgram(t *testing.T) {
	inProgram(t, func(t *testing.T) {
		var group sync.WaitGroup
		stop, never := make(chan bool), make(chan bool)
		group.Go(func() { <-never })
		group.Go(func() { spin(stop) })
		r := full.Run(func(m *explore.Model) {
			gate := make(chan bool)
			m.Go("sleeper", func(th *explore.Thread) {
				<-gate
				th.Step("go on")
			})
			m.Go("opener", func(th *explore.Thread) {
				th.Step("open")
				close(gate)
				th.Step("go on")
			})
		})
		require.Equal(t, explore.Result{Orders: 2}, r)
		close(stop)
		close(never)
		group.Wait()
	})
}

// Nor are they adopted.
func TestOtherGoroutinesAreNotAdopted(t *testing.T) {
	calls, answers := make(chan func()), make(chan bool)
	go func() {
		for call := range calls {
			call()
			answers <- true
		}
	}()
	r := full.Run(func(m *explore.Model) {
		m.Adopt("fire", "worker")
		m.Event("a call", func() {
			calls <- func() { m.At("fire") }
			<-answers
		})
	})
	close(calls)
	require.Equal(t, explore.Result{Orders: 1}, r)
}

// A bad order leaves its sleepers behind. They do not disturb the orders that follow.
func TestSleepersOfEarlierOrders(t *testing.T) {
	inProgram(t, func(t *testing.T) {
		gate := make(chan bool)
		r := full.Run(func(m *explore.Model) {
			m.Go("sleeper", func(th *explore.Thread) {
				th.Step("sleep")
				<-gate
			})
			m.Go("other", func(th *explore.Thread) {
				th.Step("one")
				th.Step("two")
			})
		})
		close(gate)
		require.Equal(t, []int{3, 3}, []int{r.Orders, r.Bad})
		require.Equal(t, "asleep: sleeper", r.Simplest.Fault)
	})
}
