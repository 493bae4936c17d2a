package main

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	//go:embed linux/printed.txt
	printed string
	//go:embed README.md
	readme string
)

// none stands in the place of a line that is not printed.
const none = "-"

// differences are the places where Linux and the program print different lines,
// in the order of the session.
var differences = []struct{ linux, ours string }{
	{"# insmod sleep.ko", none},
	{
		"-rw-r--r--    1 0        0                0 Nov 30 06:27 /proc/sleep",
		"-rw-r--r-- 1 0 0 80 /proc/sleep",
	},
	{"A S hrtimer_nanosleep", "A S nanosleep"},
	{"B S module_open", "B S WaitQ"},
	{"C S module_open", "C S WaitQ"},
	{
		"rmmod: can't unload module 'sleep': Resource temporarily unavailable",
		"rmmod: module 'sleep' is in use",
	},
	{none, "E finds it open, sleeps again"},
	{none, "E: open /proc/sleep: interrupted system call"},
	{
		"sh: can't create /proc/sleep: Permission denied",
		"echo: open /proc/sleep: permission denied",
	},
	{none, "write(100) = 79, write(21) = 21"},
}

// section returns the lines of the kernel of that version, without the marks of
// the module's log.
func section(t *testing.T, version string) []string {
	_, text, found := strings.Cut(printed, "\n==== Linux "+version)
	require.True(t, found, version)
	text, _, _ = strings.Cut(text, "\n\n====")
	text = strings.ReplaceAll(text, "\na3: ", "\n")
	return strings.Split(strings.TrimSpace(text), "\n")[1:]
}

// ours returns the transcript without the marks of the log and without the use
// counts of the prompts.
func ours() []string {
	text := strings.ReplaceAll(transcript, "kernel: ", "")
	text = regexp.MustCompile(`(?m)^[0-9] ([#$] )`).ReplaceAllString(text, "$1")
	return strings.Split(strings.TrimSpace(text), "\n")
}

// Linux and the program print the same lines in the same order, except for the
// lines that the README names.
func TestLinuxPrintsTheSame(t *testing.T) {
	left, right := section(t, "6.1.0"), ours()
	for _, d := range differences {
		for len(left) > 0 && len(right) > 0 && left[0] != d.linux && right[0] != d.ours {
			require.Equal(t, left[0], right[0])
			left, right = left[1:], right[1:]
		}
		left = drop(t, left, d.linux)
		right = drop(t, right, d.ours)
	}
	require.Equal(t, left, right)
}

// drop takes a line that differs from the front, and requires that the README
// names it.
func drop(t *testing.T, lines []string, line string) []string {
	if line == none {
		return lines
	}
	require.Equal(t, line, lines[0])
	require.Contains(t, readme, "`"+line+"`")
	return lines[1:]
}

// The record of Linux 7.3.4 has fewer commands. Its lines of the log stand in
// the transcript in the same order.
func TestLinux7PrintsTheSame(t *testing.T) {
	rest := ours()
	for _, line := range section(t, "7.3.4") {
		if regexp.MustCompile(`^[A-F] |^cat_nonblock `).MatchString(line) {
			i := slices.Index(rest, line)
			require.GreaterOrEqual(t, i, 0, line)
			rest = rest[i+1:]
		}
	}
}
