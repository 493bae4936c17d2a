package rwevent_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

// A loop is one loop form, over generations, with a way to post the event of a key.
type loop struct {
	post  func(key int)
	close func()
	takes bool
	keys  bool // of a table, which holds several events
	over  func(ctx context.Context, end ...*error) iter.Seq[uint64]
	by    func(by rwevent.Sleeper, end ...*error) iter.Seq[uint64]
}

// loops returns all loop forms, each over a slot or a table of its own.
func loops() map[string]loop {
	var slots [2]rwevent.Slot[int]
	var tables [2]rwevent.Table[int, int]
	postSlot := func(s *rwevent.Slot[int]) func(int) { return func(k int) { _ = s.Post(k) } }
	postTable := func(t *rwevent.Table[int, int]) func(int) { return func(k int) { _ = t.Post(k, k) } }
	taken := func(all iter.Seq[int]) iter.Seq[uint64] {
		return func(yield func(uint64) bool) {
			for v := range all {
				if !yield(uint64(v)) {
					return
				}
			}
		}
	}
	seen := func(all iter.Seq2[int, uint64]) iter.Seq[uint64] {
		return func(yield func(uint64) bool) { all(func(v int, _ uint64) bool { return yield(uint64(v)) }) }
	}
	events := func(all iter.Seq[rwevent.Event[int, int]]) iter.Seq[uint64] {
		return func(yield func(uint64) bool) {
			all(func(e rwevent.Event[int, int]) bool { return yield(uint64(e.Value)) })
		}
	}
	return map[string]loop{
		"Slot.Takes": {
			post: postSlot(&slots[0]), close: slots[0].Close, takes: true,
			over: func(ctx context.Context, end ...*error) iter.Seq[uint64] { return taken(slots[0].Takes(ctx, end...)) },
			by:   func(by rwevent.Sleeper, end ...*error) iter.Seq[uint64] { return taken(slots[0].TakesBy(by, end...)) },
		},
		"Slot.Changes": {
			post: postSlot(&slots[1]), close: slots[1].Close,
			over: func(ctx context.Context, end ...*error) iter.Seq[uint64] { return seen(slots[1].Changes(ctx, end...)) },
			by:   func(by rwevent.Sleeper, end ...*error) iter.Seq[uint64] { return seen(slots[1].ChangesBy(by, end...)) },
		},
		"Table.Takes": {
			post: postTable(&tables[0]), close: tables[0].Close, takes: true, keys: true,
			over: func(ctx context.Context, end ...*error) iter.Seq[uint64] { return events(tables[0].Takes(ctx, end...)) },
			by:   func(by rwevent.Sleeper, end ...*error) iter.Seq[uint64] { return events(tables[0].TakesBy(by, end...)) },
		},
		"Table.Changes": {
			post: postTable(&tables[1]), close: tables[1].Close, keys: true,
			over: func(ctx context.Context, end ...*error) iter.Seq[uint64] {
				return events(tables[1].Changes(ctx, end...))
			},
			by: func(by rwevent.Sleeper, end ...*error) iter.Seq[uint64] {
				return events(tables[1].ChangesBy(by, end...))
			},
		},
	}
}

func eachLoop(t *testing.T, test func(t *testing.T, l loop)) {
	for name, l := range loops() {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, l) }) })
	}
}

// Each pass tells its own end, and nothing before that.
func TestLoopTellsHowItEnded(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		ctx, cancel := context.WithCancel(t.Context())
		end, same := errors.New("of an earlier loop"), error(nil)
		all := l.over(ctx, &end, &same)
		require.Error(t, end, "the pass has not begun")

		l.post(1)
		for range all {
			require.NoError(t, end)
			break
		}
		require.NoError(t, end)

		ended := make(chan bool)
		go func() {
			for range all {
			}
			close(ended)
		}()
		synctest.Wait()
		cancel()
		<-ended
		require.ErrorIs(t, end, syscall.EINTR)
		require.ErrorIs(t, end, context.Canceled)
		require.EqualError(t, end, "rwevent: wait interrupted: context canceled")
		require.Equal(t, end, same)

		l.post(2)
		for range all { // an event beats the end of the context
			require.NoError(t, end)
			break
		}
		require.NoError(t, end)
		func() {
			defer func() { require.Equal(t, "of the body", recover()) }()
			l.post(3)
			for range all {
				panic("of the body")
			}
		}()
		require.NoError(t, end)

		l.close()
		for range l.over(context.Background(), &end) {
		}
		require.ErrorIs(t, end, os.ErrClosed)
		for range l.over(context.Background()) { // needs no variable
		}
	})
}

// A nil pointer in the place of a variable is no fault, and hides no other variable.
func TestLoopPassesOverANilPointer(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		end, n := errors.New("of an earlier loop"), 0
		l.post(1)
		for range l.over(ctx, nil, &end) {
			n++
			cancel()
			l.close()
		}
		for range l.by(new(waitqueue.Task), nil) {
			n++
			break
		}
		require.Error(t, end)
		require.NotEqual(t, "of an earlier loop", end.Error())
		require.NotZero(t, n)
	})
}

