package main

import (
	"context"
	_ "embed"
	"math"
	"strings"
	"sync/atomic"
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
			require.Equal(t, 3*time.Second, time.Since(begin))
			require.Empty(t, kthread.Tasks())
		})
	}
}

// sent runs the loop in a thread that gets the signals when it has slept for
// half a second.
func sent(t *testing.T, l *loop, sigs ...syscall.Signal) {
	thread, err := kthread.Start(t.Context(), "example thread", l.thread)
	require.NoError(t, err)
	time.Sleep(500 * time.Millisecond)
	for _, sig := range sigs {
		require.NoError(t, thread.Signal(sig), "a signal that is lost is no error")
	}
	require.NoError(t, thread.Wait(t.Context()))
}

// None of the thousand sleeps lasts: one wake-up lets the thread run at first,
// the signal is the second one, and there is no third.
func TestStormHasNoSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wakeUps uint32
		l := &loop{allow: []syscall.Signal{syscall.SIGTERM}, rounds: 1000}
		l.sleep = func(cur *kthread.Current) bool {
			whole := broken(cur)
			wakeUps = cur.Thread().Info().WakeUps
			return whole
		}
		sent(t, l, syscall.SIGTERM)
		require.Equal(t, 1000, l.atOnce)
		require.Equal(t, 500*time.Millisecond, l.in)
		require.True(t, l.pending)
		require.EqualValues(t, 2, wakeUps)
	})
}

// A signal is a level, not an event. Two signals of one number count as one, and
// all pending signals together make one round.
func TestFlushedSignalWakesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loop{sleep: right, allow: []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, rounds: 4}
		sent(t, l, syscall.SIGTERM, syscall.SIGTERM, syscall.SIGINT)
		require.Equal(t, 1, l.atOnce)
		require.Equal(t, 3, l.after1s)
		require.Equal(t, 3500*time.Millisecond, l.in)
		require.False(t, l.pending)
	})
}

// The answer to the first exercise.
func TestDequeueTakesOneSignalAtATime(t *testing.T) {
	for want, sigs := range map[int][]syscall.Signal{
		1: {syscall.SIGTERM, syscall.SIGTERM},
		2: {syscall.SIGTERM, syscall.SIGINT},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &loop{allow: []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, rounds: 4}
			l.sleep = func(cur *kthread.Current) bool {
				err := cur.Sleep(time.Second)
				cur.Dequeue()
				return err == nil
			}
			thread, err := kthread.Start(t.Context(), "example thread", func(cur *kthread.Current) error {
				_ = cur.Allow(l.allow...)
				for _, sig := range sigs { // before it sleeps
					_ = cur.Thread().Signal(sig)
				}
				return l.thread(cur)
			})
			require.NoError(t, err)
			require.NoError(t, thread.Wait(t.Context()))
			require.Equal(t, want, l.atOnce)
			require.Equal(t, 4-want, l.after1s)
		})
	}
}

func TestSignalThatIsNotAllowedIsLost(t *testing.T) {
	for name, sleep := range map[string]func(*kthread.Current) bool{"broken": broken, "right": right} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &loop{sleep: sleep, allow: []syscall.Signal{syscall.SIGINT}, rounds: 3}
				sent(t, l, syscall.SIGTERM, syscall.SIGKILL)
				require.Zero(t, l.atOnce)
				require.Equal(t, 3*time.Second, l.in)
			})
		})
	}
}

// A flush does not take back a stop, and a stop ends the storm too.
func TestStopEndsBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loop{sleep: right, rounds: 1000}
		thread, err := kthread.Start(t.Context(), "example thread", l.thread)
		require.NoError(t, err)
		time.Sleep(2500 * time.Millisecond)
		require.NoError(t, thread.Stop())
		require.Equal(t, 2500*time.Millisecond, l.in)
		require.Equal(t, 2, l.after1s)
		require.Zero(t, l.atOnce, "the test comes before the work")
	})
	l := &loop{sleep: broken, allow: []syscall.Signal{syscall.SIGTERM}, rounds: math.MaxInt}
	thread, err := kthread.Start(t.Context(), "example thread", l.thread)
	require.NoError(t, err)
	require.NoError(t, thread.Signal(syscall.SIGTERM))
	require.NoError(t, thread.Stop())
	require.Less(t, l.atOnce, l.rounds)
}

// The answer to the second exercise: stop_kthread sets a flag and sends a
// SIGKILL. Here it does so between the thread's test and its flush.
func TestFlushAfterTheTestDelaysTheOriginalsStop(t *testing.T) {
	original := func(t *testing.T, flushFirst bool) time.Duration {
		var terminate atomic.Bool
		var thread *kthread.Thread
		asked := make(chan time.Time, 1)
		stop := func() {
			terminate.Store(true)
			_ = thread.Signal(syscall.SIGKILL)
			asked <- time.Now()
		}
		thread = kthread.Create("example thread", func(cur *kthread.Current) error {
			if err := cur.Allow(syscall.SIGKILL); err != nil {
				return err
			}
			for round := 0; ; round++ {
				_ = cur.Sleep(time.Second)
				window := func() {
					if round == 2 {
						stop()
					}
				}
				if flushFirst {
					cur.Flush()
					window()
				}
				if terminate.Load() {
					return nil
				}
				if !flushFirst {
					window()
					cur.Flush()
				}
			}
		})
		thread.WakeUp()
		require.NoError(t, thread.Wait(context.Background()))
		return time.Since(<-asked)
	}
	synctest.Test(t, func(t *testing.T) {
		require.Zero(t, original(t, true))
		require.Equal(t, time.Second, original(t, false))
	})
}
