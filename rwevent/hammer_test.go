package rwevent_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

// An event counts how often it was taken. The payload is written before the post, and
// not atomic: the race detector sees a read by a goroutine that has not seen the post.
type event struct {
	payload int
	taken   atomic.Int32
}

// A store is a Slot or a Table, as far as the hammer goes.
type store struct {
	post        func(e *event) error
	take        func(ctx context.Context) (*event, error)
	takeBy      func(by rwevent.Sleeper) (*event, error)
	tryTake     func() (*event, bool)
	tryTakeLike func(e *event) (*event, bool) // of the same key
	takes       func(ctx context.Context, end ...*error) iter.Seq[*event]
	takesBy     func(by rwevent.Sleeper, end ...*error) iter.Seq[*event]
	changes     func(ctx context.Context, see func(*event))
	close       func()
	overwritten func() uint64
	there       func() int
	queue       *waitqueue.Queue
}

func stores(t *testing.T) map[string]*store {
	var s rwevent.Slot[*event]
	var table rwevent.Table[int, *event]
	return map[string]*store{
		"Slot": {
			post: s.Post, take: s.Take, takeBy: s.TakeBy, tryTake: s.TryTake,
			takes: s.Takes, takesBy: s.TakesBy,
			tryTakeLike: func(*event) (*event, bool) { return s.TryTake() },
			changes: func(ctx context.Context, see func(*event)) {
				last := uint64(0)
				for e, gen := range s.Changes(ctx) {
					if gen <= last {
						t.Error("the generation did not grow")
					}
					last = gen
					see(e)
				}
			},
			close: s.Close, overwritten: s.Overwritten, queue: s.WaitQueue(),
			there: func() int {
				if _, _, ok := s.Load(); ok {
					return 1
				}
				return 0
			},
		},
		"Table": {
			post: func(e *event) error { return table.Post(e.payload%10, e) },
			take: func(ctx context.Context) (*event, error) { e, err := table.Take(ctx); return e.Value, err },
			takeBy: func(by rwevent.Sleeper) (*event, error) {
				e, err := table.TakeBy(by)
				return e.Value, err
			},
			tryTake: func() (*event, bool) { e, ok := table.TryTake(); return e.Value, ok },
			tryTakeLike: func(e *event) (*event, bool) {
				like, ok := table.TryTakeKey(e.payload % 10)
				return like.Value, ok
			},
			takes: func(ctx context.Context, end ...*error) iter.Seq[*event] {
				return unkeyed(table.Takes(ctx, end...))
			},
			takesBy: func(by rwevent.Sleeper, end ...*error) iter.Seq[*event] {
				return unkeyed(table.TakesBy(by, end...))
			},
			changes: func(ctx context.Context, see func(*event)) {
				for e := range table.Changes(ctx) {
					if e.Key != e.Value.payload%10 {
						t.Error("under a wrong key")
					}
					see(e.Value)
				}
			},
			close: table.Close, overwritten: table.Overwritten, queue: table.WaitQueue(), there: table.Len,
		},
	}
}

func unkeyed(events iter.Seq[rwevent.Event[int, *event]]) iter.Seq[*event] {
	return func(yield func(*event) bool) {
		events(func(e rwevent.Event[int, *event]) bool { return yield(e.Value) })
	}
}

const ofTheBody = "of the body"

// loopTakes runs one loop, whose body ends it by a return or a panic for some events. It reports
// whether more may come.
func loopTakes(all func(end ...*error) iter.Seq[*event], takeIt func(*event, error) bool) (goOn bool) {
	defer func() {
		if p := recover(); p == ofTheBody {
			goOn = true
		} else if p != nil {
			panic(p)
		}
	}()
	var end error
	for e := range all(&end) {
		takeIt(e, nil)
		switch e.payload % 7 {
		case 0:
			return true
		case 1:
			panic(ofTheBody)
		}
	}
	return !isClosed(end)
}

