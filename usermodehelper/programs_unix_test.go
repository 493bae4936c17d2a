//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/internal/listing"
)

// The tests of the three programs of the Examples run both forms of each: the one with this
// package, and its plain twin with os/exec.

// eachForm runs a test for both forms of a program. No goroutine may be left by it.
func eachForm[T any](t *testing.T, ours, plain T, test func(*testing.T, T)) {
	for name, form := range map[string]T{"usermodehelper": ours, "os/exec": plain} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			test(t, form)
			goleak.VerifyNone(t, before)
		})
	}
}

// steadyText drops the parts of a log line that differ from run to run. It also drops the
// text of an error, which differs between the two forms.
var steadyText = &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
	if slices.Contains([]string{"time", "level", "path", "pid", "took", "user", "system", "max_rss", "error"}, a.Key) {
		return slog.Attr{}
	}
	return a
}}

// A rope is a named pipe that a script and all its children hold. Each of them can write to it.
type rope struct {
	t    *testing.T
	path string
	file *os.File
	ends *os.File // another writer: without it, a read before the first script would see the end
}

func newRope(t *testing.T) *rope {
	path := filepath.Join(t.TempDir(), "rope")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	ends, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = file.Close(), ends.Close() })
	return &rope{t, path, file, ends}
}

// on returns the script with the rope as its descriptor 9.
func (r *rope) on(script string) string { return "exec 9>" + r.path + "\n" + script }

// line waits for the next line on the rope.
func (r *rope) line() string {
	r.t.Helper()
	l := leash{r.t, r.file, nil}
	return l.line()
}

// free waits until no process holds the rope, and returns the rest of its lines.
func (r *rope) free() string {
	r.t.Helper()
	l := leash{r.t, r.file, r.ends}
	return l.gone()
}

// requireFree fails if a process holds the rope now.
func (r *rope) requireFree() {
	r.t.Helper()
	require.NoError(r.t, r.ends.Close())
	raw, err := r.file.SyscallConn()
	require.NoError(r.t, err)
	n := 1
	for err == nil && n > 0 {
		require.NoError(r.t, raw.Control(func(fd uintptr) { n, err = syscall.Read(int(fd), make([]byte, 1<<12)) }))
	}
	require.NoError(r.t, err, "a process is left")
}

// The README says how many lines of code each form has. The Examples of both print the same.
//
//	go test ./usermodehelper -run ProgramLengths -v
func TestProgramLengths(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	said := strings.Join(strings.Fields(string(readme)), " ")
	shared, _ := readExample(t, "example_plain_test.go")
	var lengths []any
	for _, file := range []string{"eventrunner", "steps", "webhook"} {
		ours, output := readExample(t, "example_"+file+"_test.go")
		plain, same := readExample(t, "example_"+file+"_plain_test.go")
		t.Logf("%-11s has %d lines, with os/exec %d and %d that are shared", file, ours, plain, shared)
		require.NotEmpty(t, output)
		require.Equal(t, output, same)
		require.Contains(t, said, fmt.Sprintf("[%d](example_%s_plain_test.go)", plain, file))
		lengths = append(lengths, ours)
	}
	require.Contains(t, said, fmt.Sprintf(" %d, %d and %d lines of code.", lengths...))
	require.Contains(t, said, fmt.Sprintf("[%d more](example_plain_test.go)", shared))
}

// readExample counts the lines of code of a file. It returns the output of the Example too.
func readExample(t *testing.T, name string) (lines int, output string) {
	file, err := listing.Read(name)
	require.NoError(t, err)
	return file.Lines(func(string) bool { return true }), file.Output
}

// skipSlowSweep is for scripts with children that are not ended by SIGTERM.
func skipSlowSweep(t *testing.T) {
	if testing.Short() && strings.HasSuffix(t.Name(), "/os/exec") {
		t.Skip("it waits until process 1 has reaped the children, which may take seconds")
	}
}
