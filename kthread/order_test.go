package kthread_test

import (
	"context"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
)

// The tests of the memory model write and read a plain variable, which nothing
// orders but the calls that they are about. With -race they fail if the order is
// lost.

func TestOrderOfTheStart(t *testing.T) {
	for name, start := range map[string]func(fn func(*kthread.Current) error) *kthread.Thread{
		"Run": func(fn func(*kthread.Current) error) *kthread.Thread { return kthread.Run("t", fn) },
		"Start": func(fn func(*kthread.Current) error) *kthread.Thread {
			thread, err := kthread.Start(context.Background(), "t", fn)
			require.NoError(t, err)
			return thread
		},
		"WakeUp": func(fn func(*kthread.Current) error) *kthread.Thread {
			thread := kthread.Create("t", fn)
			thread.WakeUp()
			return thread
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, atReady := 0, 0
			before = 1
			thread := start(func(cur *kthread.Current) error {
				atReady = before + 1
				cur.Ready()
				return untilStopped(cur)
			})
			if name == "Start" {
				require.Equal(t, 2, atReady)
			}
			_ = thread.Stop()
		})
	}
}

func TestOrderOfTheEnd(t *testing.T) {
	for name, wait := range map[string]func(*kthread.Thread){
		"Stop":        func(thread *kthread.Thread) { _ = thread.Stop() },
		"Wait":        func(thread *kthread.Thread) { _ = thread.Wait(context.Background()) },
		"Done":        func(thread *kthread.Thread) { <-thread.Done() },
		"Done, later": func(thread *kthread.Thread) { <-later(thread.Done); <-thread.Done() },
		"Stopping":    func(thread *kthread.Thread) { <-thread.Stopping() },
		"Stopping, later": func(thread *kthread.Thread) {
			<-later(thread.Stopping)
			<-thread.Stopping()
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := 0
			thread, err := kthread.Start(t.Context(), "t", func(cur *kthread.Current) error {
				cur.Ready()
				x = 1
				return nil
			})
			require.NoError(t, err)
			wait(thread)
			require.Equal(t, 1, x)
			require.NoError(t, thread.Stop())
		})
	}
}

// later returns a channel that it has asked for after some time.
func later(done func() <-chan struct{}) <-chan struct{} {
	<-time.After(time.Millisecond)
	return done()
}

func TestOrderOfAStop(t *testing.T) {
	for name, ask := range map[string]func(*kthread.Thread){
		"Stop":    func(thread *kthread.Thread) { _ = thread.Stop() },
		"AskStop": func(thread *kthread.Thread) { thread.AskStop(errReason) },
	} {
		t.Run(name, func(t *testing.T) { orderOfAStop(t, ask) })
	}
}

func orderOfAStop(t *testing.T, ask func(*kthread.Thread)) {
	var q waitqueue.Queue
	for name, see := range map[string]func(*kthread.Current){
		"ShouldStop": func(cur *kthread.Current) {
			for !cur.ShouldStop() {
				runtime.Gosched()
			}
		},
		"Wait":    func(cur *kthread.Current) { _ = cur.Wait(&q, func() bool { return false }) },
		"Sleep":   func(cur *kthread.Current) { _ = cur.Sleep(time.Hour) },
		"Context": func(cur *kthread.Current) { <-cur.Context().Done() },
		"Stopping": func(cur *kthread.Current) {
			seen := make(chan bool)
			go func() { <-cur.Thread().Stopping(); close(seen) }()
			<-seen
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := 0
			thread, err := kthread.Start(t.Context(), "t", func(cur *kthread.Current) error {
				cur.Ready()
				see(cur)
				require.Equal(t, 1, x)
				return nil
			})
			require.NoError(t, err)
			x = 1
			ask(thread)
			<-thread.Done()
		})
	}
}

func TestOrderOfAStopByAContext(t *testing.T) {
	x := 0
	ctx, cancel := context.WithCancel(t.Context())
	thread, err := kthread.Start(t.Context(), "t", func(cur *kthread.Current) error {
		cur.Ready()
		for !cur.ShouldStop() {
			runtime.Gosched()
		}
		require.Equal(t, 1, x)
		return nil
	})
	require.NoError(t, err)
	thread.StopWith(ctx)
	x = 1
	cancel()
	<-thread.Done()
}

// A work sees a stop of its workqueue.
func TestOrderOfAStopOfAWorkqueue(t *testing.T) {
	for name, ask := range map[string]func(*kthread.Workqueue){
		"AskStop": func(q *kthread.Workqueue) { q.AskStop(nil) },
		"StopWith": func(q *kthread.Workqueue) {
			ctx, cancel := context.WithCancel(t.Context())
			q.StopWith(ctx)
			cancel()
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, begun, seen := 0, make(chan bool), 0
			q := kthread.AllocWorkqueue("test", 1)
			require.True(t, q.Enqueue(&kthread.Work{Func: func() {
				close(begun)
				<-q.Context().Done()
				seen = x
			}}))
			<-begun
			x = 1
			ask(q)
			require.NoError(t, q.Destroy(t.Context()))
			require.Equal(t, 1, seen)
		})
	}
}