// Each event whose Post returned nil is taken by one, or replaced: none comes
// twice, none is lost, and nobody sleeps beside one. Waits and loops are ended at random.
// The store is closed while all of that goes on.
func TestHammerEachEventIsTakenOrOverwritten(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			const posters, posts = 4, 3000
			all := make([]event, posters*posts)
			var accepted, taken atomic.Int64
			takeIt := func(e *event, err error) (goOn bool) {
				if err != nil {
					return !isClosed(err)
				}
				if e.taken.Add(1) != 1 || e.payload == 0 {
					t.Error("taken twice, or seen half written")
				}
				taken.Add(1)
				return true
			}

			var running, helping sync.WaitGroup
			for range 2 {
				running.Go(func() { // takes by contexts that somebody ends
					for goOn := true; goOn; {
						ctx, cancel := context.WithCancel(context.Background())
						helping.Go(cancel)
						goOn = takeIt(s.take(ctx))
					}
				})
				running.Go(func() {
					for takeIt(s.take(context.Background())) {
					}
				})
				running.Go(func() { // takes as a task that somebody interrupts
					var task waitqueue.Task
					for goOn := true; goOn; {
						helping.Go(task.Interrupt)
						goOn = takeIt(s.takeBy(&task))
						task.ClearInterrupt()
					}
				})
				running.Go(func() { // loops by contexts that somebody ends
					for goOn := true; goOn; {
						ctx, cancel := context.WithCancel(context.Background())
						helping.Go(cancel)
						goOn = loopTakes(func(end ...*error) iter.Seq[*event] { return s.takes(ctx, end...) }, takeIt)
					}
				})
				running.Go(func() { // loops of a task that somebody interrupts
					var task waitqueue.Task
					for goOn := true; goOn; {
						helping.Go(task.Interrupt)
						goOn = loopTakes(func(end ...*error) iter.Seq[*event] { return s.takesBy(&task, end...) }, takeIt)
						task.ClearInterrupt()
					}
				})
				running.Go(func() { // loops of kernel threads that another goroutine stops
					for goOn := true; goOn; {
						thread := kthread.Run("taker", func(cur *kthread.Current) error {
							goOn = loopTakes(func(end ...*error) iter.Seq[*event] { return s.takesBy(cur, end...) }, takeIt)
							return nil
						})
						helping.Go(func() { _ = thread.Stop() })
						_ = thread.Wait(context.Background())
					}
				})
				running.Go(func() {
					s.changes(context.Background(), func(e *event) {
						if e.payload == 0 {
							t.Error("seen half written")
						}
					})
				})
			}
			var posting sync.WaitGroup
			for p := range posters {
				posting.Go(func() {
					for i := range posts {
						e := &all[p*posts+i]
						e.payload = 1 + i
						if err := s.post(e); err == nil {
							accepted.Add(1)
						} else if !isClosed(err) {
							t.Error(err)
						}
						if i%8 == 0 {
							if e, ok := s.tryTake(); ok {
								takeIt(e, nil)
							}
						}
						if i%8 == 4 {
							if e, ok := s.tryTakeLike(e); ok {
								takeIt(e, nil)
							}
						}
						if n := s.there(); n < 0 || n > 10 || s.overwritten() > uint64(len(all)) {
							t.Error("seen half written")
						}
						if i%64 == 0 {
							s.queue.WakeUpAll() // stray
						}
						if p == 0 && i == posts*9/10 {
							s.close()
						}
					}
				})
			}
			posting.Wait()
			running.Wait() // to their end: by then they have taken all that was there
			helping.Wait()
			require.Zero(t, s.there())
			require.EqualValues(t, accepted.Load(), taken.Load()+int64(s.overwritten()))
			require.Less(t, accepted.Load(), int64(len(all)), "some came too late")
			once := int64(0)
			for i := range all {
				once += int64(all[i].taken.Load())
			}
			require.Equal(t, taken.Load(), once)
			t.Logf("%d accepted, %d taken, the rest overwritten", accepted.Load(), taken.Load())
		})
	}
}

func isClosed(err error) bool { return errors.Is(err, os.ErrClosed) }

// No taker sleeps while there is something to take. This holds too if the taker that was woken
// gave up, or if another one was quicker.
func TestHammerNoTakerSleepsBesideAnEvent(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for round := range 300 {
					random := rand.New(rand.NewPCG(1, uint64(round)))
					ctx, cancel := context.WithCancel(t.Context())
					var all sync.WaitGroup
					for range 4 {
						all.Go(func() { // the patient
							_, _ = s.take(context.Background())
						})
						all.Go(func() {
							_, _ = s.takeBy(new(waitqueue.Task))
						})
						all.Go(func() { // one turn of a loop
							s.takes(context.Background())(func(*event) bool { return false })
						})
					}
					for range 2 {
						all.Go(func() { _, _ = s.take(ctx) })
						all.Go(func() {
							for range s.takes(ctx) {
							}
						})
					}
					if random.IntN(2) == 0 {
						synctest.Wait()
					}
					for range 1 + random.IntN(4) {
						e := &event{payload: 1 + random.IntN(10)}
						all.Go(func() { _ = s.post(e) })
					}
					all.Go(func() { s.tryTake() })
					all.Go(func() { s.tryTakeLike(&event{payload: 1 + round%10}) })
					all.Go(cancel)
					synctest.Wait()
					require.Zero(t, s.there(), "round %d", round)
					for s.queue.Active() { // the takers that found nothing
						_ = s.post(&event{payload: 1})
						synctest.Wait()
					}
					all.Wait()
				}
			})
		})
	}
}

// A goroutine that sees the last of many events sees all that the posters did before their
// posts. The race detector would not agree otherwise.
func TestAnEventShowsAllThatCameBeforeIt(t *testing.T) {
	const posters = 100
	var s rwevent.Slot[int]
	var table rwevent.Table[int, int]
	var done [posters]bool
	var posting sync.WaitGroup
	for p := range posters {
		posting.Go(func() {
			done[p] = true
			_ = s.Post(p)
			_ = table.Post(p%2, p)
		})
	}
	_, _, err := s.Wait(t.Context(), posters-1)
	require.NoError(t, err)
	require.NotContains(t, done, false)
	_, err = table.Wait(t.Context(), posters-1)
	require.NoError(t, err)
	require.NotContains(t, done, false)
	posting.Wait()
}

// Posters of one key each: takers see the events of a key in the order in which
// they were posted, and the last of each.
func TestHammerOrderAmongKeys(t *testing.T) {
	const keys, posts = 8, 2000
	var table rwevent.Table[int, int]
	var posting sync.WaitGroup
	for k := range keys {
		posting.Go(func() {
			for i := range posts {
				_ = table.Post(k, i+1)
			}
		})
	}
	go func() {
		posting.Wait()
		table.Close()
	}()
	var last [keys]int // event
	for {
		e, err := table.Take(context.Background())
		if err != nil {
			require.ErrorIs(t, err, os.ErrClosed)
			break
		}
		require.Greater(t, e.Value, last[e.Key])
		last[e.Key] = e.Value
	}
	for k := range keys {
		require.Equal(t, posts, last[k], "the last event of a key is not lost")
	}
}

func randomBytes(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}
