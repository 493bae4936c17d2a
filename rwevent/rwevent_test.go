package rwevent_test

import (
	"context"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"weak"

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
	require.Zero(t, s.Overwritten())
}

func TestPostLoadTake(t *testing.T) {
	var s rwevent.Slot[string]
	require.NoError(t, s.Post("one"))
	require.NoError(t, s.Post("two")) // in the place of the first
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

func TestOverwrittenCountsWhatNobodyTook(t *testing.T) {
	var s rwevent.Slot[int]
	_ = s.Post(1)
	s.Load() // is not taking
	_, _, err := s.Wait(t.Context(), 0)
	require.NoError(t, err)
	_ = s.Post(2)
	require.EqualValues(t, 1, s.Overwritten())
	s.TryTake()
	_ = s.Post(3)
	require.EqualValues(t, 1, s.Overwritten(), "2 was taken")
	_, gen, _ := s.Load()
	require.EqualValues(t, gen, 1+s.Overwritten()+1, "one taken, one overwritten, one there")
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
		require.Zero(t, s.WaitQueue().WakeUpN(0), "all are exclusive")
		for taker := range 3 {
			_ = s.Post(100 + taker)
			synctest.Wait()
			require.Len(t, got, 1)
			require.Equal(t, [2]int{taker, 100 + taker}, <-got)
		}
	})
}

func TestTakersByTaskAreExclusiveToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		var table rwevent.Table[int, int]
		go func() { _, _ = s.TakeBy(new(waitqueue.Task)) }()
		go func() { _, _ = table.TakeBy(new(waitqueue.Task)) }()
		go func() { _, _ = table.Take(context.Background()) }()
		synctest.Wait()
		require.Zero(t, s.WaitQueue().WakeUpN(0))
		require.Zero(t, table.WaitQueue().WakeUpN(0))
		s.Close()
		table.Close()
	})
}

// The wake-up of a post does not keep the event for the taker that it woke.
func TestATakerThatComesTooLateSleepsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		got := make(chan int, 1)
		go func() {
			v, err := s.Take(context.Background())
			require.NoError(t, err)
			got <- v
		}()
		synctest.Wait()
		for range 100 {
			_ = s.Post(1)
			if _, ok := s.TryTake(); !ok { // the taker was quicker
				require.Equal(t, 1, <-got)
				return
			}
			s.WaitQueue().WakeUpAll() // and a stray one
			synctest.Wait()
			require.Empty(t, got)
		}
		_ = s.Post(2)
		require.Equal(t, 2, <-got)
	})
}

func TestWaitWantsANewerEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		_ = s.Post(1)
		v, gen, err := s.Wait(t.Context(), 0)
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.EqualValues(t, 1, gen)
		v, gen, err = s.WaitBy(new(waitqueue.Task), 0)
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.EqualValues(t, 1, gen)

		got := make(chan int, 4)
		for i := range 4 {
			go func() {
				wait := func() (int, uint64, error) { return s.Wait(context.Background(), 1) }
				if i == 0 {
					wait = func() (int, uint64, error) { return s.WaitBy(new(waitqueue.Task), 1) }
				}
				v, gen, err := wait()
				require.NoError(t, err)
				require.EqualValues(t, 2, gen)
				got <- v
			}()
		}
		synctest.Wait()
		s.WaitQueue().WakeUpAll() // after a stray wake-up no waiter gets the old event again
		synctest.Wait()
		require.Empty(t, got)
		_ = s.Post(2)
		for range 4 {
			require.Equal(t, 2, <-got)
		}
		_, _, ok := s.Load()
		require.True(t, ok, "nobody has taken it")
	})
}

func TestWaitIsNotServedWhatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		_ = s.Post(1)
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

func TestAnEventBeatsAnEndedContext(t *testing.T) {
	var s rwevent.Slot[int]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Take(ctx)
	require.ErrorIs(t, err, syscall.EINTR)
	require.ErrorIs(t, err, context.Canceled)
	_ = s.Post(1)
	v, gen, err := s.Wait(ctx, 1)
	require.ErrorIs(t, err, syscall.EINTR)
	require.Zero(t, v)
	require.Zero(t, gen)
	v, gen, err = s.Wait(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, 1, v)
	require.EqualValues(t, 1, gen)
	v, err = s.Take(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, v)
}

func TestDeadlineIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Take(ctx)
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// One slot, watched and emptied at once: a post wakes all of the first kind
// and one of the second. The posts of a table do the same.
func TestPostWakesAllWhoWaitAndOneWhoTakes(t *testing.T) {
	var s rwevent.Slot[int]
	var table rwevent.Table[int, int]
	for _, rig := range []struct {
		queue *waitqueue.Queue
		post  func() error
	}{
		{s.WaitQueue(), func() error { return s.Post(1) }},
		{table.WaitQueue(), func() error { return table.Post(1, 1) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			var waits, takes atomic.Int32
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					_ = rig.queue.Wait(ctx, func() bool { waits.Add(1); return false })
				})
				all.Go(func() {
					_ = rig.queue.WaitExclusive(ctx, func() bool { takes.Add(1); return false })
				})
			}
			synctest.Wait()
			for range 2 { // the second replaces the first, and is news all the same
				waits.Store(0)
				takes.Store(0)
				require.NoError(t, rig.post())
				synctest.Wait()
				require.EqualValues(t, 6, waits.Load(), "three waiters, each tests before and after it queues")
				require.EqualValues(t, 2, takes.Load())
			}
			cancel()
			all.Wait()
		})
	}
}

func TestCloseIsAState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a wait that sleeps fails at once
		var s rwevent.Slot[int]
		_ = s.Post(1)
		s.Close()
		s.Close()
		err := s.Post(2)
		require.ErrorIs(t, err, os.ErrClosed)
		require.EqualError(t, err, "rwevent: closed")

		v, gen, ok := s.Load() // the event stays, and the refused one changed nothing
		require.Equal(t, 1, v)
		require.EqualValues(t, 1, gen)
		require.True(t, ok)
		require.Zero(t, s.Overwritten())
		v, _, err = s.Wait(t.Context(), 0)
		require.NoError(t, err)
		require.Equal(t, 1, v)
		_, gen, err = s.Wait(context.Background(), 1)
		require.ErrorIs(t, err, os.ErrClosed)
		require.Zero(t, gen)
		_, _, err = s.Wait(context.Background(), 1<<64-1)
		require.ErrorIs(t, err, os.ErrClosed)
		v, err = s.Take(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, v)
		_, err = s.Take(context.Background())
		require.ErrorIs(t, err, os.ErrClosed)
		_, err = s.TakeBy(new(waitqueue.Task))
		require.ErrorIs(t, err, os.ErrClosed)
		_, _, err = s.WaitBy(new(waitqueue.Task), 0)
		require.ErrorIs(t, err, os.ErrClosed)
		_, ok = s.TryTake()
		require.False(t, ok)
		_, gen, _ = s.Load()
		require.EqualValues(t, 1, gen)
	})
}

func TestCloseWakesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s rwevent.Slot[int]
		_ = s.Post(1)
		s.TryTake()
		sleepers := []func() error{
			func() error { _, err := s.Take(context.Background()); return err },
			func() error { _, err := s.TakeBy(new(waitqueue.Task)); return err },
			func() error { _, _, err := s.Wait(context.Background(), 0); return err },
			func() error { _, _, err := s.Wait(t.Context(), 1<<64-1); return err },
			func() error { _, _, err := s.WaitBy(new(waitqueue.Task), 0); return err },
		}
		results := make(chan error, 2*len(sleepers))
		for range 2 {
			for _, sleep := range sleepers {
				go func() { results <- sleep() }()
			}
		}
		synctest.Wait()
		require.Empty(t, results)
		s.Close()
		for range cap(results) {
			require.ErrorIs(t, <-results, os.ErrClosed)
		}
	})
}

