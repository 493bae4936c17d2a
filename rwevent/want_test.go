package rwevent_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/internal/readmes"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/rwevent"
)

// The table of the README under "You want, you write" has lines of this file, so each one
// compiles, and does as its row says.

func TestWantedSlot(t *testing.T) {
	var slot rwevent.Slot[int]
	ctx := t.Context()
	err := slot.Post(9527)
	require.NoError(t, err)
	v, gen, ok := slot.Load()
	require.Equal(t, []any{9527, uint64(1), true}, []any{v, gen, ok})
	v, err = slot.Take(ctx)
	require.NoError(t, err)
	require.Equal(t, 9527, v)
}

func TestWantedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slot rwevent.Slot[int]
		ctx := t.Context()
		go func() { _ = slot.Post(9527) }()
		v, gen, err := slot.Wait(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, 9527, v)
		synctest.Wait()
		go func() { _ = slot.Post(9528) }()
		v, gen, err = slot.Wait(ctx, gen)
		require.NoError(t, err)
		require.Equal(t, 9528, v)
		require.EqualValues(t, 2, gen)
	})
}

func TestWantedLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slot rwevent.Slot[int]
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		sum := 0
		see := func(v int, gen uint64) { sum += v }
		over := make(chan error, 2)
		go func() {
			var end error
			for v, gen := range slot.Changes(ctx, &end) {
				see(v, gen)
			}
			over <- end
		}()
		synctest.Wait()
		_ = slot.Post(1)
		synctest.Wait()
		handle := func(v int) { sum += 10 * v }
		go func() {
			var end error
			for v := range slot.Takes(ctx, &end) {
				handle(v)
			}
			over <- end
		}()
		synctest.Wait()
		require.Equal(t, 11, sum)
		slot.Close()
		require.ErrorIs(t, <-over, os.ErrClosed)
		require.ErrorIs(t, <-over, os.ErrClosed)
	})
}

func TestWantedByAThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slot rwevent.Slot[int]
		sum := 0
		thread := kthread.Run("handler", func(cur *kthread.Current) (end error) {
			for v := range slot.TakesBy(cur, &end) {
				sum += v
			}
			return end
		})
		_ = slot.Post(9527)
		synctest.Wait()
		require.Equal(t, kthread.ErrStopped, thread.Stop())
		require.Equal(t, 9527, sum)
	})
}

func TestWantedTable(t *testing.T) {
	var table rwevent.Table[string, string]
	ctx := t.Context()
	table.WaitQueue().Name = "trouble"
	err := table.Post("sda", "slow")
	require.NoError(t, err)
	require.NoError(t, table.Post("sdb", "full"))
	event, ok := table.TryTakeKey("sdb")
	require.True(t, ok)
	require.Equal(t, rwevent.Event[string, string]{Key: "sdb", Value: "full", Gen: 2}, event)
	table.Close()
	handle := func(disk, what string) { require.Equal(t, "sda slow", disk+" "+what) }
	for e := range table.Takes(ctx) {
		handle(e.Key, e.Value)
	}
	require.Zero(t, table.Len())
	require.True(t, errors.Is(table.Post("sda", "late"), os.ErrClosed))
}

func TestWantedLinesAreRun(t *testing.T) {
	rows, faults := readmes.Wanted(os.DirFS("."), "want_test.go")
	require.Empty(t, faults)
	require.Greater(t, rows, 8)
}
