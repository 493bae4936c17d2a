package kthread

import (
	"cmp"
	"context"
	"time"
)

// A DelayedWork is a [Work] that is queued some time after that was asked for. Until
// then its timer is armed, which counts as pending. Set Func and leave the rest zero.
// It must not be copied after first use.
//
// Kernel: struct kthread_delayed_work, DEFINE_KTHREAD_DELAYED_WORK, kthread_init_delayed_work, struct delayed_work, DECLARE_DELAYED_WORK, INIT_DELAYED_WORK
//
// Differs: as a Work.
type DelayedWork struct {
	Func func() // as in [Work]; set it before the first use

	work Work

	// All of these are guarded by the pool's mu.
	timer *time.Timer // made at the first use, and used again
	armed bool
	due   time.Time // when the timer fires, if it is armed
}

// Flush is [Work.Flush]. If the time has not come yet, d is queued at once, also
// if the error matches EDEADLK.
//
// Kernel: flush_delayed_work
//
// Differs: kthread workers lack it, and kthread_flush_work on an armed delayed work hangs.
func (d *DelayedWork) Flush(ctx context.Context) error {
	p := d.work.pool.Load()
	if p == nil {
		return nil
	}
	var lost error
	err := p.wait(ctx, func(b *barrier) bool {
		if p.disarm(d) {
			if p.gone {
				lost = p.lost
				return false
			}
			p.push(&d.work)
		}
		return b.behind(&d.work)
	})
	return cmp.Or(lost, err)
}

// CancelSync is [Work.CancelSync]. A timer that is armed counts as pending.
//
// Kernel: kthread_cancel_delayed_work_sync, cancel_delayed_work_sync
//
// Differs: as Work.CancelSync.
func (d *DelayedWork) CancelSync(ctx context.Context) (wasPending bool, err error) {
	p := d.work.pool.Load()
	if p == nil {
		return false, nil
	}
	err = p.wait(ctx, func(b *barrier) bool {
		wasPending = p.takeBack(d)
		p.settle()
		return b.block(&d.work)
	})
	return wasPending, err
}

// enqueueAfter is Worker.EnqueueAfter.
func (p *pool) enqueueAfter(d *DelayedWork, delay time.Duration) bool {
	may := p.enter()
	queued := p.bindDelayed(d, may) && may && !d.armed && p.free(&d.work)
	if queued {
		p.arm(d, delay)
	}
	p.unlock()
	return queued
}

// modDelayed is Worker.ModDelayed.
func (p *pool) modDelayed(d *DelayedWork, delay time.Duration) (wasPending bool) {
	may := p.enter()
	if p.bindDelayed(d, may) {
		if wasPending = d.work.cancels > 0; !wasPending {
			wasPending = p.takeBack(d)
			if (may || wasPending) && p.free(&d.work) {
				p.arm(d, delay)
			}
			p.settle()
		}
	}
	p.unlock()
	return wasPending
}

// bindDelayed is bind.
func (p *pool) bindDelayed(d *DelayedWork, may bool) bool {
	if d.work.Func == nil { // once: a member reads it without the lock
		d.work.Func, d.work.timed = d.Func, d
	}
	return p.bind(&d.work, may)
}

// arm queues d when the delay has passed. The caller holds mu, and d is free.
func (p *pool) arm(d *DelayedWork, delay time.Duration) {
	if delay <= 0 {
		p.push(&d.work)
		return
	}
	d.armed, d.due = true, time.Now().Add(delay)
	p.armed.push(&d.work)
	if d.timer == nil {
		d.timer = time.AfterFunc(delay, d.fire)
	} else {
		d.timer.Reset(delay)
	}
}

// disarm stops the timer, and reports whether it was armed. A pool that is gone has
// stopped all timers. A timer counts as armed until it would have fired. The caller
// holds mu.
func (p *pool) disarm(d *DelayedWork) bool {
	if !d.armed {
		return false
	}
	d.armed = false
	if p.gone {
		return time.Now().Before(d.due)
	}
	d.timer.Stop()
	p.armed.remove(&d.work)
	return true
}

// disarmAll stops all timers. A timer that went on would keep its work alive, and all that
// the work refers to. The caller holds mu.
func (p *pool) disarmAll() {
	for k := p.armed.first; k != nil; k = p.armed.first {
		p.armed.remove(k)
		k.timed.timer.Stop() // see disarm
	}
}

// takeBack makes d not pending, and reports whether it was. The caller holds mu.
func (p *pool) takeBack(d *DelayedWork) bool {
	if d.work.pending() {
		p.drop(&d.work)
		return true
	}
	return p.disarm(d)
}

// fire is the timer's function. A timer that is stopped may fire yet, even when it has
// been armed again. So it counts only if its time has come:
//
//	timer: fire, and wait for mu
//	ModDelayed: stop the timer, arm it for an hour, give up mu
//	timer: it is armed, but not due
func (d *DelayedWork) fire() {
	p := d.work.pool.Load()
	p.mu.Lock()
	if d.armed && !p.gone && !time.Now().Before(d.due) {
		d.armed = false
		p.armed.remove(&d.work)
		if p.free(&d.work) {
			p.push(&d.work)
		}
	}
	p.unlock()
}
