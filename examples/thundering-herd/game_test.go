package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

func TestGame(t *testing.T) { steptest.All(t, game, 60, 12) }

// With exclusive waiters only one thread can go on at any moment, and no
// wake-up is for nothing.
func TestRightFormInEveryOrder(t *testing.T) {
	found := explore.Search{}.Find(t, model((*waitqueue.Queue).AddExclusive, 1))
	require.Equal(t, []int{1, 0}, []int{found.Orders, found.Bad})
}

// Three ordinary waiters have at most three wake-ups for nothing. The third
// answer says how many orders have none.
func TestHowManyForNothing(t *testing.T) {
	for forNothing, orders := range []int{60, 54, 36, 12, 0} {
		found := explore.Search{}.Find(t, model((*waitqueue.Queue).Add, forNothing))
		require.Equal(t, orders, found.Bad, "orders with at least %d", forNothing)
	}
	require.Contains(t, answers, "6 of the 60 orders are like that")
}

// The README says how many orders there are, of both forms.
func TestReadmeSaysHowManyOrders(t *testing.T) {
	require.Contains(t, strings.Join(strings.Fields(readme), " "), "12 of the 60 orders win. With exclusive entries there is 1 order, and it does not win.")
}

// The arguments choose between the transcript and the game.
func TestArguments(t *testing.T) {
	var out strings.Builder
	require.NoError(t, program.Run([]string{"-show"}, strings.NewReader(""), &out))
	require.Contains(t, out.String(), game.Aim)
	require.Equal(t, 2, step.Status(program.Run([]string{"-stop"}, strings.NewReader(""), io.Discard)))
	out.Reset()
	require.NoError(t, program.Run(nil, nil, &out))
	require.Equal(t, transcript, out.String())
}
