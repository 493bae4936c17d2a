//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// soon is enough time for an end that has to come at once, or within some
// milliseconds of grace. A second would do if the machine had nothing else
// to do. A failure takes much longer.
const soon = 5 * time.Second

// A record has the signals and the reapings, in order.
type record struct {
	mu     sync.Mutex
	events []event
	wrong  []event
	reap   func(pid int) // if not nil, is called before each reaping
}

type event struct {
	what string
	pid  int
}

// isChild reports whether pid is a child that was not reaped yet. It is nil
// where that cannot be told.
var isChild func(pid int) bool

// recorded records, and fails the test in its end if something was signalled
// after it was reaped.
func recorded(t *testing.T) *record {
	r := new(record)
	reaped := map[int]bool{}
	usermodehelper.SetTrace(func(what string, pid int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		e := event{what, pid}
		r.events = append(r.events, e)
		switch {
		case what == "reap":
			reaped[pid] = true
			if r.reap != nil {
				r.reap(pid)
			}
		case isChild != nil && !isChild(pid), isChild == nil && reaped[pid]:
			r.wrong = append(r.wrong, e)
		}
	})
	t.Cleanup(func() {
		usermodehelper.SetTrace(nil)
		require.Empty(t, r.wrong, "signalled after it was reaped")
	})
	return r
}

// take returns the events since the last call, if all was about one pid.
func (r *record) take(t *testing.T) string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var words []string
	for _, e := range r.events {
		require.Equal(t, r.events[0].pid, e.pid)
		words = append(words, e.what)
	}
	r.events = nil
	return strings.Join(words, " ")
}

// endedAndReaped is the record of a helper whose group was ended.
const endedAndReaped = "terminated continued killed reap"

func TestTimeoutEndsTheHelperInEveryMode(t *testing.T) {
	for _, mode := range modes {
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(late, cancel).Stop()
		cleanup := make(chan ended, 2)
		h := shell("sleep 1000 & exec sleep 1000")
		l := leashed(t, h)
		h.Timeout = 50 * time.Millisecond
		h.Cleanup = func(r usermodehelper.Result) { cleanup <- ended{r.Status, r.Err} }
		start := time.Now()
		_, _ = h.Exec(ctx, mode)
		got := <-cleanup
		require.ErrorIs(t, got.err, syscall.ETIMEDOUT)
		require.ErrorIs(t, got.err, context.DeadlineExceeded)
		require.Equal(t, syscall.SIGTERM, got.status.Signal())
		require.GreaterOrEqual(t, time.Since(start), h.Timeout)
		l.gone()
	}
}

func TestTimeoutThatDoesNotPassChangesNothing(t *testing.T) {
	h := shell("exit 3")
	h.Timeout = time.Hour
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Equal(t, 3, status.ExitCode())
}

// A member that the helper has left ignores SIGTERM, and holds the output.
func TestWhoHoldsTheOutputIsEndedWithTheContext(t *testing.T) {
	rec := recorded(t)
	ctx, cancel := context.WithCancel(t.Context())
	h := shell(`echo hello; (trap '' TERM; echo ready >&3; exec sleep 1000) & exec sleep 1000`)
	l := leashed(t, h)
	h.Grace, h.Output = 300*time.Millisecond, new(usermodehelper.Output)
	result := started(t, ctx, h)
	l.line()
	start := time.Now()
	cancel()
	got := <-result
	require.GreaterOrEqual(t, time.Since(start), h.Grace)
	require.Less(t, time.Since(start), h.Grace+soon)
	require.ErrorIs(t, got.err, syscall.EINTR)
	require.Equal(t, syscall.SIGTERM, got.status.Signal())
	require.Empty(t, l.gone())
	require.Equal(t, "hello\n", string(h.Output.Bytes()))
	require.True(t, h.Output.Cut(), "it may have had more to write")
	require.Equal(t, endedAndReaped, rec.take(t))
}

