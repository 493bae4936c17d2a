package trace_test

import (
	"bufio"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A line is a line of a trace as another tool reads it.
type line struct {
	task      string // of the first column
	pid, cpu  int
	at        int64 // nanoseconds
	event     string
	details   string
	args      map[string]string // of the details
	afterLoss bool              // events are lost before it
}

var lossForm = regexp.MustCompile(`^# (\d+) events are lost here$`)

// losses returns how many events the comments of a trace say are lost.
func losses(t *testing.T, text string) (lost int) {
	t.Helper()
	for text := range strings.Lines(text) {
		if m := lossForm.FindStringSubmatch(strings.TrimSuffix(text, "\n")); m != nil {
			lost += number(t, m[1])
		}
	}
	return lost
}

// parse reads a trace, and checks the rules that hold for each one.
func parse(t *testing.T, text string) (lines []line) {
	t.Helper()
	require.True(t, strings.HasPrefix(text, "# tracer: nop\n"), text)
	lost := false
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		if strings.HasPrefix(scanner.Text(), "#") {
			lost = lost || lossForm.MatchString(scanner.Text())
			continue
		}
		l := parseLine(t, scanner.Text())
		l.afterLoss, lost = lost, false
		if n := len(lines); n > 0 {
			mustf(t, l.at > lines[n-1].at, "times ascend: %s", scanner.Text())
		}
		lines = append(lines, l)
	}
	checkStates(t, lines)
	return lines
}

func parseLine(t *testing.T, text string) line {
	t.Helper()
	head, rest, _ := strings.Cut(text, ": ")
	task, place, _ := strings.Cut(head, " (")
	fields := strings.Fields(place) // "1)", "[000]", "....", "0.000000000"
	mustf(t, len(fields) == 4 && fields[2] == "....", "%q", text)
	dash := strings.LastIndex(task, "-")
	seconds, nanoseconds, _ := strings.Cut(fields[3], ".")
	mustf(t, dash >= 0 && len(nanoseconds) == 9 && !strings.Contains(fields[3], "-"), "%q", text)
	l := line{
		task: strings.TrimLeft(task[:dash], " "),
		pid:  number(t, strings.TrimSpace(task[dash+1:])),
		cpu:  number(t, strings.Trim(fields[1], "[]")),
		at:   int64(number(t, seconds))*1e9 + int64(number(t, nanoseconds)),
		args: map[string]string{},
	}
	l.event, l.details, _ = strings.Cut(rest, ": ")
	for _, word := range strings.Fields(l.details) {
		if key, value, ok := strings.Cut(word, "="); ok {
			l.args[key] = value
		}
	}
	for _, key := range []string{"comm", "prev_comm", "next_comm"} {
		mustf(t, len(l.args[key]) <= 15, "%q", text)
	}
	if l.pid == 0 {
		mustf(t, l.task == "<idle>" && fields[0] == "-----)", "%q", text)
	} else {
		mustf(t, fields[0] == "1)", "%q", text)
	}
	return l
}

// mustf is require.True, and does not make the arguments into text before it fails.
func mustf(t *testing.T, ok bool, format string, args ...any) {
	if !ok {
		t.Helper()
		require.Failf(t, "not so", format, args...)
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	mustf(t, err == nil, "%v", err)
	return n
}

// checkStates checks that each lane sleeps before it is woken, and does not run while it
// sleeps. A lane has one CPU, which no other lane has at the same time.
func checkStates(t *testing.T, lines []line) {
	t.Helper()
	const (
		runs = iota
		sleeps
		isWoken
	)
	phase, onCPU := map[string]int{}, map[int]string{}
	for i, l := range lines {
		if l.afterLoss { // anything may have happened
			clear(phase)
			clear(onCPU)
		}
		switch {
		case l.event == "sched_switch" && l.pid == 0:
			pid := l.args["next_pid"]
			known, seen := phase[pid]
			mustf(t, !seen || known != runs, "line %d: %v", i, l)
			mustf(t, onCPU[l.cpu] == "", "line %d: %v", i, l)
			mustf(t, l.args["prev_comm"] == fmt.Sprint("swapper/", l.cpu), "line %d: %v", i, l)
			phase[pid], onCPU[l.cpu] = runs, pid
		case l.event == "sched_switch":
			pid := l.args["prev_pid"]
			require.Equal(t, strconv.Itoa(l.pid), pid)
			mustf(t, runs == phase[pid], "line %d: %v", i, l)
			mustf(t, l.args["next_comm"] == fmt.Sprint("swapper/", l.cpu), "line %d: %v", i, l)
			phase[pid] = sleeps
			delete(onCPU, l.cpu)
			if l.args["prev_state"] == "X" {
				delete(phase, pid)
			}
		case l.event == "sched_waking":
			known, seen := phase[l.args["pid"]]
			mustf(t, !seen || known == sleeps, "line %d: %v", i, l)
			phase[l.args["pid"]] = isWoken
		case l.event == "sched_wakeup":
			mustf(t, isWoken == phase[l.args["pid"]], "line %d: %v", i, l)
		}
		if l.pid != 0 && l.event != "sched_switch" {
			mustf(t, runs == phase[strconv.Itoa(l.pid)], "line %d: %v: its lane runs", i, l)
		}
	}
}

// story returns the lines in a short form, without the lanes in quiet:
//
//	A sleeps S / B wakes A at door / A runs
func story(lines []line, quiet ...string) string {
	var said []string
	shown := false // the last one
	add := func(lane, format string, args ...any) {
		if shown = !slices.Contains(quiet, lane); shown {
			said = append(said, lane+" "+fmt.Sprintf(format, args...))
		}
	}
	for i, l := range lines {
		switch l.event {
		case "sched_switch":
			if l.pid == 0 {
				add(l.args["next_comm"], "runs")
			} else {
				add(l.args["prev_comm"], "sleeps %s", l.args["prev_state"])
			}
		case "sched_waking":
			add(l.task, "wakes %s", l.args["comm"])
		case "sched_blocked_reason":
			if l.pid == 0 && lines[max(0, i-1)].event != "sched_waking" {
				add(l.args["pid"], "still sleeps at %s", l.args["caller"])
			} else if shown {
				said[len(said)-1] += " at " + l.args["caller"]
			}
		case "sched_wakeup":
		case "signal_generate":
			add(l.task, "signals %s %s %s", l.args["comm"], l.args["sig"], l.args["res"])
		case "workqueue_execute_start":
			add(l.task, "begins a work")
		case "workqueue_execute_end":
			add(l.task, "ends a work")
		default:
			add(l.task, "%s", l.details)
		}
	}
	return strings.Join(said, "\n")
}
