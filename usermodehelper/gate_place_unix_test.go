//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

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
