//go:build unix

package readers_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// thread returns the thread with this name.
func (m *model) thread(t testing.TB, name string) viewerThread {
	i := slices.IndexFunc(m.Threads, func(l viewerThread) bool { return l.Name == name })
	require.GreaterOrEqual(t, i, 0, "no thread is named %s", name)
	return m.Threads[i]
}

// count returns how many states of the thread fit. The empty text and 0 fit all.
func (l viewerThread) count(state, queue string, waker int) (n int) {
	for _, s := range l.States {
		if s.State == state && (queue == "" || s.Queue == queue) && (waker == 0 || s.Waker == waker) {
			n++
		}
	}
	return n
}

// requireStates compares the states with the life of a thread: woken, running, asleep, woken
// and so on. They meet, so there is no time in which the thread has no state.
func (l viewerThread) requireStates(t testing.TB) {
	circle := []string{"Runnable", "Running", "Sleeping"}
	for i, s := range l.States {
		require.Equal(t, circle[i%3], s.State, "state %d of %s", i, l.Name)
		if i > 0 {
			before := l.States[i-1]
			require.InDelta(t, before.Start+before.Duration, s.Start, 1e-6, "state %d of %s", i, l.Name)
		}
	}
	require.Equal(t, "Running", l.States[len(l.States)-1].State, "the last state of %s", l.Name)
}

// requireWarnings compares the warnings with those that must be: the viewer knows neither
// sched_waking nor signal_generate nor an instant, and has no name for the state of an idle
// kworker.
func (m *model) requireWarnings(t testing.TB, text string) {
	got, want := map[string]int{}, map[string]int{}
	for _, w := range m.Warnings {
		got[regexp.MustCompile(` \(.*`).ReplaceAllString(w, "")]++
	}
	for warning, line := range map[string]string{
		"parse_error: Unknown event sched_waking":         `: sched_waking: `,
		"parse_error: Unknown event signal_generate":      `: signal_generate: `,
		"parse_error: Unrecognized sleep state: I":        ` prev_state=I `,
		"parse_error: Malformed tracing_mark_write event": `: tracing_mark_write: I\|`,
	} {
		if n := len(regexp.MustCompile(line).FindAllString(text, -1)); n > 0 {
			want[warning] = n
		}
	}
	require.Equal(t, want, got)
}

// One browser reads all traces, because it takes seconds to start.
func TestCatapult(t *testing.T) {
	program(t, "chromium", "REQUIRE_CHROMIUM")
	ordinary, exclusive, d := &herd{prepare: herds["ordinary"]}, &herd{prepare: herds["exclusive"]}, &daemon{}
	texts := []string{string(ordinary.run(t, 4)), string(exclusive.run(t, 4)), string(d.run(t))}
	for _, form := range []string{"broken", "right"} {
		texts = append(texts, string(read(t, "../../../examples/thundering-herd/testdata/"+form+".ftrace")))
	}
	models := view(t, texts...)
	for i := range models {
		models[i].requireWarnings(t, texts[i])
	}
	t.Run("ordinary", func(t *testing.T) { requireHerd(t, ordinary, &models[0]) })
	t.Run("exclusive", func(t *testing.T) { requireHerd(t, exclusive, &models[1]) })
	t.Run("daemon", func(t *testing.T) { requireDaemon(t, d, texts[2], &models[2]) })
	t.Run("example", func(t *testing.T) { requireTranscript(t, &models[3], &models[4]) })
}

// Each waiter sleeps and is woken as often as it counted itself, and by the producer.
func requireHerd(t *testing.T, h *herd, m *model) {
	producer := m.thread(t, "producer")
	for i, sleeps := range h.sleeps {
		l := m.thread(t, fmt.Sprintf("waiter/%d", i))
		l.requireStates(t)
		require.Equal(t, sleeps, l.count("Sleeping", "doorbell", 0))
		require.Equal(t, sleeps, l.count("Runnable", "", producer.Pid))
		require.Equal(t, 1+sleeps, l.count("Runnable", "", 0), "the first wake-up lets it run")
	}
	require.Equal(t, []string{"ring", "ring", "ring", "ring"}, producer.Slices)
	require.Equal(t, []viewerCounter{{"waiters", []float64{4, 3, 2, 1}}}, m.Counters)
	total := 0
	for _, woken := range h.woken {
		total += woken
	}
	require.Equal(t, total, m.countWaker(producer.Pid))
}

// The openers of the example are woken as often as its transcript says.
func requireTranscript(t *testing.T, broken, right *model) {
	sleeps := func(m *model) (n int) {
		for _, l := range m.Threads {
			n += l.count("Sleeping", "WaitQ", 0)
		}
		return n
	}
	var all, forNothing, one, oneForNothing int
	_, line, _ := strings.Cut(string(read(t, "../../../examples/thundering-herd/testdata/transcript.txt")), "\n4 openers")
	_, err := fmt.Sscanf(line, "%d wake-ups, %d for nothing %d, %d", &all, &forNothing, &one, &oneForNothing)
	require.NoError(t, err)
	require.Equal(t, []int{all, one}, []int{sleeps(broken), sleeps(right)})
}

// The viewer finds the numbers that the daemon counted.
func requireDaemon(t *testing.T, d *daemon, text string, m *model) {
	require.NotContains(t, text, "are lost here")
	woken := make([]int, clients)
	for i := range jobThreads {
		l := m.thread(t, fmt.Sprintf("jobd/%d", i))
		l.requireStates(t)
		require.Equal(t, slices.Repeat([]string{"job"}, d.done[i]), l.Slices)
		require.Equal(t, int(d.wakeUps[i]), l.count("Runnable", "", 0))
		require.Equal(t, int(d.wakeUps[i])-1, l.count("Sleeping", "jobs", 0), "the first wake-up lets it run")
		for c := range clients {
			woken[c] += l.count("Runnable", "", m.thread(t, fmt.Sprintf("client/%d", c)).Pid)
		}
	}
	require.Equal(t, d.woken[:], woken)
	m.thread(t, "reload").requireStates(t)
	m.thread(t, "main")
	require.Equal(t, int(d.logged.Load()), m.countSlices("(*daemon).log-fm"))
	require.Len(t, m.Counters, 1)
	require.Len(t, m.Counters[0].Values, strings.Count(text, "C|1|pending|"))
	require.LessOrEqual(t, slices.Max(m.Counters[0].Values), float64(maxPending))
}

// countWaker returns how many wake-ups the waker made.
func (m *model) countWaker(pid int) (n int) {
	for _, l := range m.Threads {
		n += l.count("Runnable", "", pid)
	}
	return n
}

// countSlices returns the number of slices whose title ends so.
func (m *model) countSlices(title string) (n int) {
	for _, l := range m.Threads {
		for _, s := range l.Slices {
			if strings.HasSuffix(s, title) {
				n++
			}
		}
	}
	return n
}
