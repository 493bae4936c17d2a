package kthread

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/internal/watch"
	"github.com/kprim/kprim/waitqueue"
)

// A pool is the common part of a [Worker] and a [Workqueue]: works that are pending,
// and the threads that run them. A worker has one thread, from the start to
// the end. A workqueue has at most max, which come and go.
type pool struct {
	// Optimization: the fields that each Enqueue and each run need come first, so that they
	// share a line of the cache.
	mu       sync.Mutex // guards all of the pool but the last part
	works    worklist   // pending, in the order of their numbers
	last     uint64     // the number of the work that was queued last
	woken    *member    // the member of idle that was woken, and has not looked for works yet
	later    func()     // to be called when mu is given up, or nil
	draining int32      // how many Drain wait: works from outside are refused
	closing  bool       // a Destroy was called: likewise, and the pool ends when it has no works
	gone     bool       // refuses works for ever

	idle    []*member // that sleep for lack of works; the last one went to sleep last
	members []*member
	flushes barriers // that wait for all works up to a number, which ascend
	drains  barriers // that wait until there are no works
	armed   worklist // of delayed works whose time has not come
	lost    error    // for a caller that waits for a work that is dropped; stays when gone is set
	losses  bool     // pending works were dropped when gone was set
	culling culling
	// Lock order: mu before the threads' own.

	// Written before the pool is shared.
	owner fmt.Stringer
	max   int             // of members
	grow  func() *member  // makes a member, or nil if they do not come and go
	end   func()          // of a workqueue, called once when it has ended, without mu
	sleep waitqueue.State // of an idle member
	wchan string          // where an idle member is shown to sleep
}

// A member is a thread of a pool. The pool's mu guards all but pool and thread.
type member struct {
	pool   *pool
	thread *Thread

	work    *Work     // that it runs, or nil
	number  uint64    // of that run
	again   *Work     // that it runs next, because it runs it now; or nil
	waiters *barriers // that wait for the end of its run
	waits   *barrier  // with which its work waits for others of the pool, or nil
	asleep  bool      // in idle
	leaving bool      // asked to leave
}

// loop runs works until the thread is asked to stop.
//
// Kernel: kthread_worker_fn, worker_thread
func (m *member) loop(cur *Current) error {
	for {
		k, over := m.pool.next(m)
		switch {
		case over:
			return nil
		case k != nil:
			k.Func()
		default:
			m.rest(cur)
		}
	}
}

// rest sleeps until there is work, or the thread is asked to do something else.
// next has announced the sleep.
func (m *member) rest(cur *Current) {
	task := &cur.t.task
	if !cur.ShouldPark() && !task.Interrupted() {
		task.Schedule()
		return
	}
	task.SetState(waitqueue.Running)
	cur.Flush() // a signal that no work took would end every sleep at once
	cur.ParkMe()
}

// next ends the run of m and returns the work that m runs now. If there is none,
// it announces the sleep of m.
//
// Optimization: all of that takes the lock once for each work, and once for a sleep.
//
// The sleep is announced with the lock held. Otherwise a work could come between:
//
//	member: there is no work
//	another: queue one, wake the member, which does not sleep
//	member: announce the sleep, and sleep
func (p *pool) next(m *member) (k *Work, over bool) {
	p.mu.Lock()
	if m.asleep {
		p.arrive(m)
	}
	if m.work != nil {
		p.finish(m)
	}
	over = m.thread.stop.Load() != nil || m.leaving || p.gone
	if !over && m.thread.parking.Load() == nil {
		if k = p.take(m); k == nil {
			p.retire(m)
		}
	}
	p.unlock()
	return k, over
}

// retire puts m among the idle ones, and announces its sleep. The caller holds mu.
func (p *pool) retire(m *member) {
	m.asleep = true
	p.idle = append(p.idle, m)
	m.thread.task.SetState(p.sleep)
	watch.Place(&m.thread.task, p.wchan)
	if p.grow != nil {
		p.watch()
	}
}

