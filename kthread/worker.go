package kthread

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

var errWorkerGone = &failure{"the worker is gone", syscall.ESRCH}

// A Worker is a thread that runs works, one at a time, in the order in which
// they were queued. Make it with [CreateWorker] or [RunWorker].
//
// Stopping its thread drops the works that have not begun; [Worker.Destroy]
// runs them first. Parking it holds them back. Works that are queued when the
// worker is gone are refused.
//
// Kernel: struct kthread_worker
//
// Differs: its thread can be parked; kthread_worker_fn never looks for a park.
type Worker struct {
	thread *Thread
	queue  waitqueue.Queue

	mu      sync.Mutex
	works   list.List // of *Work, the pending works and the barriers; guarded by mu
	current *Work     // whose function runs; guarded by mu
	gone    bool      // guarded by mu
	timers  timers    // that are armed; guarded by mu
	// Lock order: mu before the queue's and the thread's.

	// Invariant: while no work runs, the first of works is not a barrier.
	// A barrier there waits for nothing, and a worker that parks would keep it.
}

// A Work is a function that a [Worker] runs once each time it is queued. It is
// pending from then until its run begins, and can be queued again while it runs.
// It never runs twice at once. Set Func and leave the rest zero. A Work must not
// be copied after first use.
//
// A Work belongs to the worker that it was first queued on. Using it with
// another one panics.
//
// Kernel: struct kthread_work, DEFINE_KTHREAD_WORK, kthread_init_work
//
// Differs: kthread_init_work: lets go of the worker; here a new Work is made.
//
// Differs: struct kthread_work: may go to a second worker, with a warning, and run there at the same time. Here that panics.
type Work struct {
	_ sync.Mutex // has vet report copies

	// Func is the function that the worker runs. It may queue works, its own
	// too. [Worker.Current] is its view of the worker's thread: with it the
	// work sees that a stop is asked. If Func panics, the program ends, as with
	// any goroutine.
	//
	// Kernel: kthread_work_func_t
	//
	// Differs: gets no argument, as a closure has its data.
	Func func()

	worker  atomic.Pointer[Worker] // set once
	pending *list.Element          // in worker.works, or nil; guarded by worker.mu
	cancels int                    // how many CancelSync wait for its end; guarded by worker.mu

	// Of a barrier, which is a work that only marks a place.
	barrier *reply // the answer for the goroutine that waits until its turn comes
	unblock func() // if not nil, called with worker.mu held when the wait is over
}

// CreateWorker makes a worker whose thread does not run yet. The first work
// that is queued starts it, as in the kernel since Linux 6.14. Before that,
// kthread_create_worker started the thread, as [RunWorker] does.
//
// Kernel: kthread_create_worker
//
// Differs: cannot fail, as Create.
func CreateWorker(name string) *Worker {
	w := &Worker{queue: waitqueue.Queue{Name: "worker"}}
	w.thread = Create(name, w.main)
	w.thread.atExit = w.exit
	return w
}

// RunWorker makes a worker and lets its thread run.
//
// Kernel: kthread_run_worker
//
// Differs: cannot fail, as Create.
func RunWorker(name string) *Worker {
	w := CreateWorker(name)
	w.thread.WakeUp()
	return w
}

// Thread returns the thread of the worker, to park or stop it.
//
// Kernel: kthread_worker.task
func (w *Worker) Thread() *Thread { return w.thread }

// Current returns the worker's thread as its works see it. With it, a work asks
// [Current.ShouldStop], sleeps until a stop is asked, or passes on a context that
// ends then:
//
//	work.Func = func() { fetch(worker.Current().Context()) }
//
// Only a work of this worker may use it, and only while it runs.
//
// A signal that a work has allowed stays pending from one work to the next. When
// the worker has no work to run, it drops the pending signals.
//
// Kernel: current, in a work
//
// Differs: an idle worker drops its signals; kthread_worker_fn keeps a pending signal, and never sleeps with it.
func (w *Worker) Current() *Current { return &w.thread.cur }

