package kthread

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
)

var errWorkqueueGone = &failure{"the workqueue is gone", syscall.ESRCH}

// maxActiveDefault is the number of works that run at once if none is given.
//
// Kernel: WQ_DFL_ACTIVE
const maxActiveDefault = 1024

// A Workqueue runs works on several threads, which come when there is work and go when
// there is none. Make it with [AllocWorkqueue]. Its methods may be called by any
// goroutine.
//
//   - At most maxActive works run at once. They begin in the order in which they were
//     queued.
//   - A work never runs twice at once. A work that is queued while it runs, runs again
//     afterwards. Meanwhile the later works overtake it.
//   - With a maxActive of 1, the works run one after the other, in their order.
//
// Its threads are in [Tasks], with names as "kworker/mail" for the workqueue mail. An idle
// one has the state [waitqueue.Idle]. It goes after 10 to 20 seconds without work. So a
// workqueue without works that the program drops leaves no goroutine behind, also without
// a [Workqueue.Destroy].
//
// A work may call [runtime.Goexit]. It ends the run and the thread, and another thread
// takes its place. A work that panics ends the program.
//
// A work that waits for works of its own workqueue gets an error that matches
// [syscall.EDEADLK] if:
//
//   - it flushes, drains or destroys the workqueue, which would wait for this work;
//   - it flushes or cancels itself;
//   - it waits for a work that waits for it, directly or through others;
//   - all other threads that the workqueue may have wait for its works already. With a
//     maxActive of 1 that is any wait for a pending work.
//
// A deadlock that goes through a channel, a mutex, a goroutine of the work, or a second
// workqueue is not noticed.
//
// In a bubble of testing/synctest, make the workqueue there, and destroy it there.
//
// Kernel: struct workqueue_struct
//
// Differs: has threads of its own. In the kernel, workqueues share pools of threads.
//
// Differs: an idle thread goes after 10 to 20 seconds, and there after 300; there a few stay.
type Workqueue struct {
	pool   pool
	name   string
	ctx    context.Context
	cancel context.CancelCauseFunc
	reason error         // the cause that ends ctx; guarded by the pool's mu
	ties   []func() bool // each ends one StopWith; guarded likewise
}

// AllocWorkqueue makes a workqueue that runs at most maxActive works at once. A maxActive
// of 0 stands for 1,024. It panics if maxActive is negative.
//
// The name is for the threads. It may be empty. It starts no thread.
//
// Kernel: alloc_workqueue, alloc_ordered_workqueue
//
// Differs: alloc_workqueue: cannot fail. There are no flags: each workqueue is as one with WQ_UNBOUND. The kernel takes the nearest number that it allows, 2,048 at most.
//
// Differs: alloc_ordered_workqueue: cannot fail. It is a maxActive of 1.
func AllocWorkqueue(name string, maxActive int) *Workqueue {
	if maxActive < 0 {
		panic(fmt.Sprintf("kthread: a workqueue cannot run %d works at once", maxActive))
	}
	q := &Workqueue{name: name, reason: ErrStopped}
	q.ctx, q.cancel = context.WithCancelCause(labelOf(q.comm()).ctx)
	p := &q.pool
	p.owner, p.max, p.lost = q, cmp.Or(maxActive, maxActiveDefault), errWorkqueueGone
	p.sleep, p.wchan = waitqueue.Idle, "workqueue"
	p.grow, p.end = q.hire, q.ended
	return q
}

// comm is the name of the threads.
func (q *Workqueue) comm() string { return "kworker/" + q.name }

// hire makes a thread that does not run yet. The caller holds the pool's mu.
func (q *Workqueue) hire() *member {
	m := &member{pool: &q.pool}
	m.thread = newThread(q.comm(), m.loop)
	m.thread.member, m.thread.atExit = m, func() { q.exit(m) }
	return m
}

// exit is the end of a thread.
func (q *Workqueue) exit(m *member) {
	p := &q.pool
	p.mu.Lock()
	p.depart(m)
	p.unlock()
}

