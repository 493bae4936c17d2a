package explore_test

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

var nothing *int

// A failure is a place at which a model may panic, and how that is told.
var failures = map[string]struct {
	model func(m *explore.Model)
	want  string
}{
	"the function of the model": {func(m *explore.Model) {
		m.Go("a", oneStep)
		panic("here")
	}, "the function of the model has panicked: here"},
	"Before": {func(m *explore.Model) {
		m.Go("a", oneStep)
		m.Before(func() {
			panic("here")
		})
	}, "the function of the model has panicked: here"},
	"a goroutine": {func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) {
			th.Step("step")
			panic("here")
		})
	}, "a has panicked: here"},
	"a goroutine before its first step": {func(m *explore.Model) {
		m.Go("a", func(*explore.Thread) {
			panic("here")
		})
		m.Go("b", oneStep)
	}, "a has panicked: here"},
	"a panic of the runtime": {func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) {
			th.Step("step")
			*nothing = len("here")
		})
	}, "a has panicked: runtime error: invalid memory address or nil pointer dereference"},
	"a panic of the package": {func(m *explore.Model) {
		l := m.NewLock()
		m.Go("a", func(th *explore.Thread) {
			th.Step("step")
			l.Unlock() // here
		})
	}, "a has panicked: explore: Unlock of a Lock that is free"},
	"a woken goroutine": {func(m *explore.Model) {
		wake := make(chan bool)
		m.Go("a", func(*explore.Thread) {
			<-wake
			panic("here")
		})
		m.Event("waker", func() { close(wake) })
	}, "a has panicked: here"},
	"an event": {func(m *explore.Model) {
		m.Event("signal", func() {
			panic("here")
		})
	}, "signal has panicked: here"},
	"an awake": {func(m *explore.Model) {
		steps := 0
		m.Go("a", func(th *explore.Thread) {
			th.Sleep(func() bool {
				if steps > 0 {
					panic("here")
				}
				return false
			})
		})
		m.Event("step", func() { steps++ })
	}, "a has panicked: here"},
	"the check": {func(m *explore.Model) {
		m.Go("a", oneStep)
		m.Check(func() error {
			panic("here")
		})
	}, "the check has panicked: here"},
	"an error": {func(m *explore.Model) {
		m.Go("a", oneStep)
		m.Check(func() error { return (*badError)(nil) })
	}, "the check has panicked: here"},
	"the Release": {func(m *explore.Model) {
		m.Go("a", oneStep)
		m.Release(func() {
			panic("here")
		})
	}, "the Release has panicked: here"},
}

type badError struct{}

func (*badError) Error() string {
	panic("here")
}

// The place is a line that has the word here.
func TestPanicIsAFaultWithItsPlace(t *testing.T) {
	text, err := os.ReadFile("panic_test.go")
	require.NoError(t, err)
	lines := strings.Split(string(text), "\n")
	inBoth(t, func(t *testing.T, find finder) {
		for where, c := range failures {
			r := find(full, c.model)
			require.Equal(t, r.Orders, r.Bad, where)
			fault, place, found := strings.Cut(r.Simplest.Fault, ", at panic_test.go:")
			require.True(t, found, r.Simplest.Fault)
			require.Equal(t, c.want, fault, where)
			line, err := strconv.Atoi(place)
			require.NoError(t, err)
			require.Contains(t, lines[line-1], "here", where)
		}
	})
}

// Each model has a Goexit in it.
var goexits = map[string]func(m *explore.Model){
	"the function of the model": func(m *explore.Model) {
		m.Go("b", oneStep)
		runtime.Goexit()
	},
	"a": func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) {
			th.Step("step")
			runtime.Goexit()
		})
		m.Go("b", oneStep)
	},
	"event": func(m *explore.Model) {
		m.Event("event", runtime.Goexit)
		m.Go("b", oneStep)
	},
	"the check": func(m *explore.Model) {
		m.Go("b", oneStep)
		m.Check(func() error {
			runtime.Goexit()
			return nil
		})
	},
	"the Release": func(m *explore.Model) {
		m.Go("b", oneStep)
		m.Release(runtime.Goexit)
	},
}

// A Goexit ends the order too. The test is not failed by it.
func TestGoexitIsAFault(t *testing.T) {
	for where, model := range goexits {
		t.Run(where, func(t *testing.T) {
			inBoth(t, func(t *testing.T, find finder) {
				r := find(full, model)
				require.Equal(t, where+" has called runtime.Goexit, as t.FailNow does", r.Simplest.Fault)
			})
		})
	}
}

// The sleepers are named beside a fault of the check.
func TestFaultOfTheCheckNamesSleepers(t *testing.T) {
	for want, check := range map[string]func() error{
		"wrong":                            func() error { return errWrong },
		"the check returns an error":       func() error { return errors.New("") },
		"the check has panicked: here, at": func() error { panic("here") },
		"the check has called runtime.Goexit": func() error {
			runtime.Goexit()
			return nil
		},
	} {
		inBoth(t, func(t *testing.T, find finder) {
			r := find(full, func(m *explore.Model) {
				m.Go("a", func(th *explore.Thread) { <-m.Context().Done() })
				m.MaySleep("a")
				m.Check(check)
			})
			requireFault(t, r, "asleep: a; "+want)
		})
	}
}

// A Lock that a goroutine held when it has panicked keeps no other one from its end.
func TestPanicWithALock(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			l := m.NewLock()
			for _, name := range []string{"a", "b"} {
				m.Go(name, func(th *explore.Thread) {
					th.Step("lock")
					l.Lock()
					th.Step("panic")
					panic("with the lock")
				})
			}
		})
		require.Equal(t, r.Orders, r.Bad)
		requireFault(t, r, "has panicked: with the lock, at panic_test.go:")
	})
}

// Then the Release is not called: the goroutine may hold a lock that it wants.
func TestPanicWithAMutex(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			var mu sync.Mutex
			m.Go("a", func(th *explore.Thread) {
				th.Step("panic")
				mu.Lock()
				panic("with the mutex")
			})
			m.Release(mu.Lock)
		})
		requireFault(t, r, "a has panicked: with the mutex")
	})
}

// A panic when the order is over is not the fault of a goroutine.
func TestPanicWhenAllIsOver(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			m.Go("a", func(*explore.Thread) {
				<-m.Context().Done()
				panic("late")
			})
			m.MaySleep("a")
		})
		require.Equal(t, explore.Result{Orders: 1}, r)
	})
}
