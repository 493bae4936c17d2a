package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/waitqueue/explore"
)

func TestGame(t *testing.T) { steptest.All(t, game, 80, 40) }

// If the test sets the flag, no order lets two in.
func TestRightFormInEveryOrder(t *testing.T) {
	found := explore.Search{}.Find(t, model(testAndSet))
	require.Equal(t, []int{30, 0}, []int{found.Orders, found.Bad})
}

// The README says how many orders there are, of both forms.
func TestReadmeSaysHowManyOrders(t *testing.T) {
	require.Contains(t, strings.Join(strings.Fields(readme), " "), "40 of the 80 orders win. If the test also sets the flag, there are 30 orders, and none of them wins.")
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
