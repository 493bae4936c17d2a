package rwevent_test

import (
	"context"
	"math"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

func TestEmptyTable(t *testing.T) {
	var table rwevent.Table[string, int]
	v, gen, ok := table.Load("a")
	require.Zero(t, v)
	require.Zero(t, gen)
	require.False(t, ok)
	_, ok = table.TryTake()
	require.False(t, ok)
	require.Zero(t, table.Len())
	require.Zero(t, table.Overwritten())
}

// Takers get the keys by their first posts, watchers by their last ones.
func TestTheTwoOrdersOfATable(t *testing.T) {
	var table rwevent.Table[string, int]
	_ = table.Post("a", 1)
	_ = table.Post("b", 2)
	_ = table.Post("c", 3)
	_ = table.Post("a", 4) // keeps its turn
	require.Equal(t, 3, table.Len())
	require.EqualValues(t, 1, table.Overwritten())
	v, gen, ok := table.Load("a")
	require.Equal(t, 4, v)
	require.EqualValues(t, 4, gen)
	require.True(t, ok)

	require.Equal(t, []any{"b", 2, "c", 3, "a", 4}, look(&table))
	require.Equal(t, []any{"a", 4}, take(&table))
	require.Equal(t, []any{"b", 2, "c", 3}, look(&table))
	_ = table.Post("a", 5) // a new turn
	_ = table.Post("b", 6)
	require.Equal(t, []any{"c", 3, "a", 5, "b", 6}, look(&table))
	require.Equal(t, []any{"b", 6, "c", 3, "a", 5}, take(&table, &table, &table))
	require.Empty(t, look(&table))
	require.Zero(t, table.Len())
	require.EqualValues(t, 2, table.Overwritten())
}

// look returns the keys and events of Changes, as far as they are there.
func look[K comparable, T any](table *rwevent.Table[K, T]) (seen []any) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for e := range table.Changes(ctx) {
		seen = append(seen, e.Key, e.Value)
	}
	return seen
}

func take[K comparable, T any](tables ...*rwevent.Table[K, T]) (taken []any) {
	for _, table := range tables {
		e, ok := table.TryTake()
		if !ok {
			return append(taken, nil)
		}
		taken = append(taken, e.Key, e.Value)
	}
	return taken
}

func TestTableWaitGoesFromOneGenerationToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table rwevent.Table[string, int]
		_ = table.Post("a", 1)
		_ = table.Post("b", 2)
		_ = table.Post("a", 3)
		ctx := context.Background()
		e, err := table.Wait(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, rwevent.Event[string, int]{Key: "b", Value: 2, Gen: 2}, e)
		e, err = table.WaitBy(new(waitqueue.Task), e.Gen)
		require.NoError(t, err)
		require.Equal(t, rwevent.Event[string, int]{Key: "a", Value: 3, Gen: 3}, e)
		gen := e.Gen

		got := make(chan string, 2)
		for i := range 2 {
			go func() {
				wait := func() (rwevent.Event[string, int], error) { return table.Wait(ctx, gen) }
				if i == 0 {
					wait = func() (rwevent.Event[string, int], error) { return table.WaitBy(new(waitqueue.Task), gen) }
				}
				e, err := wait()
				require.NoError(t, err)
				require.EqualValues(t, 4, e.Gen)
				got <- e.Key
			}()
		}
		synctest.Wait()
		table.WaitQueue().WakeUpAll()
		synctest.Wait()
		require.Empty(t, got, "a stray wake-up is no event")
		_ = table.Post("b", 4)
		require.Equal(t, "b", <-got)
		require.Equal(t, "b", <-got)
		require.Equal(t, 2, table.Len(), "nobody has taken anything")
	})
}

func TestTableTakersTakeOneEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table rwevent.Table[string, int]
		got := make(chan string, 3)
		for range 3 {
			go func() {
				e, err := table.Take(context.Background())
				require.NoError(t, err)
				got <- e.Key
			}()
		}
		synctest.Wait()
		table.WaitQueue().WakeUpAll()
		synctest.Wait()
		require.Empty(t, got)
		_ = table.Post("a", 1) // both before a taker has run, perhaps
		_ = table.Post("b", 2)
		synctest.Wait()
		require.Len(t, got, 2)
		require.ElementsMatch(t, []string{"a", "b"}, []string{<-got, <-got})
		_ = table.Post("c", 3)
		require.Equal(t, "c", <-got)
	})
}

