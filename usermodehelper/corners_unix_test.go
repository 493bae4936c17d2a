//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// eachMode runs a helper in every mode and returns what Cleanup gets.
func eachMode(t *testing.T, ctx context.Context, h usermodehelper.Helper, check func(got ended)) {
	t.Helper()
	for _, mode := range modes {
		got := make(chan ended, 2)
		h.Cleanup = func(s usermodehelper.Status, err error) { got <- ended{s, err} }
		_, err := h.Exec(ctx, mode)
		result := <-got
		if err != nil {
			require.Equal(t, result.err, err)
		}
		check(result)
		require.Empty(t, got)
	}
}

// A context that ends in Init is as good as one that has ended before.
func TestContextThatEndsInInitStartsNothing(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "it ran")
	for range 20 {
		for _, end := range []error{syscall.EINTR, syscall.ETIMEDOUT} {
			ctx, cancel := context.WithCancel(t.Context())
			h := *shell(`> "$1"`, mark)
			h.Init = func(*os.ProcAttr) error {
				cancel()
				return nil
			}
			if end == syscall.ETIMEDOUT {
				ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
				h.Init = func(*os.ProcAttr) error {
					<-ctx.Done()
					return nil
				}
			}
			eachMode(t, ctx, h, func(got ended) {
				require.ErrorIs(t, got.err, end)
				require.ErrorIs(t, got.err, syscall.ECANCELED)
				require.Zero(t, got.status)
			})
			cancel()
			require.NoFileExists(t, mark)
		}
	}
}

// A deadline that has passed is a Timeout that is over.
func TestNegativeTimeoutIsOverAtOnce(t *testing.T) {
	for _, timeout := range []time.Duration{-1, time.Until(time.Now().Add(-time.Hour))} {
		h := *shell("exec sleep 1000")
		inits := 0
		h.Timeout = timeout
		h.Init = func(*os.ProcAttr) error { inits++; return nil }
		eachMode(t, t.Context(), h, func(got ended) {
			require.ErrorIs(t, got.err, syscall.ETIMEDOUT)
			require.ErrorIs(t, got.err, context.DeadlineExceeded)
			require.ErrorIs(t, got.err, syscall.ECANCELED)
			require.Zero(t, inits)
		})
	}
	// Nor does it wait for a place.
	gate := &usermodehelper.Gate{Max: 1}
	first := hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	h := *shell("exit 3")
	h.Gate, h.Timeout = gate, -time.Second
	eachMode(t, t.Context(), h, func(got ended) { require.ErrorIs(t, got.err, syscall.ETIMEDOUT) })
	first.letGo()
	require.NoError(t, <-first.end)
	requirePlaces(t, gate, 1)
}

func TestNegativeGraceIsNone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := shell(`trap '' TERM; echo ready >&3; while :; do sleep 1000; done`)
	l := leashed(t, h)
	h.Grace = -time.Hour
	result := started(t, ctx, h)
	l.line()
	start := time.Now()
	cancel()
	require.Equal(t, syscall.SIGKILL, (<-result).status.Signal())
	require.Less(t, time.Since(start), soon)
	l.gone()
}

func TestNegativeMaxIsRefused(t *testing.T) {
	requireRefused(t, t.Context(), hold(t, &usermodehelper.Gate{Max: -1}), syscall.EINVAL)
}

func TestNilContextIsRefused(t *testing.T) {
	var none context.Context
	requireRefused(t, none, hold(t, nil), syscall.EINVAL)
	var gate usermodehelper.Gate
	require.ErrorIs(t, gate.Disable(none), syscall.EINVAL)
	requirePlaces(t, &gate, 1)
}

// A wait for a place that ctx ends is told from a run that ctx ends.
func TestErrorOfAHelperThatWasNotStartedIsToldFromOneOfARun(t *testing.T) {
	gate := &usermodehelper.Gate{Max: 1}
	first := hold(t, gate)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	for _, c := range []struct {
		gate    *usermodehelper.Gate
		started bool
	}{{gate, false}, {nil, true}} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		h := *shell("exec sleep 1000")
		h.Gate = c.gate
		_, err := h.Exec(ctx, usermodehelper.WaitProc)
		cancel()
		require.ErrorIs(t, err, syscall.ETIMEDOUT)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, !c.started, errors.Is(err, syscall.ECANCELED), "%v", err)
	}
	first.letGo()
	require.NoError(t, <-first.end)
}

