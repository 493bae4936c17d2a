package usermodehelper

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A naive is a Gate without goroutines and timers. It says at once where each helper
// is.
type naive struct {
	rules                      *Gate // the fields Max, Queue, Burst and Interval alone
	running, pending, disabled int
	now                        time.Duration
	passings                   []time.Duration // all of them, for ever
	line, draining             []int           // the helpers and the Disables that wait, by number
	in, left                   []int           // the helpers with a place, and the helpers with a Cleanup to come
	waits                      [][]int         // each has the number of a Wait, and then of the helpers that it waits for
	result                     map[int]int     // of the calls that have returned
}

func (n *naive) tell(result int, ids ...int) {
	for _, id := range ids {
		n.result[id] = result
	}
}

// mayPass reports whether there is a place, and fewer than Burst passings in the last
// Interval.
func (n *naive) mayPass() bool {
	recent := 0
	for _, at := range n.passings {
		if n.now-at < n.rules.Interval {
			recent++
		}
	}
	return (n.rules.Max == 0 || n.running < n.rules.Max) && (n.rules.Interval == 0 || recent < max(n.rules.Burst, 1))
}

func (n *naive) enter(id int) {
	switch {
	case n.disabled > 0:
		n.tell(isBusy, id)
	case len(n.line) == 0 && n.mayPass(), n.rules.Queue == 0, len(n.line) < n.rules.Queue:
		n.line = append(n.line, id)
		n.admit()
	default:
		n.tell(isFull, id)
	}
}

func (n *naive) admit() {
	for len(n.line) > 0 && n.mayPass() {
		id := n.line[0]
		n.line, n.in = n.line[1:], append(n.in, id)
		n.running++
		n.pending++
		n.passings = append(n.passings, n.now)
		n.tell(isIn, id)
	}
}

// over takes helpers from the lists of the Waits.
func (n *naive) over(ids ...int) {
	for i := range n.waits {
		n.waits[i] = slices.DeleteFunc(n.waits[i], func(id int) bool { return id != n.waits[i][0] && slices.Contains(ids, id) })
	}
	n.waits = slices.DeleteFunc(n.waits, func(w []int) bool {
		if len(w) == 1 {
			n.tell(isIn, w[0])
		}
		return len(w) == 1
	})
}

func (n *naive) drain() {
	if n.pending == 0 {
		n.tell(isIn, n.draining...)
		n.draining = nil
	}
}

// step makes the step if it is possible. It returns the number of the call that the
// step is about, which is next for a new one.
func (n *naive) step(s, next int) (id int, possible bool) {
	take := func(from *[]int, i int) {
		id, possible = (*from)[i], true
		*from = slices.Delete(*from, i, i+1)
	}
	switch {
	case s == doEnter:
		n.enter(next)
		return next, true
	case s == doDisable:
		n.disabled++
		n.tell(isBusy, n.line...)
		n.over(n.line...)
		n.line, n.draining = nil, append(n.draining, next)
		n.drain()
		return next, true
	case s == doWait:
		n.waits = append(n.waits, slices.Concat([]int{next}, n.in, n.left, n.line))
		n.over()
		return next, true
	case s == doEnable && n.disabled > 0:
		n.disabled = 0
		n.tell(isEnabledAgain, n.draining...)
		n.draining = nil
		return 0, true
	case s == doLeave && len(n.in) > 0:
		take(&n.in, 0)
		n.left = append(n.left, id)
		n.running--
		n.admit()
	case s == doOver && len(n.left) > 0:
		take(&n.left, 0)
		n.pending--
		n.over(id)
		n.drain()
	case s == cancelEnter && len(n.line) > 0:
		take(&n.line, len(n.line)/2)
		n.tell(isInterrupted, id)
		n.over(id)
	case s == cancelDisable && len(n.draining) > 0:
		take(&n.draining, len(n.draining)/2)
		n.tell(isGivenUp, id)
		n.disabled--
	case s == cancelWait && len(n.waits) > 0:
		i := len(n.waits) / 2
		id, possible = n.waits[i][0], true
		n.tell(isInterrupted, id)
		n.waits = slices.Delete(n.waits, i, i+1)
	case s == letTimePass && n.rules.Interval > 0:
		n.now += tick
		n.admit()
		return 0, true
	}
	return id, possible
}

const (
	isIn = iota
	isBusy
	isFull
	isInterrupted
	isGivenUp
	isEnabledAgain
)

// outcome names the result of c as the naive gate does.
func outcome(c *call) int {
	switch {
	case c.err == nil:
		return isIn
	case errors.Is(c.err, syscall.EBUSY):
		return isBusy
	case errors.Is(c.err, syscall.ENOBUFS):
		return isFull
	case errors.Is(c.err, syscall.EAGAIN) && errors.Is(c.err, syscall.EINTR):
		return isGivenUp
	case errors.Is(c.err, syscall.EINTR):
		return isInterrupted
	case errors.Is(c.err, syscall.EAGAIN):
		return isEnabledAgain
	}
	return -1
}

const (
	doEnter = iota
	doDisable
	doWait
	doEnable
	doLeave
	doOver
	cancelEnter
	cancelDisable
	cancelWait
	letTimePass
	steps
)

// tick is the time that passes in a step. It is half of an Interval.
const tick = time.Hour

// A walk makes the same steps with a gate and with a naive one.
type walk struct {
	gate  *Gate
	naive *naive
	calls []*call
}

