package explore

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A pack is a package under test: it has points.
type pack struct{ yield func(point string) }

func (p *pack) at(point string) {
	if p.yield != nil {
		p.yield(point)
	}
}

func (p *pack) explorer() Explorer {
	return Explorer{SetYield: func(f func(string)) { p.yield = f }}
}

func right() string { return "" }

// walkers is a model of threads that make so many steps each.
func walkers(steps ...int) func(*testing.T, *Schedule) {
	return func(_ *testing.T, s *Schedule) {
		s.Wrong = right
		for i, n := range steps {
			s.Thread(string(rune('a'+i)), func(th *Thread) {
				for range n {
					th.At("step")
				}
			})
		}
	}
}

// The number of orders is a multinomial coefficient.
func TestEveryOrderComesOnce(t *testing.T) {
	for _, c := range []struct {
		steps []int
		want  int
	}{
		{[]int{0}, 1}, {[]int{3}, 1}, {[]int{1, 1}, 2}, {[]int{2, 3}, 10}, {[]int{2, 2, 2}, 90}, {[]int{1, 2, 3}, 60}, {[]int{5, 5}, 252},
	} {
		orders := map[string]bool{}
		explored, bad, _ := new(pack).explorer().Search(t, "", func(t *testing.T, s *Schedule) {
			var order []string
			s.Wrong = func() string { orders[strings.Join(order, "")] = true; return "" }
			for i, n := range c.steps {
				name := string(rune('a' + i))
				s.Thread(name, func(th *Thread) {
					for range n {
						th.At("step")
						order = append(order, name)
					}
				})
			}
		})
		require.Equal(t, []int{c.want, 0, c.want}, []int{explored, bad, len(orders)}, c.steps)
	}
}

func TestFirstBadScheduleIsTold(t *testing.T) {
	explored, bad, first := new(pack).explorer().Search(t, "", func(_ *testing.T, s *Schedule) {
		x := 0
		for _, name := range []string{"a", "b"} {
			s.Thread(name, func(th *Thread) {
				th.At("read")
				seen := x
				th.At("write")
				x = seen + 1
			})
		}
		s.Wrong = func() string {
			if x == 2 {
				return ""
			}
			return "one was lost"
		}
	})
	require.Equal(t, []int{6, 4}, []int{explored, bad})
	require.Equal(t, " 1 a: read\n 2 b: read\n 3 a: write\n 4 b: write\nasleep: []; one was lost", first)
}

// A thread that sleeps for ever is named, and the bubble does not hide the fault.
func TestSleeperIsNamed(t *testing.T) {
	_, bad, first := new(pack).explorer().Search(t, "", func(_ *testing.T, s *Schedule) {
		wake := make(chan bool)
		s.Thread("sleeper", func(*Thread) { <-wake })
		s.Wrong = func() string { return "nothing wakes it" }
		s.Release = func() { wake <- true }
	})
	require.Equal(t, 1, bad)
	require.Equal(t, `asleep: ["sleeper"]; nothing wakes it`, first)
}

func TestPointsAreExactAndReached(t *testing.T) {
	for points, want := range map[string]struct {
		explored int
		missed   []string
	}{
		"":                           {2, nil},
		"commit":                     {6, nil},
		" commit , two words":        {20, nil},
		Every:                        {20, nil},
		"comit":                      {2, []string{"comit"}}, // no substring either
		"commit,commit two words":    {6, []string{"commit two words"}},
		"commit, after all, unknown": {6, []string{"after all", "unknown"}},
	} {
		p := new(pack)
		found := p.explorer().search(t, points, false, func(_ *testing.T, s *Schedule) {
			s.Wrong = right
			for _, name := range []string{"a", "b"} {
				s.Thread(name, func(th *Thread) {
					th.At("begin")
					p.at("commit")
					p.at("two words")
				})
			}
			s.Release = func() { p.at("after all") } // no thread comes there
		})
		require.Equal(t, want.explored, found.explored, points)
		require.Zero(t, found.bad)
		require.ElementsMatch(t, want.missed, found.missed, points)
	}
}

