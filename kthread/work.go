package kthread

import (
	"context"
	"sync"
	"sync/atomic"
)

// A Work is a function that a [Worker] or a [Workqueue] runs once each time it is
// queued. It is pending from then until its run begins, and can be queued again
// while it runs. It never runs twice at once. Set Func and leave the rest zero. A
// Work must not be copied after first use.
//
// A Work belongs to the worker or the workqueue that it was first queued on. Using
// it with another one panics.
//
// Kernel: struct kthread_work, DEFINE_KTHREAD_WORK, kthread_init_work, struct work_struct, DECLARE_WORK, INIT_WORK
//
// Differs: kthread_init_work: lets go of the worker; here a new Work is made.
//
// Differs: struct kthread_work: may go to a second worker, with a warning, and run there at the same time. Here that panics.
//
// Differs: struct work_struct, DECLARE_WORK, INIT_WORK: may go from one workqueue to another. Here that panics.
type Work struct {
	_ [0]sync.Mutex // has vet report copies

	// Func is the function that is run. It may queue works, its own too. In a
	// worker, [Worker.Current] is its view of the worker's thread: with it the
	// work sees that a stop is asked. If Func panics, the program ends, as with
	// any goroutine.
	//
	// Kernel: kthread_work_func_t, work_func_t
	//
	// Differs: gets no argument, as a closure has its data.
	Func func()

	pool atomic.Pointer[pool] // that it belongs to; set once

	// All of these are guarded by the pool's mu.
	next, prev *Work
	number     uint64       // of the pending run, or 0; each Enqueue of the pool takes the next one
	by         *member      // that runs it, or nil
	waiters    *barriers    // that wait for the pending run
	cancels    int          // how many CancelSync wait for its end
	timed      *DelayedWork // that it is a part of, or nil
}

// pending reports whether k is on the pool's works, or set aside. The caller holds the
// pool's mu.
func (k *Work) pending() bool { return k.number != 0 }

// Flush waits until k has run, if it is pending, or until its run is over. If k
// is neither, it returns at once. It does not wait for later works, nor for later
// runs of a work that queues itself. The errors are as for [Worker.Flush].
//
// In a workqueue, a work may flush another work. The error matches [syscall.EDEADLK] if
// the other work waits for it, or if no thread would be left to run the other work: see
// [Workqueue].
//
// Kernel: kthread_flush_work, flush_work
//
// Differs: the kernel waits for itself for ever.
func (k *Work) Flush(ctx context.Context) error {
	p := k.pool.Load()
	if p == nil {
		return nil
	}
	return p.wait(ctx, func(b *barrier) bool { return b.behind(k) })
}

// CancelSync makes sure that k is neither pending nor running. It takes k off
// the works that are pending, and reports whether it was one, and waits for the
// end of a run. Until then k cannot be queued, so a work that queues itself
// comes to its end. Afterwards it can be queued again.
//
// If the work itself calls, or a work for which it waits, it is taken off, and the error
// matches [syscall.EDEADLK]. If ctx ends before the run does, the error is as for
// [Thread.Wait], and k can be queued again.
//
// Kernel: kthread_cancel_work_sync, cancel_work_sync
//
// Differs: the kernel waits for itself for ever.
func (k *Work) CancelSync(ctx context.Context) (wasPending bool, err error) {
	p := k.pool.Load()
	if p == nil {
		return false, nil
	}
	err = p.wait(ctx, func(b *barrier) bool {
		if wasPending = k.pending(); wasPending {
			p.drop(k)
			p.settle()
		}
		return b.block(k)
	})
	return wasPending, err
}
