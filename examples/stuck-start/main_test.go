package main

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"os"
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

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			begin := time.Now()
			require.NoError(t, session(&out))
			require.Equal(t, transcript, out.String())
			require.Zero(t, time.Since(begin))
			require.Empty(t, kthread.Tasks(), "who hung was released")
		})
	}
	for range 200 { // and without a bubble
		var out strings.Builder
		require.NoError(t, session(&out))
		require.Equal(t, transcript, out.String())
	}
}

// called runs do in a thread that allows SIGKILL, and returns when that sleeps
// or has ended.
func (k *kthreadT) called(t *testing.T, do func()) *kthread.Thread {
	k.cpu.Lock()
	defer k.cpu.Unlock()
	return k.cpu.Start("insmod", func(cur *kthread.Current) error {
		require.NoError(t, cur.Allow(syscall.SIGKILL))
		do()
		return nil
	})
}

// by is a step of somebody else.
func (k *kthreadT) by(step func()) {
	k.cpu.Lock()
	defer k.cpu.Unlock()
	step()
}

func (k *kthreadT) dropped() { k.up(false) }

// waits requires that caller waits for an up and nothing else, and gives it.
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

func TestStartReturnsWhenTheThreadIsSetUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k kthreadT
		caller := k.called(t, func() { k.start(func(func()) error { return nil }) })
		k.by(func() { k.up(true) }) // init_kthread, later
		require.NoError(t, caller.Wait(t.Context()))
		require.True(t, k.thread)
	})
}

// When does the thread do its up? Only in the window it is wiped out.
func TestStop(t *testing.T) {
	nothing := func() {}
	for _, test := range []struct {
		name                  string
		before, window, after bool
		downs, ups            int
		hangs                 bool
	}{
		{name: "before the test", before: true, downs: 1, ups: 2},
		{name: "in the window", window: true, downs: 2, ups: 2, hangs: true},
		{name: "while stop_kthread sleeps", after: true, downs: 2, ups: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 200 {
				synctest.Test(t, func(t *testing.T) {
					var k kthreadT
					at := func(now bool) func() {
						if now {
							return k.dropped
						}
						return nothing
					}
					caller := k.called(t, func() {
						k.start(ends)
						at(test.before)()
						k.stop(at(test.window))
					})
					k.by(at(test.after))
					synctest.Wait()
					require.Equal(t, test.hangs, k.sem.Active())
					require.Equal(t, [2]int{test.downs, test.ups}, [2]int{k.downs, k.ups})
					if test.hangs {
						k.waits(t, caller)
					}
					require.NoError(t, caller.Wait(t.Context()))
				})
			}
		})
	}
}

// The first exercise: with a semaphore for each, an up that comes in the window
// is not wiped out.
func TestSemaphoreThatIsLockedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k, gone kthreadT // gone is the second semaphore
		caller := gone.called(t, func() {
			k.by(func() { k.start(ends) }) // on its own CPU: it does not sleep
			gone.up(false)                 // exit_kthread, in the window
			gone.down()                    // stop_kthread
		})
		require.NoError(t, caller.Wait(t.Context()))
		require.Equal(t, [2]int{2, 2}, [2]int{k.downs + gone.downs, k.ups + gone.ups})
	})
}

// Whenever the end comes, Stop returns the thread's result, and so does any
// other Stop.
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