// Every error begins with the package that was called, and names no other.
func TestErrorsNameThisPackageAlone(t *testing.T) {
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no more need"))
	full := &usermodehelper.Gate{Max: 1}
	first := hold(t, full)
	_, err := first.Exec(t.Context(), usermodehelper.WaitExec)
	require.NoError(t, err)
	shut := new(usermodehelper.Gate)
	require.NoError(t, shut.Disable(t.Context()))
	short := *shell("exec sleep 1000")
	short.Timeout = time.Millisecond
	panics := *shell("exit 0")
	panics.Init = func(*os.ProcAttr) error { runtime.Goexit(); return nil }

	require.EqualError(t, full.Disable(ended), "usermodehelper: helpers not over yet: 1: no more need")
	for text, c := range map[string]struct {
		ctx context.Context
		h   usermodehelper.Helper
	}{
		"/bin/sh was not started: no more need":                                {ended, *shell("exit 0")},
		"/x was not started: all 1 places are taken: no more need":             {ended, usermodehelper.Helper{Path: "/x", Gate: full}},
		"/x was not started: helpers are disabled: device or resource busy":    {ended, usermodehelper.Helper{Path: "/x", Gate: shut}},
		"/x is not on the list of programs: operation not permitted":           {ended, usermodehelper.Helper{Path: "/x", Gate: &usermodehelper.Gate{Allow: []string{}}}},
		"/bin/sh was ended: context deadline exceeded":                         {t.Context(), short},
		"fork/exec /missing: no such file or directory":                        {t.Context(), usermodehelper.Helper{Path: "/missing"}},
		`"x": the path is not absolute: invalid argument`:                      {t.Context(), usermodehelper.Helper{Path: "x"}},
		"/bin/sh: Init did not return: operation canceled":                     {t.Context(), panics},
		`"/x": envp[1] sets A a second time: invalid argument`:                 {t.Context(), usermodehelper.Helper{Path: "/x", Envp: []string{"A=1", "A=2"}}},
		"/x was not started: the gate's Max is negative: -1: invalid argument": {t.Context(), usermodehelper.Helper{Path: "/x", Gate: &usermodehelper.Gate{Max: -1}}},
		"/bin/sh was not started: stat /missing/.: no such file or directory":  {t.Context(), initially(func(a *os.ProcAttr) { a.Dir = "/missing" })},
		"fork/exec /" + strings.Repeat("x", 300) + ": file name too long":      {t.Context(), usermodehelper.Helper{Path: "/" + strings.Repeat("x", 300)}},
	} {
		got := make(chan error, 1)
		c.h.Cleanup = func(_ usermodehelper.Status, err error) { got <- err }
		go func() { _, _ = c.h.Exec(c.ctx, usermodehelper.WaitProc) }()
		require.EqualError(t, <-got, "usermodehelper: "+text)
	}
	first.letGo()
	require.NoError(t, <-first.end)
}

func initially(change func(*os.ProcAttr)) usermodehelper.Helper {
	h := *shell("exit 0")
	h.Init = func(attr *os.ProcAttr) error {
		change(attr)
		return nil
	}
	return h
}

