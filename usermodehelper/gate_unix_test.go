//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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

func TestWaitWaitsForProgramsAndTheirCleanups(t *testing.T) {
	for _, mode := range allModes {
		gate := &usermodehelper.Gate{Max: 1}
		first, second := hold(t, gate), hold(t, gate)
		_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
		require.NoError(t, err)
		inCleanup, goOn := make(chan bool), make(chan bool)
		cleanup := second.Cleanup
		second.Cleanup = func(r usermodehelper.Result) {
			inCleanup <- true
			<-goOn
			cleanup(r)
		}
		result := second.begin(t.Context(), mode)
		waitUntil(t, func() bool { return gate.Waiting() == 1 })
		waited := make(chan error, 1)
		go func() { waited <- gate.Wait(t.Context()) }()
		first.letGo()
		require.NoError(t, <-first.end)
		second.letGo()
		<-inCleanup
		requirePlaces(t, gate, 1) // newcomers are let through
		require.Empty(t, waited)
		close(goOn)
		require.NoError(t, <-waited)
		require.EqualValues(t, 1, second.cleanups.Load())
		require.NoError(t, <-result)
	}
}

// It was refused because its context ended while it waited.
func TestWaitWaitsForTheCleanupOfARefusedHelper(t *testing.T) {
	gate := &usermodehelper.Gate{Max: 1}
	first, refused := hold(t, gate), hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	inCleanup := make(chan error, 1)
	refused.Cleanup = func(usermodehelper.Result) {
		first.letGo()
		if err := gate.Disable(t.Context()); err != nil { // until the first is over
			inCleanup <- err
			return
		}
		inCleanup <- gate.Wait(ended)
	}
	_, err = refused.Exec(ended, usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.ECANCELED)
	require.ErrorIs(t, <-inCleanup, syscall.EINTR)
	require.NoError(t, gate.Wait(ended))
}