// The close of an empty slot or table beats the end of the context, as in the single forms.
// It does not beat it while an event is there.
func TestLoopThatACloseAndItsContextEnd(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var end error
		l.post(1)
		for range l.over(ctx, &end) {
			cancel()
		}
		require.ErrorIs(t, end, context.Canceled)
		n := 0
		l.post(1)
		for range l.over(ctx, &end) {
			n++
			l.close()
		}
		require.Equal(t, 1, n)
		require.ErrorIs(t, end, os.ErrClosed)
		require.NotErrorIs(t, end, context.Canceled)
	})
	eachLoop(t, func(t *testing.T, l loop) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var end error
		l.post(1)
		for range l.over(ctx, &end) {
			l.post(2)
			l.close()
		}
		require.ErrorIs(t, end, context.Canceled, "the second event is there")
	})
	eachLoop(t, func(t *testing.T, l loop) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.close()
		var end error
		for range l.over(ctx, &end) {
			t.Error("no event was posted")
		}
		require.ErrorIs(t, end, os.ErrClosed)
	})
}

// There is always something newer. A slot has one event after the end, and a table has those
// that are there when the loop notices the end.
func TestLoopEndsHoweverQuicklyOthersPost(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for k := range 3 {
			l.post(k)
		}
		var end error
		n := 0
		for range l.over(ctx, &end) {
			n++
			cancel()
			l.post(100 + n)
		}
		if l.keys {
			require.Equal(t, 4, n, "three, and the one that came at once with the end")
		} else {
			require.Equal(t, 2, n)
		}
		require.ErrorIs(t, end, context.Canceled)
	})
}

// The same for a sleeper. An interruption that the body ends does not end the loop.
func TestInterruptionEndsALoopHoweverQuicklyOthersPost(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		var task waitqueue.Task
		for k := range 3 {
			l.post(k)
		}
		var end error
		n := 0
		for range l.by(&task, &end) {
			if n++; n == 10 {
				task.Interrupt()
				task.ClearInterrupt()
			}
			if n == 20 {
				task.Interrupt()
			}
			l.post(100 + n)
		}
		require.EqualError(t, end, "rwevent: wait interrupted: an interrupt is set")
		if l.keys {
			require.Greater(t, n, 20)
			require.LessOrEqual(t, n, 20+4)
		} else {
			require.Equal(t, 21, n)
		}
	})
}

// The body ends an interruption that the loop has noticed before.
func TestInterruptionThatTheBodyEnds(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		var task waitqueue.Task
		task.Interrupt()
		l.post(1)
		n := 0
		for range l.by(&task) {
			task.ClearInterrupt()
			if n++; n == 5 {
				l.close()
			}
			l.post(1 + n)
		}
		require.Equal(t, 5, n)
	})
}

// A kernel thread gets its own error, deals with a signal, and ranges again.
func TestKernelThreadRangesAgainAfterASignal(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		signals := 0
		thread := kthread.Run("handler", func(cur *kthread.Current) (end error) {
			if err := cur.Allow(syscall.SIGTERM); err != nil {
				return err
			}
			for {
				for range l.by(cur, &end) {
				}
				if errors.Is(end, kthread.ErrStopped) || !errors.Is(end, syscall.EINTR) {
					return end
				}
				signals++
				cur.Flush()
			}
		})
		for range 3 {
			synctest.Wait()
			thread.Signal(syscall.SIGTERM)
		}
		synctest.Wait()
		require.Equal(t, kthread.ErrStopped, thread.Stop())
		require.Equal(t, 3, signals)
	})
}

// A body that panics, or calls Goexit, has got its event. All others are there, nothing is
// locked, and no waiter is left.
func TestBodyThatPanicsLosesNoEvent(t *testing.T) {
	for name, fail := range map[string]func(){
		"panic":  func() { panic("of the body") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s rwevent.Slot[int]
				var table rwevent.Table[int, int]
				var got []int
				run := func(range_ func(body func(int))) {
					over := make(chan bool)
					go func() {
						defer close(over)
						defer func() { _ = recover() }()
						range_(func(v int) { got = append(got, v); fail() })
					}()
					<-over
				}
				slotTakes := func(body func(int)) {
					for v := range s.Takes(context.Background()) {
						body(v)
					}
				}
				tableTakes := func(body func(int)) {
					for e := range table.Takes(context.Background()) {
						body(e.Value)
					}
				}
				_ = s.Post(1)
				run(slotTakes)
				require.Equal(t, "Slot(1 no event)", s.String())
				_ = s.Post(2)
				run(slotTakes)
				for v := range 3 {
					_ = table.Post(v, 10+v)
				}
				run(tableTakes)
				require.Equal(t, 2, table.Len())
				run(tableTakes)
				run(tableTakes)
				require.Equal(t, []int{1, 2, 10, 11, 12}, got)
				require.False(t, s.WaitQueue().Active() || table.WaitQueue().Active())
			})
		})
	}
}

