package explore_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// multinomial is in how many orders goroutines can make so many steps each.
func multinomial(steps ...int) int {
	orders, made := 1, 0
	for _, n := range steps {
		for k := 1; k <= n; k++ {
			made++
			orders = orders * made / k
		}
	}
	return orders
}

// words returns the orders of so many steps each, in the letters of walkers. It shares no
// code with the search: it puts the steps of each goroutine into each order of the others.
func words(steps ...int) []string {
	all := []string{""}
	for i, n := range steps {
		var longer []string
		for _, word := range all {
			longer = append(longer, inserted(word, string(rune('a'+i)), n)...)
		}
		all = longer
	}
	return all
}

// inserted returns the words that have n more letters somewhere.
func inserted(word, letter string, n int) (all []string) {
	if word == "" || n == 0 {
		return []string{strings.Repeat(letter, n) + word}
	}
	for here := range n + 1 {
		for _, rest := range inserted(word[1:], letter, n-here) {
			all = append(all, strings.Repeat(letter, here)+word[:1]+rest)
		}
	}
	return all
}

// switches returns the places in a word at which its goroutine could have gone on, and
// another one did.
func switches(word string) (at []int) {
	for i := 1; i < len(word); i++ {
		if word[i] != word[i-1] && strings.Contains(word[i:], word[i-1:i]) {
			at = append(at, i)
		}
	}
	return at
}

var shapes = [][]int{{0}, {3}, {1, 1}, {2, 3}, {5, 5}, {0, 2}, {2, 2, 2}, {1, 2, 3}, {3, 1, 2}, {1, 1, 1, 1}, {2, 1, 2, 1}}

func TestEveryOrderComesOnce(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		for _, steps := range shapes {
			var seen []string
			r := find(full, walkers(func(word string) error {
				seen = append(seen, word)
				return nil
			}, steps...))
			require.Equal(t, explore.Result{Orders: multinomial(steps...)}, r, steps)
			require.ElementsMatch(t, words(steps...), seen, steps)
		}
	})
}

// The order of the search is stated: as long as it can, it goes on with the same goroutine.
func TestSearchGoesOnWithTheSameGoroutine(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		var seen []string
		find(full, walkers(func(word string) error {
			seen = append(seen, word)
			return nil
		}, 2, 2))
		require.Equal(t, []string{"aabb", "abba", "abab", "bbaa", "baab", "baba"}, seen)
	})
}

func TestBoundOnPreemptions(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		for _, steps := range shapes {
			for bound := 1; bound <= 4; bound++ {
				want, leftOut := []string{}, map[string]bool{}
				for _, word := range words(steps...) {
					if at := switches(word); len(at) > bound {
						leftOut[word[:at[bound]+1]] = true
					} else {
						want = append(want, word)
					}
				}
				seen := []string{}
				r := find(explore.Search{Preemptions: bound}, walkers(func(word string) error {
					seen = append(seen, word)
					return nil
				}, steps...))
				require.ElementsMatch(t, want, seen, "%d, bound %d", steps, bound)
				require.Equal(t, explore.Result{Orders: len(want), LeftOut: len(leftOut)}, r, "%d, bound %d", steps, bound)
				require.Equal(t, r.LeftOut == 0, r.Orders == multinomial(steps...))
			}
		}
	})
}

// An event is a goroutine with one step.
func TestOrdersWithEvents(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		for events := range 4 {
			seen := map[string]int{}
			r := find(full, func(m *explore.Model) {
				word := ""
				walk(m, &word, "a", 2)
				for i := range events {
					m.Event(fmt.Sprint(i), func() { word += fmt.Sprint(i) })
				}
				walk(m, &word, "b", 2)
				m.Check(func() error {
					seen[word]++
					return nil
				})
			})
			steps := append(slices.Repeat([]int{1}, events), 2, 2)
			require.Equal(t, explore.Result{Orders: multinomial(steps...)}, r)
			require.Len(t, seen, r.Orders)
		}
	})
}

// A switch from a goroutine that sleeps or has ended is no preemption.
func TestSwitchFromASleeperIsNoPreemption(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			gate := make(chan bool)
			m.Go("sleeper", func(th *explore.Thread) {
				th.Step("sleep")
				<-gate
				th.Step("go on")
			})
			m.Event("nothing", func() {})
			m.Go("opener", func(th *explore.Thread) {
				th.Step("open")
				close(gate)
			})
			m.Check(func() error { return errWrong })
		})
		require.Zero(t, r.Simplest.Preemptions)
		require.Equal(t, []string{"sleeper: sleep", "nothing", "opener: open", "sleeper: go on"}, r.Simplest.Steps)
	})
}

func TestSearchIsATestToo(t *testing.T) {
	explore.Test(t, walkers(right, 2, 2))
	explore.Search{Want: 6}.Test(t, walkers(right, 2, 2))
	explore.Search{Want: 4, Preemptions: 1}.Test(t, walkers(right, 2, 2))
}

// Two tests may search at once: their orders take turns.
func TestParallelSearches(t *testing.T) {
	for range 2 {
		inBoth(t, func(t *testing.T, find finder) {
			t.Parallel()
			for range 5 {
				r := find(explore.Search{Points: []string{"tested", "unpark", "awake"}}, waitAndWake)
				require.Equal(t, 4, r.Orders)
			}
		})
	}
}

// A Search is a value without a state: one may be used by many goroutines.
func TestOneSearchForManyGoroutines(t *testing.T) {
	s := explore.Search{Preemptions: 2}
	results := make(chan explore.Result)
	for range 3 {
		go func() { results <- s.Run(walkers(right, 2, 3)) }()
	}
	want := s.Run(walkers(right, 2, 3))
	for range 3 {
		require.Equal(t, want, <-results)
	}
}
