//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// These tests check the gate's rules once more, with helpers that really run.

var allModes = []usermodehelper.Mode{usermodehelper.WaitExec, usermodehelper.WaitProc, usermodehelper.NoWait}

// A held helper runs until it is let go: it waits for the end of its input.
type held struct {
	usermodehelper.Helper
	letGo    func()
	inits    atomic.Int32
	cleanups atomic.Int32
	end      chan error // gets the error of Cleanup
}

func hold(t *testing.T, gate *usermodehelper.Gate) *held {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	h := &held{letGo: func() { _ = w.Close() }, end: make(chan error, 10)}
	t.Cleanup(func() { _, _ = w.Close(), r.Close() })
	h.Helper = usermodehelper.Helper{
		Path: "/bin/cat",
		Gate: gate,
		Init: func(attr *os.ProcAttr) error {
			h.inits.Add(1)
			attr.Files[0] = r
			return nil
		},
		Cleanup: func(r usermodehelper.Result) {
			h.cleanups.Add(1)
			h.end <- r.Err
		},
	}
	return h
}

// begin is Exec on a goroutine of its own.
func (h *held) begin(ctx context.Context, mode usermodehelper.Mode) <-chan error {
	result := make(chan error, 1)
	go func() {
		_, err := h.Exec(ctx, mode)
		result <- err
	}()
	return result
}

// requireRefused requires that the helper, in every mode, is refused at once, and that
// its Cleanup gets the error, once, before Exec returns.
func requireRefused(t *testing.T, ctx context.Context, h *held, want error) {
	t.Helper()
	for i, mode := range allModes {
		status, err := h.Exec(ctx, mode)
		require.ErrorIs(t, err, want, mode)
		require.Zero(t, status)
		require.EqualValues(t, i+1, h.cleanups.Load(), mode)
		require.Equal(t, err, <-h.end)
	}
	require.Zero(t, h.inits.Load(), "nothing was started")
}

// requirePlaces requires that the gate has n free places and is enabled. A
// context that has ended would not let a helper wait.
func requirePlaces(t *testing.T, gate *usermodehelper.Gate, n int) {
	t.Helper()
	var all []*held
	for range n {
		h := hold(t, gate)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := h.Exec(ctx, usermodehelper.WaitExec)
		require.NoError(t, err)
		all = append(all, h)
	}
	for _, h := range all {
		h.letGo()
		require.NoError(t, <-h.end)
	}
}

func waitUntil(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 20*time.Second, time.Millisecond)
}

func TestDisabledGateRefusesEveryMode(t *testing.T) {
	gate := new(usermodehelper.Gate)
	require.NoError(t, gate.Disable(t.Context()))
	requireRefused(t, t.Context(), hold(t, gate), syscall.EBUSY)

	bad := hold(t, gate)
	bad.Path = "cat"
	requireRefused(t, t.Context(), bad, syscall.EINVAL) // a bad call is a bad call

	gate.Enable()
	requirePlaces(t, gate, 2)
}

func TestHelperThatIsNotOnTheListIsRefusedInEveryMode(t *testing.T) {
	for _, list := range [][]string{{}, {"/bin/cat2", "/bin/ca", "cat", "/bin//cat"}} {
		requireRefused(t, t.Context(), hold(t, &usermodehelper.Gate{Allow: list}), syscall.EPERM)
	}
	requirePlaces(t, &usermodehelper.Gate{Allow: []string{"/bin/sh", "/bin/cat"}}, 1)

	// It does not wait for a place before it is refused.
	gate := &usermodehelper.Gate{Max: 1, Allow: []string{"/bin/cat"}}
	first := hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	other := hold(t, gate)
	other.Path = "/bin/sh"
	requireRefused(t, t.Context(), other, syscall.EPERM)
	first.letGo()
	require.NoError(t, <-first.end)
}

func TestDisableRefusesHelpersThatWaitForAPlace(t *testing.T) {
	gate := &usermodehelper.Gate{Max: 1}
	first := hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	var line []*held
	var results []<-chan error
	for _, mode := range allModes {
		h := hold(t, gate)
		line = append(line, h)
		results = append(results, h.begin(t.Context(), mode))
	}
	waitUntil(t, func() bool { return gate.Waiting() == len(line) })

	disabled := make(chan error, 1)
	go func() { disabled <- gate.Disable(t.Context()) }()
	for i, h := range line { // the first one runs as before
		require.ErrorIs(t, <-h.end, syscall.EBUSY)
		if allModes[i] == usermodehelper.NoWait {
			require.NoError(t, <-results[i])
		} else {
			require.ErrorIs(t, <-results[i], syscall.EBUSY)
		}
		require.Zero(t, h.inits.Load())
		require.EqualValues(t, 1, h.cleanups.Load())
	}
	require.Empty(t, disabled)
	first.letGo()
	require.NoError(t, <-disabled)
	require.EqualValues(t, 1, first.cleanups.Load())
	gate.Enable()
	requirePlaces(t, gate, 1)
}