// The kernel's would return, because the calls have returned. But the programs run.
func TestDisableWaitsForProgramsAndTheirCleanups(t *testing.T) {
	for _, mode := range allModes {
		gate := new(usermodehelper.Gate)
		h := hold(t, gate)
		var over atomic.Bool
		h.Cleanup = func(usermodehelper.Result) {
			time.Sleep(20 * time.Millisecond) // it is slow
			over.Store(true)
		}
		result := h.begin(t.Context(), mode)
		waitUntil(t, func() bool { return h.inits.Load() == 1 })
		if mode != usermodehelper.WaitProc {
			require.NoError(t, <-result)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := gate.Disable(ctx)
		cancel()
		require.ErrorIs(t, err, syscall.EAGAIN, mode)
		require.ErrorIs(t, err, syscall.ETIMEDOUT, mode)
		require.False(t, over.Load())
		requirePlaces(t, gate, 1)

		disabled := make(chan error, 1)
		go func() { disabled <- gate.Disable(t.Context()) }()
		waitUntil(t, gate.IsDisabled)
		h.letGo()
		require.NoError(t, <-disabled, mode)
		require.True(t, over.Load(), mode)
		if mode == usermodehelper.WaitProc {
			require.NoError(t, <-result)
		}
	}
}

// A helper that has passed the gate may still be in front of its start.
func TestDisableWaitsForAHelperThatHasNotBeenStartedYet(t *testing.T) {
	gate := new(usermodehelper.Gate)
	h := hold(t, gate)
	inInit, goOn := make(chan bool), make(chan bool)
	init := h.Init
	h.Init = func(attr *os.ProcAttr) error {
		inInit <- true
		<-goOn
		return init(attr)
	}
	result := h.begin(t.Context(), usermodehelper.WaitProc)
	<-inInit
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := gate.Disable(ended)
	require.ErrorIs(t, err, syscall.EAGAIN)
	require.ErrorIs(t, err, syscall.EINTR)
	goOn <- true
	h.letGo()
	require.NoError(t, <-result)
	require.NoError(t, gate.Disable(ended), "none is pending")
}

// Each program writes to one log when it begins and when it ends.
func TestNeverMoreThanMaxProgramsRunAtOnce(t *testing.T) {
	const places, helpers = 3, 24
	for _, mode := range allModes {
		gate := &usermodehelper.Gate{Max: places}
		log := filepath.Join(t.TempDir(), "log")
		var all sync.WaitGroup
		all.Add(helpers)
		h := usermodehelper.Helper{
			Path: "/bin/sh",
			Argv: []string{"sh", "-c", `echo + >> "$1"; sleep 0.01; echo - >> "$1"`, "sh", log},
			Envp: usermodehelper.Environ(),
			Gate: gate,
			Cleanup: func(r usermodehelper.Result) {
				if r.Failure() != nil {
					t.Error(r)
				}
				all.Done()
			},
		}
		for range helpers {
			go func() { _, _ = h.Exec(t.Context(), mode) }()
		}
		all.Wait()
		text, err := os.ReadFile(log)
		require.NoError(t, err)
		running, most := 0, 0
		for line := range strings.Lines(string(text)) {
			if line == "+\n" {
				running++
			} else {
				running--
			}
			most = max(most, running)
		}
		require.Equal(t, 2*helpers, strings.Count(string(text), "\n"))
		require.LessOrEqual(t, most, places, mode)
	}
	requirePlaces(t, &usermodehelper.Gate{Max: places}, places) // and so many at once
}

func TestHelpersStartInTheOrderInWhichTheyCame(t *testing.T) {
	gate := &usermodehelper.Gate{Max: 1}
	first := hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	const helpers = 6
	order := make(chan int, helpers)
	var results []<-chan error
	for i := range helpers {
		h := hold(t, gate)
		h.letGo()
		init := h.Init
		h.Init = func(attr *os.ProcAttr) error {
			order <- i
			return init(attr)
		}
		results = append(results, h.begin(t.Context(), allModes[i%len(allModes)]))
		waitUntil(t, func() bool { return gate.Waiting() == i+1 })
	}
	first.letGo()
	for i := range helpers {
		require.Equal(t, i, <-order)
		require.NoError(t, <-results[i])
	}
	require.NoError(t, gate.Disable(t.Context())) // the last ones are over
}

func TestContextEndsAHelperThatWaitsForAPlace(t *testing.T) {
	gate := &usermodehelper.Gate{Max: 1}
	first := hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	why := errors.New("no more need")
	for _, mode := range allModes {
		for _, want := range []error{syscall.EINTR, syscall.ETIMEDOUT} {
			ctx, cancel := context.WithCancelCause(t.Context())
			if want == syscall.ETIMEDOUT {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer stop()
			}
			h := hold(t, gate)
			result := h.begin(ctx, mode)
			if want == syscall.EINTR {
				waitUntil(t, func() bool { return gate.Waiting() == 1 })
			}
			cancel(why)
			err := <-h.end
			require.ErrorIs(t, err, want, mode)
			require.ErrorIs(t, err, context.Cause(ctx))
			if mode == usermodehelper.NoWait {
				require.NoError(t, <-result)
			} else {
				require.Equal(t, err, <-result)
			}
			require.Zero(t, h.inits.Load())
			require.EqualValues(t, 1, h.cleanups.Load())
			require.Zero(t, gate.Waiting())
		}
	}
	first.letGo()
	require.NoError(t, <-first.end)
	requirePlaces(t, gate, 1)
}

// The time before the start does not count.
func TestTimeoutDoesNotCountTheWaitForAPlace(t *testing.T) {
	gate := &usermodehelper.Gate{Max: 1}
	first := hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	second := hold(t, gate)
	second.Timeout = 20 * time.Millisecond
	result := second.begin(t.Context(), usermodehelper.WaitProc)
	waitUntil(t, func() bool { return gate.Waiting() == 1 })
	time.Sleep(2 * second.Timeout)
	require.Equal(t, 1, gate.Waiting())
	first.letGo()
	require.ErrorIs(t, <-result, syscall.ETIMEDOUT)
	require.EqualValues(t, 1, second.inits.Load(), "it was started, and ended when its time had passed")
}

func TestPlaceComesBack(t *testing.T) {
	refused := errors.New("refused")
	for name, fail := range map[string]func(*held, context.CancelFunc) error{
		"from a program that is not there": func(h *held, _ context.CancelFunc) error {
			h.Path = "/no/such/file"
			return syscall.ENOENT
		},
		"from a helper whose Init refuses": func(h *held, _ context.CancelFunc) error {
			h.Init = func(*os.ProcAttr) error { return refused }
			return refused
		},
		"from a helper whose context has ended": func(_ *held, cancel context.CancelFunc) error {
			cancel()
			return syscall.EINTR
		},
		"from a helper that its context ends": func(h *held, cancel context.CancelFunc) error {
			time.AfterFunc(20*time.Millisecond, cancel)
			return syscall.EINTR
		},
		"from a helper that its Timeout ends": func(h *held, _ context.CancelFunc) error {
			h.Timeout = 20 * time.Millisecond
			return syscall.ETIMEDOUT
		},
		"from a helper that ends": func(h *held, _ context.CancelFunc) error {
			h.letGo()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range allModes {
				gate := &usermodehelper.Gate{Max: 1}
				ctx, cancel := context.WithCancel(t.Context())
				h := hold(t, gate)
				want := fail(h, cancel)
				_, err := h.Exec(ctx, mode)
				if mode == usermodehelper.WaitProc {
					require.ErrorIs(t, err, want)
				}
				require.ErrorIs(t, <-h.end, want, mode)
				require.NoError(t, gate.Disable(t.Context())) // it is over
				gate.Enable()
				requirePlaces(t, gate, 1)
				require.EqualValues(t, 1, h.cleanups.Load())
				cancel()
			}
		})
	}
}