func TestTableEventsBeatAnEndedContext(t *testing.T) {
	var table rwevent.Table[string, int]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := table.Take(ctx)
	require.ErrorIs(t, err, syscall.EINTR)
	_ = table.Post("a", 1)
	e, err := table.Wait(ctx, 1)
	require.ErrorIs(t, err, syscall.EINTR)
	require.Zero(t, e)
	e, err = table.Wait(ctx, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, e.Gen)
	e, err = table.Take(ctx)
	require.NoError(t, err)
	require.Equal(t, rwevent.Event[string, int]{Key: "a", Value: 1, Gen: 1}, e)
}

func TestTableCloseIsAState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table rwevent.Table[string, int]
		_ = table.Post("a", 1)
		sleepers := []func() error{
			func() error { _, err := table.Wait(context.Background(), 1); return err },
			func() error { _, err := table.WaitBy(new(waitqueue.Task), 1); return err },
		}
		results := make(chan error, 4)
		for _, sleep := range sleepers {
			go func() { results <- sleep() }()
		}
		synctest.Wait()
		table.Close()
		table.Close()
		require.ErrorIs(t, <-results, os.ErrClosed)
		require.ErrorIs(t, <-results, os.ErrClosed)

		require.ErrorIs(t, table.Post("a", 2), os.ErrClosed)
		require.ErrorIs(t, table.Post("b", 2), os.ErrClosed)
		require.Equal(t, 1, table.Len())
		require.Zero(t, table.Overwritten())
		require.Equal(t, []any{"a", 1}, look(&table))
		e, err := table.Take(context.Background())
		require.NoError(t, err)
		require.Equal(t, "a", e.Key)
		_, err = table.Take(context.Background())
		require.ErrorIs(t, err, os.ErrClosed)
		_, err = table.TakeBy(new(waitqueue.Task))
		require.ErrorIs(t, err, os.ErrClosed)
		for range table.Changes(context.Background()) {
			require.Fail(t, "nothing is there")
		}
	})
}

func TestTableCloseWakesAllTakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table rwevent.Table[string, int]
		results := make(chan error, 4)
		for range 2 {
			go func() { _, err := table.Take(context.Background()); results <- err }()
			go func() { _, err := table.TakeBy(new(waitqueue.Task)); results <- err }()
		}
		synctest.Wait()
		require.Empty(t, results)
		table.Close()
		for range 4 {
			require.ErrorIs(t, <-results, os.ErrClosed)
		}
	})
}

// The body takes and posts events that the loop would have come to.
func TestTableChangesHasOnlyWhatIsThere(t *testing.T) {
	var table rwevent.Table[int, string]
	for k := range 5 {
		_ = table.Post(k, "old")
	}
	var seen []any
	for e := range table.Changes(t.Context()) {
		seen = append(seen, e.Key, e.Value)
		switch len(seen) / 2 {
		case 1: // at key 0
			table.TryTake()
			table.TryTake() // key 1 will not come
			_ = table.Post(3, "new")
			_ = table.Post(0, "again")
		case 4:
			table.Close()
		}
	}
	require.Equal(t, []any{0, "old", 2, "old", 4, "old", 3, "new", 0, "again"}, seen)
}

func TestTableChangesEndsWithItsContext(t *testing.T) {
	var table rwevent.Table[int, int]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for k := range 3 {
		_ = table.Post(k, k)
	}
	var seen []int
	for e := range table.Changes(ctx) {
		seen = append(seen, e.Key)
		cancel()
		_ = table.Post(100+e.Key, 0) // there is always something newer
	}
	require.Equal(t, []int{0, 1, 2, 100}, seen, "with the events that were there when its context had ended, and no more")
}

func TestTableChangesWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table rwevent.Table[int, int]
		var seen []int
		done := make(chan bool)
		go func() {
			for e := range table.Changes(context.Background()) {
				seen = append(seen, e.Key)
			}
			close(done)
		}()
		for k := range 3 {
			synctest.Wait()
			_ = table.Post(k, k)
			synctest.Wait()
			table.TryTake()
		}
		table.Close()
		<-done
		require.Equal(t, []int{0, 1, 2}, seen)
	})
}

