package usermodehelper

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/waitqueue"
)

// The gate's own steps need no process, so the tests of this file run on every
// system and in bubbles, in which "still waits" is a fact and not a guess.

// enter does the part of Exec before a start. A helper that is refused while it
// waits is over at once.
func (g *Gate) enter(ctx context.Context, path string) error { return g.come(ctx, new(call), path) }

func (g *Gate) come(ctx context.Context, c *call, path string) error {
	v, err := g.join(path)
	if err != nil {
		return err
	}
	c.visit = v
	if err := g.await(ctx, v, path); err != nil {
		g.over(v)
		return err
	}
	return nil
}

// overFirst ends the first helper that has passed.
func (g *Gate) overFirst() {
	if g == nil {
		return
	}
	g.mu.Lock()
	i := slices.IndexFunc(g.present, func(v *visit) bool { return v.passed })
	v := g.present[i]
	g.mu.Unlock()
	g.over(v)
}

// check reports why a helper would be refused at once.
func (g *Gate) check(path string) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refusal(path)
}

// Waiting and IsDisabled are for the tests with processes.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

func (g *Gate) hasTimer() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.timer != nil
}

func (g *Gate) IsDisabled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.disabled > 0
}

// requireIdle requires that every place has come back and no helper waits.
func (g *Gate) requireIdle(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	require.Zero(t, g.running, "running")
	require.Zero(t, g.pending, "pending")
	require.Empty(t, g.waiting, "waiting")
	require.Empty(t, g.present, "present")
	require.Nil(t, g.timer, "timer")
}

// A call is one of enter, Disable or Wait, on a goroutine of its own.
type call struct {
	cancel context.CancelCauseFunc
	visit  *visit // of enter, once it has joined
	done   atomic.Bool
	err    error // once it is done
}

var errWhy = errors.New("no more need")

// begin lets f block, if it has to.
func begin(f func(context.Context) error) *call {
	return new(call).begin(func(ctx context.Context, _ *call) error { return f(ctx) })
}

func (c *call) begin(f func(context.Context, *call) error) *call {
	var ctx context.Context
	ctx, c.cancel = context.WithCancelCause(context.Background())
	go func() {
		c.err = f(ctx, c)
		c.done.Store(true)
	}()
	return c
}

// arrive brings a helper to the gate. It returns when the helper has passed, waits or
// is refused.
func arrive(g *Gate) *call {
	c := new(call).begin(func(ctx context.Context, c *call) error { return g.come(ctx, c, "/x") })
	synctest.Wait()
	return c
}

func disable(g *Gate) *call {
	c := begin(g.Disable)
	synctest.Wait()
	return c
}

func wait(g *Gate) *call {
	c := begin(g.Wait)
	synctest.Wait()
	return c
}

func requireIn(t *testing.T, calls ...*call) {
	t.Helper()
	synctest.Wait()
	for i, c := range calls {
		require.True(t, c.done.Load(), "call %d still waits", i)
		require.NoError(t, c.err, "call %d", i)
	}
}

func requireWaits(t *testing.T, calls ...*call) {
	t.Helper()
	synctest.Wait()
	for i, c := range calls {
		require.False(t, c.done.Load(), "call %d does not wait", i)
	}
}

func requireEnded(t *testing.T, c *call, want ...error) {
	t.Helper()
	synctest.Wait()
	require.True(t, c.done.Load(), "still waits")
	for _, err := range want {
		require.ErrorIs(t, c.err, err)
	}
}

func TestZeroGateLetsEverythingThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, g := range []*Gate{nil, new(Gate)} {
			require.NoError(t, g.check("/any"))
			for range 100 {
				requireIn(t, arrive(g))
			}
			for range 100 {
				g.leave()
				g.overFirst()
			}
		}
	})
}

