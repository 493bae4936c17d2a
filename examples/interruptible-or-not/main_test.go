package main

import (
	_ "embed"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/onecpu"
	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/waitqueue"
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
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, transcript, out.String())
		require.Empty(t, kthread.Tasks(), "all threads have ended")
	}
}

const (
	interruptible   = waitqueue.Interruptible
	uninterruptible = waitqueue.Uninterruptible
)

// held returns a file that another thread has open. The test has the CPU.
func held(t *testing.T) *file {
	f := &file{out: io.Discard, openers: 1, useCount: 1}
	f.cpu.Lock()
	t.Cleanup(func() {
		require.False(t, f.waitQ.Active(), "no thread is left asleep")
		f.cpu.Unlock()
	})
	return f
}

func (f *file) start(wait way, look bool) *kthread.Thread {
	return f.cpu.Start("opener", f.open(wait, look))
}

// result waits for the end of the thread.
func (f *file) result(t *testing.T, thread *kthread.Thread) (err error) {
	f.cpu.Sleep(func() { err = thread.Wait(t.Context()) })
	return err
}

// Signals and stray wake-ups do not end the wait. Only a free file does.
func TestDeafHearsNothing(t *testing.T) {
	f := held(t)
	thread := f.start(f.sleepOn, true)
	for range 10 {
		require.NoError(t, thread.Signal(syscall.SIGINT))
		require.Equal(t, uninterruptible, thread.Info().State)
		require.EqualValues(t, 1, thread.Info().WakeUps, "only the first wake-up")
	}
	f.waitQ.WakeUp()
	f.cpu.Yield()
	require.Equal(t, uninterruptible, thread.Info().State)
	require.Equal(t, []int{1, 2}, []int{f.openers, f.useCount})
	f.close(1)
	require.NoError(t, f.result(t, thread))
	require.Equal(t, []int{1, 1}, []int{f.openers, f.useCount})
}

func TestCarefulGivesTheCountBack(t *testing.T) {
	f := held(t)
	thread := f.start(f.waitEvent, true)
	require.Equal(t, interruptible, thread.Info().State)
	require.Equal(t, 2, f.useCount)
	require.NoError(t, thread.Signal(syscall.SIGINT))
	require.ErrorIs(t, f.result(t, thread), syscall.EINTR)
	require.Equal(t, []int{1, 1}, []int{f.openers, f.useCount})
}

// It does not look at the result, so it goes on although the condition is false.
func TestCarelessIsASecondOpener(t *testing.T) {
	f := held(t)
	thread := f.start(f.waitEvent, false)
	require.NoError(t, thread.Signal(syscall.SIGINT))
	require.NoError(t, f.result(t, thread))
	require.Equal(t, []int{2, 2}, []int{f.openers, f.useCount})
}

// Without a signal all three are right, and the bug of the third does not show.
func TestWithoutASignalAllAreTheSame(t *testing.T) {
	for s, wait := range map[waitqueue.State]func(*file, onecpu.Sleeper) error{
		interruptible: (*file).waitEvent, uninterruptible: (*file).sleepOn,
	} {
		for _, look := range []bool{true, false} {
			f := held(t)
			thread := f.start(func(by onecpu.Sleeper) error { return wait(f, by) }, look)
			f.waitQ.WakeUp() // a stray one
			f.cpu.Yield()
			require.Equal(t, s, thread.Info().State)
			f.close(1)
			require.NoError(t, f.result(t, thread))
			require.Equal(t, []int{1, 1}, []int{f.openers, f.useCount})
		}
	}
}

// A signal comes, and the file becomes free before the sleeper runs.
func TestFreeFileBeatsASignal(t *testing.T) {
	for name, order := range map[string][2]string{
		"signal first": {"signal", "close"},
		"close first":  {"close", "signal"},
	} {
		t.Run(name, func(t *testing.T) {
			f := held(t)
			thread := f.start(f.waitEvent, true)
			for _, step := range order {
				if step == "signal" {
					require.NoError(t, thread.Signal(syscall.SIGINT))
				} else {
					f.close(1)
				}
			}
			require.NoError(t, f.result(t, thread))
			require.Equal(t, []int{1, 1}, []int{f.openers, f.useCount})
		})
	}
}

// wake_up_interruptible does not wake a thread that sleeps uninterruptibly.
func TestInterruptibleWakeUpPassesOverTheDeaf(t *testing.T) {
	f := held(t)
	thread := f.start(f.sleepOn, true)
	f.openers, f.useCount = 0, 1
	require.Zero(t, f.waitQ.WakeUpInterruptible())
	require.Equal(t, uninterruptible, thread.Info().State, "though the file is free")
	require.Equal(t, 1, f.waitQ.WakeUp())
	require.NoError(t, f.result(t, thread))
}
