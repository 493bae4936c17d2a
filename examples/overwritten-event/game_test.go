package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/step"
	"github.com/kprim/kprim/examples/step/steptest"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue/explore"
)

func TestGame(t *testing.T) { steptest.All(t, game, 6, 4) }

// A table loses no event. The search stops at the points inside package rwevent
// too.
func TestRightFormInEveryOrder(t *testing.T) {
	found := explore.Search{Points: []string{"rwevent"}}.Find(t, func(m *explore.Model) {
		var events rwevent.Table[int, int]
		var served []int
		m.Go("mykthread", func(th *explore.Thread) {
			for {
				th.Step("take")
				event, err := events.Take(m.Context())
				if err != nil {
					return // the order is over
				}
				th.Step("serve it")
				served = append(served, event.Key)
			}
		})
		m.Go("monitor", func(th *explore.Thread) {
			for id := 1; id <= 2; id++ {
				th.Step(fmt.Sprint("post ", id))
				require.NoError(t, events.Post(id, id))
			}
		})
		m.MaySleep("mykthread")
		m.Check(func() error { return allServed(served) })
	})
	require.Equal(t, []int{1076, 0}, []int{found.Orders, found.Bad})
}

// The third answer: in this order the thread has served event 2 and sleeps when
// the wake-up of the event comes.
func TestServedTwice(t *testing.T) {
	order, err := explore.Search{}.Replay("2.2.2.1.1.2.1.1", model)
	require.NoError(t, err)
	require.Contains(t, order.Fault, "1 and 2 were posted, and [2 2] was served")
}

// The README says how many orders there are, of both forms.
func TestReadmeSaysHowManyOrders(t *testing.T) {
	require.Contains(t, strings.Join(strings.Fields(readme), " "), "4 of the 6 orders win. With a table, and the steps inside package rwevent, there are 1076 orders, and none of them wins.")
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