func TestCleanupMayStartTheNextHelperThoughMaxIsOne(t *testing.T) {
	for _, mode := range allModes {
		gate := &usermodehelper.Gate{Max: 1}
		const chain = 3
		n := 0
		done := make(chan error, 1)
		h := usermodehelper.Helper{Path: "/bin/cat", Gate: gate}
		h.Cleanup = func(r usermodehelper.Result) {
			if n++; n < chain && r.Err == nil {
				_, _ = h.Exec(t.Context(), usermodehelper.WaitProc)
				return
			}
			done <- r.Err
		}
		_, err := h.Exec(t.Context(), mode)
		require.NoError(t, err)
		require.NoError(t, <-done, mode)
		require.NoError(t, gate.Disable(t.Context()))
		require.Equal(t, chain, n)
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

// A helper whose Init does not return is not started.
func TestInitThatPanicsOrEndsTheGoroutine(t *testing.T) {
	for name, out := range map[string]func(){
		"panic":  func() { panic("of Init") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			g := usermodehelper.Gate{Max: 1}
			var cleanups []error
			h := shell("exit 0")
			h.Gate, h.Output = &g, new(usermodehelper.Output)
			h.Init = func(*os.ProcAttr) error { out(); return nil }
			h.Cleanup = func(r usermodehelper.Result) { cleanups = append(cleanups, r.Err) }
			before := descriptors(t)
			for _, mode := range []usermodehelper.Mode{usermodehelper.WaitExec, usermodehelper.WaitProc} {
				cleanups = nil
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_, _ = h.Exec(t.Context(), mode)
				}()
				<-done
				require.Len(t, cleanups, 1)
				require.ErrorIs(t, cleanups[0], syscall.ECANCELED)
			}
			require.Equal(t, before, descriptors(t))
			h.Init = nil
			_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
			require.NoError(t, err)
			require.NoError(t, g.Disable(t.Context()))
		})
	}
}

// With NoWait too a helper has its position in the line when Exec returns.
func TestHelpersThatNobodyWaitsForStartInTheOrderOfTheCalls(t *testing.T) {
	g := usermodehelper.Gate{Max: 1}
	const calls = 10
	started := make(chan int, calls)
	for i := range calls {
		h := shell("exit 0")
		h.Gate = &g
		h.Init = func(*os.ProcAttr) error { started <- i; return nil }
		_, err := h.Exec(t.Context(), usermodehelper.NoWait)
		require.NoError(t, err)
	}
	for i := range calls {
		require.Equal(t, i, <-started)
	}
	require.NoError(t, g.Disable(t.Context()))
}
