package kthread_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
)

// One work is queued from eight goroutines. It never runs twice at once, each Enqueue that
// was not refused makes one run, and the last run sees all that came before.
func TestHammerWorkOfAWorkqueueNeverRunsTwiceAtOnce(t *testing.T) {
	const goroutines = 8
	rounds := 3_000
	if *long {
		rounds = 1_000_000
	}
	q := newWorkqueue(t, 4)
	var running atomic.Int32
	var runs, queued atomic.Int64
	plain := 0 // the race detector sees two runs that are not ordered
	k := kthread.Work{Func: func() {
		if running.Add(1) != 1 {
			t.Error("two at once")
		}
		plain++
		runs.Add(1)
		running.Add(-1)
	}}
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for runs.Load() < int64(rounds) {
				if q.Enqueue(&k) {
					queued.Add(1)
				} else {
					runtime.Gosched()
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, q.Flush(t.Context()))
	require.Equal(t, queued.Load(), runs.Load())
	require.EqualValues(t, queued.Load(), plain)
	t.Logf("%d runs", plain)
}

// Many works are queued, delayed, moved, flushed and cancelled at once, while the threads
// come and go. Each request is one run or one cancel.
func TestHammerWorkqueue(t *testing.T) {
	q := newWorkqueue(t, 3)
	var requests, runs, active atomic.Int64
	works := make([]kthread.DelayedWork, 5)
	for i := range works {
		var self atomic.Bool
		works[i].Func = func() {
			if self.Swap(true) {
				t.Error("two at once")
			}
			if active.Add(1) > 3 {
				t.Error("more than three")
			}
			runs.Add(1)
			active.Add(-1)
			self.Store(false)
		}
	}
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			for i := range 1500 {
				d := &works[(g+i)%len(works)]
				switch (g*7 + i) % 6 {
				case 0:
					if wasPending, err := d.CancelSync(context.Background()); err != nil {
						t.Error(err)
					} else if wasPending {
						requests.Add(-1)
					}
				case 1:
					if err := d.Flush(context.Background()); err != nil {
						t.Error(err)
					}
				case 2:
					if err := q.Flush(context.Background()); err != nil {
						t.Error(err)
					}
				case 3:
					if q.EnqueueAfter(d, time.Duration(i%3)) {
						requests.Add(1)
					}
				case 4:
					q.Cull()
				default:
					if !q.ModDelayed(d, time.Duration(i%2)) {
						requests.Add(1)
					}
				}
			}
		})
	}
	all.Wait()
	for i := range works {
		if wasPending, _ := works[i].CancelSync(context.Background()); wasPending {
			requests.Add(-1)
		}
	}
	require.NoError(t, q.Destroy(t.Context()))
	require.Equal(t, requests.Load(), runs.Load())
}

// Enqueue races with AskStop. A work that was taken has run, or it was dropped.
func TestHammerAskStopAndEnqueue(t *testing.T) {
	for range 300 {
		q := kthread.AllocWorkqueue("test", 2)
		works := make([]kthread.Work, 8)
		var ran, taken atomic.Int64
		var all sync.WaitGroup
		for i := range works {
			works[i].Func = func() { ran.Add(1) }
			all.Go(func() {
				if q.Enqueue(&works[i]) {
					taken.Add(1)
				}
			})
		}
		all.Go(func() { q.AskStop(nil) })
		all.Wait()
		err := q.Destroy(t.Context())
		require.LessOrEqual(t, ran.Load(), taken.Load())
		require.Equal(t, ran.Load() < taken.Load(), errors.Is(err, kthread.ErrStopped), "%v", err)
		for i := range works {
			require.True(t, !works[i].Pending())
		}
	}
}
