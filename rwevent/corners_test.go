package rwevent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/collected"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
	"github.com/kprim/kprim/waitqueue"
)

// A pair is a slot and a table, whose waits are alike.
type pair struct {
	slot  rwevent.Slot[int]
	table rwevent.Table[string, int]
}

// waits are all waits of the package that a context can end.
func (p *pair) waits() map[string]func(ctx context.Context) error {
	return map[string]func(context.Context) error{
		"Slot.Take":  func(ctx context.Context) error { _, err := p.slot.Take(ctx); return err },
		"Slot.Wait":  func(ctx context.Context) error { _, _, err := p.slot.Wait(ctx, 0); return err },
		"Table.Take": func(ctx context.Context) error { _, err := p.table.Take(ctx); return err },
		"Table.Wait": func(ctx context.Context) error { _, err := p.table.Wait(ctx, 0); return err },

		"Slot.Takes":    func(ctx context.Context) (end error) { first(p.slot.Takes(ctx, &end)); return end },
		"Slot.Changes":  func(ctx context.Context) (end error) { first2(p.slot.Changes(ctx, &end)); return end },
		"Table.Takes":   func(ctx context.Context) (end error) { first(p.table.Takes(ctx, &end)); return end },
		"Table.Changes": func(ctx context.Context) (end error) { first(p.table.Changes(ctx, &end)); return end },
	}
}

// waitsBy are all waits with a sleeper.
func (p *pair) waitsBy() map[string]func(by rwevent.Sleeper) error {
	return map[string]func(rwevent.Sleeper) error{
		"Slot.TakeBy":  func(by rwevent.Sleeper) error { _, err := p.slot.TakeBy(by); return err },
		"Slot.WaitBy":  func(by rwevent.Sleeper) error { _, _, err := p.slot.WaitBy(by, 0); return err },
		"Table.TakeBy": func(by rwevent.Sleeper) error { _, err := p.table.TakeBy(by); return err },
		"Table.WaitBy": func(by rwevent.Sleeper) error { _, err := p.table.WaitBy(by, 0); return err },

		"Slot.TakesBy":    func(by rwevent.Sleeper) (end error) { first(p.slot.TakesBy(by, &end)); return end },
		"Slot.ChangesBy":  func(by rwevent.Sleeper) (end error) { first2(p.slot.ChangesBy(by, &end)); return end },
		"Table.TakesBy":   func(by rwevent.Sleeper) (end error) { first(p.table.TakesBy(by, &end)); return end },
		"Table.ChangesBy": func(by rwevent.Sleeper) (end error) { first(p.table.ChangesBy(by, &end)); return end },
	}
}

// first ranges over a sequence up to its first element.
func first[V any](all iter.Seq[V]) {
	for range all {
		return
	}
}

func first2[V, W any](all iter.Seq2[V, W]) {
	for range all {
		return
	}
}

// The text of an error begins with the package that was called. It names no errno,
// which is there to be matched.
func TestErrorsBeginWithThisPackage(t *testing.T) {
	why := errors.New("the reason")
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	late, stop := context.WithTimeoutCause(t.Context(), -1, why)
	defer stop()
	var p pair
	for name, wait := range p.waits() {
		err := wait(interrupted)
		require.EqualError(t, err, "rwevent: wait interrupted: the reason", name)
		for _, want := range []error{syscall.EINTR, context.Canceled, why} {
			require.ErrorIs(t, err, want)
		}
		require.False(t, os.IsTimeout(err))

		err = wait(late)
		require.EqualError(t, err, "rwevent: wait timed out: the reason", name)
		for _, want := range []error{syscall.ETIMEDOUT, context.DeadlineExceeded, why} {
			require.ErrorIs(t, err, want)
		}
		require.True(t, os.IsTimeout(err))
	}
	var closed rwevent.Slot[int]
	closed.Close()
	byClose, end := context.WithCancelCause(t.Context())
	end(closed.Post(1))
	for name, wait := range p.waits() {
		require.EqualError(t, wait(byClose), "rwevent: wait interrupted: closed", name)
	}
	task := new(waitqueue.Task)
	task.Interrupt()
	for name, wait := range p.waitsBy() {
		err := wait(task)
		require.EqualError(t, err, "rwevent: wait interrupted: an interrupt is set", name)
		require.ErrorIs(t, err, syscall.EINTR)
	}
	p.slot.Close()
	p.table.Close()
	for name, wait := range p.waits() {
		require.EqualError(t, wait(t.Context()), "rwevent: closed", name)
	}
	require.EqualError(t, p.slot.Post(1), "rwevent: closed")
	require.EqualError(t, p.table.Post("k", 1), "rwevent: closed")
}