// The caller of iter.Pull leaves an event that it has not asked for.
func TestPulledLoop(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		end := errors.New("of an earlier loop")
		_, stop := iter.Pull(l.over(t.Context(), &end))
		stop()
		require.EqualError(t, end, "of an earlier loop", "no pass has begun")

		l.post(1)
		next, stop := iter.Pull(l.over(t.Context(), &end))
		v, ok := next()
		require.True(t, ok)
		require.EqualValues(t, 1, v)
		l.post(2)
		stop()
		require.NoError(t, end)

		last := uint64(0)
		thread := kthread.Run("puller", func(cur *kthread.Current) (end error) {
			next, stop := iter.Pull(l.by(cur, &end))
			defer stop()
			for v, ok := next(); ok; v, ok = next() {
				last = v
			}
			return end
		})
		synctest.Wait()
		require.Equal(t, kthread.ErrStopped, thread.Stop())
		require.EqualValues(t, 2, last)
	})
}

// A loop in the body of a loop over the same sequence takes other events, and tells its own end.
func TestLoopInALoop(t *testing.T) {
	var table rwevent.Table[int, int]
	for k := range 4 {
		_ = table.Post(k, k)
	}
	var end error
	all := table.Takes(t.Context(), &end)
	var taken []int
	for e := range all {
		taken = append(taken, e.Key)
		for e := range all {
			taken = append(taken, 10+e.Key)
			break
		}
		require.NoError(t, end)
		if len(taken) == 4 {
			table.Close()
		}
	}
	require.Equal(t, []int{0, 11, 2, 13}, taken)
	require.ErrorIs(t, end, os.ErrClosed)
}

// Two goroutines range over one sequence. Each event goes to one of them.
func TestLoopsShareTheEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table rwevent.Table[int, int]
		counts := make(chan map[int]int, 2)
		all := table.Takes(context.Background())
		for range 2 {
			go func() {
				mine := map[int]int{}
				for e := range all {
					mine[e.Key]++
				}
				counts <- mine
			}()
		}
		for k := range 100 {
			_ = table.Post(k, k)
			if k%7 == 0 {
				synctest.Wait()
			}
		}
		table.Close()
		a, b := <-counts, <-counts
		for k := range 100 {
			require.Equal(t, 1, a[k]+b[k])
		}
	})
}

// An event that was replaced before the end does not count. The table still remembers it.
func TestTableChangesCountsNoReplacedEvent(t *testing.T) {
	var table rwevent.Table[string, int]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for v, k := range []string{"a", "b", "c", "b"} {
		_ = table.Post(k, v)
	}
	require.Equal(t, 1, table.Stale())
	var seen []string
	for e := range table.Changes(ctx) {
		seen = append(seen, e.Key)
		cancel()
		_ = table.Post("after "+e.Key, 0)
	}
	require.Equal(t, []string{"a", "c", "b", "after a"}, seen)
}

// The turn of a key can bring a later event before an earlier one. A loop that takes counts both
// of them when it notices the end.
func TestTableTakesCountsWhatIsEarlier(t *testing.T) {
	var table rwevent.Table[string, int]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for v, k := range []string{"a", "b", "c", "a"} {
		_ = table.Post(k, v)
	}
	var taken []any
	for e := range table.Takes(ctx) {
		cancel()
		taken = append(taken, e.Key, e.Gen)
	}
	require.Equal(t, []any{"a", uint64(4), "b", uint64(2), "c", uint64(3)}, taken)
}

// A brief sleeper is interrupted for one look, as if another goroutine had ended the
// interruption at once.
type brief struct{ *waitqueue.Task }

func (b brief) Interrupted() bool {
	defer b.ClearInterrupt()
	return b.Task.Interrupted()
}

// The loop does not sleep when it asks why it was interrupted.
func TestInterruptionThatIsOverAtOnce(t *testing.T) {
	eachLoop(t, func(t *testing.T, l loop) {
		task := brief{new(waitqueue.Task)}
		l.post(0)
		n := 0
		var end error
		for range l.by(task, &end) {
			task.Interrupt()
			if n++; n == 3 {
				l.close()
			}
			l.post(n)
		}
		require.Equal(t, 3, n)
		require.ErrorIs(t, end, os.ErrClosed)
	})
}

// The loop of a table counts the events that the caller has not seen yet.
func TestTableChangesCountsWhatIsNewer(t *testing.T) {
	var table rwevent.Table[int, int]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for k := range 5 {
		_ = table.Post(k, k)
	}
	var seen []int
	for e := range table.Changes(ctx) {
		seen = append(seen, e.Key)
		if e.Key == 3 {
			_ = table.Post(0, 0) // replaced: newer now, as is 4
			cancel()
		}
		if e.Gen > 3 {
			_ = table.Post(100+e.Key, 0)
		}
	}
	require.Equal(t, []int{0, 1, 2, 3, 4, 0, 103}, seen)
}
