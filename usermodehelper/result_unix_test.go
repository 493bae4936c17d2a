//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// resultOf returns the Result of a helper, in the given mode.
func resultOf(t *testing.T, mode usermodehelper.Mode, h *usermodehelper.Helper) usermodehelper.Result {
	over := make(chan usermodehelper.Result, 2)
	h.Cleanup = func(r usermodehelper.Result) { over <- r }
	status, err := h.Exec(t.Context(), mode)
	r := <-over
	if mode == usermodehelper.WaitProc {
		require.Equal(t, r.Status, status)
		require.Equal(t, r.Err, err)
	}
	return r
}

func TestResultOfAHelper(t *testing.T) {
	for _, mode := range modes {
		before := time.Now()
		h := shell(`echo $$; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; exit 3`)
		h.Output = new(usermodehelper.Output)
		r := resultOf(t, mode, h)
		require.Equal(t, "/bin/sh", r.Path)
		require.Equal(t, strings.TrimSpace(h.Output.String()), fmt.Sprint(r.Pid))
		require.True(t, r.Reaped)
		require.NoError(t, r.Err)
		require.Equal(t, 3, r.Status.ExitCode())
		require.WithinRange(t, r.Begin, before, time.Now())
		require.WithinRange(t, r.End, r.Begin, time.Now())
		usage := r.SysUsage.(*syscall.Rusage)
		require.EqualValues(t, usage.Utime.Nano(), r.User)
		require.EqualValues(t, usage.Stime.Nano(), r.System)
		require.Greater(t, r.User+r.System, time.Millisecond)
		require.Greater(t, r.MaxRSS, int64(100<<10), "in bytes")
		require.Less(t, r.MaxRSS, int64(100<<30))
	}
}

// End is the end of the helper, not of a daemon that is waited for.
func TestEndIsTheEndOfTheHelperItself(t *testing.T) {
	h := shell(`sleep 1000 & exit 0`)
	h.Grace, h.Output = time.Second, new(usermodehelper.Output)
	l := leashed(t, h)
	r := resultOf(t, usermodehelper.WaitProc, h)
	require.True(t, h.Output.Broken())
	require.Less(t, r.End.Sub(r.Begin), h.Grace)
	l.gone()
}

func TestResultOfAHelperThatWasEnded(t *testing.T) {
	for _, mode := range modes {
		h := shell(`exec sleep 1000`)
		h.Timeout = 50 * time.Millisecond
		r := resultOf(t, mode, h)
		require.True(t, r.Reaped)
		require.EqualError(t, r.Err, "usermodehelper: /bin/sh was ended (signal: terminated): context deadline exceeded")
		require.Equal(t, syscall.SIGTERM, r.Status.Signal())
		require.GreaterOrEqual(t, r.End.Sub(r.Begin), h.Timeout)
		require.Equal(t, r.Err, r.Failure())
	}
}

func TestResultOfAHelperThatWasNotStarted(t *testing.T) {
	for _, mode := range modes {
		for _, h := range []*usermodehelper.Helper{{Path: "/missing"}, {Path: "missing"}} {
			r := resultOf(t, mode, h)
			require.Error(t, r.Err)
			require.Equal(t, usermodehelper.Result{Path: h.Path, Err: r.Err}, r)
		}
	}
}

func TestResultOfAHelperThatSomebodyElseHasReaped(t *testing.T) {
	rec := recorded(t)
	rec.reap = func(pid int) {
		_, err := syscall.Wait4(pid, nil, 0, nil)
		require.NoError(t, err)
	}
	for _, timeout := range []time.Duration{0, 50 * time.Millisecond} {
		h := shell(`exec sleep 0.02`)
		if h.Timeout = timeout; timeout > 0 {
			h.Argv[2] = "exec sleep 1000"
		}
		r := resultOf(t, usermodehelper.WaitProc, h)
		require.ErrorIs(t, r.Err, syscall.ECHILD)
		if timeout > 0 {
			require.ErrorIs(t, r.Err, syscall.ETIMEDOUT)
		}
		require.False(t, r.Reaped)
		require.Zero(t, r.Status)
		require.Nil(t, r.SysUsage)
		require.Contains(t, r.String(), "status unknown")
	}
}
