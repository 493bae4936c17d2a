package main

import (
	_ "embed"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/internal/printk"
	"github.com/kprim/kprim/kthread"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed testdata/transcript.txt
var transcript string

const (
	hi      = "kernel: hi, here is the kernel thread\n"
	wokeUp  = "kernel: example thread: thread woke up\n"
	nothing = "kernel: stop_kthread: killing non existing thread!\n"
)

// The pids are 1 to 5 only in a new process.
var pids = regexp.MustCompile(`(?m)^ *[0-9]+ S `)

func mask(text string) string { return pids.ReplaceAllString(text, "    N S ") }

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			begin := time.Now()
			require.NoError(t, session(&out))
			require.Equal(t, mask(transcript), mask(out.String()))
			require.Equal(t, 2500*time.Millisecond, time.Since(begin))
			require.Equal(t, nThreads, strings.Count(out.String(), hi))
			require.Equal(t, 2*nThreads, strings.Count(out.String(), wokeUp))
			require.Empty(t, kthread.Tasks())
		})
	}
}

// loaded returns the module with its threads running, and its output.
func loaded(t *testing.T) (m *module, out *strings.Builder) {
	out = new(strings.Builder)
	m = newModule(out)
	require.NoError(t, m.load())
	return m, out
}

// The stop comes at the instant at which the threads wake up.
func TestNoWorkAfterTheStop(t *testing.T) {
	early, late := 0, 0
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			m, out := loaded(t)
			time.Sleep(time.Second)
			for _, e := range m.example {
				require.NoError(t, e.stop())
				e.log = nil // the thread is gone
			}
			count := 0
			for _, e := range m.example {
				count += e.wokeUp
				if e.wokeUp == 0 {
					early++
				} else {
					late++
				}
			}
			require.Equal(t, nThreads, strings.Count(out.String(), hi))
			require.Equal(t, count, strings.Count(out.String(), wokeUp))
			time.Sleep(time.Minute)
			require.Equal(t, count, strings.Count(out.String(), wokeUp))
			require.NotContains(t, out.String(), nothing)
		})
	}
	t.Log(early, "stopped before their first wake-up,", late, "after it")
}

// A thread that is stopped before its first sleep says hi too, because Start has
// waited for Ready.
func TestUnloadedAtOnce(t *testing.T) {
	for range 100 {
		m, out := loaded(t)
		require.Len(t, kthread.Tasks(), nThreads)
		require.NoError(t, m.unload())
		require.Empty(t, kthread.Tasks())
		require.Equal(t, nThreads, strings.Count(out.String(), hi))
		require.Zero(t, strings.Count(out.String(), wokeUp))
	}
}

// A stop too many prints a line. It does not fail, and does not hang.
func TestStopTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, out := loaded(t)
		require.NoError(t, m.unload())
		require.NotContains(t, out.String(), nothing)
		require.NoError(t, m.unload())
		require.Equal(t, nThreads, strings.Count(out.String(), nothing))
	})
}

// Of two stops at once, at least one finds the thread.
func TestTwoStopsAtOnce(t *testing.T) {
	for range 200 {
		m, out := loaded(t)
		other := make(chan error)
		go func() { other <- m.example[0].stop() }()
		require.NoError(t, m.example[0].stop())
		require.NoError(t, <-other)
		require.NoError(t, m.unload())
		require.LessOrEqual(t, strings.Count(out.String(), nothing), 2)
	}
}

// The article's stop_kthread would wait for its own caller.
func TestThreadDoesNotWaitForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &example{log: new(printk.Log)}
		var own error
		thread, err := kthread.Start(t.Context(), "example thread", func(cur *kthread.Current) error {
			self := example{thread: cur.Thread()}
			own = self.stop()
			return e.run(cur)
		})
		require.NoError(t, err)
		require.NoError(t, thread.Wait(t.Context()))
		require.ErrorIs(t, own, syscall.EDEADLK)
		require.Zero(t, e.wokeUp, "but the thread is asked to stop")
	})
}

// The lines of all threads stay whole.
func TestConsole(t *testing.T) {
	m, out := loaded(t)
	for range 100 {
		m.shell.Print("# true")
	}
	require.NoError(t, m.unload())
	for line := range strings.Lines(out.String()) {
		require.Regexp(t, "^(# true|kernel: hi, here is the kernel thread|example.* is gone, it woke up 0 times)\n$", line)
	}
}

// A patient reader of the log ends a thread that prints without sleeping. The
// clock of the bubble stands still while such a thread runs.
type patient int

func (p *patient) Write(line []byte) (int, error) {
	if *p++; *p > 1000 {
		runtime.Goexit()
	}
	return len(line), nil
}

// Each signal of the article's mask makes one wake-up, and the loop goes on.
func TestStraySignalWakesOnce(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM} {
		synctest.Test(t, func(t *testing.T) {
			m := newModule(new(patient))
			require.NoError(t, m.load())
			examples := m.example
			time.Sleep(500 * time.Millisecond)
			require.NoError(t, examples[2].thread.Signal(sig))
			time.Sleep(1100 * time.Millisecond) // its next wake-up is at 1.5 s, after the others at 1 s
			require.NoError(t, m.unload())
			for i, e := range examples {
				require.Equal(t, map[bool]int{false: 1, true: 2}[i == 2], e.wokeUp)
			}
		})
	}
}

// The article's start_kthread waits for ever for a thread that fails.
func TestFailedStart(t *testing.T) {
	defer func(before []syscall.Signal) { allowed = before }(allowed)
	m, out := loaded(t)
	allowed = []syscall.Signal{99}
	require.ErrorIs(t, m.load(), syscall.EINVAL)
	require.Empty(t, kthread.Tasks(), "the threads that had started are stopped")
	require.Equal(t, nThreads, strings.Count(out.String(), hi))
}
