package explore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// The models of the Examples have the same orders in bubbles as in a program.
func TestModelsOfTheExamplesInBubbles(t *testing.T) {
	for name, model := range map[string]struct {
		broken, right func(*explore.Model)
		orders        string
		rightOrders   int
	}{
		"buffer":    {bufferModel((*buffer).get), bufferModel((*buffer).getRight), "44 orders, 14 bad", 45},
		"semaphore": {semaphoreModel((*semaphore).acquire), semaphoreModel((*semaphore).acquireRight), "20 orders, 12 bad", 6},
		"cache":     {cacheModel((*cache).forget), cacheModel((*cache).forgetRight), "30 orders, 8 bad", 48},
		"shutdown":  {shutdownModel((*server).enter), shutdownModel((*server).enterRight), "8 orders, 1 bad", 15},
	} {
		t.Run(name, func(t *testing.T) {
			found := explore.Search{}.Find(t, model.broken)
			require.Contains(t, found.String(), model.orders)
			explore.Search{Want: model.rightOrders}.Test(t, model.right)
		})
	}
}

// callModel has a caller that gives up after a second, and a server that replies. In the
// channel is room for this many replies.
func callModel(room int) func(*explore.Model) {
	return func(m *explore.Model) {
		replies := make(chan string, room)
		m.Go("caller", func(*explore.Thread) {
			ctx, cancel := context.WithTimeout(m.Context(), time.Second)
			defer cancel()
			select {
			case <-replies:
			case <-ctx.Done():
			}
		})
		m.Go("server", func(th *explore.Thread) {
			th.Step("reply")
			replies <- "hello"
		})
		m.Event("a second passes", func() { time.Sleep(time.Second) })
		m.Release(func() {
			select {
			case <-replies:
			default:
			}
		})
	}
}

// An Event moves the clock of a bubble. Each order takes no time.
func TestEventMovesTheClock(t *testing.T) {
	r := explore.Search{}.Find(t, callModel(0))
	require.Equal(t, `2 orders, 1 bad, the simplest:
   1  a second passes
   2  server: reply
asleep: server
replay 3.2
`, r.String())
	explore.Search{Want: 2}.Test(t, callModel(1))
}
