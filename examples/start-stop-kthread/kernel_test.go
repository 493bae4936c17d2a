package main

import (
	_ "embed"
	"regexp"
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

// A rewrite turns lines into the words that both sides share, or into nothing.
type rewrite struct{ pattern, words string }

// The README names the lines that the rewrites of Linux change.
var (
	ofLinux = []rewrite{
		{`started \d\n`, ""},
		{`kthread_stop (\d): (\d+)\n`, "example[$1] is gone, it woke up $2 times\n"},
	}
	ofOurs = []rewrite{
		{`  PID S .*\n`, ""},
		{` +\d+ S .* \[example thread\]\n`, "S example thread\n"},
		{`kernel: `, ""},
	}
)

func shared(text string, rewrites []rewrite) string {
	for _, r := range rewrites {
		text = regexp.MustCompile(`(?m)^`+r.pattern).ReplaceAllString(text, r.words)
	}
	return text
}

// section returns the lines below a title.
func section(t *testing.T, title string) string {
	_, text, found := strings.Cut(printed, "\n==== "+title+" ====\n")
	require.True(t, found, title)
	text, _, _ = strings.Cut(text, "\n\n====")
	return strings.TrimSpace(text) + "\n"
}

// The transcript begins with a ps of its own.
func fromInsmod(t *testing.T, text string) string {
	_, rest, found := strings.Cut(text, "# insmod")
	require.True(t, found)
	return "# insmod" + rest
}

// Linux and the program print the same lines in the same order, except for the
// lines that the README names.
func TestLinuxPrintsTheSame(t *testing.T) {
	linux := section(t, "Linux 6.1.0-57-amd64 (Debian 12), in QEMU")
	require.Equal(t, shared(linux, ofLinux), shared(fromInsmod(t, transcript), ofOurs))
	for _, line := range []string{
		"started 0", "kthread_stop 0: 2", "example[0] is gone, it woke up 2 times", "# ps",
	} {
		require.Contains(t, readme, "`"+line+"`")
	}
}

// Linux 7.3.4 ran the module without the stop too many and without the last ps.
func TestLinux7PrintsTheSame(t *testing.T) {
	linux := section(t, "Linux 7.3.4, user-mode Linux (before the module had its semaphore)")
	ours := shared(fromInsmod(t, transcript), ofOurs)
	require.Equal(t, shared(linux, ofLinux)+"stop_kthread: killing non existing thread!\n# ps\n", ours)
}

// On two CPUs a starter may print before the thread that it has waited for, and
// after it. Exercise 2 asks why.
func TestTwoCPUsPrintBothOrders(t *testing.T) {
	linux := section(t, "Linux 6.1.0-57-amd64 (Debian 12), in QEMU: two CPUs")
	require.Regexp(t, `(?s)started 0\nhi,.*hi,.*\nstarted 1\n`, linux)
	require.Equal(t, nThreads, strings.Count(linux, "hi, here is the kernel thread\n"))
}

// One signal that no thread takes: twenty rounds at once, and the next after a
// second.
func TestLinuxHasTheStorm(t *testing.T) {
	for _, version := range []string{"6.1.0-57-amd64 (Debian 12), in QEMU", "7.3.4, user-mode Linux"} {
		linux := section(t, "Linux "+version+": SIGTERM, not taken")
		before, after, _ := strings.Cut(linux, "20 times: storm\n")
		require.Equal(t, 20, strings.Count(before, "thread woke up\n"))
		require.Equal(t, nThreads, strings.Count(after, "thread woke up\n"))
		require.Contains(t, after, "kthread_stop 0: 21\nkthread_stop 1: 1\n")
	}
}
