package kthread

import (
	"slices"
	"time"
)

// idleTime is how long a workqueue keeps a thread that has nothing to do. It goes between
// one and two of these after its last work.
//
// Starting a thread takes about a microsecond, so it need not be kept for long. A thread
// that is kept has a stack, and is in the list of Tasks. A work that comes every few
// seconds should find its thread there.
const idleTime = 10 * time.Second

// culling sends idle members away, with one timer for all of them. The pool's mu guards it.
//
// Invariant: since the last tick, the first least members of idle have slept all the time.
// The member that went to sleep last is woken first, so the first ones are left in peace.
type culling struct {
	timer *time.Timer
	ticks bool // the timer is armed
	least int  // the least number of idle members since the last tick
}

// watch has the timer tick while there are idle members. The caller holds mu.
func (p *pool) watch() {
	c := &p.culling
	if c.ticks {
		return
	}
	c.ticks, c.least = true, len(p.idle)
	if c.timer == nil {
		c.timer = time.AfterFunc(idleTime, p.tick)
	} else {
		c.timer.Reset(idleTime)
	}
}

// tick is the timer's function. It may come when the workqueue has ended.
func (p *pool) tick() {
	p.mu.Lock()
	p.dismiss(min(p.culling.least, len(p.idle)))
	p.culling.ticks = false
	if len(p.idle) > 0 {
		p.watch()
	}
	p.unlock()
}

// dismiss has the first n idle members leave. The caller holds mu.
func (p *pool) dismiss(n int) {
	leaving := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	for _, m := range leaving {
		m.asleep, m.leaving = false, true
		if p.woken == m {
			p.woken = nil // or the work that it was woken for would wait for it
		}
	}
	p.later = func() {
		for _, m := range leaving {
			m.thread.WakeUp()
		}
	}
}
