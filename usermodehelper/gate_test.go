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

// The gate's own steps need no process. So the tests of this file run on every system, and
// in bubbles, where "still waits" is a fact and not a guess.

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
