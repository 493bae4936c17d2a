package explore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// strollers has goroutines that make as many steps as the numbers say, and one that
// sleeps for each 0.
func strollers(steps ...int) func(*explore.Model) {
	return func(m *explore.Model) {
		for i, n := range steps {
			name := fmt.Sprint("goroutine ", i)
			if n == 0 {
				m.MaySleep(name)
				m.Go(name, func(*explore.Thread) { <-m.Context().Done() })
				continue
			}
			m.Go(name, func(th *explore.Thread) {
				for range n {
					th.Step("step")
				}
			})
		}
	}
}

// TestSpeed prints how many orders a second there are, for the README.
func TestSpeed(t *testing.T) {
	awake, asleep := strollers(3, 3, 3), strollers(5, 5, 0, 0)
	for _, run := range []struct {
		name   string
		orders int
		search func() explore.Result
	}{
		{"in a test", 1680, func() explore.Result { return explore.Search{}.Find(t, awake) }},
		{"in a test, with sleepers", 252, func() explore.Result { return explore.Search{}.Find(t, asleep) }},
		{"in a program", 1680, func() explore.Result { return explore.Search{}.Run(awake) }},
		{"in a program, with sleepers", 252, func() explore.Result { return explore.Search{}.Run(asleep) }},
	} {
		began := time.Now()
		require.Equal(t, explore.Result{Orders: run.orders}, run.search())
		t.Logf("%-28s %6.0f orders a second", run.name, float64(run.orders)/time.Since(began).Seconds())
	}
}