// step waits for the results of the step only where they could change the next one.
func (w *walk) step(s int) {
	if s == doEnable {
		synctest.Wait() // a Disable that has been woken may still find that it was withdrawn
	}
	id, possible := w.naive.step(s, len(w.calls))
	if !possible {
		return
	}
	switch s {
	case doEnter:
		w.begin(func(ctx context.Context, c *call) error { return w.gate.come(ctx, c, "/x") })
	case doDisable:
		w.begin(func(ctx context.Context, _ *call) error { return w.gate.Disable(ctx) })
	case doWait:
		w.begin(func(ctx context.Context, _ *call) error { return w.gate.Wait(ctx) })
	case doEnable:
		w.gate.Enable()
	case doLeave:
		w.gate.leave()
	case doOver:
		w.gate.over(w.calls[id].visit)
	case letTimePass:
		time.Sleep(tick)
		synctest.Wait()
	default:
		w.calls[id].cancel(errWhy)
		synctest.Wait()
	}
}

func (w *walk) begin(f func(context.Context, *call) error) {
	w.calls = append(w.calls, new(call).begin(f))
	synctest.Wait()
}

// compare reports where the two gates differ.
func (w *walk) compare() error {
	synctest.Wait()
	g, n := w.gate, w.naive
	g.mu.Lock()
	defer g.mu.Unlock()
	got := [...]int{g.running, g.pending, g.disabled, len(g.waiting), len(g.present)}
	want := [...]int{n.running, n.pending, n.disabled, len(n.line), n.pending + len(n.line)}
	if got != want {
		return fmt.Errorf("running, pending, disabled, waiting, present: %v, not %v", got, want)
	}
	if g.timer != nil && (len(n.line) == 0 || n.rules.Interval == 0) {
		return errors.New("a timer runs, and no helper waits for the rate")
	}
	if n.running != len(n.in) || n.pending != len(n.in)+len(n.left) || n.rules.Max > 0 && n.running > n.rules.Max {
		return fmt.Errorf("the naive gate has lost count: %+v", n)
	}
	for id, c := range w.calls {
		result, done := n.result[id]
		if done != c.done.Load() || done && result != outcome(c) {
			return fmt.Errorf("call %d: done %v and %v, not %v and %d", id, c.done.Load(), c.err, done, result)
		}
	}
	return nil
}

// run makes steps, and then lets all helpers end. It compares after each step,
// or only after the steps that pause chooses, so that several happen at once.
func (w *walk) run(order []int, pause func() bool) error {
	for i, s := range order {
		w.step(s)
		if pause() {
			if err := w.compare(); err != nil {
				return fmt.Errorf("after %v: %w", order[:i+1], err)
			}
		}
	}
	for len(w.naive.in)+len(w.naive.left)+len(w.naive.line) > 0 {
		w.step(doLeave)
		w.step(doOver)
		w.step(letTimePass)
	}
	if err := w.compare(); err != nil {
		return fmt.Errorf("at the end of %v: %w", order, err)
	}
	if w.naive.pending != 0 || len(w.naive.draining)+len(w.naive.waits) != 0 {
		return fmt.Errorf("at the end of %v: %+v", order, w.naive)
	}
	return nil
}

func newWalk(rules *Gate) *walk {
	gate := &Gate{Max: rules.Max, Queue: rules.Queue, Burst: rules.Burst, Interval: rules.Interval}
	return &walk{gate: gate, naive: newNaive(rules)}
}

func newNaive(rules *Gate) *naive { return &naive{rules: rules, result: map[int]int{}} }

// impossible returns the index of the first step that is not possible, or -1.
func impossible(rules *Gate, order []int) int {
	n := newNaive(rules)
	for i, s := range order {
		if _, possible := n.step(s, i); !possible {
			return i
		}
	}
	return -1
}

// next changes order to the next one that differs at i or before. It reports whether
// there is one.
func next(order []int, i int) bool {
	clear(order[i+1:])
	for ; i >= 0; i-- {
		if order[i]++; order[i] < steps {
			return true
		}
		order[i] = 0
	}
	return false
}

// Every possible order of a few steps out of ten kinds, at gates with different rules.
// Each order holds all shorter ones, because the gates are compared after each step.
func TestInterleavingsAtAGateAreThoseOfANaiveOne(t *testing.T) {
	length, want := 6, 64_029
	if testing.Short() {
		length, want = 4, 2_211
	}
	walks := 0
	for _, rules := range []*Gate{
		{Max: 1}, {Max: 2}, {Max: 1, Queue: 1}, {Max: 1, Queue: -1},
		{Interval: 2 * tick}, {Burst: 2, Interval: 2 * tick}, {Max: 1, Queue: 2, Burst: 2, Interval: 2 * tick},
	} {
		synctest.Test(t, func(t *testing.T) {
			order := make([]int, length)
			for more := true; more; {
				i := impossible(rules, order)
				if i < 0 {
					require.NoError(t, newWalk(rules).run(order, func() bool { return true }), "%+v", rules)
					walks++
					i = length - 1
				}
				more = next(order, i)
			}
		})
	}
	t.Log(walks, "walks")
	require.Equal(t, want, walks)
}

func TestLongWalksAtAGateAreThoseOfANaiveOne(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	// Enable and the cancels are rarer, or no long line ever forms.
	often := []int{doEnter, doEnter, doEnter, doEnter, doEnter, doDisable, doWait, doEnable, doLeave, doLeave,
		doOver, doOver, cancelEnter, cancelDisable, cancelWait, letTimePass, letTimePass}
	synctest.Test(t, func(t *testing.T) {
		for range 3000 {
			rules := &Gate{Max: random.IntN(4), Queue: max(0, random.IntN(8)-4), Burst: random.IntN(4)}
			if random.IntN(2) == 0 {
				rules.Interval = 2 * tick
			}
			order := make([]int, 60)
			for i := range order {
				order[i] = often[random.IntN(len(often))]
			}
			pauses := random.IntN(3)
			require.NoError(t, newWalk(rules).run(order, func() bool { return random.IntN(3) <= pauses }))
		}
	})
}