// A key whose event was taken out of its turn has a new turn after that.
func TestTryTakeKeyTakesOutOfTurn(t *testing.T) {
	var table rwevent.Table[string, int]
	for i, k := range []string{"a", "b", "c", "b"} {
		_ = table.Post(k, i)
	}
	e, ok := table.TryTakeKey("b")
	require.True(t, ok)
	require.Equal(t, rwevent.Event[string, int]{Key: "b", Value: 3, Gen: 4}, e)
	e, ok = table.TryTakeKey("b")
	require.False(t, ok)
	require.Zero(t, e)
	_, _, ok = table.Load("b")
	require.False(t, ok)
	_ = table.Post("b", 4)
	require.Equal(t, []any{"a", 0, "c", 2, "b", 4}, look(&table))
	table.Close()
	require.Equal(t, []any{"a", 0, "c", 2, "b", 4, nil}, take(&table, &table, &table, &table))
}

func TestKeysThatCannotBeFoundAgain(t *testing.T) {
	var floats rwevent.Table[float64, int]
	require.PanicsWithValue(t, "rwevent: Post of a key that is not equal to itself", func() { _ = floats.Post(math.NaN(), 1) })
	require.Zero(t, floats.Len())

	var anys rwevent.Table[any, int]
	require.Panics(t, func() { _ = anys.Post([]int{}, 1) })
	require.Panics(t, func() { _ = anys.Post(struct{ x any }{[]int{}}, 1) })
	require.Panics(t, func() { anys.Load([]int{}) })
	require.Panics(t, func() { anys.TryTakeKey([]int{}) })
	require.NoError(t, anys.Post("a", 1), "the lock is free")
	require.Equal(t, []any{"a", 1}, take(&anys))
}

var globalTable rwevent.Table[string, int]

func TestOneTableInManyBubbles(t *testing.T) {
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			go func() { _ = globalTable.Post("a", i) }()
			e, err := globalTable.Take(t.Context())
			require.NoError(t, err)
			require.Equal(t, i, e.Value)
		})
	}
}

// A step that went through all keys would make many keys take a thousand times
// as long as few. It is far from that on a busy machine too.
func TestAHundredThousandKeys(t *testing.T) {
	const few, many = 100, 100_000
	start := time.Now()
	for range 100 {
		useAll(t, few)
	}
	small := time.Since(start) * many / few / 100
	start = time.Now()
	useAll(t, many)
	large := time.Since(start)
	t.Logf("many keys take %.1f of the time of few", float64(large)/float64(small))
	require.Less(t, large, 50*small)
}

// useAll fills a table with n keys and empties it again.
func useAll(t *testing.T, n int) {
	var table rwevent.Table[int, int]
	for range 2 {
		for k := range n {
			_ = table.Post(k, 0)
		}
	}
	latest := uint64(2 * n)
	for k := range n { // all keys there, a watcher that has seen them all, and one that has seen none
		_ = table.Post(k, 0)
		e, _ := table.Wait(t.Context(), latest)
		latest++
		oldest, _ := table.Wait(t.Context(), 0)
		if e.Gen != latest || oldest.Gen != latest+1-uint64(n) {
			require.Fail(t, "wrong order")
		}
	}
	if len(look(&table)) != 2*n || table.Overwritten() != 2*uint64(n) {
		require.Fail(t, "wrong count")
	}
	for k := range n {
		if e, ok := table.TryTake(); !ok || e.Key != k {
			require.Fail(t, "wrong turn")
		}
	}
}

// Posts that were replaced do not pile up, whether they were before or after
// those that are there.
func TestStalePostsAreDropped(t *testing.T) {
	var table rwevent.Table[string, int]
	_ = table.Post("first", 0)
	for i := range 10_000 {
		_ = table.Post("often", i)
	}
	require.Less(t, table.Room(), 50)
	for i := range 10_000 {
		_ = table.Post("first", i)
	}
	require.Less(t, table.Room(), 50)
	for i := range 10_000 {
		e, _ := table.TryTake()
		_ = table.Post(e.Key, i)
	}
	require.Less(t, table.Room(), 50)
}

