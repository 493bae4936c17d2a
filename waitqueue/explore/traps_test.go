package explore_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue/explore"
)

// gettersAndPutter has an if in place of a for in two getters, and a putter of two items.
func gettersAndPutter(lock func(*explore.Model) sync.Locker, begin func(*explore.Thread)) func(*explore.Model) {
	return func(m *explore.Model) {
		b := newBuffer(lock(m))
		for _, name := range []string{"getter A", "getter B"} {
			m.Go(name, func(th *explore.Thread) {
				begin(th)
				b.get()
			})
		}
		m.Go("putter", func(th *explore.Thread) {
			th.Step("put")
			b.put("x")
			b.put("y")
		})
		m.Release(func() {
			b.notEmpty.Broadcast()
			b.notFull.Broadcast()
		})
	}
}

func explorers(m *explore.Model) sync.Locker { return m.NewLock() }
func mutex(*explore.Model) sync.Locker       { return new(sync.Mutex) }

// The README and the package doc warn of two models that have no bad order, though the code
// has the bug: one without the explorer's Lock, and one whose goroutines begin with no Step.
func TestTheDocWarnsOfModelsThatHideABug(t *testing.T) {
	step := func(th *explore.Thread) { th.Step("get") }
	none := func(*explore.Thread) {}
	require.Positive(t, explore.Search{}.Find(t, gettersAndPutter(explorers, step)).Bad)
	require.Zero(t, explore.Search{}.Find(t, gettersAndPutter(mutex, step)).Bad)
	require.Zero(t, explore.Search{}.Find(t, gettersAndPutter(explorers, none)).Bad)
	for _, warning := range []string{"Begin each goroutine with a `Thread.Step`", "Give a `sync.Cond` such a lock"} {
		require.Contains(t, readme(t), warning)
	}
}
