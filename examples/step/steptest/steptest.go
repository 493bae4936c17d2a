// Package steptest tests games of package step.
package steptest

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/waitqueue/explore"
)

// All plays every order of a game through the game's own input and output. It requires that
// so many orders were played, that so many of them won, and that a search counts the same.
// At each step the hints must be the numbers that the play has shown to be true. A thread
// that can go on must be a choice: without a bound on preemptions the search has left out
// no order.
func All(t *testing.T, game step.Game, orders, wins int) {
	t.Helper()
	p := player{bound: game.Preemptions > 0}
	played, err := step.Play([]string{"-step", "-hint"}, &p, &p, game)
	require.NoError(t, err)
	require.True(t, played)
	found := explore.Search{Preemptions: game.Preemptions}.Run(game.Model)
	require.Equal(t, tally{found.Orders, found.Bad}, p.played, "orders and wins that were played, and those of the search")
	require.Equal(t, tally{orders, wins}, p.played, "orders and wins")
	require.Contains(t, p.greeting, fmt.Sprintf("\n%d of %d order", wins, orders))
}

// Terminal plays a game with these keys, and returns the text on the terminal: the output of
// the game, and each key where it was typed.
func Terminal(t *testing.T, game step.Game, args []string, keys ...string) string {
	t.Helper()
	var out strings.Builder
	typed := ""
	for _, key := range keys {
		typed += key + "\n"
	}
	in := io.TeeReader(iotest.OneByteReader(strings.NewReader(typed)), &out)
	played, err := step.Play(args, in, &out, game)
	require.NoError(t, err)
	require.True(t, played)
	return out.String()
}
