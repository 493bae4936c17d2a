package kthread

import (
	"container/list"
	"context"
	"time"
)

// A DelayedWork is a [Work] that a worker gets some time after it was asked to
// run it. Until then its timer is armed, which counts as pending. Set Func and
// leave the rest zero. It must not be copied after first use.
//
// Kernel: struct kthread_delayed_work, DEFINE_KTHREAD_DELAYED_WORK, kthread_init_delayed_work
//
// Differs: as a Work.
type DelayedWork struct {
	Func func() // as in [Work]; set it before the first use

	work  Work
	timer *time.Timer // armed, or nil; guarded by the worker's mu
	armed int         // the number of that timer, see fire; guarded likewise
	due   time.Time   // when that timer fires; guarded likewise
}

// QueueDelayed is [Worker.Queue] after a delay; at once if that is 0 or less.
//
// Kernel: kthread_queue_delayed_work
//
// Differs: as Worker.Queue.
func (w *Worker) QueueDelayed(d *DelayedWork, delay time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ownDelayed(d) || d.timer != nil || !w.free(&d.work) {
		return false
	}
	w.arm(d, delay)
	return true
}

// ModDelayed is QueueDelayed that replaces an earlier request: d is run after
// this delay, and not after the former. It reports whether d was pending. While a
// [DelayedWork.CancelSync] waits for the end of d, ModDelayed queues nothing and
// returns true. If the worker is gone, ModDelayed takes back an earlier request, and
// queues nothing.
//
// Kernel: kthread_mod_delayed_work
//
// Differs: as Worker.Queue.
func (w *Worker) ModDelayed(d *DelayedWork, delay time.Duration) (wasPending bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ownDelayed(d) {
		return false
	}
	if d.work.cancels > 0 {
		return true
	}
	wasPending = w.takeBack(d)
	if w.free(&d.work) {
		w.arm(d, delay)
	}
	return wasPending
}

// Flush is [Work.Flush]. If the time has not come yet, d is queued at once, also
// if the error matches EDEADLK.
//
// Kernel: flush_delayed_work
//
// Differs: kthread workers lack it, and kthread_flush_work on an armed delayed work hangs.
func (d *DelayedWork) Flush(ctx context.Context) error {
	w := d.work.worker.Load()
	if w == nil {
		return nil
	}
	gone := false
	err := w.wait(ctx, func(b *Work) *list.Element {
		if w.disarm(d) {
			if gone = w.gone; gone {
				return nil
			}
			w.arm(d, 0)
		}
		return w.behind(&d.work, b)
	})
	if gone {
		return errWorkerGone
	}
	return err
}

// CancelSync is [Work.CancelSync]. A timer that is armed counts as pending.
//
// Kernel: kthread_cancel_delayed_work_sync
//
// Differs: as Work.CancelSync.
func (d *DelayedWork) CancelSync(ctx context.Context) (wasPending bool, err error) {
	w := d.work.worker.Load()
	if w == nil {
		return false, nil
	}
	err = w.wait(ctx, func(b *Work) *list.Element {
		wasPending = w.takeBack(d)
		return w.block(&d.work, b)
	})
	return wasPending, err
}

// ownDelayed is own.
func (w *Worker) ownDelayed(d *DelayedWork) bool {
	if d.work.Func == nil { // once: the worker reads it without the lock
		d.work.Func = d.Func
	}
	return w.own(&d.work)
}

// arm queues d when the delay has passed. The caller holds w.mu, and d is free.
func (w *Worker) arm(d *DelayedWork, delay time.Duration) {
	if delay <= 0 {
		d.work.pending = w.works.PushBack(&d.work)
		w.wakeUp()
		return
	}
	d.armed++
	armed := d.armed
	d.due = time.Now().Add(delay)
	d.timer = time.AfterFunc(delay, func() { w.fire(d, armed) })
	if w.timers == nil {
		w.timers = make(timers)
	}
	w.timers[d.timer] = struct{}{}
}

// timers are the timers of a worker that are armed.
type timers map[*time.Timer]struct{}

// disarm stops the timer, and reports whether it was armed. The exit of the worker
// has stopped all timers. A timer counts as armed until it would have fired. The
// caller holds w.mu.
func (w *Worker) disarm(d *DelayedWork) bool {
	if d.timer == nil {
		return false
	}
	d.timer.Stop()
	delete(w.timers, d.timer)
	d.timer = nil
	return !w.gone || time.Now().Before(d.due)
}

// takeBack makes d not pending, and reports whether it was. The caller holds
// w.mu.
func (w *Worker) takeBack(d *DelayedWork) bool {
	if d.work.pending != nil {
		w.drop(&d.work)
		return true
	}
	return w.disarm(d)
}

// fire is the timer's function. A timer that is stopped may fire yet, even when
// another one has been armed in its place.
func (w *Worker) fire(d *DelayedWork, armed int) {
	w.mu.Lock()
	due := d.timer != nil && d.armed == armed
	if due {
		delete(w.timers, d.timer)
		d.timer = nil
		if due = w.free(&d.work); due {
			d.work.pending = w.works.PushBack(&d.work)
		}
	}
	w.mu.Unlock()
	if due {
		w.wakeUp()
	}
}