// main runs works until the thread is asked to stop.
//
// Kernel: kthread_worker_fn
func (w *Worker) main(cur *Current) error {
	var k *Work
	due := func() bool {
		if cur.ShouldStop() || cur.ShouldPark() {
			return true
		}
		k = w.next()
		return k != nil
	}
	for {
		k = nil
		_ = cur.Wait(&w.queue, due) // a stop makes due true
		switch {
		case k != nil:
			k.Func()
			w.finished()
		case cur.ShouldStop():
			return nil
		default:
			cur.Flush() // a signal that no work took would end every wait at once
			cur.ParkMe()
		}
	}
}

// next takes the first work and makes it the current one.
func (w *Worker) next() *Work {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.works.Front()
	if first == nil {
		return nil
	}
	w.current = first.Value.(*Work)
	w.remove(w.current)
	return w.current
}

func (w *Worker) finished() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current = nil
	w.settle()
}

// settle answers the barriers that have no work before them. The caller holds
// w.mu.
func (w *Worker) settle() {
	for e := w.works.Front(); e != nil && w.current == nil; e = w.works.Front() {
		b := e.Value.(*Work)
		if b.barrier == nil {
			return
		}
		w.remove(b)
		b.barrier.answer(nil)
	}
}

// exit drops the pending works, so that no caller waits for them. A barrier at
// the front waits for nothing: its answer is nil. A barrier behind a dropped work
// gets an error. A work that called Goexit leaves barriers at the front. A timer
// that went on would keep its work alive, and all that the work refers to.
func (w *Worker) exit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	w.current = nil
	w.settle()
	for timer := range w.timers {
		timer.Stop() // see disarm
	}
	w.timers = nil
	for e := w.works.Front(); e != nil; e = w.works.Front() {
		k := e.Value.(*Work)
		w.remove(k)
		if k.barrier != nil {
			k.barrier.answer(errWorkerGone)
		}
	}
}

// remove takes a pending work or a barrier off. The caller holds w.mu.
func (w *Worker) remove(k *Work) {
	w.works.Remove(k.pending)
	k.pending = nil
}

// drop takes a pending work off, and leaves no barrier at the front. The caller
// holds w.mu.
func (w *Worker) drop(k *Work) {
	w.remove(k)
	w.settle()
}

// own binds a work of no worker to w, unless that is gone. It reports whether the
// work belongs to w, whose lock guards it then. It panics if the work belongs to
// another worker. The caller holds w.mu.
func (w *Worker) own(k *Work) bool {
	if k.Func == nil {
		panic("kthread: a work needs a function")
	}
	if !w.gone {
		k.worker.CompareAndSwap(nil, w)
	}
	owner := k.worker.Load()
	if owner != nil && owner != w {
		panic("kthread: a work can be used with one worker only")
	}
	return owner == w
}

// Queue has the worker run k, behind the works that are pending already. It
// reports whether it did. It returns false if k is pending, if a
// [Work.CancelSync] waits for its end, or if the worker is gone. It does not
// block. The work sees everything that happened before the call, also if the
// call returns false because k is pending.
//
// Kernel: kthread_queue_work
//
// Differs: a stopped worker refuses works. There it takes them and never runs them, and a flush of them hangs.
func (w *Worker) Queue(k *Work) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.own(k) || !w.free(k) {
		return false
	}
	k.pending = w.works.PushBack(k)
	w.wakeUp()
	return true
}

// wakeUp has the thread look for works. It may not have run yet.
func (w *Worker) wakeUp() {
	w.queue.WakeUp()
	if !w.thread.begun.Load() {
		w.thread.WakeUp()
	}
}

// free reports whether k can be queued. The caller holds w.mu.
func (w *Worker) free(k *Work) bool { return !w.gone && k.pending == nil && k.cancels == 0 }

// Flush waits until all works have run that are pending or running now. It does
// not wait for works that are queued later. A worker that is asked to park ends
// its run first. If no work is pending then, Flush returns. Otherwise it waits for
// the Unpark.
//
// The error matches:
//
//   - [syscall.EDEADLK] if a work of this worker calls, and there is anything to
//     wait for: it would wait for itself, so Flush returns at once;
//   - [syscall.ESRCH] if the worker is stopped before all works have run;
//   - the errors of [Thread.Wait] if ctx ends.
//
// Kernel: kthread_flush_worker
//
// Differs: the kernel waits for itself for ever.
func (w *Worker) Flush(ctx context.Context) error {
	return w.wait(ctx, func(b *Work) *list.Element {
		if w.current == nil && w.works.Len() == 0 {
			return nil
		}
		return w.works.PushBack(b)
	})
}

