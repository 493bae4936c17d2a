package usermodehelper

import (
	"os"
	"regexp"
	"runtime/metrics"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// threads returns how many threads the runtime has.
func threads() int {
	sample := []metrics.Sample{{Name: "/sched/threads/total:threads"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}

// oneCrew has a crew begin, with two helpers that are never started, and end.
func oneCrew(t *testing.T) {
	t.Helper()
	for range 2 {
		_, err := joinCrew()
		require.NoError(t, err)
	}
	c := crews.present
	c.run(func() {})
	c.leave()
	c.leave()
	c.expire()
}

// A thread ends with its crew. The next crews make up for it.
func TestSparesAreMadeUpFor(t *testing.T) {
	want := wantedSpares()
	for range 3 * want {
		oneCrew(t)
		require.GreaterOrEqual(t, threads(), want/2)
		require.Less(t, spares, want, "the crew has used one up")
	}
}

// The main thread is no thread of a crew: it would give the program a new umask, and
// /proc another root.
func TestMainThreadStartsNoHelpers(t *testing.T) {
	umask := func() string {
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		return regexp.MustCompile(`Umask:\s*\d+`).FindString(string(status))
	}
	before := syscall.Umask(0o027)
	defer syscall.Umask(before)
	want := umask()
	for range 200 {
		oneCrew(t)
		require.Equal(t, want, umask())
	}
}
