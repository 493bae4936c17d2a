package kthread

import (
	"context"
	"slices"
)

// A barrier is a caller that waits for the end of some runs. It waits for one of
// these, and the pool's mu guards all of it:
//
//   - the pending run of a work: it is in the work's waiters, and goes along to the
//     member when the run begins;
//   - a run: it is in the member's waiters;
//   - all works up to a number: it is in the pool's flushes;
//   - that there are no works at all: it is in the pool's drains.
type barrier struct {
	*reply
	set     *barriers // that it is in, or nil
	upto    uint64    // the number, in flushes
	of      *Work     // the work, in a work's waiters
	run     *member   // the member, in a member's waiters
	blocked *Work     // cannot be queued until the wait is over, or nil
}

// barriers is a set that can be handed on as a whole.
type barriers struct{ all []*barrier }

func (s *barriers) add(b *barrier) {
	s.all = append(s.all, b)
	b.set = s
}

// answer answers all barriers of the set. It may be nil.
func (s *barriers) answer(err error) {
	if s == nil {
		return
	}
	for _, b := range s.all {
		b.set = nil
		b.answer(err)
	}
	s.all = nil
}

// follow notes that m runs the work that the barriers wait for.
func (s *barriers) follow(m *member) {
	for _, b := range s.all {
		b.of, b.run = nil, m
	}
}

// leave takes b out of its set.
func (b *barrier) leave() {
	if b.set != nil {
		b.set.all = slices.DeleteFunc(b.set.all, func(c *barrier) bool { return c == b })
		b.set = nil
	}
}

// behind has b wait for the pending run of k, or else for the present one. It
// reports whether there is either.
func (b *barrier) behind(k *Work) bool {
	if !k.pending() {
		return b.beside(k)
	}
	if k.waiters == nil {
		k.waiters = new(barriers)
	}
	k.waiters.add(b)
	b.of = k
	return true
}

// beside has b wait for the end of k's run, if it runs.
func (b *barrier) beside(k *Work) bool {
	if k.by == nil {
		return false
	}
	if k.by.waiters == nil {
		k.by.waiters = new(barriers)
	}
	k.by.waiters.add(b)
	b.run = k.by
	return true
}

// block is beside. Until b has an answer or is given up, k cannot be queued: a work
// that queues itself would never end.
func (b *barrier) block(k *Work) bool {
	if !b.beside(k) {
		return false
	}
	k.cancels++
	b.blocked = k
	return true
}

// wait has place put a barrier where it waits, and waits for the answer. place
// returns false if there is nothing to wait for. It is called with mu held.
func (p *pool) wait(ctx context.Context, place func(*barrier) bool) error {
	b := &barrier{reply: newReply()}
	caller := p.caller()
	p.mu.Lock()
	switch {
	case !place(b):
		p.unlock()
		return nil
	case caller != nil && p.deadlocks(caller, b):
		p.forget(b)
		p.unlock()
		return errDeadlock
	case caller != nil:
		caller.waits = b
	}
	p.unlock()
	err := b.wait(ctx)
	p.mu.Lock()
	if caller != nil {
		caller.waits = nil
	}
	p.forget(b)
	p.unlock()
	return err
}

// forget ends a wait. The caller holds mu.
func (p *pool) forget(b *barrier) {
	b.leave()
	if b.blocked != nil {
		b.blocked.cancels--
	}
}

// caller returns the member whose work calls, or nil.
func (p *pool) caller() *member {
	p.mu.Lock()
	busy := make([]*member, 0, 4)
	for _, m := range p.members {
		if m.work != nil {
			busy = append(busy, m)
		}
	}
	p.mu.Unlock()
	for _, m := range busy {
		if m.thread.isCaller() {
			return m
		}
	}
	return nil
}

// deadlocks reports whether the work that c runs would wait for ever with b. The caller
// holds mu. It would in three cases:
//
//   - b waits for all works, so for the caller;
//   - b waits for the run of the caller, or for a run that waits for it in the end;
//   - every member would wait for works of the pool, and no member could run them.
func (p *pool) deadlocks(c *member, b *barrier) bool {
	if b.of == nil && b.run == nil {
		return true
	}
	for m := b.runner(); m != nil; m = m.waits.runner() {
		if m == c {
			return true
		}
	}
	waiting := 1
	for _, m := range p.members {
		if m.waits.waiting() {
			waiting++
		}
	}
	return waiting >= p.max
}

// waiting reports whether b has no answer yet. It may be nil. Its caller may be about to go
// on, and not have noted that.
func (b *barrier) waiting() bool { return b != nil && b.set != nil }

// runner returns the member whose run b waits for, or nil. A pending work that runs now
// waits for its own run.
func (b *barrier) runner() *member {
	switch {
	case !b.waiting():
		return nil
	case b.of != nil:
		return b.of.by
	}
	return b.run
}

// settle answers the barriers that wait for no work any longer. The caller holds mu.
func (p *pool) settle() {
	if len(p.flushes.all) == 0 && len(p.drains.all) == 0 && !p.closing {
		return
	}
	oldest := p.oldest()
	p.flushes.pass(oldest)
	if oldest == none {
		p.drains.answer(nil)
		p.close()
	}
}

// pass answers the flushes that wait for works with smaller numbers only.
func (s *barriers) pass(oldest uint64) {
	n := 0
	for n < len(s.all) && s.all[n].upto < oldest {
		n++
	}
	if n > 0 {
		over := barriers{slices.Clone(s.all[:n])}
		s.all = slices.Delete(s.all, 0, n)
		over.answer(nil)
	}
}

// flush has b wait for the works up to a number, and reports whether there are any. The
// caller holds mu.
//
// Invariant: the numbers of flushes ascend, so settle looks at the first ones only.
func (p *pool) flush(b *barrier, upto uint64) bool {
	if p.oldest() > upto {
		return false
	}
	all := p.flushes.all
	i := len(all)
	for i > 0 && all[i-1].upto > upto {
		i--
	}
	p.flushes.all = slices.Insert(all, i, b)
	b.upto, b.set = upto, &p.flushes
	return true
}

// cut answers the flushes that wait for a work with this number or a later one, which
// are dropped.
func (s *barriers) cut(number uint64, err error) {
	i := slices.IndexFunc(s.all, func(b *barrier) bool { return b.upto >= number })
	if i >= 0 {
		lost := barriers{slices.Clone(s.all[i:])}
		s.all = slices.Delete(s.all, i, len(s.all))
		lost.answer(err)
	}
}

// drain has b wait until there are no works, and reports whether there are any. The caller
// holds mu.
func (p *pool) drain(b *barrier) bool {
	if p.oldest() == none {
		return false
	}
	p.drains.add(b)
	return true
}
