//go:build (linux || darwin || freebsd) && !mutant

package kthread_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/internal/listing"
)

// A daemonWay is one of the two daemons of the Examples.
type daemonWay struct {
	name string
	make func(log chan<- string, timeout time.Duration, scripts []string) daemonUse
}

// daemonUse is a daemon as its user sees it. The jobs have numbers.
type daemonUse struct {
	post func(job int, event string) error
	run  func(stop, kill context.Context) error
}

var daemonWays = []daemonWay{{"kthread", kprimDaemon}, {"channels", channelDaemon}}

func kprimDaemon(log chan<- string, timeout time.Duration, scripts []string) daemonUse {
	var jobs []*job
	for i, script := range scripts {
		jobs = append(jobs, &job{name: fmt.Sprint(i), script: script, delay: delayOf(i)})
	}
	d := newDaemon(log, timeout, jobs...)
	return daemonUse{func(i int, event string) error { return d.events.Post(jobs[i], event) }, d.run}
}

func channelDaemon(log chan<- string, timeout time.Duration, scripts []string) daemonUse {
	var jobs []*plainJob
	for i, script := range scripts {
		jobs = append(jobs, &plainJob{name: fmt.Sprint(i), script: script, delay: delayOf(i)})
	}
	d := newPlainDaemon(log, timeout, jobs...)
	return daemonUse{func(i int, event string) error { return d.post(jobs[i], event) }, d.run}
}

func delayOf(job int) time.Duration { return time.Duration(job) * time.Millisecond }

// A leash is held by every process that a script starts.
type leash struct {
	path string
	fd   int
}

func newLeash(t *testing.T) leash {
	path := filepath.Join(t.TempDir(), "leash")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	return leash{path, fd}
}

// on returns the script with the leash on it.
func (l leash) on(script string) string { return "exec 9>" + l.path + "; " + script }

// requireFree fails if a process holds the leash.
func (l leash) requireFree(t *testing.T) {
	n, err := syscall.Read(l.fd, make([]byte, 1))
	require.NoError(t, err, "a process is left")
	require.Zero(t, n)
}

// A diary is the log of a daemon, job by job.
type diary struct {
	running map[string]bool
	events  map[string][]string // that were handled
	results map[string][]string
	faults  []string
}

func newDiary() *diary {
	return &diary{map[string]bool{}, map[string][]string{}, map[string][]string{}, nil}
}

// add notes a line, and the guarantee that it breaks.
func (d *diary) add(line string) {
	part := strings.SplitN(line, ": ", 3)
	name, event, result := part[0], part[1], part[2]
	if result != "started" {
		delete(d.running, name)
		d.results[name] = append(d.results[name], result)
		return
	}
	for _, e := range d.events[name] {
		if e == event {
			d.faults = append(d.faults, line+" a second time")
		}
	}
	if d.running[name] {
		d.faults = append(d.faults, line+" while it runs")
	}
	d.running[name] = true
	d.events[name] = append(d.events[name], event)
	if len(d.running) > 2 {
		d.faults = append(d.faults, line+" as the third one")
	}
}

// eachDaemon runs a test for both daemons. No goroutine may be left by it.
func eachDaemon(t *testing.T, test func(t *testing.T, way daemonWay)) {
	for _, way := range daemonWays {
		t.Run(way.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			test(t, way)
			goleak.VerifyNone(t, before)
		})
	}
}

// start runs a daemon, and notes its log until it has ended. The function that it returns
// waits for that.
func (u daemonUse) start(stop, kill context.Context, log chan string, seen func(line string)) func() (*diary, error) {
	ended, notes := make(chan error, 1), newDiary()
	go func() {
		ended <- u.run(stop, kill)
		close(log)
	}()
	over := make(chan struct{})
	go func() {
		defer close(over)
		for line := range log {
			notes.add(line)
			seen(line)
		}
	}()
	return func() (*diary, error) {
		<-over
		return notes, <-ended
	}
}

