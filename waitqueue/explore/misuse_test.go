package explore_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

func oneStep(th *explore.Thread) { th.Step("step") }

// afterwards is a model in which f is called when the model's function has returned.
func afterwards(f func(m *explore.Model)) func(*explore.Model) {
	return func(m *explore.Model) {
		m.Event("late", func() { f(m) })
	}
}

// withEarlier is a model in which f gets the Model of the order before.
func withEarlier(f func(m, earlier *explore.Model)) func(*explore.Model) {
	var earlier *explore.Model
	return func(m *explore.Model) {
		m.Go("a", oneStep)
		m.Go("b", oneStep)
		if earlier != nil {
			f(m, earlier)
		}
		earlier = m
	}
}

// Each is wrong use of the package, and the search says which.
var misuses = map[string]struct {
	search explore.Search
	model  func(*explore.Model)
	want   string
}{
	"NilModel":      {full, nil, "the model is nil"},
	"NegativeBound": {explore.Search{Preemptions: -1}, oneWalker, "Preemptions is -1 and Want is 0; both are positive, or 0 for none"},
	"NegativeWant":  {explore.Search{Want: -2}, oneWalker, "Preemptions is 0 and Want is -2"},
	"NoGoroutine":   {full, func(*explore.Model) {}, "the model has no goroutine, no Event, and no goroutine that was adopted"},
	"UnknownPoint":  {explore.Search{Points: []string{"comit"}}, oneWalker, `there is no point "comit"; the README of the package has the list`},
	"EmptyPoint":    {explore.Search{Points: []string{""}}, oneWalker, `there is no point ""`},
	"MissedPoints":  {explore.Search{Points: []string{"unpark", "commit", "rwevent"}}, oneWalker, `no goroutine of the model comes to these points: ["commit" "rwevent" "unpark"]`},
	"TwoOfOneName": {full, func(m *explore.Model) {
		m.Go("a", oneStep)
		m.Event("a", func() {})
	}, `two goroutines of the model are called "a"`},
	"NoName":       {full, func(m *explore.Model) { m.Event("", func() {}) }, "a goroutine of the model has no name"},
	"NilGoroutine": {full, func(m *explore.Model) { m.Go("a", nil) }, "the function of a is nil"},
	"NilEvent":     {full, func(m *explore.Model) { m.Event("a", nil) }, "the function of a is nil"},
	"StepWithoutAName": {full, func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) { th.Step("") })
	}, "a point has no name"},
	"PointWithoutAName": {full, func(m *explore.Model) {
		m.Go("a", func(*explore.Thread) { m.At("") })
	}, "a point has no name"},
	"MaySleepOfNobody": {full, func(m *explore.Model) {
		m.Go("a", oneStep)
		m.MaySleep("a", "c")
	}, `MaySleep of "c", and no goroutine has this name`},
	"AdoptElsewhere": {full, func(m *explore.Model) {
		m.Adopt("commit", "worker")
	}, `Adopt at "commit", which is not in Points`},

	"GoAfterwards":       {full, afterwards(func(m *explore.Model) { m.Go("a", oneStep) }), late("Go")},
	"EventAfterwards":    {full, afterwards(func(m *explore.Model) { m.Event("a", func() {}) }), late("Event")},
	"CheckAfterwards":    {full, afterwards(func(m *explore.Model) { m.Check(nil) }), late("Check")},
	"MaySleepAfterwards": {full, afterwards(func(m *explore.Model) { m.MaySleep("late") }), late("MaySleep")},
	"ReleaseAfterwards":  {full, afterwards(func(m *explore.Model) { m.Release(nil) }), late("Release")},
	"BeforeAfterwards":   {full, afterwards(func(m *explore.Model) { m.Before(func() {}) }), late("Before")},
	"AdoptAfterwards":    {full, afterwards(func(m *explore.Model) { m.Adopt("here", "worker") }), late("Adopt")},

	// A goroutine of the model is no place for these either.
	"GoInAGoroutine": {full, func(m *explore.Model) {
		m.Go("a", func(*explore.Thread) { m.Go("b", oneStep) })
	}, late("Go")},
	"CheckInAGoroutine": {full, func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) {
			th.Step("step")
			m.Check(nil)
		})
	}, late("Check")},
	"StepByAnother": {full, func(m *explore.Model) {
		var a *explore.Thread
		m.Go("a", func(th *explore.Thread) {
			a = th
			th.Step("step")
		})
		m.Go("b", func(*explore.Thread) { a.Step("mine") })
	}, "Thread.Step of a is called by another goroutine"},
	"SleepByAChild": {full, func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) {
			ended := make(chan bool)
			go func() {
				defer close(ended)
				th.Sleep(func() bool { return true })
			}()
			<-ended
			th.Step("step")
		})
	}, "Thread.Sleep of a is called by another goroutine"},
	"StepByAnEvent": {full, func(m *explore.Model) {
		var a *explore.Thread
		m.Go("a", func(th *explore.Thread) { a = th })
		m.Event("event", func() { a.Step("mine") })
	}, "Thread.Step of a is called by another goroutine"},

	"EarlierThread": {full, func() func(m *explore.Model) {
		var earlier *explore.Thread
		return func(m *explore.Model) {
			m.Go("a", func(th *explore.Thread) {
				if earlier == nil {
					earlier = th
				}
				earlier.Step("step")
			})
			m.Go("b", oneStep)
		}
	}(), "Thread.Step of a is called by another goroutine"},
	"EarlierModel": {full, withEarlier(func(_, earlier *explore.Model) { earlier.Go("c", oneStep) }), late("Go")},
	"EarlierLock": {full, withEarlier(func(m, earlier *explore.Model) {
		l := earlier.NewLock()
		m.Go("locker", func(*explore.Thread) { l.Lock() })
	}), "a Lock of another order: each order makes its own"},
}

