package explore_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// An adopted goroutine comes to its first point after the function of the model.
func TestModelOfAdoptedGoroutines(t *testing.T) {
	inBoth(t, func(t *testing.T, find finder) {
		r := find(full, func(m *explore.Model) {
			m.Adopt("here", "worker")
			for range 2 {
				go m.At("here")
			}
		})
		require.Equal(t, explore.Result{Orders: 2}, r)
	})
}

// The bubble of an order sees a goroutine that nothing ends.
func TestAdoptedSleeperIsAFault(t *testing.T) {
	for _, name := range []string{"adopted", "started by a goroutine of the model"} {
		out := child(t, "TestAdoptedSleeperToFail/"+strings.ReplaceAll(name, " ", "_"))
		require.Contains(t, out, "asleep when all was over: a goroutine that was adopted, or is not of the model")
		require.Contains(t, out, "replay it: go test")
	}
}

func TestAdoptedSleeperToFail(t *testing.T) {
	skipUnlessChild(t)
	t.Run("adopted", func(t *testing.T) {
		explore.Test(t, func(m *explore.Model) {
			m.Adopt("here", "worker")
			go func() {
				m.At("here")
				<-make(chan bool)
			}()
		})
	})
	t.Run("started by a goroutine of the model", func(t *testing.T) {
		explore.Test(t, func(m *explore.Model) {
			m.Go("a", func(th *explore.Thread) {
				th.Step("start")
				go func() { <-make(chan bool) }()
			})
		})
	})
}
