package models

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// Bounded is Explore with at most so many preemptions. The bound has a number of orders,
// and so a pin, of its own.
func (p Pins) Bounded(t *testing.T, preemptions int, points string, model func(*explore.Model)) {
	t.Helper()
	explore.Search{Points: List(points), Preemptions: preemptions, Want: p.of(t)}.Test(t, model)
}

// A Large model is one of more than 10,000 orders, with the points at which its test has
// it stop.
type Large struct {
	Test   string
	Points string
	Model  func(*explore.Model)
}

// Smaller takes models through their orders with at most three preemptions. It fails unless
// these are at least four times fewer than all orders of the model, which p has. bounded
// has their numbers. Smaller also fails if a large model of p is not among the models.
func (p Pins) Smaller(t *testing.T, bounded Pins, models ...Large) {
	listed := map[string]bool{}
	for _, l := range models {
		listed[l.Test] = true
		t.Run(strings.TrimPrefix(l.Test, "TestInterleavings"), func(t *testing.T) {
			if points, ok := done.Load(l.Test); ok {
				require.Equal(t, points, List(l.Points), "points of %s", l.Test)
			}
			bounded.Bounded(t, 3, l.Points, l.Model)
			all, some := p[l.Test], bounded[t.Name()]
			t.Logf("%d of %d orders: %.1f times fewer", some, all, float64(all)/float64(some))
			require.GreaterOrEqual(t, all, 4*some)
		})
	}
	for test, n := range p {
		require.True(t, n <= 10_000 || listed[test], "%s has %d orders", test, n)
	}
}