// Nothing but the output is a reason to end it.
func TestWhoHoldsTheOutputIsEndedWhenGraceHasPassed(t *testing.T) {
	rec := recorded(t)
	h := shell(`echo hello; (trap '' TERM; exec sleep 1000) & exit 3`)
	l := leashed(t, h)
	h.Grace, h.Output = 300*time.Millisecond, new(usermodehelper.Output)
	start := time.Now()
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.GreaterOrEqual(t, time.Since(start), h.Grace)
	require.Less(t, time.Since(start), h.Grace+soon)
	require.NoError(t, err, "it was not interrupted")
	require.Equal(t, 3, status.ExitCode())
	l.gone()
	require.Equal(t, "hello\n", string(h.Output.Bytes()))
	require.True(t, h.Output.Cut(), "it may have had more to write")
	require.Equal(t, "killed reap", rec.take(t))
}

// A child that closes the output in time is waited for, and may stay. It has a
// pipe for each of its two reads: of one pipe, the second read could see the end
// of the first write, and leave nobody to read the second.
func TestWhoClosesTheOutputInTimeIsLeftAlone(t *testing.T) {
	rec := recorded(t)
	h := shell(`(read line < "$1"; echo late; exec > /dev/null 2>&1; echo ready >&3; read line < "$2") & exit 3`, fifo(t), fifo(t))
	l := leashed(t, h)
	h.Grace, h.Output = time.Minute, new(usermodehelper.Output)
	result := started(t, t.Context(), h)
	write := func(pipe string) { require.NoError(t, os.WriteFile(pipe, []byte("\n"), 0)) }
	write(h.Argv[4])
	l.line()
	require.Equal(t, ended{status: 3 << 8}, <-result)
	require.Equal(t, "late\n", h.Output.String())
	require.False(t, h.Output.Cut())
	require.Equal(t, "reap", rec.take(t))
	write(h.Argv[5]) // it is there still, and goes now
	l.gone()
}

// The second signal would be too early as soon as the helper has gone: another
// one of the group has something to say still.
func TestSecondSignalWaitsForWhoHoldsTheOutput(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := shell(`(trap 'read line < "$1"; echo goodbye; exit' TERM; sh -c 'echo ready >&3; exec sleep 1000 >&3 2>&3' & wait) &
		echo $$ >&3; exec sleep 1000`, fifo(t))
	l := leashed(t, h)
	h.Grace, h.Output = time.Minute, new(usermodehelper.Output)
	result := started(t, ctx, h)
	lines := []string{l.line(), l.line()}
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "ready" })
	cancel()
	awaitZombie(t, lines[0])
	require.NoError(t, os.WriteFile(h.Argv[4], []byte("\n"), 0))
	require.ErrorIs(t, (<-result).err, syscall.EINTR)
	require.Equal(t, "goodbye\n", h.Output.String())
	require.False(t, h.Output.Cut())
	l.gone()
}

// The helper has ended, and was not interrupted, though the context ends the
// members that hold the output.
func TestContextThatEndsAfterTheHelperEndsWhoHoldsTheOutput(t *testing.T) {
	rec := recorded(t)
	ctx, cancel := context.WithCancel(t.Context())
	h := shell(`sleep 1000 & echo $$ >&3; exit 3`)
	l := leashed(t, h)
	h.Grace, h.Output = time.Minute, new(usermodehelper.Output)
	result := started(t, ctx, h)
	awaitZombie(t, l.line())
	start := time.Now()
	cancel()
	require.Equal(t, ended{status: 3 << 8}, <-result)
	require.Less(t, time.Since(start), h.Grace)
	l.gone()
	require.False(t, h.Output.Cut(), "it let go of it before the second signal")
	require.Equal(t, endedAndReaped, rec.take(t))
}

