package kthread

import (
	"cmp"
	"context"
	"syscall"
	"time"

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
	pool pool
	self member // the only one
}

// CreateWorker makes a worker whose thread does not run yet. The first work
// that is queued starts it, as in the kernel since Linux 6.14. Before that,
// kthread_create_worker started the thread, as [RunWorker] does.
//
// Kernel: kthread_create_worker
//
// Differs: cannot fail, as Create.
func CreateWorker(name string) *Worker {
	w := new(Worker)
	p, m := &w.pool, &w.self
	p.owner, p.max, p.lost = w, 1, errWorkerGone
	p.sleep, p.wchan = waitqueue.Interruptible, "worker"
	m.pool = p
	p.join(m) // asleep: the first work wakes a thread that has not run
	m.thread = newThread(name, m.loop)
	m.thread.member, m.thread.atExit = m, w.exit
	return w
}

// RunWorker makes a worker and lets its thread run.
//
// Kernel: kthread_run_worker
//
// Differs: cannot fail, as Create.
func RunWorker(name string) *Worker {
	w := CreateWorker(name)
	w.self.thread.WakeUp()
	return w
}

// Thread returns the thread of the worker, to park or stop it.
//
// Kernel: kthread_worker.task
func (w *Worker) Thread() *Thread { return w.self.thread }

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
func (w *Worker) Current() *Current { return &w.self.thread.cur }

// exit drops the pending works, so that no caller waits for them.
func (w *Worker) exit() {
	p := &w.pool
	p.mu.Lock()
	p.depart(&w.self)
	if stop := w.self.thread.stop.Load(); stop != nil { // and no Goexit
		p.lost = withStop(errWorkerGone, stop)
	}
	p.clear()
	p.unlock()
}

// Enqueue has the worker run k, behind the works that are pending already. It
// reports whether it did. It returns false if k is pending, if a
// [Work.CancelSync] waits for its end, or if the worker is gone. It does not
// block. The work sees everything that happened before the call, also if the
// call returns false because k is pending.
//
// After a false, [Thread.Stopping] of the worker's thread tells the reasons apart. If that
// channel is closed, k may never run again. Otherwise k was pending, or a CancelSync waits.
//
// Kernel: kthread_queue_work
//
// Differs: a stopped worker refuses works. There it takes them and never runs them, and a flush of them hangs.
func (w *Worker) Enqueue(k *Work) bool { return w.pool.enqueue(k) }

// EnqueueAfter is [Worker.Enqueue] after a delay; at once if that is 0 or less. It returns
// false also if the timer of d is armed. To have d run at once then, use [Worker.ModDelayed]
// with a delay of 0.
//
// Kernel: kthread_queue_delayed_work
//
// Differs: as Worker.Enqueue.
func (w *Worker) EnqueueAfter(d *DelayedWork, delay time.Duration) bool {
	return w.pool.enqueueAfter(d, delay)
}

// ModDelayed is EnqueueAfter that replaces an earlier request: d is run after
// this delay, and not after the former. It reports whether d was pending. While a
// [DelayedWork.CancelSync] waits for the end of d, ModDelayed queues nothing and
// returns true. If the worker is gone, ModDelayed takes back an earlier request, and
// queues nothing.
//
// Kernel: kthread_mod_delayed_work
//
// Differs: as Worker.Enqueue.
func (w *Worker) ModDelayed(d *DelayedWork, delay time.Duration) (wasPending bool) {
	return w.pool.modDelayed(d, delay)
}

// Flush waits until all works have run that are pending or running now. It does
// not wait for works that are queued later. A worker that is asked to park ends
// its run first. If no work is pending then, Flush returns. Otherwise it waits for
// the Unpark.
//
// The error matches:
//
//   - [syscall.EDEADLK] if a work of this worker calls, and there is anything to
//     wait for: it would wait for itself, so Flush returns at once;
//   - [syscall.ESRCH] if the worker is stopped before all works have run. If AskStop or
//     Stop has asked for it, also [ErrStopped], and the reason if there is one;
//   - the errors of [Thread.Wait] if ctx ends.
//
// Kernel: kthread_flush_worker
//
// Differs: the kernel waits for itself for ever.
func (w *Worker) Flush(ctx context.Context) error {
	p := &w.pool
	return p.wait(ctx, func(b *barrier) bool { return p.flush(b, p.last) })
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
	w.pool.made()
	flushed := w.Flush(ctx)
	if flushed != nil && flushed != w.pool.dropped() {
		return flushed
	}
	stopped := w.self.thread.StopContext(ctx)
	if stopped == error(errNeverRan) { // if AskStop gave a reason, it is another one
		stopped = nil
	}
	return cmp.Or(flushed, stopped)
}
