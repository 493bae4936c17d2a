package waitqueue_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/kprim/kprim/waitqueue"
	"github.com/kprim/kprim/waitqueue/explore"
)

// rivals are two waiters that want the tokens of one queue. B is never ended.
type rivals struct {
	q    waitqueue.Queue
	tok  tokens
	put  int32
	a, b *waiter

	ended bool // A
	woken bool // the wake-up came before the end of A
}

// check returns an error if a waiter sleeps while a token is free, or if the number of taken
// tokens is not the number of waits that succeeded. B is not ended, so it must have no error.
func (r *rivals) check(m *explore.Model) error {
	free, taken := r.tok.Load(), int32(0)
	for _, w := range []*waiter{r.a, r.b} {
		if w.succeeded() {
			taken++
		}
	}
	sleepers := len(m.Asleep())
	switch {
	case free > 0 && sleepers > 0:
		return errors.New("a token is free")
	case free+taken != r.put:
		return fmt.Errorf("%d tokens put, %d free, %d taken", r.put, free, taken)
	case r.b.err != nil:
		return fmt.Errorf("B failed: %w", r.b.err)
	case r.q.Active() != (sleepers > 0):
		return errors.New("somebody is left on the queue")
	}
	return nil
}

// start makes A and B of a model, in their forms, and judges them.
func (r *rivals) start(m *explore.Model, formA, formB string) {
	r.a, r.b = newWaiter(m, formA), newWaiter(m, formB)
	m.Go("A", func(th *explore.Thread) { r.a.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	m.Go("B", func(th *explore.Thread) { r.b.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	r.judge(m)
}

func (r *rivals) judge(m *explore.Model) {
	m.Check(func() error { return r.check(m) })
	m.Release(func() {
		r.tok.Add(2)
		r.q.WakeUpAll()
	})
}

// waker adds a goroutine that puts n tokens, each with a wake-up.
func (r *rivals) waker(m *explore.Model, n int) {
	if n == 1 {
		m.MaySleep("B") // if A got the token; the wait of A ends
	}
	m.Go("waker", func(th *explore.Thread) {
		for range n {
			th.Step("put a token")
			r.put++
			r.tok.Add(1)
			th.Step("wake")
			r.woken = !r.ended
			r.q.WakeUp()
		}
	})
}

// lockedWaker adds a waker that puts its token with the lock held, and wakes without it.
func (r *rivals) lockedWaker(m *explore.Model, l *explore.Lock) {
	m.Go("waker", func(th *explore.Thread) {
		th.Step("put a token")
		l.Lock()
		r.put++
		r.tok.Add(1)
		l.Unlock()
		r.q.WakeUp()
	})
}

func (r *rivals) canceller(m *explore.Model) {
	m.Go("canceller", func(th *explore.Thread) {
		th.Step("end A")
		r.ended = true
		r.a.end()
	})
}

// A wake-up picks A, and A gives up. Then the wake-up is for B.
func TestInterleavingsCancelAndWake(t *testing.T) {
	for _, formB := range []string{"background", "task"} {
		t.Run("B="+formB, func(t *testing.T) {
			inEachForm(t, pointsOf{
				"ctx":  "sampled, tested, commit, awake, unpark", // B commits
				"task": "sampled, tested, commit, awake, unpark, interrupted",
			}, func(m *explore.Model, formA string) {
				var r rivals
				m.Before(func() { r.start(m, formA, formB) })
				r.waker(m, 1)
				r.canceller(m)
			})
		})
	}
}

// The same, but A and B may still be on their way to sleep.
func TestInterleavingsCancelOnTheWay(t *testing.T) {
	inEachForm(t, same(few("", "tested"), endForms...), cancelOnTheWay)
}

func cancelOnTheWay(m *explore.Model, form string) {
	var r rivals
	r.start(m, form, "background")
	r.waker(m, 1)
	r.canceller(m)
}

// Two tokens for two waiters. A waiter may take a token on its way to sleep, before any
// wake-up. It is still on the queue when the wake-up for the second token comes.
func TestInterleavingsTwoTokens(t *testing.T) {
	inEachForm(t, same("tested", endForms...), func(m *explore.Model, form string) {
		var r rivals
		r.start(m, form, form)
		r.waker(m, 2)
	})
}

// The same with an end of A, which is behind B on the queue:
//
//	waker: puts a token, and its wake-up picks B
//	A: its wait is ended, it takes that token
//	B: finds no token, sleeps again
//	waker: puts the second token, and its wake-up must not pick A, which is about to leave
func TestInterleavingsTwoTokensAndCancel(t *testing.T) {
	inEachForm(t, pointsOf{"ctx": "", "task": "interrupted", "WithTask": ""}, twoTokensAndCancel)
}

func twoTokensAndCancel(m *explore.Model, form string) {
	r := rivals{a: newWaiter(m, form), b: newWaiter(m, "background")}
	m.Before(func() {
		m.Go("B", func(th *explore.Thread) { r.b.waitExclusive(&r.q, th.Test(r.tok.tryTake)) })
	})
	m.Go("A", func(th *explore.Thread) {
		r.a.waitExclusive(&r.q, func() bool {
			th.Step("test")
			took := r.tok.tryTake()
			th.Step("leave the test")
			return took
		})
	})
	r.judge(m)
	r.waker(m, 2)
	r.canceller(m)
}

// A came first. If its wait has not ended before the wake-up, A gets the only token.
func TestInterleavingsFirstComeFirstServed(t *testing.T) {
	inEachForm(t, pointsOf{
		"ctx":      "tested, awake, unpark",
		"task":     "tested, commit, awake, unpark, interrupted",
		"WithTask": "tested, commit, awake, unpark",
	}, func(m *explore.Model, form string) {
		var r rivals
		m.Before(func() { r.start(m, form, form) })
		r.waker(m, 1)
		r.canceller(m)
		m.Check(func() error {
			if err := r.check(m); err != nil {
				return err
			}
			if r.woken && !r.a.succeeded() {
				return errors.New("A was passed over")
			}
			return nil
		})
	})
}

// One wake-up is for all watchers and for one taker. A watcher does not use up the wake-up of
// the taker.
func TestInterleavingsWatcherAndTaker(t *testing.T) {
	inEachForm(t, pointsOf{"background": "commit", "ctx": "", "task": "commit"}, func(m *explore.Model, form string) {
		var q waitqueue.Queue
		var tok tokens
		var seen atomic.Bool
		watcher, taker := newWaiter(m, form), newWaiter(m, form)
		m.Go("watcher", func(th *explore.Thread) { watcher.wait(&q, th.Test(seen.Load)) })
		m.Go("taker", func(th *explore.Thread) { taker.waitExclusive(&q, th.Test(tok.tryTake)) })
		m.Go("waker", func(th *explore.Thread) {
			th.Step("put a token")
			tok.Add(1)
			seen.Store(true)
			th.Step("wake")
			q.WakeUp()
		})
		m.Check(func() error {
			if !watcher.succeeded() || !taker.succeeded() {
				return fmt.Errorf("watcher %t, taker %t", watcher.succeeded(), taker.succeeded())
			}
			return nil
		})
	})
}
