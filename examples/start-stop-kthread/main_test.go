package main

import (
	_ "embed"
	"log"
	"os"
	"regexp"
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

const (
	hi     = "kernel: hi, here is the kernel thread\n"
	wokeUp = "kernel: example thread: thread woke up\n"
)

// Pids are 1 to 5 in a fresh process only.
var pids = regexp.MustCompile(`(?m)^ *[0-9]+ S `)

func mask(text string) string { return pids.ReplaceAllString(text, "    N S ") }

func TestTranscriptIsTheSameEveryTime(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			begin := time.Now()
			require.NoError(t, session(&out))
			require.Equal(t, mask(transcript), mask(out.String()))
			require.Equal(t, 3500*time.Millisecond, time.Since(begin))
			require.Equal(t, nThreads, strings.Count(out.String(), hi))
			require.Equal(t, 2*nThreads, strings.Count(out.String(), wokeUp))
			require.Empty(t, kthread.Tasks())
		})
	}
}

// loaded returns the module with its threads running, and in out what it shows.
func loaded(t *testing.T) (m *module, out *strings.Builder) {
	out = new(strings.Builder)
	m = &module{console: log.New(out, "", 0)}
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
			examples := m.example
			for _, e := range examples {
				require.NoError(t, e.thread.Stop())
				e.printk = nil // it is gone, and needs it no more
			}
			count := 0
			for _, e := range examples {
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
			require.NoError(t, m.unload(), "a second stop is allowed")
		})
	}
	t.Log(early, "stopped before their first wake-up,", late, "after it")
}

// Stopped before it slept, it says hi all the same: Start has waited for Ready.
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

// Every signal of the original's mask makes one wake-up, and the loop goes on.
func TestStraySignalWakesOnce(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM} {
		synctest.Test(t, func(t *testing.T) {
			m, _ := loaded(t)
			examples := m.example
			time.Sleep(500 * time.Millisecond)
			require.NoError(t, examples[2].thread.Signal(sig))
			time.Sleep(1100 * time.Millisecond) // its second is over at 1.5 s, that of the others was at 1 s
			require.NoError(t, m.unload())
			for i, e := range examples {
				require.Equal(t, map[bool]int{false: 1, true: 2}[i == 2], e.wokeUp)
			}
		})
	}
}

// The original's start_kthread waits for ever for a thread that fails.
func TestFailedStart(t *testing.T) {
	defer func(before []syscall.Signal) { allowed = before }(allowed)
	m, out := loaded(t)
	allowed = []syscall.Signal{99}
	require.ErrorIs(t, m.load(), syscall.EINVAL)
	require.Empty(t, kthread.Tasks(), "nor are those left that had started")
	require.Equal(t, nThreads, strings.Count(out.String(), hi))
}

func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		after, err := (&strayLoop{most: 1000}).wakeUps()
		require.NoError(t, err)
		require.Equal(t, make([]time.Duration, 1000), after)
		require.Zero(t, time.Since(begin), "no sleep was one")

		after, err = (&strayLoop{flush: true, most: 4}).wakeUps()
		require.NoError(t, err)
		require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, after)
	})
}

// The README shows this transcript, and code that is there.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), "```\n"+transcript+"```\n")
	code, err := os.ReadFile("main.go")
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| `(.*)` \\| `(.*)` \\|$").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, rows, 10)
	for _, row := range rows {
		statement := strings.ReplaceAll(row[1], `\|`, "|")
		line := regexp.MustCompile("(?m)^.*" + regexp.QuoteMeta(row[2]) + ".*// .*" + regexp.QuoteMeta(statement))
		require.Regexp(t, line, string(code), "the statement stands beside the code")
	}
}