func TestFullQueueRefusesEveryMode(t *testing.T) {
	gate := &usermodehelper.Gate{Max: 1, Queue: 1}
	first, second := hold(t, gate), hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	_, err = second.Exec(t.Context(), usermodehelper.NoWait)
	require.NoError(t, err)
	requireRefused(t, t.Context(), hold(t, gate), syscall.ENOBUFS)
	first.letGo()
	second.letGo()
	require.NoError(t, <-first.end)
	require.NoError(t, <-second.end)
	requirePlaces(t, gate, 1)
}

// A caller finds out by errors.Is in which of three ways its helper came too late.
func TestThreeWaysToBeLateAreToldApart(t *testing.T) {
	gate, noQueue := &usermodehelper.Gate{Max: 1}, &usermodehelper.Gate{Max: 1, Queue: -1}
	running, first := hold(t, gate), hold(t, noQueue)
	for _, h := range []*held{running, first} {
		_, err := h.Exec(t.Context(), usermodehelper.WaitExec)
		require.NoError(t, err)
	}
	_, fullErr := hold(t, noQueue).Exec(t.Context(), usermodehelper.WaitProc)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, queuedErr := hold(t, gate).Exec(ctx, usermodehelper.WaitProc)
	slow := hold(t, nil)
	slow.Timeout = 10 * time.Millisecond
	_, slowErr := slow.Exec(t.Context(), usermodehelper.WaitProc)
	for _, h := range []*held{running, first} {
		h.letGo()
		require.NoError(t, <-h.end)
	}
	for _, c := range []struct {
		err                        error
		full, neverStarted, passed bool // ENOBUFS, ECANCELED, ETIMEDOUT
	}{
		{fullErr, true, false, false},
		{queuedErr, false, true, true},
		{slowErr, false, false, true},
	} {
		require.Equal(t, c.full, errors.Is(c.err, syscall.ENOBUFS), c.err)
		require.Equal(t, c.neverStarted, errors.Is(c.err, syscall.ECANCELED), c.err)
		require.Equal(t, c.passed, errors.Is(c.err, syscall.ETIMEDOUT), c.err)
	}
}

// Helpers come from many goroutines, and the gate is disabled and enabled at random. In
// the end each Exec has had one Cleanup, and every place is back.
func TestHammerHelpersAtAGate(t *testing.T) {
	const goroutines, places = 8, 3
	rounds := 25
	if testing.Short() {
		rounds = 8
	}
	gate := &usermodehelper.Gate{Max: places}
	var calls, cleanups, started, refused, interrupted, shut atomic.Int64
	cleanup := func(r usermodehelper.Result) {
		cleanups.Add(1)
		switch err := r.Err; {
		case err == nil:
		case errors.Is(err, syscall.EBUSY):
			refused.Add(1)
		case errors.Is(err, syscall.ETIMEDOUT):
			interrupted.Add(1)
		default:
			t.Error(err)
		}
	}
	visit := func(random *rand.Rand) {
		mode := allModes[random.IntN(len(allModes))]
		wait := 20 * time.Second
		if random.IntN(3) == 0 {
			wait = time.Duration(random.IntN(5000)) * time.Microsecond
		}
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		over := make(chan bool)
		h := usermodehelper.Helper{Path: "/bin/cat", Gate: gate, Cleanup: func(r usermodehelper.Result) {
			cleanup(r)
			close(over)
		}}
		h.Init = func(*os.ProcAttr) error {
			started.Add(1)
			return nil
		}
		calls.Add(1)
		_, err := h.Exec(ctx, mode)
		if errors.Is(err, syscall.EBUSY) {
			time.Sleep(2 * time.Millisecond) // or it would come back again and again, in vain
		}
		if random.IntN(2) == 0 {
			<-over
		}
		go func() {
			<-over
			cancel()
		}()
	}
	var all sync.WaitGroup
	for i := range goroutines {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 5))
			for range rounds {
				if random.IntN(10) > 0 {
					visit(random)
					continue
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(50))*time.Millisecond)
				err := gate.Disable(ctx)
				cancel()
				switch {
				case err == nil:
					shut.Add(1)
					gate.Enable()
				case !errors.Is(err, syscall.EAGAIN):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, gate.Disable(t.Context()), "all end")
	waitUntil(t, func() bool { return cleanups.Load() == calls.Load() }) // those that were refused do not count as pending
	gate.Enable()
	requirePlaces(t, gate, places)
	require.EqualValues(t, calls.Load(), cleanups.Load())
	t.Logf("%d calls: %d started, %d refused, %d interrupted; shut %d times",
		calls.Load(), started.Load(), refused.Load(), interrupted.Load(), shut.Load())
}
