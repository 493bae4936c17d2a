package peers

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A figure stands in the comparison of kprim's README. It is the time of kprim's way of a job,
// divided by the time of the way that the reader has.
type figure struct{ row, text, job, kprim, other string }

// figures leaves out SemaphoreOfTwo, which has a range because it depends on the load.
var figures = []figure{
	{"a channel", "Turns: 2.6", "Turns", "waitqueue.Cond", "unbuffered channels"},
	{"`sync.Cond`", "Turns: 2.2", "Turns", "waitqueue.Cond", "sync.Cond"},
	{"`sync.Cond`", "with `WithTask`, 1.4", "Turns", "waitqueue.Cond+WithTask", "sync.Cond"},
	{"contextcond", "Turns: 0.52", "Turns", "waitqueue.Cond", "contextcond"},
	{"`x/sync/semaphore`", "SemaphoreAlone: 0.65", "SemaphoreAlone", "Completion", "x/sync/semaphore"},
	{"tomb", "StartStop: 1.8", "StartStop", "kthread", "tomb.v2"},
	{"`x/sync/errgroup`", "StartStop: 1.22", "StartStop", "kthread", "errgroup"},
	{"client-go workqueue", "Flood: 0.66", "Flood", "kthread.Workqueue", "client-go workqueue"},
	{"client-go workqueue", "Burst: 0.32", "Burst", "kthread.Workqueue", "client-go workqueue"},
	{"`os/exec`", "Helper: 1.2", "Helper", "usermodehelper", "os/exec"},
	{"expvar, `sync/atomic`", "TunableLoad: 1.0", "TunableLoad", "sysctl.Var", "expvar.Int"},
	{"expvar, `sync/atomic`", "TunableSet: 20", "TunableSet", "sysctl.Var", "expvar.Int"},
	{"`flag`", "TunableSet: 9", "TunableSet", "sysctl.Var", "flag"},
}

// Each figure of the comparison follows from the column -cpu 2 of this directory's README.
func TestFiguresOfTheComparison(t *testing.T) {
	cells := lastCells(t)
	times := timesOnTwoCPUs(t)
	for _, f := range figures {
		require.Contains(t, cells[f.row], f.text, f.row)
		kprim, other := times[[2]string{f.job, f.kprim}], times[[2]string{f.job, f.other}]
		require.Positive(t, kprim, f)
		require.Positive(t, other, f)
		text := f.text[strings.LastIndex(f.text, " ")+1:]
		_, decimals, _ := strings.Cut(text, ".")
		require.Equal(t, strconv.FormatFloat(kprim/other, 'f', len(decimals), 64), text, f.row)
	}
	var all string
	for _, cell := range cells {
		all += cell + "\n"
	}
	require.Len(t, regexp.MustCompile(`[0-9]+(\.[0-9]+)?`).FindAllString(all, -1), len(figures)+2, "the range of SemaphoreOfTwo has two")
}

// lastCells returns the last cell of each row of the comparison, by the first cell.
func lastCells(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "\n| you have |")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	cells := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (.+?) \|.*\| (.+?) \|$`).FindAllStringSubmatch(table, -1) {
		cells[m[1]] = m[2]
	}
	return cells
}

// timesOnTwoCPUs returns the last column of this directory's README, by job and way.
func timesOnTwoCPUs(t *testing.T) map[[2]string]float64 {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	times := map[[2]string]float64{}
	job := ""
	for _, m := range regexp.MustCompile(`(?m)^\| (\w*) ?\| (.+?) \| [0-9.]+ \| ([0-9.]+) \|$`).FindAllStringSubmatch(string(text), -1) {
		if m[1] != "" {
			job = m[1]
		}
		times[[2]string{job, m[2]}], err = strconv.ParseFloat(m[3], 64)
		require.NoError(t, err)
	}
	return times
}
