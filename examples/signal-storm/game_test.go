package main

import (
	_ "embed"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/waitqueue/explore"
)

//go:embed README.md
var readme string

func TestGame(t *testing.T) { steptest.All(t, game, 8, 1) }

// If the flush comes first, no order leaves the thread asleep.
func TestRightFormInEveryOrder(t *testing.T) {
	found := explore.Search{}.Find(t, model(flushFirst))
	require.Equal(t, []int{8, 0}, []int{found.Orders, found.Bad})
}

// The README says how many orders there are, of both forms.
func TestReadmeSaysHowManyOrders(t *testing.T) {
	require.Contains(t, strings.Join(strings.Fields(readme), " "), "1 of the 8 orders wins. If the flush comes before the test, there are 8 orders too, and none of them wins.")
}

// The arguments choose between the transcript and the game.
func TestArguments(t *testing.T) {
	var out strings.Builder
	require.NoError(t, program.Run([]string{"-show"}, strings.NewReader(""), &out))
	require.Contains(t, out.String(), game.Aim)
	require.Equal(t, 2, step.Status(program.Run([]string{"-stop"}, strings.NewReader(""), io.Discard)))
	synctest.Test(t, func(t *testing.T) {
		out.Reset()
		require.NoError(t, program.Run(nil, nil, &out))
		require.Equal(t, transcript, out.String())
	})
}
