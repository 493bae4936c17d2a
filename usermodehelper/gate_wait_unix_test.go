//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

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