// Bad input of Init starts nothing, and the error says what is wrong.
func TestInitMayNotAskForNonsense(t *testing.T) {
	closed, err := os.Open(os.DevNull)
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	for _, c := range []struct {
		change func(*os.ProcAttr)
		errno  error
		text   string
	}{
		{func(a *os.ProcAttr) { a.Env = []string{"A=1", "B=\x00"} }, syscall.EINVAL, "env[1] has a NUL byte"},
		{func(a *os.ProcAttr) { a.Dir = "/\x00" }, syscall.EINVAL, `Dir "/\x00" has a NUL byte`},
		{func(a *os.ProcAttr) { a.Dir = "/missing" }, syscall.ENOENT, "/missing"},
		{func(a *os.ProcAttr) { a.Dir = "/dev/null" }, syscall.ENOTDIR, "/dev/null"},
		{func(a *os.ProcAttr) { a.Sys.Chroot, a.Dir = "/", "bin" }, syscall.EINVAL, `Dir "bin" must be absolute`},
		{func(a *os.ProcAttr) { a.Files[2] = new(os.File) }, syscall.EBADF, "files[2] is not open"},
		{func(a *os.ProcAttr) { a.Files = append(a.Files, nil, closed) }, syscall.EBADF, "files[4] is not open"},
	} {
		eachMode(t, t.Context(), initially(c.change), func(got ended) {
			require.ErrorIs(t, got.err, c.errno)
			require.ErrorContains(t, got.err, "usermodehelper: /bin/sh was not started: ")
			require.ErrorContains(t, got.err, c.text)
		})
	}
}

// With a new root, an empty Dir is the new root and not a directory outside.
func TestHelperInANewRootIsInside(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may")
	}
	h := initially(func(a *os.ProcAttr) { a.Sys.Chroot, a.Dir = "/usr/..", "" })
	t.Chdir(t.TempDir())
	h.Argv[2], h.Output = "pwd", new(usermodehelper.Output)
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Zero(t, status)
	require.Equal(t, "/\n", h.Output.String())
}

// The time for which the helper runs counts from its start.
func TestTimeoutGoesOnDuringStarted(t *testing.T) {
	h := shell("exec sleep 1000")
	l := leashed(t, h)
	h.Timeout = 100 * time.Millisecond
	var told time.Time
	h.Started = func(int) {
		<-time.After(h.Timeout)
		told = time.Now()
	}
	_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.ETIMEDOUT)
	require.Less(t, time.Since(told), h.Timeout)
	l.gone()
}

func TestPathThatIsTooLong(t *testing.T) {
	for _, path := range []string{"/" + strings.Repeat("x", 300), strings.Repeat("/x", 3000)} {
		eachMode(t, t.Context(), usermodehelper.Helper{Path: path}, func(got ended) {
			require.ErrorIs(t, got.err, syscall.ENAMETOOLONG)
		})
	}
}

// The pid is told as soon as there is one, and before Cleanup.
func TestStartedTellsThePid(t *testing.T) {
	for _, mode := range modes {
		var pids []int
		over := make(chan bool)
		h := shell(`echo $$`)
		h.Output = new(usermodehelper.Output)
		h.Started = func(pid int) { pids = append(pids, pid) }
		h.Cleanup = func(usermodehelper.Status, error) { close(over) }
		_, err := h.Exec(t.Context(), mode)
		require.NoError(t, err)
		<-over
		require.Len(t, pids, 1)
		require.Equal(t, strings.TrimSpace(h.Output.String()), strconv.Itoa(pids[0]))
	}
	h := usermodehelper.Helper{Path: "/missing", Started: func(int) { t.Error("nothing was started") }}
	_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.ENOENT)
}

// Nobody would wait for the helper that it leaves.
func TestHelperIsEndedIfStartedDoesNotReturn(t *testing.T) {
	for name, out := range map[string]func(){"panic": func() { panic("of Started") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var gate usermodehelper.Gate
			var got []ended
			h := shell("exec sleep 1000")
			l := leashed(t, h)
			h.Gate = &gate
			h.Started = func(int) { out() }
			h.Cleanup = func(s usermodehelper.Status, err error) { got = append(got, ended{s, err}) }
			done := make(chan bool)
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_, _ = h.Exec(t.Context(), usermodehelper.WaitExec)
			}()
			<-done
			l.gone()
			require.NoError(t, gate.Disable(t.Context()))
			require.Len(t, got, 1)
			require.ErrorIs(t, got[0].err, syscall.EINTR)
			require.ErrorContains(t, got[0].err, "Started did not return")
			require.Equal(t, syscall.SIGTERM, got[0].status.Signal())
		})
	}
}
