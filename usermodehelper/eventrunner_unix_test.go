//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// runnerRules are the rules of an event runner that a test may change.
type runnerRules struct {
	timeout time.Duration
	burst   int
}

var (
	usual = runnerRules{timeout: time.Minute, burst: 10}
	loose = runnerRules{timeout: time.Minute, burst: 1000}
)

// A runnerForm makes an event runner.
type runnerForm func(log *slog.Logger, script string, rules runnerRules) runnerUse

// A runnerUse is an event runner as its user sees it.
type runnerUse struct {
	run     func(context.Context, <-chan string)
	refused func() int64
}

func helperRunner(log *slog.Logger, script string, rules runnerRules) runnerUse {
	r := newEventRunner(log, script)
	r.timeout, r.gate.Burst = rules.timeout, rules.burst
	return runnerUse{r.run, r.refused.Load}
}

func execRunner(log *slog.Logger, script string, rules runnerRules) runnerUse {
	r := newPlainEventRunner(log, script)
	r.timeout, r.starts = rules.timeout, make(chan struct{}, rules.burst)
	return runnerUse{r.run, r.refused.Load}
}

// A logEntry is a line in the log of a program.
type logEntry struct {
	Event, Tail, Stderr string
	Result              struct{ Status, Error string }
}

// failure returns why the script was ended or not started. Only one form has the status there.
func (l logEntry) failure() string {
	if l.Result.Error == l.Result.Status {
		return ""
	}
	return l.Result.Error
}

// logLines is a log from which a test reads each line as it comes.
type logLines chan logEntry

func (l logLines) Write(line []byte) (int, error) {
	var entry logEntry
	err := json.Unmarshal(line, &entry)
	if err != nil {
		entry.Result.Error = err.Error()
	}
	l <- entry
	return len(line), err
}

