package explore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// Each is a model that is another one in its second order.
var changing = map[string]struct{ first, second func(m *explore.Model) }{
	"MoreGoroutines":  {stepping("a:xx", "b:xx"), stepping("a:xx", "b:xx", "c:x")},
	"FewerGoroutines": {stepping("a:xx", "b:xx"), stepping("a:xx")},
	"OtherNames":      {stepping("a:xx", "b:xx"), stepping("a:xx", "c:xx")},
	"OtherSteps":      {stepping("a:xx", "b:xx"), stepping("a:xy", "b:xx")},
	"OtherNumbers":    {stepping("a:xx", "b:xx"), stepping("b:xx", "a:xx")},
	"NoSteps":         {stepping("a:xx", "b:xx"), stepping("a:", "b:")},
	"OneMoreBefore":   {stepping("a:xx", "b:xx"), stepping("z:", "a:xx", "b:xx")},
	"FewerSteps":      {stepping("a:xx", "b:xx"), stepping("a:x", "b:")},
	"Sleeper":         {holding(true), holding(false)},
	"Panic": {stepping("a:xx", "b:xx"), func(m *explore.Model) {
		stepping("a:xx", "b:xx")(m)
		m.Go("c", func(*explore.Thread) { panic("at once") })
	}},
}

// stepping returns a model: "a:xy" is a goroutine a with the steps x and y.
func stepping(goroutines ...string) func(m *explore.Model) {
	return func(m *explore.Model) {
		for _, text := range goroutines {
			name, steps, _ := strings.Cut(text, ":")
			m.Go(name, func(th *explore.Thread) {
				for _, step := range steps {
					th.Step(string(step))
				}
			})
		}
	}
}

// holding returns a model in which b sleeps if a does not unlock.
func holding(unlocks bool) func(m *explore.Model) {
	return func(m *explore.Model) {
		l := m.NewLock()
		m.Go("a", func(th *explore.Thread) {
			l.Lock()
			th.Step("hold")
			if unlocks {
				l.Unlock()
			}
		})
		m.Go("b", func(*explore.Thread) { l.Lock() })
		m.MaySleep("b")
	}
}

func changingModel(name string) func(m *explore.Model) {
	orders := 0
	return func(m *explore.Model) {
		if orders++; orders == 1 {
			changing[name].first(m)
		} else {
			changing[name].second(m)
		}
	}
}

const anotherCourse = "explore: an order that is repeated takes another course: "

func TestModelThatIsNotDeterministicEndsTheSearch(t *testing.T) {
	out := child(t, "TestCourseToFail")
	for name := range changing {
		require.Contains(t, between(out, "=== RUN   TestCourseToFail/"+name+"\n", "=== RUN"), anotherCourse)
		require.Contains(t, message(t, func() { full.Run(changingModel(name)) }), anotherCourse)
	}
}

func TestCourseToFail(t *testing.T) {
	skipUnlessChild(t)
	for name := range changing {
		t.Run(name, func(t *testing.T) { full.Find(t, changingModel(name)) })
	}
}

// The message has the goroutines that could go on, and the steps up to there.
func TestAnotherCourseIsTold(t *testing.T) {
	require.Equal(t, anotherCourse+`these can go on now
  1 a: x, 2 c: x
and these could before
  1 a: x, 2 b: x, after
`, message(t, func() { full.Run(changingModel("OtherNames")) }))
	require.Regexp(t, anotherCourse+`it ends early; c has panicked: at once, at course_test.go:[0-9]+, after
$`, message(t, func() { full.Run(changingModel("Panic")) }))
	require.Equal(t, anotherCourse+`it ends early, after
   1  a: hold
`, message(t, func() { full.Run(changingModel("Sleeper")) }))
}

// A model without an end ends the search after the first such order, which is bad.
func TestNoEnd(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			m.Go("spinner", func(th *explore.Thread) {
				for {
					th.Step("look")
				}
			})
			m.Go("other", oneStep)
		})
		require.Equal(t, []int{1, 1}, []int{r.Orders, r.Bad})
		requireFault(t, r, "there is no end to it")
		require.Len(t, r.Simplest.Steps, 500)
		require.Equal(t, "1x500", r.Simplest.Replay)
	})
}

// Code that does not know its goroutine cannot be ended at its points. After as many again
// it is ended.
func TestNoEndAtPointsOfAPackage(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		unwound := false
		r := find(full, func(m *explore.Model) {
			m.Go("spinner", func(*explore.Thread) {
				defer func() { unwound = true }()
				for {
					m.At("look")
				}
			})
		})
		requireFault(t, r, "there is no end to it")
		require.True(t, unwound)
	})
}

// A good order may be nearly as long.
func TestLongOrderHasAnEnd(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		require.Equal(t, explore.Result{Orders: 1}, find(full, walkers(right, 500)))
		r := find(full, walkers(right, 501))
		requireFault(t, r, "there is no end to it")
	})
}

// Of a long order the message has the beginning and the end.
func TestLongOrderIsCut(t *testing.T) {
	r := full.Run(walkers(func(string) error { return errWrong }, 100))
	var want strings.Builder
	for i := 1; i <= 40; i++ {
		fmt.Fprintf(&want, "%4d  a: step\n", i)
	}
	fmt.Fprintf(&want, "      and so on, 50 steps\n")
	for i := 91; i <= 100; i++ {
		fmt.Fprintf(&want, "%4d  a: step\n", i)
	}
	require.Equal(t, want.String()+"wrong\nreplay 1x100\n", r.Simplest.String())
	r = full.Run(walkers(func(string) error { return errWrong }, 60))
	require.Contains(t, r.Simplest.String(), "\n  60  a: step\nwrong\n")
}
