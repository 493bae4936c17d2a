package explore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// Each sees every order once, also one that is good.
func TestEachSeesEveryOrder(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		var words, replays []string
		bad := 0
		s := explore.Search{Each: func(o explore.Order) {
			require.Len(t, o.Steps, len(o.Numbers))
			word := ""
			for i, n := range o.Numbers {
				name := string(rune('a' + n - 1))
				require.Equal(t, name+": step", o.Steps[i])
				word += name
			}
			words = append(words, word)
			replays = append(replays, o.Replay)
			if o.Fault != "" {
				bad++
			}
		}}
		found := find(s, walkers(func(word string) error { return isWrong(strings.HasPrefix(word, "b")) }, 2, 2))
		slices.Sort(words)
		require.Equal(t, []string{"aabb", "abab", "abba", "baab", "baba", "bbaa"}, words)
		require.Equal(t, []int{6, 3}, []int{found.Orders, found.Bad})
		require.Equal(t, 3, bad)
		require.Contains(t, replays, found.Simplest.Replay)
	})
}

// Test looks at some orders twice. It calls no Each.
func TestEachIsNotForTest(t *testing.T) {
	explore.Search{Each: func(explore.Order) { t.Error("Test calls Each") }}.Test(t, walkers(right, 1, 1))
}

// A scheduler sees where each goroutine stands: at a point, asleep, or at its end. An Event has happened, or not.
func TestChoose(t *testing.T) {
	var seen []string
	happened := false
	keys := []int{2, 3, 1}
	order, err := full.Choose(func(threads []explore.Standing) (number int, err error) {
		seen = append(seen, fmt.Sprint(threads))
		number, keys = keys[0], keys[1:]
		return number, nil
	}, func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) {
			th.Sleep(func() bool { return happened })
			th.Step("goes on")
		})
		m.Go("b", func(th *explore.Thread) { th.Step("only step") })
		m.Event("wake-up", func() { happened = true })
	})
	require.NoError(t, err)
	require.Equal(t, []string{
		"[a: asleep b: only step wake-up]",
		"[a: asleep b: at its end wake-up]",
		"[a: goes on b: at its end wake-up: has happened]",
	}, seen)
	require.Equal(t, []int{2, 3, 1}, order.Numbers)
	require.Equal(t, "2.3.1", order.Replay)
	require.Empty(t, order.Fault)
}

// An error of the scheduler ends the order, and so does the number of a goroutine that
// cannot go on.
func TestChooseEndsAtAnError(t *testing.T) {
	broken := errors.New("broken")
	steps := 0
	order, err := full.Choose(func([]explore.Standing) (int, error) {
		if steps++; steps == 3 {
			return 0, broken
		}
		return 2, nil
	}, walkers(right, 2, 4))
	require.ErrorIs(t, err, broken)
	require.Equal(t, []int{2, 2}, order.Numbers)

	for _, wrong := range []int{-1, 0, 1, 3} {
		order, err = full.Choose(func([]explore.Standing) (int, error) { return wrong, nil }, walkers(right, 0, 1))
		require.EqualError(t, err, fmt.Sprintf("explore: number %d cannot go on, only these can: 2 b: step", wrong))
		require.Empty(t, order.Steps)
	}
}

// The scheduler is no place for another search.
func TestChooseWithinChoose(t *testing.T) {
	_, err := full.Choose(func([]explore.Standing) (int, error) {
		require.Contains(t, message(t, func() { full.Run(walkers(right, 1)) }), "explore: a search in an order of another search")
		return 1, nil
	}, walkers(right, 1))
	require.NoError(t, err)
}