func (l logLines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// A running event runner.
type runner struct {
	runnerUse
	events chan string
	log    logLines
	ended  chan struct{}
}

func (f runnerForm) start(ctx context.Context, script string, rules runnerRules) *runner {
	log := make(logLines, 100)
	r := &runner{f(log.logger(), script, rules), make(chan string), log, make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.run(ctx, r.events)
	}()
	return r
}

// end waits for the end, and returns the rest of the log.
func (r *runner) end() (rest []logEntry) {
	<-r.ended
	close(r.log)
	for entry := range r.log {
		rest = append(rest, entry)
	}
	return rest
}

func TestEventRunnerHandlesEachEvent(t *testing.T) {
	t.Setenv("SECRET", "seen")
	eachForm[runnerForm](t, helperRunner, execRunner, func(t *testing.T, form runnerForm) {
		const all = 40
		ropes := newRope(t)
		r := form.start(t.Context(), ropes.on(`
			echo "start ${SECRET-secret}" >&9
			for i in 1 2 3 4 5 6 7 8 9 10; do echo "$EVENT"; done
			echo "end" >&9
			exit ${EVENT#*-}`), loose)
		event := func(n int) string { return fmt.Sprintf("%03d-%d", n, n%3) }
		next := 0
		for ; next < 4; next++ { // never more than have a place or may wait
			r.events <- event(next)
		}
		seen := map[string]bool{}
		for range all {
			entry := <-r.log
			require.False(t, seen[entry.Event], "a second line")
			seen[entry.Event] = true
			require.Equal(t, "exit status "+entry.Event[4:], entry.Result.Status)
			require.Empty(t, entry.failure())
			require.Equal(t, "[cut: 24 bytes more]"+strings.Repeat(entry.Event+"\n", 6), entry.Tail)
			if next < all {
				r.events <- event(next)
				next++
			}
		}
		close(r.events)
		require.Empty(t, r.end())
		require.Zero(t, r.refused())
		require.Len(t, seen, all)
		requireAtMostTwo(t, ropes.free())
	})
}

// requireAtMostTwo reads the lines that the scripts have written at their start and at their end.
func requireAtMostTwo(t *testing.T, lines string) {
	running := 0
	for line := range strings.Lines(lines) {
		switch line {
		case "start secret\n":
			running++
		case "end\n":
			running--
		default:
			require.Fail(t, line)
		}
		require.LessOrEqual(t, running, 2)
	}
	require.Zero(t, running)
}

func TestEventRunnerRefusesAndCounts(t *testing.T) {
	eachForm[runnerForm](t, helperRunner, execRunner, func(t *testing.T, form runnerForm) {
		ropes, hold := newRope(t), fifo(t)
		r := form.start(t.Context(), ropes.on(`echo "start" >&9; read line <`+hold), loose)
		for range 2 {
			r.events <- "first"
			require.Equal(t, "start", ropes.line())
		}
		for _, event := range []string{"waits", "waits", "waits", "waits", "refused", "refused", "refused"} {
			r.events <- event
		}
		for range 3 {
			entry := <-r.log
			require.Equal(t, "refused", entry.Event)
			require.Empty(t, entry.Result.Status)
			require.Contains(t, entry.failure(), syscall.ENOBUFS.Error())
		}
		require.EqualValues(t, 3, r.refused())
		release, err := os.OpenFile(hold, os.O_RDWR, 0)
		require.NoError(t, err)
		defer release.Close()
		_, err = release.WriteString("1\n2\n3\n4\n5\n6\n")
		require.NoError(t, err)
		close(r.events)
		rest := r.end()
		require.Len(t, rest, 6)
		for _, entry := range rest {
			require.Equal(t, "exit status 0", entry.Result.Status)
		}
		require.EqualValues(t, 3, r.refused())
	})
}

func TestEventRunnerKeepsTheRate(t *testing.T) {
	eachForm[runnerForm](t, helperRunner, execRunner, func(t *testing.T, form runnerForm) {
		begun := time.Now()
		r := form.start(t.Context(), `:`, usual)
		for n := range 11 {
			r.events <- "event"
			if n >= 3 { // so that no more than four wait
				require.Equal(t, "exit status 0", (<-r.log).Result.Status)
			}
		}
		close(r.events)
		require.Len(t, r.end(), 3)
		require.GreaterOrEqual(t, time.Since(begun), time.Second)
	})
}

func TestEventRunnerEndsAScriptAtItsTimeout(t *testing.T) {
	eachForm[runnerForm](t, helperRunner, execRunner, func(t *testing.T, form runnerForm) {
		ropes, rules := newRope(t), loose
		rules.timeout = 100 * time.Millisecond
		r := form.start(t.Context(), ropes.on(`exec sleep 1000`), rules)
		r.events <- "hang"
		entry := <-r.log
		require.Equal(t, "signal: terminated", entry.Result.Status)
		require.Contains(t, entry.failure(), context.DeadlineExceeded.Error())
		ropes.requireFree()
		close(r.events)
		require.Empty(t, r.end())
	})
}

// One script leaves a child that does not hold the output. Two scripts and their children ignore SIGTERM. Two more events wait.
func TestEventRunnerLeavesNoProcess(t *testing.T) {
	eachForm[runnerForm](t, helperRunner, execRunner, func(t *testing.T, form runnerForm) {
		skipSlowSweep(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first, second := newRope(t), newRope(t)
		r := form.start(ctx, `if [ "$EVENT" = leave ]; then
			`+first.on(`sleep 1000 >/dev/null 2>&1 & exit`)+`
			fi
			`+second.on(`trap '' TERM; sleep 1000 & echo "start" >&9; sleep 1000`), loose)
		r.events <- "leave"
		require.Equal(t, "exit status 0", (<-r.log).Result.Status)
		first.requireFree()
		for range 2 {
			r.events <- "hang"
			require.Equal(t, "start", second.line())
		}
		r.events <- "waits"
		r.events <- "waits"
		cancel()
		status := map[string]int{}
		for _, entry := range r.end() {
			status[entry.Event+" "+entry.Result.Status]++
			require.Contains(t, entry.failure(), context.Canceled.Error())
		}
		second.requireFree()
		require.Equal(t, map[string]int{"hang signal: killed": 2, "waits ": 2}, status)
	})
}