// Both daemons give the same guarantees: see the Examples.
func TestDaemonHandlesTheLastEventOfEachJob(t *testing.T) {
	const jobs, posts = 4, 200
	eachDaemon(t, func(t *testing.T, way daemonWay) {
		l, log := newLeash(t), make(chan string)
		scripts := make([]string, jobs)
		for i := range scripts {
			scripts[i] = l.on(`yes "$EVENT" | head -1000`)
		}
		use := way.make(log, time.Minute, scripts)
		stop, cancel := context.WithCancel(t.Context())
		end := use.start(stop, t.Context(), log, func(string) {})
		last := make([]string, jobs)
		for n := range posts {
			i := rand.IntN(jobs)
			last[i] = fmt.Sprint(n)
			require.NoError(t, use.post(i, last[i]))
			runtime.Gosched()
		}
		cancel()
		d, err := end()
		l.requireFree(t)
		require.NoError(t, err)
		require.Empty(t, d.faults)
		require.Empty(t, d.running)
		for i, event := range last {
			events, results := d.events[fmt.Sprint(i)], d.results[fmt.Sprint(i)]
			require.Equal(t, event, events[len(events)-1])
			for n, result := range results {
				want := strings.Repeat(events[n]+"\n", 64)[:64]
				require.Equal(t, fmt.Sprintf("exit status 0, %q", want), result)
			}
		}
		require.ErrorIs(t, use.post(0, "late"), os.ErrClosed)
	})
}

func TestDaemonEndsAHelperAtItsTimeout(t *testing.T) {
	eachDaemon(t, func(t *testing.T, way daemonWay) {
		l, log := newLeash(t), make(chan string)
		use := way.make(log, 50*time.Millisecond, []string{l.on(`exec sleep 1000`)})
		stop, cancel := context.WithCancel(t.Context())
		end := use.start(stop, t.Context(), log, func(string) {})
		require.NoError(t, use.post(0, "hang"))
		cancel()
		d, err := end()
		l.requireFree(t)
		require.NoError(t, err)
		require.Equal(t, []string{`signal: terminated, ""`}, d.results["0"])
	})
}

// One helper leaves a child behind. Another one and its child ignore SIGTERM.
func TestDaemonLeavesNoProcess(t *testing.T) {
	errGivenUp := errors.New("given up")
	eachDaemon(t, func(t *testing.T, way daemonWay) {
		if way.name == "channels" && testing.Short() {
			t.Skip("it waits until process 1 has reaped the children, which may take seconds")
		}
		l, log := newLeash(t), make(chan string)
		ready := filepath.Join(t.TempDir(), "ready")
		require.NoError(t, syscall.Mkfifo(ready, 0o600))
		use := way.make(log, time.Minute, []string{
			l.on(`trap '' TERM; sleep 1000 & : >` + ready + `; sleep 1000`),
			l.on(`sleep 1000 >/dev/null 2>&1 &`),
		})
		kill, give := context.WithCancelCause(t.Context())
		defer give(nil)
		left := make(chan bool, 1)
		end := use.start(kill, kill, log, func(line string) {
			if strings.Contains(line, "exit status 0") {
				left <- true
			}
		})
		require.NoError(t, use.post(0, "hang"))
		require.NoError(t, use.post(1, "leave"))
		_, err := os.ReadFile(ready) // until the helper opens it, which ignores SIGTERM then
		require.NoError(t, err)
		<-left
		give(errGivenUp)
		d, err := end()
		l.requireFree(t)
		require.Equal(t, errGivenUp, err)
		require.Empty(t, d.faults)
		require.Equal(t, []string{`signal: killed, ""`}, d.results["0"])
	})
}

// The Examples print the same lines, and say how long each daemon is.
func TestDaemonExamplesHaveTheLengthsThatTheyName(t *testing.T) {
	ours, err := listing.Read("example_daemon_test.go")
	require.NoError(t, err)
	plain, err := listing.Read("example_daemon_plain_test.go")
	require.NoError(t, err)
	require.Contains(t, ours.Text, fmt.Sprintf(`
// This daemon has %d lines of code, and the other one %d: %d and %d for the jobs, %d and %d
// for the helper.
`, ours.Lines(isAny), plain.Lines(isAny), ours.Lines(isOfJobs), plain.Lines(isOfJobs), ours.Lines(isOfHelper), plain.Lines(isOfHelper)))
	require.NotEmpty(t, ours.Output)
	require.Equal(t, ours.Output, plain.Output)
}

func isAny(string) bool { return true }

func isOfJobs(name string) bool { return !isOfHelper(name) }

func isOfHelper(name string) bool {
	return slices.Contains([]string{"handle", "plainGrace", "plainSweep", "plainOutput", "Write"}, name)
}
