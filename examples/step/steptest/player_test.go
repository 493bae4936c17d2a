package steptest

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	question = "Which goes on? "
	ending   = "Again? r begins again, q leaves: "
	lost     = "\nYou have not won.\n" + ending
	won      = "\nYou have won: asleep: A\n" + ending
)

// screen has choices with the numbers 1, 2 and so on, and a hint for each.
func screen(step int, hints ...string) (text string) {
	text = fmt.Sprintf("step %d\n", step)
	for i, hint := range hints {
		text += fmt.Sprintf("%3d  A: step   %s\n", i+1, hint)
	}
	return text + "  -  B: asleep\n" + question
}

// keys shows the screens, one after another, and returns the keys of the player, up to an error.
func keys(screens ...string) (typed []string, err error) {
	var p player
	lines := bufio.NewScanner(&p)
	for _, text := range screens {
		if _, err := p.Write([]byte(text)); err != nil {
			return typed, err
		}
		if !lines.Scan() {
			return typed, lines.Err()
		}
		typed = append(typed, lines.Text())
	}
	return typed, nil
}

func TestPlayerTriesEachChoice(t *testing.T) {
	first := screen(1, "1 of 2 orders wins", "0 of 1 order wins")
	second := screen(2, "0 of 1 order wins", "1 of 1 order wins")
	typed, err := keys("aim\n"+first, second, lost, first, second, won, first, lost)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "1", "r", "1", "2", "r", "2", "q"}, typed)
}

func TestPlayerNotices(t *testing.T) {
	one := screen(1, "1 of 1 order wins")
	two := screen(1, "1 of 1 order wins", "1 of 1 order wins")
	for _, test := range []struct {
		name, fault string
		screens     []string
	}{
		{"a hint of too many orders", "with 1 were played {orders:1 wins:1}, and the hint is {orders:2 wins:1}", []string{screen(1, "1 of 2 orders wins"), won}},
		{"a hint of too few wins", "with 1 were played {orders:1 wins:1}, and the hint is {orders:1 wins:0}", []string{screen(1, "0 of 1 order wins"), won}},
		{"a hint that is wrong at the second choice", "with 2 were played {orders:1 wins:0}", []string{two, won, two, lost}},
		{"another screen for the same keys", "the same keys bring another screen", []string{two, won, one}},
		{"a thread that can go on", "the search has left out a thread that can go on", []string{strings.Replace(one, "B: asleep", "B: step (one preemption too many)", 1)}},
		{"no choice", "no choice has a number with a hint", []string{screen(1)}},
		{"no verdict", "the screen does not tell whether the player has won", []string{one, ending}},
		{"no question", "no question is on the screen", []string{one, "and now?"}},
	} {
		typed, err := keys(test.screens...)
		require.ErrorContains(t, err, test.fault, test.name)
		require.Len(t, typed, len(test.screens)-1, test.name)
	}
}
