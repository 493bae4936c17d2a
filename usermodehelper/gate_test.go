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

// enter is what Exec does before a start.
func (g *Gate) enter(ctx context.Context, path string) error {
	w, err := g.join(path)
	if err != nil {
		return err
	}
	return g.await(ctx, w, path)
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

func (g *Gate) IsDisabled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.disabled > 0
}

// requireIdle requires that every place has come back and nobody waits.
func (g *Gate) requireIdle(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	require.Zero(t, g.running, "running")
	require.Zero(t, g.pending, "pending")
	require.Empty(t, g.waiting, "waiting")
}

// A call is one of enter or of Disable, on a goroutine of its own.
type call struct {
	cancel context.CancelCauseFunc
	done   bool
	err    error
}

var errWhy = errors.New("no more need")

// begin lets f block, if it has to.
func begin(f func(context.Context) error) *call {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := &call{cancel: cancel}
	go func() {
		c.err = f(ctx)
		c.done = true
	}()
	return c
}

// arrive is the way of a helper to its place, and returns when it has one or
// waits for one.
func arrive(g *Gate) *call {
	c := begin(func(ctx context.Context) error { return g.enter(ctx, "/x") })
	synctest.Wait()
	return c
}

func disable(g *Gate) *call {
	c := begin(g.Disable)
	synctest.Wait()
	return c
}

func requireIn(t *testing.T, calls ...*call) {
	t.Helper()
	synctest.Wait()
	for i, c := range calls {
		require.True(t, c.done, "call %d still waits", i)
		require.NoError(t, c.err, "call %d", i)
	}
}

func requireWaits(t *testing.T, calls ...*call) {
	t.Helper()
	synctest.Wait()
	for i, c := range calls {
		require.False(t, c.done, "call %d does not wait: %v", i, c.err)
	}
}

func requireEnded(t *testing.T, c *call, want ...error) {
	t.Helper()
	synctest.Wait()
	require.True(t, c.done, "still waits")
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
				g.over()
			}
		}
	})
}

func TestPlacesGoToThoseWhoWaitInTheOrderInWhichTheyCame(t *testing.T) {
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
			g.over()
		}
		for range 2 {
			g.leave()
			g.over()
		}
		g.requireIdle(t)
	})
}

// The one who waits has been told, but has not run yet, when the newcomer asks.
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
		g.over()
		g.leave()
		g.over()
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
		g.over()
		g.leave()
		g.over()
		g.requireIdle(t)
	})
}

// Whichever comes first, the place is with the one who waited if its enter
// says so, and with the next in line if not.
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
			g.over()
			synctest.Wait()
			if w.err == nil {
				requireIn(t, w)
				requireWaits(t, next)
				g.leave()
				g.over()
			}
			requireIn(t, next)
			g.leave()
			g.over()
			g.requireIdle(t)
		})
	}
}

func TestDisableRefusesThoseWhoComeAndThoseWhoWait(t *testing.T) {
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
		g.over()
		requireIn(t, d)
		require.ErrorIs(t, g.check("/x"), syscall.EBUSY)
		g.requireIdle(t)

		g.Enable()
		require.NoError(t, g.check("/x"))
		requireIn(t, arrive(g)) // the place has come back
		g.leave()
		g.over()
	})
}

// Somebody has the place, and so is pending, from the moment at which it was
// handed over, not from when it runs.
func TestDisableSeesTheOneWhoHasJustBeenHandedAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{Max: 1}
		requireIn(t, arrive(g))
		w := arrive(g)
		g.leave()
		g.over()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, g.Disable(ctx), syscall.EAGAIN)
		requireIn(t, w)
		g.leave()
		g.over()
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
			g.over()
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
	g.over()
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
		g.over()
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
		g.over()
		requireIn(t, second)
		require.ErrorIs(t, g.check("/x"), syscall.EBUSY)
	})
}

// It was withdrawn already, so that its context has nothing left to withdraw,
// and must leave the Disable that came after it alone.
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
		g.over()
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

// A naive is a Gate without goroutines: it says at once who is where.
type naive struct {
	max, running, pending, disabled int
	line, draining                  []int       // those that wait, by number
	in, left                        []int       // those that hold a place, and those whose Cleanup runs
	result                          map[int]int // what the others were told
}

const (
	isIn = iota
	isBusy
	isInterrupted
	isGivenUp
	isEnabledAgain
)

func (n *naive) tell(what int, ids ...int) {
	for _, id := range ids {
		n.result[id] = what
	}
}

func (n *naive) enter(id int) {
	switch {
	case n.disabled > 0:
		n.tell(isBusy, id)
	case n.max > 0 && n.running == n.max:
		n.line = append(n.line, id)
	default:
		n.running++
		n.admit(id)
	}
}

func (n *naive) admit(id int) {
	n.pending++
	n.in = append(n.in, id)
	n.tell(isIn, id)
}

func (n *naive) leave() {
	n.left, n.in = append(n.left, n.in[0]), n.in[1:]
	if len(n.line) == 0 {
		n.running--
		return
	}
	id := n.line[0]
	n.line = n.line[1:]
	n.admit(id)
}

func (n *naive) over() {
	n.left = n.left[1:]
	n.pending--
	if n.pending == 0 {
		n.tell(isIn, n.draining...)
		n.draining = nil
	}
}

