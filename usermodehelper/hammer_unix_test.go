//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// What can be seen on one system only, and is nil elsewhere.
var (
	adoptOrphans func(on bool) error   // as children of this process, to be seen and reaped
	children     func() ([]int, error) // the pids of all, of those that are to be reaped too
)

// A job is what a helper of the hammer does, and how it may end.
type job struct {
	script  string
	change  func(*usermodehelper.Helper) // if not nil
	cancel  bool                         // at any moment
	exit    int                          // how it ends if nothing interrupts it; -1 if it does not
	signal  syscall.Signal
	because error // how it is interrupted, if that is sure
}

func impatient(h *usermodehelper.Helper) { h.Grace = 5 * time.Millisecond }

var jobs = []job{
	{script: `exit 3`, exit: 3},
	{script: `exit 3`, exit: 3, cancel: true},
	{script: `kill -KILL $$`, signal: syscall.SIGKILL},
	{script: `kill -KILL $$`, signal: syscall.SIGKILL, cancel: true},
	{script: `exec sleep 1000`, exit: -1, cancel: true, because: syscall.EINTR},
	{script: `(trap '' TERM; exec sleep 1000) & exec sleep 1000`, exit: -1, cancel: true, because: syscall.EINTR, change: impatient},
	{script: `(trap '' TERM; exec sleep 1000) & trap '' TERM; sleep 1000`, exit: -1, cancel: true, because: syscall.EINTR, change: impatient},
	{script: `sleep 1000 & exec sleep 1000`, exit: -1, because: syscall.ETIMEDOUT,
		change: func(h *usermodehelper.Helper) { h.Timeout = time.Duration(1+rand.IntN(5)) * time.Millisecond }},
	{script: `(trap '' TERM HUP; exec sleep 1000) & exit 3`, exit: 3,
		change: func(h *usermodehelper.Helper) { impatient(h); h.Sweep = true }},
	{script: `(trap '' TERM HUP; exec sleep 1000) & exit 3`, exit: 3, cancel: true,
		change: func(h *usermodehelper.Helper) { impatient(h); h.Sweep = true }},
	{script: `(trap '' TERM HUP; exec sleep 1000) & echo $$; exit 3`, exit: 3,
		change: func(h *usermodehelper.Helper) {
			impatient(h)
			h.Output = new(usermodehelper.Output)
		}},
	{script: `(trap '' TERM HUP; exec sleep 1000) & echo $$; exit 3`, exit: 3, cancel: true,
		change: func(h *usermodehelper.Helper) {
			impatient(h)
			h.Output = new(usermodehelper.Output)
		}},
	{script: `while :; do echo $$; done`, exit: -1, cancel: true, because: syscall.EINTR,
		change: func(h *usermodehelper.Helper) { h.Output = new(usermodehelper.Output) }},
}

// check says what is wrong with an end.
func (j *job) check(got ended) error {
	switch {
	case got.err == nil && j.because == nil && j.signal != 0 && got.status == usermodehelper.Status(j.signal):
	case got.err == nil && j.because == nil && j.signal == 0 && got.status == usermodehelper.Status(j.exit)<<8:
	case j.because != nil && errors.Is(got.err, j.because):
	case j.because == nil && j.cancel && errors.Is(got.err, syscall.EINTR):
	default:
		return fmt.Errorf("%s: %v, %w", j.script, got.status, got.err)
	}
	return nil
}

func TestHammer(t *testing.T) {
	rounds := 125
	if testing.Short() {
		rounds = 20
	}
	t.Run("alone", func(t *testing.T) { hammer(t, rounds) })
	t.Run("recorded", func(t *testing.T) { // which keeps the goroutines in step
		_ = recorded(t)
		hammer(t, rounds)
	})
}

// hammer runs many helpers at once.
func hammer(t *testing.T, rounds int) {
	const goroutines = 8
	if adoptOrphans != nil {
		require.NoError(t, adoptOrphans(true))
		defer func() { require.NoError(t, adoptOrphans(false)) }()
	}
	before := descriptors(t)
	var calls, cleanups atomic.Int64
	var all sync.WaitGroup
	base := usermodehelper.Helper{}
	l := leashed(t, &base)
	start := time.Now()
	for range goroutines {
		all.Go(func() {
			for range rounds {
				j, mode := &jobs[rand.IntN(len(jobs))], modes[rand.IntN(len(modes))]
				h := *shell(j.script)
				h.Init = base.Init
				if j.change != nil {
					j.change(&h)
				}
				got := make(chan ended, 1)
				h.Cleanup = func(s usermodehelper.Status, err error) {
					cleanups.Add(1)
					got <- ended{s, err} // blocks, and does not end, when it comes twice
				}
				ctx, cancel := context.WithCancel(t.Context())
				if j.cancel {
					time.AfterFunc(time.Duration(rand.IntN(10_000))*time.Microsecond, cancel)
				}
				calls.Add(1)
				_, _ = h.Exec(ctx, mode)
				if err := j.check(<-got); err != nil {
					t.Error(mode, err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	t.Log(calls.Load(), "helpers in", time.Since(start))
	require.Equal(t, calls.Load(), cleanups.Load())
	l.gone()
	require.NoError(t, l.r.Close())
	require.Equal(t, before, descriptors(t))
	reapOrphans(t)
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	dir, err := os.ReadDir("/dev/fd")
	require.NoError(t, err)
	return len(dir)
}

// reapOrphans requires that every child that is left was killed. They are what
// the helpers have started and left, and nothing else.
func reapOrphans(t *testing.T) {
	if children == nil {
		return
	}
	orphans, err := children()
	require.NoError(t, err)
	deadline := time.Now().Add(late)
	for len(orphans) > 0 {
		orphans = slices.DeleteFunc(orphans, func(pid int) bool {
			var ws syscall.WaitStatus
			got, err := syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
			require.NoError(t, err)
			if got == 0 {
				require.Less(t, time.Now(), deadline, "%d was not killed", pid)
				return false
			}
			require.True(t, ws.Signaled(), "%d has ended by itself: %v", pid, ws)
			return true
		})
		if len(orphans) == 0 {
			orphans, err = children()
			require.NoError(t, err)
		} else {
			time.Sleep(time.Millisecond)
		}
	}
}
