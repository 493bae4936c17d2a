//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
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

// eachMode runs a helper in every mode and passes the results of Cleanup on.
func eachMode(t *testing.T, ctx context.Context, h usermodehelper.Helper, check func(got ended)) {
	t.Helper()
	for _, mode := range modes {
		got := make(chan ended, 2)
		h.Cleanup = func(r usermodehelper.Result) { got <- ended{r.Status, r.Err} }
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
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		for _, mode := range modes {
			ctx := &endsAt{Context: t.Context(), done: make(chan struct{}), err: end}
			inits, got := 0, make(chan ended, 1)
			h := shell(`> "$1"`, mark)
			h.Init = func(*os.ProcAttr) error {
				inits++
				close(ctx.done)
				return nil
			}
			h.Cleanup = func(r usermodehelper.Result) { got <- ended{r.Status, r.Err} }
			_, _ = h.Exec(ctx, mode)
			last := <-got
			require.ErrorIs(t, last.err, end)
			require.ErrorIs(t, last.err, syscall.ECANCELED)
			require.Zero(t, last.status)
			require.Equal(t, 1, inits)
			require.NoFileExists(t, mark)
		}
	}
}

// endsAt is a context that ends with err when done is closed.
type endsAt struct {
	context.Context
	done chan struct{}
	err  error
}

func (c *endsAt) Done() <-chan struct{} { return c.done }

func (c *endsAt) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	h := *shell("exec sleep 1000")
	h.Gate = gate
	_, err = h.Exec(ctx, usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.ETIMEDOUT)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, syscall.ECANCELED)

	h = *shell("exec sleep 1000")
	h.Timeout = 20 * time.Millisecond // begins at the start
	_, err = h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.ETIMEDOUT)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, syscall.ECANCELED)
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
		"/bin/sh was ended (signal: terminated): context deadline exceeded":    {t.Context(), short},
		"fork/exec /missing: no such file or directory":                        {t.Context(), usermodehelper.Helper{Path: "/missing"}},
		`"x": the path is not absolute: invalid argument`:                      {t.Context(), usermodehelper.Helper{Path: "x"}},
		"/bin/sh: Init did not return: operation canceled":                     {t.Context(), panics},
		`"/x": envp[1] sets A a second time: invalid argument`:                 {t.Context(), usermodehelper.Helper{Path: "/x", Envp: []string{"A=1", "A=2"}}},
		"/x was not started: the gate's Max is negative: -1: invalid argument": {t.Context(), usermodehelper.Helper{Path: "/x", Gate: &usermodehelper.Gate{Max: -1}}},
		"/bin/sh was not started: stat /missing/.: no such file or directory":  {t.Context(), initially(func(a *os.ProcAttr) { a.Dir = "/missing" })},
		"fork/exec /" + strings.Repeat("x", 300) + ": file name too long":      {t.Context(), usermodehelper.Helper{Path: "/" + strings.Repeat("x", 300)}},
	} {
		got := make(chan error, 1)
		c.h.Cleanup = func(r usermodehelper.Result) { got <- r.Err }
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

// Bad input of Init starts nothing, and the error tells the reason.
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

// The file that stands for /dev/null belongs to one helper.
func TestInitMayCloseItsFiles(t *testing.T) {
	h := initially(func(a *os.ProcAttr) {
		_ = a.Files[0].Close()
		a.Files = []*os.File{nil, nil, nil}
	})
	for _, h := range []*usermodehelper.Helper{&h, shell("exit 0")} {
		status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Zero(t, status)
	}
}

// A start that is refused leaves the files of the program alone.
func TestFilesOfARefusedStartStayNonBlocking(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	h := initially(func(a *os.ProcAttr) { a.Files[0], a.Env = r, []string{"A=\x00"} })
	_, err = h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.NoError(t, r.SetReadDeadline(time.Now().Add(time.Millisecond)))
	_, err = r.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// With a new root, an empty Dir is the new root and not a directory outside.
func TestHelperInANewRootIsInside(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may")
	}
	const root = "/usr" // has all that a shell needs, where / has links to it
	if out, err := exec.Command("chroot", root, "/bin/sh", "-c", "exit 0").CombinedOutput(); err != nil {
		t.Skipf("no shell in %s: %v %s", root, err, out)
	}
	h := initially(func(a *os.ProcAttr) { a.Sys.Chroot, a.Dir = root, "" })
	h.Argv[2] = "test -e bin && test ! -e usr"
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Zero(t, status)
}

// The time for which the helper runs counts from its start.
func TestTimeoutGoesOnDuringStarted(t *testing.T) {
	h := shell("exec sleep 1000")
	l := leashed(t, h)
	h.Timeout = 2 * time.Second
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
		h.Cleanup = func(usermodehelper.Result) { close(over) }
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
			h.Cleanup = func(r usermodehelper.Result) { got = append(got, ended{r.Status, r.Err}) }
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
			require.ErrorIs(t, got[0].err, syscall.ECANCELED)
			require.ErrorContains(t, got[0].err, "Started did not return")
			require.Equal(t, syscall.SIGTERM, got[0].status.Signal())
		})
	}
}
