package main

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/kthread"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

//go:embed answers.md
var answers string

//go:embed README.md
var readme string

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			begin := time.Now()
			require.NoError(t, session(&out))
			require.Equal(t, transcript, out.String())
			require.Zero(t, time.Since(begin))
			require.Empty(t, kthread.Tasks(), "the threads that hung have ended")
		})
	}
	for range 200 { // and without a bubble
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, transcript, out.String())
	}
}

// called runs do in a thread that allows SIGKILL. It returns when the thread
// sleeps or has ended.
func (k *kthreadT) called(t *testing.T, do func()) *kthread.Thread {
	k.cpu.Lock()
	defer k.cpu.Unlock()
	return k.cpu.Start("insmod", func(cur *kthread.Current) error {
		require.NoError(t, cur.Allow(syscall.SIGKILL))
		do()
		return nil
	})
}

// by is a step of another thread.
func (k *kthreadT) by(step func()) {
	k.cpu.Lock()
	defer k.cpu.Unlock()
	step()
}

func (k *kthreadT) dropped() { k.up(false) }

// waits requires that only an up ends the wait of caller, and does that up.
func (k *kthreadT) waits(t *testing.T, caller *kthread.Thread) {
	require.NoError(t, caller.Signal(syscall.SIGKILL))
	time.Sleep(time.Hour)
	synctest.Wait()
	require.True(t, k.sem.Active(), "it is asleep")
	select {
	case <-caller.Done():
		require.Fail(t, "it is back")
	default:
	}
	k.by(k.dropped)
	synctest.Wait()
	require.NoError(t, caller.Wait(context.Background()))
	require.False(t, k.sem.Active())
}

func TestStartWaitsForEver(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var k kthreadT
			caller := k.called(t, func() { k.start(fails) })
			require.Equal(t, [2]int{1, 0}, [2]int{k.downs, k.ups})
			k.waits(t, caller)
		})
	}
}

// An up of an earlier handshake does not end the wait of a start.
func TestStartForgetsEarlierUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kthreadT{count: 1}
		k.waits(t, k.called(t, func() { k.start(fails) }))
	})
}

func TestStartReturnsWhenTheThreadIsSetUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k kthreadT
		caller := k.called(t, func() { k.start(func(func()) error { return nil }) })
		k.by(func() { k.up(true) }) // init_kthread, later
		require.NoError(t, caller.Wait(t.Context()))
		require.True(t, k.thread)
	})
}

// The stop wipes out an up in the window, but not an earlier or a later one. The
// second answer has the lines of these two.
func TestStop(t *testing.T) {
	const before, window, after = "before the test", "in the window", "while stop_kthread sleeps"
	for _, test := range []struct {
		when, line string
		hangs      bool
	}{
		{when: before, line: "back (1 down, 2 up)"},
		{when: window, line: "still waiting (2 down, 2 up)", hangs: true},
		{when: after, line: "back (2 down, 2 up)"},
	} {
		if !test.hangs {
			require.Contains(t, answers, strconv.Quote(test.line))
		}
		t.Run(test.when, func(t *testing.T) {
			for range 200 {
				synctest.Test(t, func(t *testing.T) {
					var k kthreadT
					at := func(when string) {
						if when == test.when {
							k.dropped()
						}
					}
					caller := k.called(t, func() {
						k.start(ends)
						at(before)
						k.stop(func() { at(window) })
					})
					k.by(func() { at(after) })
					synctest.Wait()
					require.Equal(t, test.hangs, k.sem.Active())
					require.Equal(t, "stop_kthread: "+test.line+"\n", k.line("stop_kthread"))
					if test.hangs {
						k.waits(t, caller)
					}
					require.NoError(t, caller.Wait(t.Context()))
				})
			}
		})
	}
}

// The first answer: with a semaphore for each handshake, the stop does not wipe
// out an up in the window.
func TestSemaphoreThatIsLockedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k, gone kthreadT // gone is the second semaphore
		caller := gone.called(t, func() {
			k.by(func() { k.start(ends) }) // k has a CPU of its own; it does not sleep
			gone.up(false)                 // exit_kthread, in the window
			gone.down()                    // stop_kthread
		})
		require.NoError(t, caller.Wait(t.Context()))
		require.Equal(t, [2]int{2, 2}, [2]int{k.downs + gone.downs, k.ups + gone.ups})
	})
}

// Stop returns the thread's result, before or after the end of the thread. Every
// other Stop returns it too.
func TestRightStop(t *testing.T) {
	result := errors.New("its result")
	for range 200 {
		thread, err := kthread.Start(context.Background(), "example thread", func(cur *kthread.Current) error {
			cur.Ready()
			return result
		})
		require.NoError(t, err)
		other := make(chan error)
		go func() { other <- thread.Stop() }()
		require.Equal(t, result, thread.Stop())
		require.Equal(t, result, <-other)
		require.Equal(t, result, thread.Stop())
	}
}

func TestRightCounts(t *testing.T) {
	for range 200 {
		require.Equal(t, "Start: "+os.ErrNotExist.Error()+" (1 down, 1 up)\n", right("Start", fails))
		require.Equal(t, "Stop: "+io.EOF.Error()+" (2 down, 2 up)\n", right("Stop", ends))
	}
}