// arrive takes m off the idle ones. The caller holds mu.
func (p *pool) arrive(m *member) {
	m.asleep = false
	if p.woken == m {
		p.woken = nil
	}
	i := len(p.idle) - 1
	if p.idle[i] != m { // a stray wake-up
		i = slices.Index(p.idle, m)
	}
	p.idle = slices.Delete(p.idle, i, i+1)
	p.culling.least = min(p.culling.least, len(p.idle))
}

// take has m run a work, and returns it. The caller holds mu.
func (p *pool) take(m *member) *Work {
	k := m.again
	if m.again = nil; k == nil {
		if k = p.first(); k == nil {
			return nil
		}
	}
	k.by, m.work = m, k
	m.number, k.number = k.number, 0
	if k.waiters != nil {
		k.waiters.follow(m)
		k.waiters, m.waiters = nil, k.waiters
	}
	if on := watch.On(); on != nil {
		on.WorkBegins(&m.thread.task, m.number, k.Func)
	}
	return k
}

// first takes off the first work that does not run. A work must not run twice at once. So a
// pending work that runs is set aside. The member that runs it runs it again.
//
// Kernel: find_worker_executing_work
func (p *pool) first() *Work {
	for k := p.works.first; k != nil; k = p.works.first {
		p.works.remove(k)
		if k.by == nil {
			return k
		}
		k.by.again = k
	}
	return nil
}

// finish ends the run of m. The caller holds mu.
func (p *pool) finish(m *member) {
	if on := watch.On(); on != nil {
		on.WorkEnds(&m.thread.task, m.number, m.work.Func)
	}
	m.work.by, m.work = nil, nil
	if m.waiters != nil {
		m.waiters.answer(nil)
		m.waiters = nil
	}
	p.settle()
}

// none is above the numbers of all works.
const none = math.MaxUint64

// oldest returns the least number of the works that are pending or run, or none. The
// caller holds mu.
func (p *pool) oldest() uint64 {
	oldest := uint64(none)
	if k := p.works.first; k != nil {
		oldest = k.number
	}
	for _, m := range p.members {
		if m.work != nil {
			oldest = min(oldest, m.number)
		}
		if m.again != nil {
			oldest = min(oldest, m.again.number)
		}
	}
	return oldest
}

// unlock gives up mu. If works are pending, it wakes the idle member that went to sleep
// last, as its stack and its cache are the warmest.
//
// Optimization: it wakes no second member until the first one has looked for works.
// So many works that come together cost one wake-up. A member that has taken one
// wakes the next, if more are pending.
func (p *pool) unlock() {
	m, later := p.helper(), p.later
	if later != nil {
		p.later = nil
	}
	p.mu.Unlock()
	if m == nil && later == nil {
		return
	}
	point.At("pool is changed", p.owner)
	if m != nil {
		m.thread.WakeUp()
	}
	if later != nil {
		later()
	}
}

// helper returns the member to wake, or nil. The caller holds mu.
func (p *pool) helper() *member {
	if p.works.first == nil || p.woken != nil {
		return nil
	}
	if len(p.idle) == 0 {
		if p.grow == nil || len(p.members) == p.max {
			return nil
		}
		p.join(p.grow())
	}
	p.woken = p.idle[len(p.idle)-1]
	return p.woken
}

// join adds a member that does not run yet. The caller holds mu.
func (p *pool) join(m *member) {
	m.asleep = true
	p.members = append(p.members, m)
	p.idle = append(p.idle, m)
}

// depart takes a member off whose thread is at its end. If its work has called Goexit, the
// run is over, and another member runs the work that was set aside. The caller holds mu.
func (p *pool) depart(m *member) {
	if k := m.again; k != nil {
		m.again = nil
		p.works.insert(k)
	}
	if m.work != nil {
		p.finish(m)
	}
	p.members = slices.DeleteFunc(p.members, func(o *member) bool { return o == m })
}