// A kernel thread gets its own error, which it may compare.
func TestErrorOfAKernelThreadIsItsOwn(t *testing.T) {
	var p pair
	for name, wait := range p.waitsBy() {
		thread := kthread.Run("taker", func(cur *kthread.Current) error {
			if err := wait(cur); err != kthread.ErrStopped {
				return fmt.Errorf("%w, of %T", err, err)
			}
			return nil
		})
		for !p.slot.WaitQueue().Active() && !p.table.WaitQueue().Active() {
			runtime.Gosched()
		}
		require.NoError(t, thread.Stop(), name)
	}
}

// A context whose Done is closed and whose Err is nil ends each wait by a panic.
func TestWaitPanicsIfTheContextEndedWithoutAnErr(t *testing.T) {
	var p pair
	for name, wait := range p.waits() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := endless{t.Context(), make(chan struct{})}
				gone := make(chan any, 1)
				go func() {
					defer func() { gone <- recover() }()
					_ = wait(ctx)
				}()
				synctest.Wait()
				close(ctx.done)
				require.Contains(t, fmt.Sprint(<-gone), "its Err is nil")
				require.Panics(t, func() { _ = wait(ctx) })
				require.False(t, p.slot.WaitQueue().Active() || p.table.WaitQueue().Active())
			})
		})
	}
}

// endless is a context whose Done can be closed, and that has no Err then.
type endless struct {
	context.Context
	done chan struct{}
}

func (e endless) Done() <-chan struct{} { return e.done }
func (endless) Err() error              { return nil }

// copyOf copies *p, in a way that vet does not see.
func copyOf[T any](p *T) *T {
	c := new(T)
	reflect.ValueOf(c).Elem().Set(reflect.ValueOf(p).Elem())
	return c
}

// A slot or a table is copied while a waiter is on it. A use of the copy that
// would wake the waiter, or wait beside it, panics.
func TestCopyWithAWaiterPanics(t *testing.T) {
	for name := range new(pair).waits() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p pair
				result := make(chan error, 1)
				go func() { result <- p.waits()[name](t.Context()) }()
				synctest.Wait()
				c := copyOf(&p)
				require.Panics(t, func() { _ = c.waits()[name](t.Context()) })
				if strings.HasPrefix(name, "Slot") {
					require.Panics(t, func() { _ = c.slot.Post(1) })
					require.Panics(t, c.slot.Close)
					require.Equal(t, "Slot(0 no event)", c.slot.String(), "as it was")
				} else {
					require.Panics(t, func() { _ = c.table.Post("k", 1) })
					require.Panics(t, c.table.Close)
					require.Equal(t, "Table(0 0 events)", c.table.String(), "as it was")
				}
				synctest.Wait()
				require.Empty(t, result)
				require.NoError(t, p.slot.Post(1))
				require.NoError(t, p.table.Post("k", 1))
				require.NoError(t, <-result)
			})
		})
	}
}

// Vet reports copies.
func TestVetSeesCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go vet")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"Slot[int]", "Table[string, int]"} {
		program := "package main\n\nimport \"github.com/kprim/kprim/rwevent\"\n\n" +
			"func take(rwevent." + name + ") {}\n\nfunc main() { var v rwevent." + name + "; take(v) }\n"
		file := filepath.Join(t.TempDir(), "main.go")
		require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
		out, err := exec.Command("go", "vet", file).CombinedOutput()
		require.Error(t, err, name)
		require.Contains(t, string(out), "passes lock by value: github.com/kprim/kprim/rwevent.")
	}
}

func TestSlotAndTablePrintAsWords(t *testing.T) {
	var p pair
	require.Equal(t, "Slot(0 no event)", fmt.Sprint(&p.slot))
	require.Equal(t, "Table(0 0 events)", fmt.Sprint(&p.table))
	require.NoError(t, p.slot.Post(9527))
	for _, key := range []string{"a", "b", "a"} {
		require.NoError(t, p.table.Post(key, 9527))
	}
	require.Equal(t, "Slot(1 event)", fmt.Sprintf("%+v", &p.slot))
	require.Equal(t, "Table(3 2 events)", fmt.Sprintf("%+v", &p.table))
	p.slot.Close()
	p.table.Close()
	require.Equal(t, "Slot(1 event closed)", p.slot.String())
	require.Equal(t, "Table(3 2 events closed)", p.table.String())
}

