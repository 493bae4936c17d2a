package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/waitqueue/explore"
)

func TestGame(t *testing.T) { steptest.All(t, game, 35, 4) }

// If the opener looks at the result of its wait, no order lets two in.
func TestRightFormInEveryOrder(t *testing.T) {
	found := explore.Search{}.Find(t, model(true))
	require.Equal(t, []int{31, 0}, []int{found.Orders, found.Bad})
}

// The third answer: in each order that wins, the Ctrl-C comes before the close.
func TestCtrlCBeforeClose(t *testing.T) {
	search := explore.Search{Each: func(o explore.Order) {
		if o.Fault != "" {
			signal := slices.Index(o.Steps, "Ctrl-C")
			require.Less(t, signal, slices.Index(o.Steps, "A: close"), o)
		}
	}}
	require.Equal(t, 4, search.Find(t, game.Model).Bad)
	require.Contains(t, answers, "In all 4 orders that win, the Ctrl-C comes before the close.")
}

// The README says how many orders there are, of both forms.
func TestReadmeSaysHowManyOrders(t *testing.T) {
	require.Contains(t, strings.Join(strings.Fields(readme), " "), "4 of the 35 orders win. If the opener looks at the result, there are 31 orders, and none of them wins.")
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