// Enqueue has a thread run k, behind the works that are pending already. It reports
// whether it did. It returns false if k is pending, if a [Work.CancelSync] waits for
// its end, or if the workqueue refuses works: see [Workqueue.Drain],
// [Workqueue.Destroy] and [Workqueue.AskStop]. It does not block. The work sees
// everything that happened before the call, also if the call returns false because k
// is pending.
//
// The result does not tell a work that is pending from one that is refused. But a workqueue
// refuses works only from a call of Drain, Destroy or AskStop on, or from the end of a context
// of StopWith. If the goroutines that queue works end before that, as before a channel is
// closed, a false has one of two meanings: k is pending, or a CancelSync waits.
//
// Kernel: queue_work, schedule_work
//
// Differs: queue_work: if the workqueue refuses, the kernel warns, returns true, and the work stays pending for ever.
//
// Differs: schedule_work: the kernel has a workqueue for all. Here a program makes its own.
func (q *Workqueue) Enqueue(k *Work) bool { return q.pool.enqueue(k) }

// EnqueueAfter is [Workqueue.Enqueue] after a delay; at once if that is 0 or less. When
// the time has come, the work is pending, also if the workqueue drains then. It returns
// false also if the timer of d is armed. To have d run at once then, use
// [Workqueue.ModDelayed] with a delay of 0.
//
// Kernel: queue_delayed_work, schedule_delayed_work
//
// Differs: as Workqueue.Enqueue. If the time comes while the workqueue drains, the kernel warns, and the work stays pending for ever.
func (q *Workqueue) EnqueueAfter(d *DelayedWork, delay time.Duration) bool {
	return q.pool.enqueueAfter(d, delay)
}

// ModDelayed is EnqueueAfter that replaces an earlier request: d is run after this delay,
// and not after the former. It reports whether d was pending. While a
// [DelayedWork.CancelSync] waits for the end of d, ModDelayed queues nothing and returns
// true. While the workqueue drains, it moves a request, and makes no new one. If the
// workqueue is gone, it takes back a request.
//
// Kernel: mod_delayed_work
//
// Differs: as Workqueue.EnqueueAfter.
func (q *Workqueue) ModDelayed(d *DelayedWork, delay time.Duration) (wasPending bool) {
	return q.pool.modDelayed(d, delay)
}

// Flush waits until all works have run that are pending or running now. It does not wait
// for works that are queued later, nor for delayed works whose time has not come.
//
// The error matches:
//
//   - [syscall.EDEADLK] if a work of this workqueue calls;
//   - [syscall.ESRCH], [ErrStopped], and the reason if there is one, if a stop drops one
//     of the works;
//   - the errors of [Thread.Wait] if ctx ends.
//
// Kernel: flush_workqueue, __flush_workqueue
//
// Differs: the kernel waits for itself for ever, and its wait cannot be ended.
func (q *Workqueue) Flush(ctx context.Context) error {
	p := &q.pool
	return p.wait(ctx, func(b *barrier) bool { return p.flush(b, p.last) })
}

// Drain waits until no work is pending or running. Meanwhile the workqueue takes works
// from its own works only, and refuses all others. It does not wait for delayed works
// whose time has not come. Afterwards the workqueue takes works again. The errors are as
// for [Workqueue.Flush].
//
// Kernel: drain_workqueue
//
// Differs: as Workqueue.Flush.
func (q *Workqueue) Drain(ctx context.Context) error {
	p := &q.pool
	if p.caller() != nil {
		return errDeadlock
	}
	defer func() {
		p.mu.Lock()
		p.draining--
		p.unlock()
	}()
	return p.wait(ctx, func(b *barrier) bool {
		p.draining++
		return p.drain(b)
	})
}

// Destroy drains the workqueue and ends it. It waits until no work is pending or running
// and the threads are gone. From the call on, the workqueue takes works from its own works
// only; in the end it takes none, and its Context ends. Delayed works whose time has not
// come then are dropped: cancel these before. Further calls wait too.
//
// If ctx ends first, the error is as from [Thread.Wait]. The workqueue goes on as after the
// Shutdown of an [net/http.Server]: it takes no new works, and ends by itself after its last
// one. Then call Destroy again to wait on, or [Workqueue.AskStop] to drop the works that
// have not begun.
//
// If a stop has dropped works, the error matches [syscall.ESRCH], [ErrStopped], and the
// reason if there is one. All threads are gone too. The error is the same whether the stop
// comes before this call or during it. If the result is nil, each work has run that the
// workqueue has taken, except those cancelled, and the delayed ones whose time had not come.
//
// If a work of this workqueue calls, the error matches [syscall.EDEADLK], and nothing
// changes.
//
// Kernel: destroy_workqueue
//
// Differs: as Workqueue.Flush.
func (q *Workqueue) Destroy(ctx context.Context) error {
	p := &q.pool
	p.made()
	if p.caller() != nil {
		return errDeadlock
	}
	drained := p.wait(ctx, func(b *barrier) bool {
		p.closing = true
		p.settle()
		return p.drain(b)
	})
	dropped := p.dropped()
	if drained != nil && drained != dropped {
		return drained
	}
	return cmp.Or(q.dispersed(ctx), dropped)
}