// Any goroutine may print a slot or table that others use. Only the race detector
// sees the harm.
func TestPrintingALiveValueIsNoDataRace(t *testing.T) {
	var p pair
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for i := range 300 {
				_, _ = p.slot.Post(i), p.table.Post(fmt.Sprint(i%3), i)
				p.slot.TryTake()
				p.table.TryTake()
			}
		})
	}
	for range 300 {
		for _, x := range []any{&p.slot, &p.table} {
			var text, json bytes.Buffer
			slog.New(slog.NewTextHandler(&text, nil)).Info("m", "x", x)
			slog.New(slog.NewJSONHandler(&json, nil)).Info("m", "x", x)
			require.Less(t, len(text.String()+json.String()), 300)
			require.Less(t, len(fmt.Sprintf("%v%+v", x, x)), 100)
		}
	}
	all.Wait()
}

// The memory model of the package doc. Each test reads a plain variable, and
// nothing but the package orders its reads and writes.
func TestPostIsSynchronizedBeforeEachReturnOfItsEvent(t *testing.T) {
	background := context.Background()
	for name, use := range map[string]struct {
		post func(p *pair)
		get  func(p *pair)
	}{
		"Slot.Take":        {postSlot, func(p *pair) { _, _ = p.slot.Take(background) }},
		"Slot.TakeBy":      {postSlot, func(p *pair) { _, _ = p.slot.TakeBy(new(waitqueue.Task)) }},
		"Slot.Wait":        {postSlot, func(p *pair) { _, _, _ = p.slot.Wait(background, 0) }},
		"Slot.WaitBy":      {postSlot, func(p *pair) { _, _, _ = p.slot.WaitBy(new(waitqueue.Task), 0) }},
		"Slot.Load":        {postSlot, func(p *pair) { until(func() bool { _, _, ok := p.slot.Load(); return ok }) }},
		"Slot.TryTake":     {postSlot, func(p *pair) { until(func() bool { _, ok := p.slot.TryTake(); return ok }) }},
		"Slot.Takes":       {postSlot, func(p *pair) { first(p.slot.Takes(background)) }},
		"Slot.Changes":     {postSlot, func(p *pair) { first2(p.slot.Changes(background)) }},
		"Table.Take":       {postTable, func(p *pair) { _, _ = p.table.Take(background) }},
		"Table.TakeBy":     {postTable, func(p *pair) { _, _ = p.table.TakeBy(new(waitqueue.Task)) }},
		"Table.Wait":       {postTable, func(p *pair) { _, _ = p.table.Wait(background, 0) }},
		"Table.WaitBy":     {postTable, func(p *pair) { _, _ = p.table.WaitBy(new(waitqueue.Task), 0) }},
		"Table.Load":       {postTable, func(p *pair) { until(func() bool { _, _, ok := p.table.Load("k"); return ok }) }},
		"Table.TryTake":    {postTable, func(p *pair) { until(func() bool { _, ok := p.table.TryTake(); return ok }) }},
		"Table.TryTakeKey": {postTable, func(p *pair) { until(func() bool { _, ok := p.table.TryTakeKey("k"); return ok }) }},
		"Table.Takes":      {postTable, func(p *pair) { first(p.table.Takes(background)) }},
		"Table.Changes":    {postTable, func(p *pair) { first(p.table.Changes(background)) }},
		"Slot.Close":       {func(p *pair) { p.slot.Close() }, func(p *pair) { _, _ = p.slot.Take(background) }},
		"Table.Close":      {func(p *pair) { p.table.Close() }, func(p *pair) { _, _ = p.table.Take(background) }},
		"a late Post":      {func(p *pair) { p.slot.Close() }, func(p *pair) { until(func() bool { return p.slot.Post(1) != nil }) }},
	} {
		t.Run(name, func(t *testing.T) {
			for range 50 {
				var p pair
				plain := 0
				go func() {
					plain = 9527
					use.post(&p)
				}()
				use.get(&p)
				require.Equal(t, 9527, plain)
			}
		})
	}
}

func postSlot(p *pair)  { _ = p.slot.Post(1) }
func postTable(p *pair) { _ = p.table.Post("k", 1) }

func until(ready func() bool) {
	for !ready() {
		runtime.Gosched()
	}
}