// A daemon in the group that does not hold the output lives on, although this
// program holds a copy of the output.
func TestContextThatEndsAfterTheHelperLeavesOtherDaemons(t *testing.T) {
	rec := recorded(t)
	ctx, cancel := context.WithCancel(t.Context())
	// The daemon says that it is there when it no longer holds the output.
	h := shell(`sh -c 'echo daemon $$ >&3; exec sleep 1000' >/dev/null 2>&1 & echo helper $$ >&3; exit 3`)
	l := leashed(t, h)
	inner, dup := h.Init, -1
	h.Init = func(attr *os.ProcAttr) (err error) {
		dup, err = syscall.Dup(int(attr.Files[1].Fd()))
		return errors.Join(err, inner(attr))
	}
	h.Grace, h.Output = time.Minute, new(usermodehelper.Output)
	result := started(t, ctx, h)
	pids := map[string]string{}
	for range 2 { // in any order
		name, pid, _ := strings.Cut(l.line(), " ")
		pids[name] = pid
	}
	daemon, err := strconv.Atoi(pids["daemon"])
	require.NoError(t, err)
	awaitZombie(t, pids["helper"])
	cancel()
	require.Equal(t, ended{status: 3 << 8}, <-result)
	require.NoError(t, syscall.Close(dup))
	require.Equal(t, "reap", rec.take(t), "and no signal")
	require.NoError(t, syscall.Kill(daemon, syscall.SIGKILL))
	l.gone()
}

// A process that has left the group is out of reach, and does not keep Exec.
func TestDaemonThatHoldsTheOutputDoesNotKeepExec(t *testing.T) {
	for _, c := range []struct {
		role string
		want ended
	}{
		{"daemon", ended{}},
		{"daemon-and-stay", ended{15, syscall.EINTR}}, // until ctx ends
	} {
		ctx, cancel := context.WithCancel(t.Context())
		h := actor(t, c.role, "/bin/sh", "-c", `echo hello; echo $$ >&3; exec sleep 1000`)
		l := leashed(t, h)
		h.Grace, h.Output = 300*time.Millisecond, new(usermodehelper.Output)
		result := started(t, ctx, h)
		daemon, err := strconv.Atoi(l.line())
		require.NoError(t, err)
		if c.want.err != nil {
			cancel()
		}
		start := time.Now()
		got := <-result
		cancel()
		require.NoError(t, syscall.Kill(daemon, syscall.SIGKILL), "it was there still")
		requireEnded(t, c.want, got, c.role)
		require.Less(t, time.Since(start), h.Grace+soon)
		require.True(t, h.Output.Cut())
		require.Equal(t, "hello\n[cut: it was held open]", h.Output.String())
		l.gone()
	}
}

// The helper takes all of Grace, and a process outside of the group holds its output:
// that is no reason for more.
func TestGraceIsNotGivenTwice(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	h := actor(t, "daemon-and-ignore", "/bin/sh", "-c", `echo $$ >&3; exec sleep 1000`)
	l := leashed(t, h)
	h.Grace, h.Output = 4*time.Second, new(usermodehelper.Output)
	result := started(t, ctx, h)
	daemon, err := strconv.Atoi(l.line())
	require.NoError(t, err)
	start := time.Now()
	cancel()
	got := <-result
	passed := time.Since(start)
	require.NoError(t, syscall.Kill(daemon, syscall.SIGKILL))
	require.Equal(t, syscall.SIGKILL, got.status.Signal())
	require.GreaterOrEqual(t, passed, h.Grace)
	require.Less(t, passed, 2*h.Grace)
	require.True(t, h.Output.Cut())
	l.gone()
}

// The context ends before the start, during it, after it: nothing is left.
func TestStopDuringStart(t *testing.T) {
	_ = recorded(t)
	const rounds = 150
	for i := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		cleanups := make(chan ended, 2)
		h := shell("sleep 1000 & exec sleep 1000")
		h.Cleanup = func(r usermodehelper.Result) { cleanups <- ended{r.Status, r.Err} }
		l := leashed(t, h)
		var stopper sync.WaitGroup
		stopper.Go(func() {
			for start := time.Now(); time.Since(start) < time.Duration(i)*40*time.Microsecond; {
			}
			cancel()
		})
		mode := modes[i%len(modes)]
		_, err := h.Exec(ctx, mode)
		got := <-cleanups
		require.ErrorIs(t, got.err, syscall.EINTR)
		require.ErrorIs(t, got.err, context.Canceled)
		if err != nil || mode == usermodehelper.WaitProc {
			require.Equal(t, got.err, err)
		}
		l.gone()
		stopper.Wait()
		require.Empty(t, cleanups)
	}
}

