package waitqueue_test

import (
	"fmt"
	"testing"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// Each of these models has more than a million orders. All of them take a minute and more.

func preemptions() int {
	if timeIsShort() {
		return 2
	}
	return 3
}

// A Broadcast comes while three waiters are on their way to sleep. Each of them finds the
// door open, or the Broadcast reaches it. A fails only if its context ends before that.
func TestBoundedBroadcastAndCancel(t *testing.T) {
	bounded.Bounded(t, preemptions(), "", func(m *explore.Model) {
		d := door{c: waitqueue.NewCond(m.NewLock())}
		a, b, c := newWaiter(m, "ctx"), newWaiter(m, "background"), newWaiter(m, "ctx")
		// A stops in its test too, so that its context may end there. The others test and go
		// to sleep in one step, with the lock.
		m.Go("A", func(th *explore.Thread) { d.wait(a, th.Test(d.isOpen)) })
		m.Go("B", func(*explore.Thread) { d.wait(b, d.isOpen) })
		m.Go("C", func(*explore.Thread) { d.wait(c, d.isOpen) })
		m.Go("opener", func(th *explore.Thread) {
			th.Step("open")
			d.openIt()
		})
		endedFirst := false
		m.Go("canceller", func(th *explore.Thread) {
			th.Step("end A")
			endedFirst = !d.open
			a.end()
		})
		m.Check(func() error {
			if a.err != nil && !endedFirst || b.err != nil || c.err != nil || d.c.Active() {
				return fmt.Errorf("A: %v, B: %v, C: %v, somebody is left: %t", a.err, b.err, c.err, d.c.Active())
			}
			return nil
		})
	})
}

// A door is opened once, for all waiters.
type door struct {
	c    *waitqueue.Cond
	open bool // guarded by c.L
}

func (d *door) isOpen() bool { return d.open }

func (d *door) openIt() {
	d.c.L.Lock()
	d.open = true
	d.c.L.Unlock()
	d.c.Broadcast()
}

func (d *door) wait(w *waiter, cond func() bool) {
	d.c.L.Lock()
	defer d.c.L.Unlock()
	w.err = d.c.WaitFor(w.ctx, cond)
}

// Two exclusive waiters hold a lock when they test. If the wait of A is ended, B gets the token.
func TestBoundedWaitExclusiveLocked(t *testing.T) {
	bounded.Bounded(t, preemptions(), "sampled, tested, commit, awake, unpark", func(m *explore.Model) {
		r := rivals{a: newWaiter(m, "ctx"), b: newWaiter(m, "background")}
		l := m.NewLock()
		wait := func(w *waiter) func(*explore.Thread) {
			return func(th *explore.Thread) {
				l.Lock()
				defer l.Unlock()
				w.err = r.q.WaitExclusiveLocked(w.ctx, l, th.Test(r.tok.tryTake))
				w.returned = true
			}
		}
		m.Go("A", wait(r.a))
		m.Go("B", wait(r.b))
		r.judge(m)
		r.lockedWaker(m, l)
		m.MaySleep("B") // if A got the token
		r.canceller(m)
	})
}