func FuzzTableAgainstModel(f *testing.F) {
	f.Add([]byte("\x00\x10\x20\x30\x01\x02\x03\x04\x00\x11\x05"))
	f.Fuzz(compareWithModel)
}

func TestTableAgainstModel(t *testing.T) {
	for seed := range uint64(50) {
		random := randomBytes(seed, 700)
		compareWithModel(t, random)
		require.False(t, t.Failed(), "seed %d", seed)
	}
}

// A model is a table that is slow and simple: all posts in order, with a mark at
// those that were taken or replaced.
type model struct {
	posts                   []modelPost
	taken, replaced, closed int
}

type modelPost struct {
	key, first, gen int
	gone            bool
}

// event is the event that a table returns for p. Its value is its generation.
func (p modelPost) event() rwevent.Event[int, int] {
	return rwevent.Event[int, int]{Key: p.key, Value: p.gen, Gen: uint64(p.gen)}
}

func (m *model) post(key int) error {
	if m.closed > 0 {
		return os.ErrClosed
	}
	gen := len(m.posts) + 1
	first := gen
	for i, p := range m.posts {
		if p.key == key && !p.gone {
			first = p.first
			m.posts[i].gone = true
			m.replaced++
		}
	}
	m.posts = append(m.posts, modelPost{key: key, first: first, gen: gen})
	return nil
}

// there returns the events that are there, by generation.
func (m *model) there() (there []modelPost) {
	for _, p := range m.posts {
		if !p.gone {
			there = append(there, p)
		}
	}
	return there
}

func (m *model) take() (modelPost, bool) {
	there := m.there()
	if len(there) == 0 {
		return modelPost{}, false
	}
	return m.remove(slices.MinFunc(there, func(a, b modelPost) int { return a.first - b.first })), true
}

func (m *model) takeKey(key int) (modelPost, bool) {
	there := m.there()
	if i := slices.IndexFunc(there, func(p modelPost) bool { return p.key == key }); i >= 0 {
		return m.remove(there[i]), true
	}
	return modelPost{}, false
}

func (m *model) remove(p modelPost) modelPost {
	m.posts[p.gen-1].gone = true
	m.taken++
	return p
}

// compareWithModel runs a program on a table and on a model. Each byte of it is a call.
func compareWithModel(t *testing.T, program []byte) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	var table rwevent.Table[int, int]
	var m model
	for _, b := range program {
		require.LessOrEqual(t, table.Stale(), table.Len())
		key := int(b >> 4)
		switch op := b & 15; {
		case op < 7:
			require.Equal(t, m.post(key) == nil, table.Post(key, len(m.posts)) == nil)
		case op < 8:
			want, wantOK := m.takeKey(key)
			e, ok := table.TryTakeKey(key)
			require.Equal(t, wantOK, ok)
			require.Equal(t, want.event(), e)
		case op < 11:
			want, wantOK := m.take()
			e, ok := table.TryTake()
			require.Equal(t, wantOK, ok)
			require.Equal(t, want.event(), e)
		case op < 14:
			after := len(m.posts) * key / 15
			want := modelPost{}
			if i := slices.IndexFunc(m.posts, func(p modelPost) bool { return !p.gone && p.gen > after }); i >= 0 {
				want = m.posts[i]
			}
			e, err := table.Wait(ended, uint64(after))
			require.Equal(t, want.gen != 0, err == nil)
			require.Equal(t, want.event(), e)
		case op == 14:
			there := m.there()
			require.Equal(t, len(there), table.Len())
			require.EqualValues(t, m.replaced, table.Overwritten())
			require.Equal(t, len(m.posts), m.taken+m.replaced+len(there))
			var all []any
			for _, p := range there {
				all = append(all, p.key, p.gen)
				v, gen, ok := table.Load(p.key)
				require.Equal(t, [2]int{p.gen, p.gen}, [2]int{v, int(gen)})
				require.True(t, ok)
			}
			require.Equal(t, all, look(&table))
		case key == 15 && len(m.posts) > 200:
			m.closed++
			table.Close()
		}
	}
}
