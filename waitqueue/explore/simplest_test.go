package explore_test

import (
	"fmt"
	"hash/fnv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// A game is a small model by chance: three goroutines of up to three steps each. After a step a
// goroutine may end early, and any order may be bad. Both are drawn from the word so far.
type game int

const players, most = 3, 3

func (g game) draw(about, word string, of uint64) bool {
	h := fnv.New64a()
	fmt.Fprint(h, int(g), about, word)
	return h.Sum64()>>7%of == 0
}

func (g game) ends(word string) bool { return g.draw("end", word, 4) }
func (g game) bad(word string) bool  { return g.draw("bad", word, 20) }

func (g game) model(m *explore.Model) {
	word := ""
	for i := range players {
		m.Go(string(rune('a'+i)), func(th *explore.Thread) {
			for range most {
				th.Step("step")
				word += string(rune('a' + i))
				if g.ends(word) {
					return
				}
			}
		})
	}
	m.Check(func() error { return isWrong(g.bad(word)) })
}

// A tally sums up all orders of a game.
type tally struct {
	orders, bad         int
	preemptions, length int // of the simplest bad order
}

// play goes through the orders that begin with a word, without the explorer.
func (g game) play(r *tally, word string, left [players]int, preemptions int) {
	ended := true
	for i := range players {
		if left[i] == 0 {
			continue
		}
		ended = false
		now, after := preemptions, left
		if last := len(word) - 1; last >= 0 && int(word[last]-'a') != i && left[word[last]-'a'] > 0 {
			now++
		}
		next := word + string(rune('a'+i))
		if after[i]--; g.ends(next) {
			after[i] = 0
		}
		g.play(r, next, after, now)
	}
	if ended {
		r.add(g.bad(word), preemptions, len(word))
	}
}

func (r *tally) add(bad bool, preemptions, length int) {
	r.orders++
	if !bad {
		return
	}
	r.bad++
	if r.bad == 1 || preemptions < r.preemptions || preemptions == r.preemptions && length < r.length {
		r.preemptions, r.length = preemptions, length
	}
}

func (g game) tally() (r tally) {
	g.play(&r, "", [players]int{most, most, most}, 0)
	return r
}

const games = 12

func TestSimplestIsSimplest(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		some := 0
		for seed := range games {
			want := game(seed).tally()
			r := find(full, game(seed).model)
			require.Equal(t, []int{want.orders, want.bad}, []int{r.Orders, r.Bad}, seed)
			if want.bad == 0 {
				require.Nil(t, r.Simplest)
				continue
			}
			some++
			require.Equal(t, []int{want.preemptions, want.length}, []int{r.Simplest.Preemptions, len(r.Simplest.Steps)}, seed)
		}
		require.Greater(t, some, games/2)
	})
}

// Test ends at the first bad order, and then looks for the simplest with bounds.
func TestTestShowsTheSimplest(t *testing.T) {
	out := child(t, "TestShowsTheSimplestToFail")
	for seed := range games {
		if want := game(seed).tally(); want.bad > 0 {
			require.Regexp(t, fmt.Sprintf(`(?s)=== RUN   TestShowsTheSimplestToFail/%d\n[^=]*simplest has %d preemptions? and %d steps:`,
				seed, want.preemptions, want.length), out)
		}
	}
}

func TestShowsTheSimplestToFail(t *testing.T) {
	skipUnlessChild(t)
	for seed := range games {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { explore.Test(t, game(seed).model) })
	}
}

// The first order that is tried is bad, too, and longer. Two are as short as the third.
func TestSimplestIsNotTheFirst(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			told := false
			m.Go("talker", func(th *explore.Thread) {
				for i := 0; i < 3 && !told; i++ {
					th.Step(fmt.Sprint("word ", i+1))
				}
			})
			m.Event("interrupt", func() { told = true })
			m.Check(func() error { return errWrong })
		})
		require.Equal(t, []int{4, 4}, []int{r.Orders, r.Bad})
		require.Equal(t, []string{"interrupt", "talker: word 1"}, r.Simplest.Steps)
		require.Zero(t, r.Simplest.Preemptions)
	})
}