func TestOrderOfASignal(t *testing.T) {
	x := 0
	thread, err := kthread.Start(t.Context(), "t", func(cur *kthread.Current) error {
		_ = cur.Allow(usr1)
		cur.Ready()
		for cur.Dequeue() != usr1 {
			runtime.Gosched()
		}
		require.Equal(t, 1, x)
		return nil
	})
	require.NoError(t, err)
	x = 1
	require.NoError(t, thread.Signal(syscall.Signal(usr1)))
	require.NoError(t, thread.Wait(t.Context()))
}

func TestOrderOfParking(t *testing.T) {
	x := 0
	thread, err := kthread.Start(t.Context(), "t", func(cur *kthread.Current) error {
		cur.Ready()
		for !cur.ShouldPark() {
			runtime.Gosched()
		}
		x = 1
		cur.ParkMe()
		require.Equal(t, 2, x)
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, thread.Park(t.Context()))
	require.Equal(t, 1, x)
	x = 2
	thread.Unpark()
	require.NoError(t, thread.Wait(t.Context()))
}

func TestOrderOfAQueuedWork(t *testing.T) {
	for name, queue := range map[string]func(*kthread.Worker, *kthread.DelayedWork){
		"Enqueue":            func(w *kthread.Worker, d *kthread.DelayedWork) { w.Enqueue(&kthread.Work{Func: d.Func}) },
		"EnqueueAfter":       func(w *kthread.Worker, d *kthread.DelayedWork) { w.EnqueueAfter(d, time.Millisecond) },
		"EnqueueAfter, now":  func(w *kthread.Worker, d *kthread.DelayedWork) { w.EnqueueAfter(d, 0) },
		"ModDelayed":         func(w *kthread.Worker, d *kthread.DelayedWork) { w.ModDelayed(d, time.Millisecond) },
		"ModDelayed, sooner": func(w *kthread.Worker, d *kthread.DelayedWork) { w.EnqueueAfter(d, time.Hour); w.ModDelayed(d, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker(t)
			x, ran := 0, make(chan int)
			d := kthread.DelayedWork{Func: func() { ran <- x }}
			x = 1
			queue(w, &d)
			require.Equal(t, 1, <-ran)
		})
	}
}

// A Queue that finds the work pending orders too.
func TestOrderOfAWorkThatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t)
		require.NoError(t, w.Thread().Park(t.Context()))
		x, ran := 0, make(chan int, 2)
		k := kthread.Work{Func: func() { ran <- x }}
		require.True(t, w.Enqueue(&k))
		time.AfterFunc(time.Second, w.Thread().Unpark) // when this goroutine sleeps
		x = 1
		require.False(t, w.Enqueue(&k))
		require.Equal(t, 1, <-ran)
	})
}

func TestOrderOfTheEndOfARun(t *testing.T) {
	waits := map[string]func(w *kthread.Worker, k *kthread.Work, ctx context.Context) error{
		"Destroy": func(w *kthread.Worker, _ *kthread.Work, ctx context.Context) error { return w.Destroy(ctx) },
		"next run": func(w *kthread.Worker, _ *kthread.Work, ctx context.Context) error {
			return nil
		},
	}
	for name, wait := range waitsForRuns {
		waits[name] = wait
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			w := newWorker(t)
			x, begun, ran := 0, make(chan bool), make(chan int, 1)
			k := kthread.Work{Func: func() { begun <- true; x++ }}
			next := kthread.Work{Func: func() { ran <- x }}
			require.True(t, w.Enqueue(&k))
			require.True(t, w.Enqueue(&next))
			<-begun
			require.NoError(t, wait(w, &k, t.Context()))
			if name != "next run" {
				require.Equal(t, 1, x)
			}
			require.Equal(t, 1, <-ran)
		})
	}
}

// The same in a workqueue, where the next run of the work may have another thread.
func TestOrderOfTheEndOfARunInAWorkqueue(t *testing.T) {
	waits := map[string]func(q *kthread.Workqueue, k *kthread.Work, ctx context.Context) error{
		"Workqueue.Flush": func(q *kthread.Workqueue, _ *kthread.Work, ctx context.Context) error { return q.Flush(ctx) },
		"Work.Flush":      func(_ *kthread.Workqueue, k *kthread.Work, ctx context.Context) error { return k.Flush(ctx) },
		"Drain":           func(q *kthread.Workqueue, _ *kthread.Work, ctx context.Context) error { return q.Drain(ctx) },
		"Destroy":         func(q *kthread.Workqueue, _ *kthread.Work, ctx context.Context) error { return q.Destroy(ctx) },
		"CancelSync": func(_ *kthread.Workqueue, k *kthread.Work, ctx context.Context) error {
			_, err := k.CancelSync(ctx)
			return err
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			q := newWorkqueue(t, 3)
			x, begun := 0, make(chan bool)
			k := kthread.Work{Func: func() { x++; begun <- true; x++ }}
			for i := range 3 { // the runs are in order too
				require.True(t, q.Enqueue(&k))
				<-begun
				if i == 2 {
					break
				}
			}
			require.NoError(t, wait(q, &k, t.Context()))
			require.Equal(t, 6, x)
		})
	}
}
