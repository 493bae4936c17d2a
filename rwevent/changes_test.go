package rwevent_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/rwevent"
)

func TestChangesHasWhatIsThereAndThenWhatIsNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[string]
		_ = s.Post("gone")
		_ = s.Post("there")
		var got []any
		done := make(chan bool)
		go func() {
			for v, gen := range s.Changes(context.Background()) {
				got = append(got, v, gen)
			}
			close(done)
		}()
		synctest.Wait()
		_ = s.Post("newer")
		synctest.Wait()
		s.WaitQueue().WakeUpAll() // a stray wake-up is no change
		synctest.Wait()
		s.TryTake()
		_ = s.Post("last")
		s.Close()
		<-done
		require.Equal(t, []any{"there", uint64(2), "newer", uint64(3), "last", uint64(4)}, got)
		_, ok := s.TryTake()
		require.True(t, ok, "looking is not taking")
	})
}

// The body is slow, and nobody waits for it: it sees the latest, and the gap.
func TestChangesSkipsWhatWasReplaced(t *testing.T) {
	var s rwevent.Slot[int]
	_ = s.Post(1)
	var gens []uint64
	for v, gen := range s.Changes(t.Context()) {
		require.EqualValues(t, gen, v)
		gens = append(gens, gen)
		if gen == 1 {
			_ = s.Post(2)
			_, ok := s.TryTake()
			require.True(t, ok)
			for v := 3; v <= 10; v++ {
				_ = s.Post(v) // from within, so no lock is held
			}
			continue
		}
		s.Close()
	}
	require.Equal(t, []uint64{1, 10}, gens)
}

func TestChangesEndsWithItsContext(t *testing.T) {
	var s rwevent.Slot[int]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_ = s.Post(1)
	var got []int
	for v := range s.Changes(ctx) {
		got = append(got, v)
		if v == 2 {
			cancel()
		}
		_ = s.Post(v + 1) // there is always something newer
	}
	require.Equal(t, []int{1, 2, 3}, got, "with the events that were there when its context had ended, and no more")

	for range s.Changes(ctx) { // from the start again
		got = append(got, -1)
	}
	require.Equal(t, []int{1, 2, 3, -1}, got)
	s.TryTake()
	for range s.Changes(ctx) {
		require.Fail(t, "nothing is there")
	}
}

// An endingContext ends when it is asked for its Err. The function ending is called
// just before that.
type endingContext struct {
	context.Context
	end    context.CancelFunc
	ending func()
}

func (c *endingContext) Err() error {
	if c.Context.Err() == nil {
		c.ending()
		c.end()
	}
	return c.Context.Err()
}

func endingAfter(ctx context.Context, ending func()) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	return &endingContext{ctx, cancel, ending}
}

// An event that is posted just before the context ends is seen.
func TestChangesHasTheEventBeforeTheEnd(t *testing.T) {
	var s rwevent.Slot[int]
	_ = s.Post(1)
	last := 0
	for v := range s.Changes(endingAfter(t.Context(), func() { _ = s.Post(2) })) {
		last = v
	}
	require.Equal(t, 2, last)

	var table rwevent.Table[string, int]
	_ = table.Post("a", 1)
	seen := map[string]int{}
	for e := range table.Changes(endingAfter(t.Context(), func() { _ = table.Post("b", 2) })) {
		seen[e.Key] = e.Value
	}
	require.Equal(t, map[string]int{"a": 1, "b": 2}, seen)
}

func TestBreakLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		var table rwevent.Table[int, int]
		var loops sync.WaitGroup
		loops.Go(func() {
			for range s.Changes(t.Context()) {
				break
			}
		})
		loops.Go(func() {
			for range table.Changes(t.Context()) {
				break
			}
		})
		synctest.Wait()
		require.True(t, s.WaitQueue().Active())
		require.True(t, table.WaitQueue().Active())
		_ = s.Post(1)
		_ = table.Post(1, 1)
		loops.Wait()
		require.False(t, s.WaitQueue().Active())
		require.False(t, table.WaitQueue().Active())
	})
}