func late(method string) string {
	return "Model." + method + " is for the function of the model: for its goroutine, and until it returns"
}

func oneWalker(m *explore.Model) { m.Go("a", oneStep) }

func TestMisuseInAProgram(t *testing.T) {
	for name, c := range misuses {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, message(t, func() { c.search.Run(c.model) }), "explore: "+c.want)
		})
	}
}

func TestMisuseInATest(t *testing.T) {
	out := child(t, "TestMisuseToFail")
	for name, c := range misuses {
		for _, way := range []string{"Find", "Test"} {
			said := between(out, "=== RUN   TestMisuseToFail/"+name+"/"+way+"\n", "=== RUN")
			require.Contains(t, said, "misuse_test.go:", name)
			require.Contains(t, said, ": explore: "+c.want, name)
			require.Contains(t, out, "--- FAIL: TestMisuseToFail/"+name+"/"+way)
		}
	}
}

func TestMisuseToFail(t *testing.T) {
	skipUnlessChild(t)
	for name, c := range misuses {
		t.Run(name, func(t *testing.T) {
			t.Run("Find", func(t *testing.T) { c.search.Find(t, c.model) })
			t.Run("Test", func(t *testing.T) { c.search.Test(t, c.model) })
		})
	}
}

// A search in an order of another search would wait for its end.
var nests = map[string]func(t *testing.T, m *explore.Model){
	"Run in a model":      func(_ *testing.T, _ *explore.Model) { full.Run(oneWalker) },
	"Find in a model":     func(t *testing.T, _ *explore.Model) { full.Find(t, oneWalker) },
	"Run in a goroutine":  func(_ *testing.T, m *explore.Model) { m.Go("a", func(*explore.Thread) { full.Run(oneWalker) }) },
	"Find in a goroutine": func(t *testing.T, m *explore.Model) { m.Go("a", func(*explore.Thread) { full.Find(t, oneWalker) }) },
	"Run in an event":     func(_ *testing.T, m *explore.Model) { m.Event("a", func() { full.Run(oneWalker) }) },
	"Find in a check": func(t *testing.T, m *explore.Model) {
		m.Go("a", oneStep)
		m.Check(func() error {
			full.Find(t, oneWalker)
			return nil
		})
	},
}

const nested = "explore: a search in an order of another search, or in a bubble of testing/synctest"

func TestNestedSearch(t *testing.T) {
	out := child(t, "TestNestedSearchToFail")
	for name := range nests {
		for _, runner := range []string{"bubbles", "program"} {
			test := "TestNestedSearchToFail/" + strings.ReplaceAll(name, " ", "_") + "/" + runner
			require.Contains(t, between(out, "=== RUN   "+test+"\n", "=== RUN"), nested, test)
		}
	}
	require.Contains(t, between(out, "=== RUN   TestNestedSearchToFail/in_a_bubble\n", "=== RUN"), nested)
}

func TestNestedSearchToFail(t *testing.T) {
	skipUnlessChild(t)
	for name, nest := range nests {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, find finder) {
				r := find(full, func(m *explore.Model) { nest(t, m) })
				t.Log(r)
			})
		})
	}
	t.Run("in a bubble", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { full.Find(t, oneWalker) })
	})
}

// A Model that is used after the search panics.
func TestMisuseAfterASearch(t *testing.T) {
	var model *explore.Model
	full.Run(func(m *explore.Model) {
		model = m
		m.Go("a", oneStep)
	})
	require.Equal(t, "explore: "+late("Go"), message(t, func() { model.Go("b", oneStep) }))
}

// The message of package testing about wrong use of a bubble is not lost.
func TestSearchInCleanup(t *testing.T) {
	require.Contains(t, child(t, "TestSearchInCleanupToFail"), "synctest.Run called during t.Cleanup")
}

func TestSearchInCleanupToFail(t *testing.T) {
	skipUnlessChild(t)
	t.Cleanup(func() { full.Find(t, oneWalker) })
}

// After a wrong use the next search is not disturbed.
func TestSearchAfterMisuse(t *testing.T) {
	for _, c := range misuses {
		_ = message(t, func() { c.search.Run(c.model) })
		require.Equal(t, 6, full.Run(walkers(right, 2, 2)).Orders)
		require.Equal(t, 6, full.Find(t, walkers(right, 2, 2)).Orders)
	}
}