// The taker of an event is ordered before each look that does not find it any
// more. A look that takes the event itself says nothing.
func TestTakeIsSynchronizedBeforeALookThatFindsNothing(t *testing.T) {
	for name, look := range map[string]func(p *pair) (found, mine bool){
		"Slot.Load":     func(p *pair) (found, mine bool) { _, _, ok := p.slot.Load(); return ok, false },
		"Slot.TryTake":  func(p *pair) (found, mine bool) { _, ok := p.slot.TryTake(); return ok, ok },
		"Table.Load":    func(p *pair) (found, mine bool) { _, _, ok := p.table.Load("k"); return ok, false },
		"Table.TryTake": func(p *pair) (found, mine bool) { _, ok := p.table.TryTake(); return ok, ok },

		"Table.TryTakeKey": func(p *pair) (found, mine bool) { _, ok := p.table.TryTakeKey("k"); return ok, ok },
	} {
		t.Run(name, func(t *testing.T) {
			said := 0
			for said < 20 {
				var p pair
				postSlot(&p)
				postTable(&p)
				var taker sync.WaitGroup
				plain := 0
				taker.Go(func() {
					plain = 9527
					p.slot.TryTake()
					p.table.TryTake()
				})
				runtime.Gosched()
				found, mine := true, false
				until(func() bool { found, mine = look(&p); return !found || mine })
				if !mine {
					require.Equal(t, 9527, plain)
					said++
				}
				taker.Wait()
			}
		})
	}
}

// A slot and a table keep no event that was taken or replaced, and no key of one.
func TestSlotAndTableKeepNothingAlive(t *testing.T) {
	type big [1 << 16]byte
	var slot rwevent.Slot[*big]
	var table rwevent.Table[*big, *big]
	gone := map[string]func() weak.Pointer[big]{
		"taken": func() weak.Pointer[big] {
			v := new(big)
			_ = slot.Post(v)
			slot.TryTake()
			return weak.Make(v)
		},
		"replaced": func() weak.Pointer[big] {
			v := new(big)
			_ = slot.Post(v)
			_ = slot.Post(nil)
			return weak.Make(v)
		},
		"taken from a table": func() weak.Pointer[big] {
			v := new(big)
			_ = table.Post(nil, v)
			table.TryTake()
			return weak.Make(v)
		},
		"replaced in a table": func() weak.Pointer[big] {
			v := new(big)
			_ = table.Post(nil, v)
			_ = table.Post(nil, nil)
			return weak.Make(v)
		},
		"key": func() weak.Pointer[big] {
			k := new(big)
			_ = table.Post(nil, nil) // stays there
			_ = table.Post(k, nil)
			_ = table.Post(k, nil)
			table.TryTakeKey(k)
			return weak.Make(k)
		},
	}
	for name, make := range gone {
		require.True(t, collected.Soon(make()), "%s is kept alive", name)
	}
	runtime.KeepAlive(&slot)
	runtime.KeepAlive(&table)
}

// A sleeper keeps no slot alive on which it does not wait.
func TestSleeperKeepsNoSlotAlive(t *testing.T) {
	var task waitqueue.Task
	type big struct {
		pair
		_ [1 << 16]byte
	}
	for name := range new(pair).waitsBy() {
		p := func() weak.Pointer[big] {
			b := new(big)
			go func() {
				until(func() bool { return b.slot.WaitQueue().Active() || b.table.WaitQueue().Active() })
				_, _ = b.slot.Post(1), b.table.Post("k", 1)
			}()
			require.NoError(t, b.waitsBy()[name](&task))
			return weak.Make(b)
		}()
		require.True(t, collected.Soon(p), "%s is kept alive", name)
	}
	runtime.KeepAlive(&task)
}

// A wake-up comes after the change that it tells of. With the other order a waiter
// could wake, find nothing, and sleep on.
func TestWakeUpComesAfterTheChange(t *testing.T) {
	var p pair
	var seen []string
	look := func(x any) *waitqueue.Entry {
		return &waitqueue.Entry{Func: func(*waitqueue.Entry, waitqueue.State, any) int {
			seen = append(seen, fmt.Sprint(x))
			return 0
		}}
	}
	p.slot.WaitQueue().Add(look(&p.slot))
	p.table.WaitQueue().Add(look(&p.table))
	done := make(chan bool)
	go func() {
		postSlot(&p)
		postTable(&p)
		p.slot.Close()
		p.table.Close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a wake-up finds the lock held")
	}
	require.Equal(t, []string{"Slot(1 event)", "Table(1 1 events)", "Slot(1 event closed)", "Table(1 1 events closed)"}, seen)
}