func TestWaitingHelpersGetPlacesInTheOrderOfTheirCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 2}
		first, second := arrive(g), arrive(g)
		requireIn(t, first, second)
		var line []*call
		for range 5 {
			line = append(line, arrive(g))
		}
		for len(line) > 0 {
			requireWaits(t, line...)
			g.leave()
			requireIn(t, line[0])
			line = line[1:]
			g.overFirst()
		}
		for range 2 {
			g.leave()
			g.overFirst()
		}
		g.requireIdle(t)
	})
}

// The waiter has been told, but its goroutine has not run yet, when the newcomer asks.
func TestNewcomerDoesNotTakeThePlaceThatWasHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 1}
		requireIn(t, arrive(g))
		waiter := arrive(g)
		requireWaits(t, waiter)
		g.leave()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, g.enter(ctx, "/x"), syscall.EINTR)
		requireIn(t, waiter)
		g.overFirst()
		g.leave()
		g.overFirst()
		g.requireIdle(t)
	})
}

func TestContextEndsTheWaitForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 1}
		requireIn(t, arrive(g))
		gone, next := arrive(g), arrive(g)
		gone.cancel(errWhy)
		requireEnded(t, gone, syscall.EINTR, context.Canceled, errWhy)
		require.ErrorContains(t, gone.err, "/x was not started")
		requireWaits(t, next)

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		err := g.enter(ctx, "/x")
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Hour, time.Since(start))

		g.leave()
		requireIn(t, next)
		g.overFirst()
		g.leave()
		g.overFirst()
		g.requireIdle(t)
	})
}

// The place is with the waiter if its enter returns nil, and with the next in line if
// not, in both orders of the two events.
func TestPlaceThatIsHandedOverAtTheInstantAtWhichTheContextEndsIsNotLost(t *testing.T) {
	for round := range 200 {
		synctest.Test(t, func(t *testing.T) {
			g := &Gate{Max: 1}
			requireIn(t, arrive(g))
			w, next := arrive(g), arrive(g)
			switch round % 3 {
			case 0:
				g.leave()
				w.cancel(errWhy)
				requireIn(t, w) // it had the place
			case 1:
				w.cancel(errWhy)
				g.leave()
			case 2:
				go w.cancel(errWhy)
				go g.leave()
			}
			g.overFirst()
			synctest.Wait()
			if w.err == nil {
				requireIn(t, w)
				requireWaits(t, next)
				g.leave()
				g.overFirst()
			}
			requireIn(t, next)
			g.leave()
			g.overFirst()
			g.requireIdle(t)
		})
	}
}

func TestDisableRefusesNewcomersAndWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 1}
		requireIn(t, arrive(g))
		line := []*call{arrive(g), arrive(g), arrive(g)}
		requireWaits(t, line...)
		d := disable(g)
		for _, w := range line {
			requireEnded(t, w, syscall.EBUSY) // at once, though one still runs
		}
		requireWaits(t, d)
		require.ErrorIs(t, g.check("/x"), syscall.EBUSY)
		requireEnded(t, arrive(g), syscall.EBUSY) // it passed check before
		g.leave()
		requireWaits(t, d) // for its Cleanup
		g.overFirst()
		requireIn(t, d)
		require.ErrorIs(t, g.check("/x"), syscall.EBUSY)
		g.requireIdle(t)

		g.Enable()
		require.NoError(t, g.check("/x"))
		requireIn(t, arrive(g)) // the place has come back
		g.leave()
		g.overFirst()
	})
}

// A waiter has the place, and so is pending, from the moment at which it gets the
// place, not from when its goroutine runs.
func TestDisableSeesAWaiterThatHasJustGotAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 1}
		requireIn(t, arrive(g))
		w := arrive(g)
		g.leave()
		g.overFirst()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, g.Disable(ctx), syscall.EAGAIN)
		requireIn(t, w)
		g.leave()
		g.overFirst()
		require.NoError(t, g.Disable(ctx))
	})
}

func TestDisableThatItsContextEndsIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(Gate)
		requireIn(t, arrive(g), arrive(g))
		d := disable(g)
		requireWaits(t, d)
		d.cancel(errWhy)
		requireEnded(t, d, syscall.EAGAIN, syscall.EINTR, context.Canceled, errWhy)
		require.ErrorContains(t, d.err, "not over yet: 2")
		require.NoError(t, g.check("/x"))

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		err := g.Disable(ctx)
		require.Equal(t, 5*time.Second, time.Since(start))
		for _, want := range []error{syscall.EAGAIN, syscall.ETIMEDOUT, context.DeadlineExceeded} {
			require.ErrorIs(t, err, want)
		}
		requireIn(t, arrive(g))
		for range 3 {
			g.leave()
			g.overFirst()
		}
		g.requireIdle(t)
	})
}

func TestDisableWithNonePendingSucceedsThoughItsContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := new(Gate)
	require.NoError(t, g.Disable(ctx))
	require.ErrorIs(t, g.check("/x"), syscall.EBUSY)
	g.Enable()
	require.NoError(t, g.enter(ctx, "/x"))
	require.ErrorIs(t, g.Disable(ctx), syscall.EAGAIN)
	g.leave()
	g.overFirst()
	require.NoError(t, g.Disable(ctx))
}

func TestEnableEndsEveryDisableThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(Gate)
		requireIn(t, arrive(g))
		first, second := disable(g), disable(g)
		g.Enable()
		for _, d := range []*call{first, second} {
			requireEnded(t, d, syscall.EAGAIN)
			require.NotErrorIs(t, d.err, syscall.EINTR)
			require.ErrorContains(t, d.err, "enabled again")
		}
		require.NoError(t, g.check("/x"))
		g.leave()
		g.overFirst()
	})
}

func TestEnableUndoesAnyNumberOfDisables(t *testing.T) {
	g := new(Gate)
	for range 3 {
		require.NoError(t, g.Disable(t.Context()))
	}
	g.Enable()
	require.NoError(t, g.check("/x"))
	g.Enable() // one too many does no harm
	require.NoError(t, g.Disable(t.Context()))
	require.ErrorIs(t, g.check("/x"), syscall.EBUSY)
}

func TestGateStaysDisabledWhenOneOfTwoDisablesIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(Gate)
		requireIn(t, arrive(g))
		first, second := disable(g), disable(g)
		first.cancel(errWhy)
		requireEnded(t, first, syscall.EAGAIN)
		requireWaits(t, second)
		require.ErrorIs(t, g.check("/x"), syscall.EBUSY)
		g.leave()
		g.overFirst()
		requireIn(t, second)
		require.ErrorIs(t, g.check("/x"), syscall.EBUSY)
	})
}

// Enable has withdrawn the old call already. So the end of its context must not
// withdraw the younger one.
func TestDisableThatEnableHasWithdrawnDoesNotWithdrawAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(Gate)
		requireIn(t, arrive(g))
		old := disable(g)
		old.cancel(errWhy)
		g.Enable()
		ctx, cancel := context.WithCancel(t.Context())
		young := begin(func(context.Context) error { return g.Disable(ctx) })
		requireEnded(t, old, syscall.EAGAIN)
		requireWaits(t, young)
		require.ErrorIs(t, g.check("/x"), syscall.EBUSY)
		cancel()
		requireEnded(t, young, syscall.EAGAIN)
		require.NoError(t, g.check("/x"))
		g.leave()
		g.overFirst()
		g.requireIdle(t)
	})
}

