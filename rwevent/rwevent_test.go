package rwevent_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

func TestEmptySlot(t *testing.T) {
	var s rwevent.Slot[string]
	v, gen, ok := s.Load()
	require.Equal(t, "", v)
	require.Zero(t, gen)
	require.False(t, ok)
	_, ok = s.TryTake()
	require.False(t, ok)
}

func TestPostLoadTake(t *testing.T) {
	var s rwevent.Slot[string]
	s.Post("one")
	s.Post("two") // in the place of the first
	v, gen, ok := s.Load()
	require.Equal(t, "two", v)
	require.EqualValues(t, 2, gen)
	require.True(t, ok)

	v, ok = s.TryTake()
	require.Equal(t, "two", v)
	require.True(t, ok)
	v, ok = s.TryTake()
	require.Equal(t, "", v, "each event goes to one taker")
	require.False(t, ok)
	v, gen, ok = s.Load()
	require.Equal(t, "", v)
	require.EqualValues(t, 2, gen, "the generation counts posts")
	require.False(t, ok)
}

func TestTakersWaitInOrderAndTakeOneEventEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		got := make(chan [2]int, 3)
		for taker := range 3 {
			go func() {
				v, err := s.Take(context.Background())
				require.NoError(t, err)
				got <- [2]int{taker, v}
			}()
			synctest.Wait()
		}
		require.Zero(t, s.Queue().WakeUpN(0), "all are exclusive")
		for taker := range 3 {
			s.Post(100 + taker)
			synctest.Wait()
			require.Len(t, got, 1)
			require.Equal(t, [2]int{taker, 100 + taker}, <-got)
		}
	})
}

func TestWaitWantsANewerEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		s.Post(1)
		v, gen, err := s.Wait(t.Context(), 0)
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.EqualValues(t, 1, gen)

		got := make(chan int, 3)
		for range 3 {
			go func() {
				v, gen, err := s.Wait(context.Background(), 1)
				require.NoError(t, err)
				require.EqualValues(t, 2, gen)
				got <- v
			}()
		}
		synctest.Wait()
		s.Queue().WakeUpAll() // a stray wake-up serves nobody the old event again
		synctest.Wait()
		require.Empty(t, got)
		s.Post(2)
		for range 3 {
			require.Equal(t, 2, <-got)
		}
	})
}

func TestWaitIsNotServedWhatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		s.Post(1)
		s.TryTake()
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			_, _, err := s.Wait(ctx, 0)
			result <- err
		}()
		synctest.Wait()
		require.Empty(t, result)
		cancel()
		require.ErrorIs(t, <-result, syscall.EINTR)
	})
}

func TestEndedContext(t *testing.T) {
	var s rwevent.Slot[int]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Take(ctx)
	require.ErrorIs(t, err, syscall.EINTR)
	require.ErrorIs(t, err, context.Canceled)
	s.Post(1)
	v, gen, err := s.Wait(ctx, 1)
	require.ErrorIs(t, err, syscall.EINTR)
	require.Zero(t, v)
	require.Zero(t, gen)
	v, gen, err = s.Wait(ctx, 0)
	require.NoError(t, err, "an event that is there beats it")
	require.Equal(t, 1, v)
	require.EqualValues(t, 1, gen)
	v, err = s.Take(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, v)
}

// One slot, watched and emptied at once: a post wakes all of the first kind
// and one of the second.
func TestPostWakesAllWhoWaitAndOneWhoTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		var waits, takes atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				_ = s.Queue().Wait(ctx, func() bool { waits.Add(1); return false })
			})
			all.Go(func() {
				_ = s.Queue().WaitExclusive(ctx, func() bool { takes.Add(1); return false })
			})
		}
		synctest.Wait()
		waits.Store(0)
		takes.Store(0)
		s.Post(1)
		synctest.Wait()
		require.EqualValues(t, 6, waits.Load(), "three waiters, each tests before and after it queues")
		require.EqualValues(t, 2, takes.Load())
		cancel()
		all.Wait()
	})
}

var global rwevent.Slot[int]

func TestOneSlotInManyBubbles(t *testing.T) {
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			go global.Post(i)
			v, err := global.Take(t.Context())
			require.NoError(t, err)
			require.Equal(t, i, v)
		})
	}
}

// Every event is taken by one taker or replaced by a later event: none comes
// twice, none comes back. What the poster wrote before it posted is there.
func TestHammerEachEventIsTakenOnceAtMost(t *testing.T) {
	const posters, takers, posts = 4, 4, 3000
	var s rwevent.Slot[*event]
	ctx, cancel := context.WithCancel(t.Context())
	var posting, taking sync.WaitGroup
	for range takers {
		taking.Go(func() {
			for {
				e, err := s.Take(ctx)
				if err != nil {
					return
				}
				if e.taken.Add(1) != 1 || e.payload != 42 {
					t.Error("taken twice, or seen half written")
				}
			}
		})
	}
	watched := make(chan uint64, 1)
	taking.Go(func() {
		var last uint64
		for {
			_, gen, err := s.Wait(ctx, last)
			if err != nil {
				watched <- last
				return
			}
			if gen <= last {
				t.Error("the generation went back")
			}
			last = gen
		}
	})
	all := make([]event, posters*posts)
	for p := range posters {
		posting.Go(func() {
			for i := range posts {
				e := &all[p*posts+i]
				e.payload = 42
				s.Post(e)
			}
		})
	}
	posting.Wait()
	_, gen, _ := s.Load()
	require.EqualValues(t, posters*posts, gen)
	for _, _, there := s.Load(); there; _, _, there = s.Load() {
		runtime.Gosched() // taken soon, unless all takers sleep beside it
	}
	cancel()
	taking.Wait()
	taken := int32(0)
	for i := range all {
		taken += all[i].taken.Load()
	}
	t.Logf("%d posted, %d taken, the rest replaced", len(all), taken)
	require.Positive(t, taken)
	require.LessOrEqual(t, <-watched, gen)
}

type event struct {
	payload int
	taken   atomic.Int32
}

func ExampleSlot() {
	var trouble rwevent.Slot[int]
	go trouble.Post(9527) // the monitor

	id, err := trouble.Take(context.Background()) // the handler
	fmt.Println(id, err)
	// Output: 9527 <nil>
}

// A task that waits without a context takes from the slot by its queue.
func ExampleSlot_Queue() {
	var trouble rwevent.Slot[int]
	go trouble.Post(9527)

	var task waitqueue.Task
	var id int
	err := task.WaitExclusive(trouble.Queue(), func() (ok bool) {
		id, ok = trouble.TryTake()
		return ok
	})
	fmt.Println(id, err)
	// Output: 9527 <nil>
}