func TestReadersDoNotBlockReaders(t *testing.T) {
	var s, empty rwevent.Slot[int]
	_ = s.Post(1)
	var table rwevent.Table[int, int]
	_ = table.Post(1, 1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, read := range map[string]func(){
		"Load":               func() { s.Load() },
		"Wait":               func() { _, _, _ = s.Wait(t.Context(), 0) },
		"Overwritten":        func() { s.Overwritten() },
		"Table.Load":         func() { table.Load(1) },
		"Table.Wait":         func() { _, _ = table.Wait(t.Context(), 0) },
		"Table.Len":          func() { table.Len() },
		"Table.Changes":      func() { first(table.Changes(ended)) },
		"Table.Overwritten":  func() { table.Overwritten() },
		"TryTake of nothing": func() { empty.TryTake() },
	} {
		t.Run(name, func(t *testing.T) {
			defer s.HoldRead()()
			defer empty.HoldRead()()
			defer table.HoldRead()()
			done := make(chan bool)
			go func() { read(); close(done) }()
			select {
			case <-done:
			case <-time.After(5 * time.Second):
				require.Fail(t, "blocked by a reader")
			}
		})
	}
}

var global rwevent.Slot[int]

func TestOneSlotInManyBubbles(t *testing.T) {
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			go func() { _ = global.Post(i) }()
			v, err := global.Take(t.Context())
			require.NoError(t, err)
			require.Equal(t, i, v)
		})
	}
}

func TestWhatWasTakenOrReplacedIsNotKept(t *testing.T) {
	var s rwevent.Slot[*[64]byte]
	var table rwevent.Table[*[64]byte, *[64]byte]
	var gone []weak.Pointer[[64]byte]
	fresh := func() *[64]byte {
		p := new([64]byte)
		gone = append(gone, weak.Make(p))
		return p
	}
	_ = s.Post(fresh())
	_ = s.Post(fresh())
	s.TryTake()
	for range 3 {
		_ = table.Post(fresh(), fresh())
	}
	for range 2 {
		_, ok := table.TryTake()
		require.True(t, ok)
	}
	runtime.GC()
	for i, p := range gone[:6] { // the last key is there yet
		require.Nil(t, p.Value(), i)
	}
	require.NotNil(t, gone[6].Value())
	runtime.KeepAlive(&s)
	runtime.KeepAlive(&table)
}

func TestWhatIsThereAllocatesNothing(t *testing.T) {
	var s rwevent.Slot[int]
	var table rwevent.Table[int, int]
	var task waitqueue.Task
	ctx := t.Context()
	for i := range 100 {
		_ = table.Post(i, i)
	}
	for name, f := range map[string]func(){
		"Post, Load":            func() { _ = s.Post(1); s.Load() },
		"Post, TryTake":         func() { _ = s.Post(1); s.TryTake() },
		"Post, Take":            func() { _ = s.Post(1); _, _ = s.Take(ctx) },
		"Post, TakeBy":          func() { _ = s.Post(1); _, _ = s.TakeBy(&task) },
		"Post, Wait":            func() { _ = s.Post(1); _, _, _ = s.Wait(ctx, 0) },
		"Post, WaitBy":          func() { _ = s.Post(1); _, _, _ = s.WaitBy(&task, 0) },
		"Table.Post":            func() { _ = table.Post(50, 1) },
		"Table.Post and Load":   func() { _ = table.Post(1, 1); table.Load(1) },
		"Table.Post and Take":   func() { _ = table.Post(100, 1); e, _ := table.Take(ctx); _ = table.Post(e.Key, 1) },
		"Table.Post and TakeBy": func() { _ = table.Post(100, 1); e, _ := table.TakeBy(&task); _ = table.Post(e.Key, 1) },
		"Table.TryTakeKey":      func() { _ = table.Post(100, 1); table.TryTakeKey(100) },
		"Slot.Takes":            func() { _ = s.Post(1); first(s.Takes(ctx)) },
		"Table.ChangesBy":       func() { first(table.ChangesBy(&task)) },
		"Table.Wait":            func() { _, _ = table.Wait(ctx, 0) },
		"Table.WaitBy":          func() { _, _ = table.WaitBy(&task, 0) },
	} {
		require.Zero(t, testing.AllocsPerRun(1000, f), name)
	}
}