func (n *naive) disable(id int) {
	n.disabled++
	n.tell(isBusy, n.line...)
	n.line = nil
	n.draining = append(n.draining, id)
	if n.pending == 0 {
		n.tell(isIn, id)
		n.draining = nil
	}
}

func (n *naive) enable() {
	n.disabled = 0
	n.tell(isEnabledAgain, n.draining...)
	n.draining = nil
}

// outcome is what the naive gate would call the result of c.
func outcome(c *call) int {
	switch {
	case c.err == nil:
		return isIn
	case errors.Is(c.err, syscall.EBUSY):
		return isBusy
	case errors.Is(c.err, syscall.EAGAIN) && errors.Is(c.err, syscall.EINTR):
		return isGivenUp
	case errors.Is(c.err, syscall.EINTR):
		return isInterrupted
	case errors.Is(c.err, syscall.EAGAIN):
		return isEnabledAgain
	}
	return -1
}

const steps = 7 // that step knows

// A walk makes the same steps with a gate and with a naive one.
type walk struct {
	gate  *Gate
	naive *naive
	calls []*call
}

// step makes step s if it is possible. It waits for what comes of it only where
// what comes next could change it.
func (w *walk) step(s int) {
	n := w.naive
	id := len(w.calls)
	switch {
	case s == 0:
		n.enter(id)
		w.calls = append(w.calls, begin(func(ctx context.Context) error { return w.gate.enter(ctx, "/x") }))
		synctest.Wait()
	case s == 1:
		n.disable(id)
		w.calls = append(w.calls, begin(w.gate.Disable))
		synctest.Wait()
	case s == 2:
		synctest.Wait() // a Disable that has been woken may still find that it was withdrawn
		n.enable()
		w.gate.Enable()
	case s == 3 && len(n.in) > 0:
		n.leave()
		w.gate.leave()
	case s == 4 && len(n.left) > 0:
		n.over()
		w.gate.over()
	case s == 5 && len(n.line) > 0:
		i := len(n.line) / 2
		n.tell(isInterrupted, n.line[i])
		w.calls[n.line[i]].cancel(errWhy)
		n.line = slices.Delete(n.line, i, i+1)
		synctest.Wait()
	case s == 6 && len(n.draining) > 0:
		i := len(n.draining) / 2
		n.tell(isGivenUp, n.draining[i])
		w.calls[n.draining[i]].cancel(errWhy)
		n.draining = slices.Delete(n.draining, i, i+1)
		n.disabled--
		synctest.Wait()
	}
}

// compare reports where the two gates differ.
func (w *walk) compare() error {
	synctest.Wait()
	g, n := w.gate, w.naive
	g.mu.Lock()
	defer g.mu.Unlock()
	got := [...]int{g.running, g.pending, g.disabled, len(g.waiting)}
	want := [...]int{n.running, n.pending, n.disabled, len(n.line)}
	if got != want {
		return fmt.Errorf("running, pending, disabled, waiting: %v, not %v", got, want)
	}
	if n.running != len(n.in) || n.pending != len(n.in)+len(n.left) || n.max > 0 && n.running > n.max {
		return fmt.Errorf("the naive gate has lost count: %+v", n)
	}
	for id, c := range w.calls {
		what, done := n.result[id]
		if done != c.done || done && what != outcome(c) {
			return fmt.Errorf("call %d: done %v and %v, not %v and %d", id, c.done, c.err, done, what)
		}
	}
	return nil
}

// run makes steps, and then lets all helpers end. It compares after each step,
// or only after those that pause chooses, so that several happen at once.
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
		w.step(3)
		w.step(4)
	}
	if err := w.compare(); err != nil {
		return fmt.Errorf("at the end of %v: %w", order, err)
	}
	if w.naive.pending != 0 || len(w.naive.draining) != 0 {
		return fmt.Errorf("at the end of %v: %+v", order, w.naive)
	}
	return nil
}

func newWalk(places int) *walk {
	return &walk{gate: &Gate{Max: places}, naive: &naive{max: places, result: map[int]int{}}}
}

// Every order of six steps out of seven kinds, with one place and with two.
func TestInterleavingsAtAGateAreThoseOfANaiveOne(t *testing.T) {
	length := 6
	if testing.Short() {
		length = 4
	}
	total := 1
	for range length {
		total *= steps
	}
	synctest.Test(t, func(t *testing.T) {
		for number := range total {
			order := make([]int, length)
			for i, rest := 0, number; i < length; i++ {
				order[i], rest = rest%steps, rest/steps
			}
			for places := 1; places <= 2; places++ {
				require.NoError(t, newWalk(places).run(order, func() bool { return true }))
			}
		}
	})
}

func TestLongWalksAtAGateAreThoseOfANaiveOne(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	synctest.Test(t, func(t *testing.T) {
		for range 3000 {
			order := make([]int, 60)
			for i := range order {
				// Enable and the two that give up are rarer, or nothing ever
				// piles up.
				order[i] = []int{0, 0, 0, 0, 1, 2, 3, 3, 4, 4, 5, 6}[random.IntN(12)]
			}
			often := random.IntN(3)
			require.NoError(t, newWalk(random.IntN(4)).run(order, func() bool { return random.IntN(3) <= often }))
		}
	})
}

// Nobody can say here who comes first. What has to hold is that never more than
// Max are in, that nobody is in when a Disable has returned nil, that everybody
// is told, and that every place comes back.
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
		err := g.check("/x")
		if err == nil {
			err = g.enter(ctx, "/x")
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
		g.over()
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