// enter takes mu, and reports whether the caller may queue works. While p drains, only a
// work of p may.
func (p *pool) enter() bool {
	p.mu.Lock()
	if p.draining == 0 && !p.closing {
		return true
	}
	p.mu.Unlock()
	chained := p.caller() != nil // if so it runs, and the drain cannot end meanwhile
	p.mu.Lock()
	return chained || p.draining == 0 && !p.closing
}

// enqueue is Worker.Enqueue.
func (p *pool) enqueue(k *Work) bool {
	may := p.enter()
	queued := p.bind(k, may) && may && p.free(k)
	if queued {
		p.push(k)
	}
	p.unlock()
	return queued
}

// push makes k pending. The caller holds mu, and k is free.
func (p *pool) push(k *Work) {
	p.last++
	k.number = p.last
	p.works.push(k)
}

// free reports whether k can be queued. The caller holds mu.
func (p *pool) free(k *Work) bool { return !p.gone && k.number == 0 && k.cancels == 0 }

// bind gives a work of no pool to p, if the caller may queue it. It reports whether the
// work belongs to p, whose lock guards it then. The caller holds mu. If the work belongs to
// another pool, bind gives up mu and panics.
func (p *pool) bind(k *Work, may bool) bool {
	if k.pool.Load() == p {
		return true
	}
	if k.Func == nil {
		p.mu.Unlock()
		panic("kthread: a work needs a function")
	}
	if p.owner == nil {
		p.mu.Unlock()
		p.made()
	}
	if may && !p.gone {
		k.pool.CompareAndSwap(nil, p)
	}
	owner := k.pool.Load()
	if owner != nil && owner != p {
		p.mu.Unlock()
		panic("kthread: a work can be used with one worker or workqueue only")
	}
	return owner == p
}

// made panics if p is a part of a zero Worker or Workqueue.
func (p *pool) made() {
	if p.owner == nil {
		panic("kthread: a worker or workqueue must be made by its function")
	}
}

// drop takes a pending work off. The caller holds mu, and calls settle.
func (p *pool) drop(k *Work) {
	turn := k.number
	p.unlink(k)
	if k.waiters != nil {
		p.strand(k, turn)
	}
}

// unlink makes a pending work not pending. The caller holds mu.
func (p *pool) unlink(k *Work) {
	if k.by != nil && k.by.again == k {
		k.by.again = nil
	} else {
		p.works.remove(k)
	}
	k.number = 0
}

// strand has the barriers of a pending work that was taken off wait until its turn would
// have come, as in a worker of the kernel. With several members they would wait for works
// that have nothing to do with theirs, and these may wait for them. So they get their answer
// at once. The caller holds mu.
func (p *pool) strand(k *Work, turn uint64) {
	waiters := k.waiters
	k.waiters = nil
	for _, b := range waiters.all {
		b.of, b.set = nil, nil
		if p.max > 1 || !p.flush(b, turn) {
			b.answer(nil)
		}
	}
}

// clear drops the pending works and the timers, and has p refuse works from now on. A
// barrier that waits for a dropped work gets an error. The others go on waiting for the
// runs that are not over. The caller holds mu.
func (p *pool) clear() {
	p.gone = true
	p.disarmAll()
	for _, m := range p.members {
		if m.again != nil {
			p.works.insert(m.again)
			m.again = nil
		}
	}
	k := p.works.first
	if k == nil {
		return
	}
	p.losses = true
	p.flushes.cut(k.number, p.lost)
	p.drains.answer(p.lost)
	for ; k != nil; k = p.works.first {
		p.unlink(k)
		k.waiters.answer(p.lost)
		k.waiters = nil
	}
}

// dropped returns the error of the works that were dropped when p ended, or nil if there
// was none.
func (p *pool) dropped() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.losses {
		return nil
	}
	return p.lost
}

// wchan returns the place where m sleeps for lack of works, or "".
func (m *member) wchan() string {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	if !m.asleep || m.thread.task.State() != m.pool.sleep {
		return ""
	}
	return m.pool.wchan
}
