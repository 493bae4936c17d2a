//go:build unix

package readers_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/kthread/trace/readers/dat"
)

// report returns the report of trace-cmd about a trace.
func report(t testing.TB, text []byte, options ...string) string {
	traceCmd := program(t, "trace-cmd", "REQUIRE_TRACE_CMD")
	var file bytes.Buffer
	require.NoError(t, dat.Convert(&file, bytes.NewReader(text)))
	path := filepath.Join(t.TempDir(), "trace.dat")
	require.NoError(t, os.WriteFile(path, file.Bytes(), 0o600))
	cmd := exec.CommandContext(t.Context(), traceCmd, append([]string{"report", "-i", path}, options...)...)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	require.NoError(t, err, errors.String())
	require.Empty(t, errors.String())
	return string(out)
}

// lineRE has the groups comm and pid, CPU, time, event and the rest.
var lineRE = regexp.MustCompile(`(?m)^ *(\S+-\d+) +(?:\([ \d-]+\) )?\[(\d+)\] (?:\.{4})? +([\d.]+): (\w+): +(.*)$`)

// requireLines compares each line of the report with the same line of the trace.
func requireLines(t *testing.T, text []byte) {
	want := lineRE.FindAllStringSubmatch(string(text), -1)
	got := lineRE.FindAllStringSubmatch(report(t, text, "-N", "-t"), -1)
	require.Equal(t, bytes.Count(text, []byte("\n")), len(want)+bytes.Count(text, []byte("#")))
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i][1:], got[i][1:])
	}
}

// profile returns the lines of the profile that are about a thread.
func profile(t *testing.T, text []byte, thread string) string {
	_, lines, found := strings.Cut(report(t, text, "--profile"), "task: "+thread+"-")
	require.True(t, found, thread)
	lines, _, _ = strings.Cut(lines, "\n\n")
	return lines
}

// All events are in the report, and its profile has the sleeps that the waiters counted.
func TestTraceCmdReportsTheHerd(t *testing.T) {
	for name, prepare := range herds {
		t.Run(name, func(t *testing.T) {
			h := &herd{prepare: prepare}
			text := h.run(t, 4)
			requireLines(t, text)
			for i, sleeps := range h.sleeps {
				require.Contains(t, profile(t, text, fmt.Sprintf("waiter/%d", i)), fmt.Sprintf("sched_switch:S (%d) ", sleeps))
			}
		})
	}
}

func TestTraceCmdReportsADaemon(t *testing.T) {
	program(t, "trace-cmd", "REQUIRE_TRACE_CMD")
	var d daemon
	text := d.run(t)
	requireLines(t, text)
	for i, wakeUps := range d.wakeUps {
		require.Contains(t, profile(t, text, fmt.Sprintf("jobd/%d", i)), fmt.Sprintf("sched_switch:S (%d) ", wakeUps-1))
	}
	wakeUps := report(t, text, "-w")
	require.Equal(t, bytes.Count(text, []byte("sched_wakeup: ")), strings.Count(wakeUps, " Latency: ")-2, "two more are in the summary")
	require.Contains(t, wakeUps, "Average wakeup latency: ")
	require.Equal(t, int(d.signals.Load()), strings.Count(wakeUps, "signal_generate:"))
	require.Equal(t, d.received, strings.Count(wakeUps, "I|1|reload"))
	require.Equal(t, int(d.logged.Load()), strings.Count(wakeUps, "workqueue_execute_end:"))
}

// The examples' traces can be reported too.
func TestTraceCmdReportsTheExamples(t *testing.T) {
	paths, err := filepath.Glob("../../../examples/*/testdata/*.ftrace")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(path, func(t *testing.T) { requireLines(t, read(t, path)) })
	}
}

// A record has 27 bits for the time since the one before, and a state has a bit.
func TestTraceCmdReportsLongTimesAndAllStates(t *testing.T) {
	text, at := "# tracer: nop\n", int64(0)
	for _, pause := range []int64{0, 1<<27 - 1, 1 << 27, 1<<27 + 1, 1e10} {
		for _, state := range "RSDTtXZPI" {
			at += pause
			text += fmt.Sprintf("            a/01-7       (      1) [001] ....  %4d.%09d: sched_switch: prev_comm=a/01 prev_pid=7"+
				" prev_prio=120 prev_state=%c ==> next_comm=swapper/1 next_pid=0 next_prio=120\n", at/1e9, at%1e9, state)
		}
	}
	requireLines(t, []byte(text))
}
