package explore_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// inBothReplayed runs a test with both ways to replay an order.
func inBothReplayed(t *testing.T, test func(t *testing.T, replay func(order string, model func(*explore.Model)) explore.Order)) {
	t.Run("bubbles", func(t *testing.T) {
		test(t, func(order string, model func(*explore.Model)) (o explore.Order) {
			withFlag(t, "explore.replay", order, func() {
				r := full.Find(t, model)
				require.Equal(t, 1, r.Orders)
				o = *r.Simplest
			})
			return o
		})
	})
	t.Run("program", func(t *testing.T) {
		test(t, func(order string, model func(*explore.Model)) explore.Order {
			o, err := full.Replay(order, model)
			require.NoError(t, err)
			return o
		})
	})
}

// withFlag calls f while a flag has a value.
func withFlag(t *testing.T, name, value string, f func()) {
	t.Helper()
	was := flag.Lookup(name).Value.String()
	require.NoError(t, flag.Set(name, value))
	defer func() { require.NoError(t, flag.Set(name, was)) }()
	f()
}

func TestEachOrderIsReplayed(t *testing.T) {
	inBothReplayed(t, func(t *testing.T, replay func(string, func(*explore.Model)) explore.Order) {
		for _, word := range words(2, 1, 5) {
			want := explore.Order{Fault: "the word is " + word, Preemptions: len(switches(word)), Replay: replayOf(word)}
			for _, c := range word {
				want.Steps = append(want.Steps, string(c)+": step")
			}
			o := replay(want.Replay, walkers(func(word string) error { return fmt.Errorf("the word is %s", word) }, 2, 1, 5))
			requireOrder(t, want, o)
		}
	})
}

// replayOf returns the numbers of the letters: 1 for a. Four or more of one are a product.
func replayOf(word string) string {
	var parts []string
	for len(word) > 0 {
		run := len(word) - len(strings.TrimLeft(word, word[:1]))
		number := fmt.Sprint(word[0] - 'a' + 1)
		if run >= 4 {
			parts = append(parts, fmt.Sprint(number, "x", run))
		} else {
			parts = append(parts, strings.Split(strings.Repeat(number, run), "")...)
		}
		word = word[run:]
	}
	return strings.Join(parts, ".")
}

func requireOrder(t *testing.T, want, o explore.Order) {
	t.Helper()
	require.Equal(t, want.Steps, o.Steps)
	require.Equal(t, want.Preemptions, o.Preemptions, want.Replay)
	require.Equal(t, want.Fault, o.Fault)
	require.Equal(t, want.Replay, o.Replay)
}

func TestSimplestIsReplayed(t *testing.T) {
	inBothReplayed(t, func(t *testing.T, replay func(string, func(*explore.Model)) explore.Order) {
		for name, c := range deadlocks {
			r := full.Run(c.model)
			o := replay(r.Simplest.Replay, c.model)
			require.Equal(t, r.Simplest.String(), o.String(), name)
		}
	})
}

// A good order is replayed too.
func TestGoodOrderIsReplayed(t *testing.T) {
	o, err := full.Replay("2.1.1.2", walkers(right, 2, 2))
	require.NoError(t, err)
	require.Equal(t, "   1  b: step\n   2  a: step\n   3  a: step\n   4  b: step\nreplay 2.1.1.2\n", o.String())
	require.Equal(t, 1, o.Preemptions)
	require.Empty(t, o.Fault)
}

// An order without an end is replayed up to the step at which the search gave up.
func TestOrderWithoutEndIsReplayed(t *testing.T) {
	spin := func(m *explore.Model) {
		m.Go("a", func(th *explore.Thread) {
			for {
				th.Step("look")
			}
		})
	}
	o, err := full.Replay("1x500", spin)
	require.NoError(t, err)
	require.Equal(t, "there is no end to it", o.Fault)
}

var noOrders = map[string]string{
	"":            `explore: the order "" is not numbers with points between them, as 1.2.2.1 is`,
	"1.2.":        `explore: the order "1.2." is not numbers`,
	"1,2":         `explore: the order "1,2" is not numbers`,
	"a":           `explore: the order "a" is not numbers`,
	"0.1":         `explore: the order "0.1" is not numbers`,
	"-1":          `explore: the order "-1" is not numbers`,
	"1x":          `explore: the order "1x" is not numbers`,
	"1x0":         `explore: the order "1x0" is not numbers`,
	"1x-4":        `explore: the order "1x-4" is not numbers`,
	"1x2x2":       `explore: the order "1x2x2" is not numbers`,
	"1x501":       `explore: the order "1x501" has more than 500 steps`,
	"1x499.2x2":   `explore: the order "1x499.2x2" has more than 500 steps`,
	"1x999999999": `explore: the order "1x999999999" has more than 500 steps`,
	"3.1":         "explore: number 3 cannot go on, only these can: 1 a: step, 2 b: step",
	"1.1.1":       "explore: number 1 cannot go on, only these can: 2 b: step",
	"1.2":         "explore: the order ends where these could go on: 1 a: step, 2 b: step",
	"1.1.2.2.1.2": "explore: the model ends before the order does: 1.2 is left of it",
}

func TestWrongReplay(t *testing.T) {
	for order, want := range noOrders {
		_, err := full.Replay(order, walkers(right, 2, 2))
		require.ErrorContains(t, err, want)
	}
}

// The steps up to where the order does not fit are there.
func TestWrongReplayHasSteps(t *testing.T) {
	o, err := full.Replay("1.2.3", walkers(right, 2, 2))
	require.Error(t, err)
	require.Equal(t, []string{"a: step", "b: step"}, o.Steps)
}

func TestReplayIsForAModel(t *testing.T) {
	require.Equal(t, "explore: the model is nil", message(t, func() { _, _ = full.Replay("1", nil) }))
}

func TestResultIsText(t *testing.T) {
	require.Equal(t, "6 orders, 0 bad\n", full.Run(walkers(right, 2, 2)).String())
	require.Equal(t, "1 order, 0 bad\n", full.Run(walkers(right, 1)).String())
	require.Equal(t, "4 orders, 0 bad, 2 choices left out\n", explore.Search{Preemptions: 1}.Run(walkers(right, 2, 2)).String())
	r := full.Run(walkers(func(word string) error { return isWrong(word == "abba") }, 2, 2))
	require.Equal(t, `6 orders, 1 bad, the simplest:
   1  a: step
   2  b: step
   3  b: step
   4  a: step
wrong
replay 1.2.2.1
`, r.String())
}

// An order without a step has nothing to replay.
func TestOrderWithoutASteps(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) { m.Go("a", func(*explore.Thread) { panic("at once") }) })
		require.NotContains(t, r.String(), "replay")
	})
}