// Flush waits until k has run, if it is pending, or until its run is over. If k
// is neither, it returns at once. It does not wait for later works, nor for later
// runs of a work that queues itself. The errors are as for [Worker.Flush].
//
// Kernel: kthread_flush_work
//
// Differs: the kernel waits for itself for ever.
func (k *Work) Flush(ctx context.Context) error {
	w := k.worker.Load()
	if w == nil {
		return nil
	}
	return w.wait(ctx, func(b *Work) *list.Element { return w.behind(k, b) })
}

// behind puts b where its turn comes when k has run. The caller holds w.mu.
func (w *Worker) behind(k, b *Work) *list.Element {
	switch {
	case k.pending != nil:
		return w.works.InsertAfter(b, k.pending)
	case w.current == k:
		return w.works.PushFront(b)
	}
	return nil
}

// CancelSync sees to it that k is neither pending nor running. It takes k off
// the works that are pending, and reports whether it was one, and waits for the
// end of a run. Until then k cannot be queued, so a work that queues itself
// comes to its end. Afterwards it can be queued again.
//
// If the work itself calls, it is taken off, and the error matches
// [syscall.EDEADLK]. If ctx ends before the run does, the error is as for
// [Thread.Wait], and k can be queued again.
//
// Kernel: kthread_cancel_work_sync
//
// Differs: the kernel waits for itself for ever.
func (k *Work) CancelSync(ctx context.Context) (wasPending bool, err error) {
	w := k.worker.Load()
	if w == nil {
		return false, nil
	}
	err = w.wait(ctx, func(b *Work) *list.Element {
		if wasPending = k.pending != nil; wasPending {
			w.drop(k)
		}
		return w.block(k, b)
	})
	return wasPending, err
}

// block has b wait for the end of k's run, if it runs. Until b has an answer or
// is given up, k cannot be queued: a work that queues itself would never end. The
// caller holds w.mu.
func (w *Worker) block(k, b *Work) *list.Element {
	if w.current != k {
		return nil
	}
	k.cancels++
	b.unblock = func() { k.cancels-- }
	return w.works.PushFront(b)
}

// wait has place put a barrier where its turn comes when the wait is over, and
// waits for the answer. place returns nil if there is nothing to wait for. It is
// called with w.mu held.
func (w *Worker) wait(ctx context.Context, place func(barrier *Work) *list.Element) error {
	r := newReply()
	b := &Work{barrier: r}
	inside := w.isCaller()
	w.mu.Lock()
	b.pending = place(b)
	if b.pending == nil {
		w.mu.Unlock()
		return nil
	}
	if inside {
		w.remove(b)
		w.unblock(b)
		w.mu.Unlock()
		return errDeadlock
	}
	w.mu.Unlock()
	err := r.wait(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.pending != nil { // given up
		w.remove(b)
	}
	w.unblock(b)
	return err
}

func (w *Worker) unblock(b *Work) {
	if b.unblock != nil {
		b.unblock()
	}
}

// isCaller reports whether a work of this worker called.
func (w *Worker) isCaller() bool {
	w.mu.Lock()
	running := w.current != nil
	w.mu.Unlock()
	return running && w.thread.isCaller()
}

// Destroy waits until all works have run that are pending or running now, and
// then stops the thread. Works that are queued meanwhile may be dropped. Delayed
// works whose time has not come are dropped: cancel these before. A parked worker
// runs nothing, so if works are pending, Destroy waits for an Unpark.
//
// The errors are as from [Worker.Flush] and [Thread.StopContext]. If ctx ends
// before all works have run, or a work of this worker calls, the thread is not
// asked to stop.
//
// Kernel: kthread_destroy_worker
//
// Differs: the kernel waits for itself for ever, and warns of works that remain.
func (w *Worker) Destroy(ctx context.Context) error {
	flushed := w.Flush(ctx)
	if flushed != nil && !errors.Is(flushed, errWorkerGone) {
		return flushed
	}
	stopped := w.thread.StopContext(ctx)
	if errors.Is(stopped, errNeverRan) {
		stopped = nil
	}
	return cmp.Or(flushed, stopped)
}