// dispersed waits until all threads are gone, and the context has ended.
func (q *Workqueue) dispersed(ctx context.Context) error {
	p := &q.pool
	p.mu.Lock()
	members := slices.Clone(p.members)
	p.mu.Unlock()
	for _, m := range members {
		if err := m.thread.gone.wait(ctx); err != nil {
			return err
		}
	}
	<-q.ctx.Done()
	return nil
}

// AskStop ends the workqueue without waiting. From now on it refuses works. Works that
// have not begun are dropped, and so are delayed works. Its Context ends: the cause matches
// [ErrStopped] and, if there is one, the reason. The works that run go on; they should look
// at the context. [Workqueue.Destroy] waits for them, and tells whether works were dropped.
//
// The reason of the first call counts. If the workqueue has ended already, AskStop does
// nothing.
func (q *Workqueue) AskStop(reason error) {
	stop := stopFor(reason)
	p := &q.pool
	p.made()
	p.mu.Lock()
	if !p.gone {
		q.reason, p.lost = stop, withStop(errWorkqueueGone, stop)
		p.clear()
		p.stop()
	}
	p.unlock()
}

// StopWith ties the workqueue to ctx. When ctx ends, the works that have not begun are
// dropped, as by [Workqueue.AskStop] with [context.Cause] of ctx as the reason. So these two
// lines let works finish until ctx ends:
//
//	q.StopWith(ctx)
//	err := q.Destroy(context.Background())
//
// If ctx has ended already, StopWith asks at once. Otherwise the stop is asked on a goroutine
// of its own, as by [context.AfterFunc]. StopWith does not wait. It may be called with several
// contexts, and the first one that ends counts. When the workqueue has ended, nothing of it is
// left at ctx. Until then ctx keeps the workqueue alive, also one that the program drops.
func (q *Workqueue) StopWith(ctx context.Context) {
	q.pool.made()
	if ctx.Err() != nil {
		q.AskStop(context.Cause(ctx))
		return
	}
	untie := context.AfterFunc(ctx, func() { q.AskStop(context.Cause(ctx)) })
	point.At("tied", q)
	p := &q.pool
	p.mu.Lock()
	gone := p.gone
	if !gone {
		q.ties = append(q.ties, untie)
	}
	p.mu.Unlock()
	if gone { // and its end did not find untie
		untie()
	}
}

// Context returns a context for the works. It ends when the workqueue ends: with the cause
// [ErrStopped] after a Destroy, when the last work has run, and at once with an AskStop.
// It has no values, and the name of the threads as a profiler label.
func (q *Workqueue) Context() context.Context { return q.ctx }

// ended unties the workqueue, which takes no new ties, and ends the context. Destroy returns
// after that.
func (q *Workqueue) ended() {
	for _, untie := range q.ties {
		untie()
	}
	q.ties = nil
	q.cancel(q.reason)
}

// close ends a workqueue that has no works, if that is asked. The caller holds mu.
func (p *pool) close() {
	if p.closing && !p.gone {
		p.clear()
		p.stop()
	}
}

// stop has the idle members leave, and ends the workqueue. The others leave after their
// runs. The caller holds mu.
func (p *pool) stop() {
	if p.culling.timer != nil {
		p.culling.timer.Stop()
	}
	p.dismiss(len(p.idle))
	leave := p.later
	p.later = func() {
		p.end()
		leave()
	}
}

// String returns the name of the workqueue, as in
//
//	workqueue [mail]
func (q *Workqueue) String() string { return "workqueue [" + q.name + "]" }

// Format prints the text of [Workqueue.String] for every verb, as [Thread.Format] does.
func (q *Workqueue) Format(f fmt.State, verb rune) { format(f, verb, q) }

// MarshalText returns the text of [Workqueue.String], for log/slog and encoding/json.
func (q *Workqueue) MarshalText() ([]byte, error) { return []byte(q.String()), nil }