func TestAllowComparesWholeStrings(t *testing.T) {
	for _, c := range []struct {
		allow []string
		path  string
		ok    bool
	}{
		{nil, "/bin/true", true},
		{[]string{}, "/bin/true", false},
		{[]string{"/bin/true"}, "/bin/true", true},
		{[]string{"/bin/sh", "/bin/true"}, "/bin/true", true},
		{[]string{"/bin/true"}, "/bin//true", false},
		{[]string{"/bin/true"}, "/bin/./true", false},
		{[]string{"/bin/true"}, "/bin/tru", false},
		{[]string{"/bin/true"}, "/bin/true ", false},
		{[]string{"/bin/true"}, "/BIN/true", false},
		{[]string{"/bin/*", "/bin/"}, "/bin/true", false},
	} {
		g := &Gate{Allow: c.allow}
		err := g.check(c.path)
		if c.ok {
			require.NoError(t, err, "%+v", c)
			continue
		}
		require.ErrorIs(t, err, syscall.EPERM, "%+v", c)
		require.ErrorContains(t, err, c.path)
		require.NoError(t, g.Disable(t.Context()))
		require.ErrorIs(t, g.check(c.path), syscall.EBUSY, "this comes first")
	}
}

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

const (
	isIn = iota
	isBusy
	isFull
	isInterrupted
	isGivenUp
	isEnabledAgain
)

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

// No model can say here which call comes first. But never more than Max helpers are in,
// none is in when a Disable has returned nil, every waiter is told, and every place
// comes back.
func TestHammerGate(t *testing.T) {
	const goroutines, places = 8, 3
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	g := &Gate{Max: places}
	var in, pending, entered, busy, interrupted atomic.Int64
	var disabled, givenUp, enabledAgain atomic.Int64
	visit := func(random *rand.Rand) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if random.IntN(3) == 0 {
			delay := time.Duration(random.IntN(50)) * time.Microsecond
			defer time.AfterFunc(delay, cancel).Stop()
		}
		c := new(call)
		err := g.check("/x")
		if err == nil {
			err = g.come(ctx, c, "/x")
		}
		switch {
		case errors.Is(err, syscall.EBUSY):
			busy.Add(1)
			return nil
		case errors.Is(err, syscall.EINTR):
			interrupted.Add(1)
			return nil
		case err != nil:
			return err
		}
		entered.Add(1)
		pending.Add(1)
		n := in.Add(1)
		if random.IntN(2) == 0 {
			time.Sleep(time.Duration(random.IntN(30)) * time.Microsecond)
		}
		in.Add(-1)
		g.leave()
		pending.Add(-1)
		g.over(c.visit)
		if n > places {
			return fmt.Errorf("%d are in", n)
		}
		return nil
	}
	shut := func(random *rand.Rand) error {
		defer g.Enable()
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(200))*time.Microsecond)
		defer cancel()
		g.mu.Lock()
		enables := g.enables
		g.mu.Unlock()
		err := g.Disable(ctx)
		switch {
		case err == nil:
			disabled.Add(1)
			// Others may enable it at any time, and disable it again.
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.enables == enables && (g.disabled == 0 || g.running != 0 || g.pending != 0 || pending.Load() != 0 || len(g.waiting) != 0) {
				return fmt.Errorf("%d are in and %d not over, while it is disabled", g.running, g.pending)
			}
			return nil
		case !errors.Is(err, syscall.EAGAIN):
			return err
		case errors.Is(err, syscall.ETIMEDOUT):
			givenUp.Add(1)
		default:
			enabledAgain.Add(1)
		}
		return nil
	}
	var all sync.WaitGroup
	for i := range goroutines {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 3))
			for range rounds {
				do := visit
				if random.IntN(20) == 0 {
					do = shut
				}
				if err := do(random); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	g.requireIdle(t)
	sum := entered.Load() + busy.Load() + interrupted.Load() + disabled.Load() + givenUp.Load() + enabledAgain.Load()
	require.EqualValues(t, goroutines*rounds, sum)
	t.Logf("in %d, busy %d, interrupted %d; disabled %d, given up %d, enabled again %d",
		entered.Load(), busy.Load(), interrupted.Load(), disabled.Load(), givenUp.Load(), enabledAgain.Load())
	require.NotZero(t, entered.Load())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, waitqueue.ContextErr(ctx))
	for range places {
		require.NoError(t, g.enter(ctx, "/x"), "all places are there, though nobody may wait for one")
	}
	require.ErrorIs(t, g.enter(ctx, "/x"), syscall.EINTR, "and no more")
}