func TestSweepEndsWhatIsLeft(t *testing.T) {
	rec := recorded(t)
	for _, output := range []*usermodehelper.Output{nil, {}} {
		h := shell(`(trap '' TERM HUP; exec sleep 1000) >/dev/null 2>&1 & exit 4`)
		l := leashed(t, h)
		h.Sweep, h.Output = true, output
		status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Equal(t, 4, status.ExitCode())
		l.gone()
		require.Equal(t, endedAndReaped, rec.take(t))
	}
}

func TestNothingIsSignalledAfterAHelperThatEndsByItself(t *testing.T) {
	rec := recorded(t)
	ctx, cancel := context.WithCancel(t.Context())
	h := shell(`exit 4`)
	h.Output = new(usermodehelper.Output)
	_, err := h.Exec(ctx, usermodehelper.WaitProc)
	require.NoError(t, err)
	cancel()
	require.Equal(t, "reap", rec.take(t))
}

// The helper goes at the first signal. The second is for the members that it has left.
func TestBothSignalsComeBeforeTheHelperIsReaped(t *testing.T) {
	rec := recorded(t)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		result := started(t, ctx, shell("exec sleep 1000"))
		cancel()
		require.ErrorIs(t, (<-result).err, syscall.EINTR)
		require.Equal(t, endedAndReaped, rec.take(t))
	}
}

// Somebody waits for children that are not its own.
func TestHelperThatSomebodyElseHasReaped(t *testing.T) {
	rec := recorded(t)
	rec.reap = func(pid int) {
		got, err := syscall.Wait4(pid, nil, 0, nil)
		require.NoError(t, err)
		require.Equal(t, pid, got)
	}
	h := shell("exit 3")
	h.Output = new(usermodehelper.Output)
	_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.ECHILD)
	require.Equal(t, "reap", rec.take(t))
}

// Then the system reaps every child as soon as it ends. This is for a process
// of its own.
func TestProgramThatIgnoresItsChildren(t *testing.T) {
	status, err := actor(t, "ignore-children").Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Zero(t, status.ExitCode())
}

func init() {
	roles["ignore-children"] = func([]string) error {
		signal.Ignore(syscall.SIGCHLD)
		var signals int
		usermodehelper.SetTrace(func(what string, pid int) {
			if what != "reap" && isChild != nil && !isChild(pid) {
				signals++
			}
		})
		for _, sweep := range []bool{false, true} {
			h := shell("exit 3")
			h.Sweep, h.Timeout = sweep, late
			if _, err := h.Exec(context.Background(), usermodehelper.WaitProc); err == nil || !strings.Contains(err.Error(), syscall.ECHILD.Error()) {
				return fmt.Errorf("sweep %v: %v", sweep, err)
			}
		}
		if signals > 0 {
			return fmt.Errorf("%d signals", signals)
		}
		return nil
	}
}

// A file that is still open for writing somewhere is tried again, by itself.
func TestFileThatIsBeingWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = f.WriteString("#!/bin/sh\nexit 4\n")
	require.NoError(t, err)
	inits := 0
	h := usermodehelper.Helper{Path: path, Init: func(*os.ProcAttr) error {
		inits++
		time.AfterFunc(30*time.Millisecond, func() { _ = f.Close() })
		return nil
	}}
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Equal(t, 4, status.ExitCode())
	require.Equal(t, 1, inits)

	again, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	start := time.Now()
	_, err = usermodehelper.Call(ctx, path, nil, nil, usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.EINTR, "for as long as ctx says")
	require.Less(t, time.Since(start), 2*time.Second)
	require.NoError(t, again.Close())
}

func TestFileThatIsBeingWrittenForLong(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "script")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("#!/bin/sh\nexit 4\n")
	require.NoError(t, err)
	start := time.Now()
	_, err = usermodehelper.Call(t.Context(), path, nil, nil, usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.ETXTBSY, "not for ever")
	require.GreaterOrEqual(t, time.Since(start), 2*time.Second)
	require.Less(t, time.Since(start), 2*time.Second+soon)
}