// A second run has more threads, other steps, or fewer steps than the first.
func TestScheduleThatTakesAnotherCourseEndsTheSearch(t *testing.T) {
	for _, second := range [][]int{{2, 2, 2}, {2}, {0, 0}, {1, 0}} {
		runs := 0
		explored, bad, first := new(pack).explorer().Search(t, "", func(t *testing.T, s *Schedule) {
			if runs++; runs == 1 {
				walkers(2, 2)(t, s)
			} else {
				walkers(second...)(t, s)
			}
		})
		require.Equal(t, []int{2, 1}, []int{explored, bad})
		require.True(t, strings.HasSuffix(first, anotherCourse), second)
	}
}

// A goroutine that the package starts takes part if the model adopts it, from its
// first point on.
func TestAdoption(t *testing.T) {
	for adopted, want := range map[string]int{"": 1, "timer": 3} {
		p := new(pack)
		found := p.explorer().search(t, "fire", false, func(_ *testing.T, s *Schedule) {
			s.Wrong = right
			s.Adopt = func(string) string { return adopted }
			s.Thread("a", func(th *Thread) {
				go func() {
					p.at("fire")
				}()
				th.At("one")
				th.At("two")
			})
		})
		require.Equal(t, want, found.explored, adopted)
		require.Equal(t, adopted == "", len(found.missed) > 0)
	}
}

// An event comes at any time, once, and the clock may move in it.
func TestEvent(t *testing.T) {
	orders := map[time.Duration]int{}
	explored, bad, _ := new(pack).explorer().Search(t, "", func(t *testing.T, s *Schedule) {
		begin := time.Now()
		s.Wrong = right
		s.Event("an hour passes", func() { <-time.After(time.Hour) })
		s.Thread("a", func(th *Thread) {
			th.At("one")
			th.At("two")
			orders[time.Since(begin)]++
		})
	})
	require.Equal(t, []int{3, 0}, []int{explored, bad})
	require.Equal(t, map[time.Duration]int{0: 1, time.Hour: 2}, orders)
}

// Threads that Before starts do not stop at their points.
func TestBefore(t *testing.T) {
	explored, _, _ := new(pack).explorer().Search(t, "", func(t *testing.T, s *Schedule) {
		s.Before(func() { walkers(9, 9)(t, s) })
		walkers(1, 1)(t, s)
	})
	require.Equal(t, 2, explored)
}

// The failures of Explore itself are seen from outside, in a test that fails.
func TestExploreFails(t *testing.T) {
	for name, text := range map[string]string{
		"NotPinned": "schedules that this test is known to have",
		"Missed":    "no thread comes to these points",
		"Bad":       "1 a: step",
		"NoEnd":     "1 schedules, 1 bad",
	} {
		require.Contains(t, failing(t, "TestToFail/"+name), text)
	}
	require.NotContains(t, failing(t, "TestToFail/Pinned"), "FAIL")
}

func TestToFail(t *testing.T) {
	if os.Getenv("KPRIM_EXPLORE_FAILS") == "" {
		t.Skip("TestExploreFails runs it")
	}
	e := new(pack).explorer()
	e.Schedules = map[string]int{"TestToFail/Pinned": 6, "TestToFail/NotPinned": 5, "TestToFail/Missed": 6}
	t.Run("Pinned", func(t *testing.T) { e.Explore(t, "", walkers(2, 2)) })
	t.Run("NotPinned", func(t *testing.T) { e.Explore(t, "", walkers(2, 2)) })
	t.Run("Missed", func(t *testing.T) { e.Explore(t, "nowhere", walkers(2, 2)) })
	t.Run("NoEnd", func(t *testing.T) {
		e.Explore(t, "", func(_ *testing.T, s *Schedule) {
			s.Wrong = right
			s.Thread("spinner", func(th *Thread) {
				for {
					th.At("look")
				}
			})
		})
	})
	t.Run("Bad", func(t *testing.T) {
		e.Explore(t, "", func(t *testing.T, s *Schedule) {
			walkers(2, 2)(t, s)
			s.Wrong = func() string { return "all is bad" }
		})
	})
}

// failing runs one test in a process of its own and returns its output.
func failing(t *testing.T, test string) string {
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return outputOf(ctx, self, "-test.run=^"+strings.ReplaceAll(test, "/", "$/^")+"$")
}

func outputOf(ctx context.Context, program string, args ...string) string {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "KPRIM_EXPLORE_FAILS=1")
	out, _ := cmd.CombinedOutput() // a test that fails
	return string(out)
}
