//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// A row is a situation, with the results of the kernel and of this package.
type row struct {
	what   string
	helper func(t *testing.T) usermodehelper.Helper
	kernel [3]int // the results of call_usermodehelper_exec with NO_WAIT, WAIT_EXEC and WAIT_PROC

	fate    fate
	status  usermodehelper.Status // of a program that ran
	err     error                 // otherwise
	inits   int                   // how often Init is called
	differs string                // from the kernel: words in the documentation for it
}

type fate int

const (
	ran     fate = iota // the program was started, and ended
	failed              // it could not be started: not told by NoWait
	refused             // the call was refused: told in every mode
)

// modes are in the order of the columns.
var modes = [3]usermodehelper.Mode{usermodehelper.NoWait, usermodehelper.WaitExec, usermodehelper.WaitProc}

// returns has the results of Exec. Cleanup gets the results of WaitProc.
func (r row) returns(mode usermodehelper.Mode) ended {
	switch {
	case r.fate == refused, r.fate == failed && mode != usermodehelper.NoWait:
		return ended{0, r.err}
	case r.fate == ran && mode == usermodehelper.WaitProc:
		return ended{r.status, nil}
	}
	return ended{}
}

// number is the result of the kernel for an end like this.
func (e ended) number() int {
	var errno syscall.Errno
	if errors.As(e.err, &errno) {
		return -int(errno)
	}
	return int(e.status)
}

var errInit = fmt.Errorf("init does not like it: %w", syscall.EPERM)

// moreRows are for one system only.
var moreRows []row

func rows(t *testing.T) []row {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	program := func(path string) func(*testing.T) usermodehelper.Helper {
		return func(*testing.T) usermodehelper.Helper { return usermodehelper.Helper{Path: path} }
	}
	script := func(text string) func(*testing.T) usermodehelper.Helper {
		return func(*testing.T) usermodehelper.Helper { return *shell(text) }
	}
	with := func(change func(*usermodehelper.Helper)) func(*testing.T) usermodehelper.Helper {
		return func(*testing.T) usermodehelper.Helper {
			h := *shell("exit 3")
			change(&h)
			return h
		}
	}
	disabled := func(path string) func(*testing.T) usermodehelper.Helper {
		return func(t *testing.T) usermodehelper.Helper {
			gate := new(usermodehelper.Gate)
			require.NoError(t, gate.Disable(t.Context()))
			return usermodehelper.Helper{Path: path, Gate: gate}
		}
	}
	const (
		empty    = "an empty path is an error"
		relative = "a relative path is an error"
	)
	dumped, dumpedWant := core(t, "unlimited")
	notDumped, notDumpedWant := core(t, "0")
	return append([]row{
		{what: "no path", helper: program(""), kernel: [3]int{-22, -22, -22}, // a NULL there
			fate: refused, err: syscall.EINVAL},
		{what: "no path, disabled", helper: disabled(""), kernel: [3]int{-22, -22, -22}, // likewise
			fate: refused, err: syscall.EINVAL},
		{what: "empty path", helper: program(""),
			fate: refused, err: syscall.EINVAL, differs: empty},
		{what: "empty path, disabled", helper: disabled(""), kernel: [3]int{-16, -16, -16},
			fate: refused, err: syscall.EINVAL, differs: empty},
		{what: "relative path", helper: program("missing"), kernel: [3]int{0, -2, -2},
			fate: refused, err: syscall.EINVAL, differs: relative},
		{what: "relative path, disabled", helper: disabled("missing"), kernel: [3]int{-16, -16, -16},
			fate: refused, err: syscall.EINVAL, differs: relative},
		{what: "disabled", helper: disabled("/bin/sh"), kernel: [3]int{-16, -16, -16},
			fate: refused, err: syscall.EBUSY},
		{what: "missing, disabled", helper: disabled("/missing"), kernel: [3]int{-16, -16, -16},
			fate: refused, err: syscall.EBUSY},
		{what: "another program than the one allowed", kernel: [3]int{0, 0, 3 << 8}, // the status of that one
			helper: with(func(h *usermodehelper.Helper) { h.Gate = &usermodehelper.Gate{Allow: []string{"/bin/true"}} }),
			fate:   refused, err: syscall.EPERM, differs: "the list refuses a program"},

		{what: "argv is nil", helper: program(file("exit3", "#!/bin/sh\nexit 3\n", 0o755)), kernel: [3]int{0, -22, -22},
			status: 3 << 8, inits: 1, differs: "nil Argv is allowed"},
		{what: "argv is empty", kernel: [3]int{0, -22, -22},
			helper: with(func(h *usermodehelper.Helper) { h.Argv = []string{} }),
			fate:   refused, err: syscall.EINVAL, differs: "with NoWait too"},
		{what: "two values for one name", kernel: [3]int{0, 0, 3 << 8},
			helper: with(func(h *usermodehelper.Helper) { h.Envp = []string{"A=1", "A=2"} }),
			fate:   refused, err: syscall.EINVAL, differs: "two values for one name"},
		{what: "a string without =", kernel: [3]int{0, 0, 3 << 8},
			helper: with(func(h *usermodehelper.Helper) { h.Envp = []string{"A"} }),
			fate:   refused, err: syscall.EINVAL, differs: "a string in Envp that is not NAME=VALUE"},

		{what: "Init refuses", kernel: [3]int{0, -1, -1},
			helper: with(func(h *usermodehelper.Helper) { h.Init = func(*os.ProcAttr) error { return errInit } }),
			fate:   failed, err: errInit, inits: 1},
		{what: "missing file", helper: program(filepath.Join(dir, "missing")), kernel: [3]int{0, -2, -2},
			fate: failed, err: syscall.ENOENT, inits: 1},
		{what: "missing interpreter", helper: program(file("interpreter", "#!/no/such/shell\n", 0o755)), kernel: [3]int{0, -2, -2},
			fate: failed, err: syscall.ENOENT, inits: 1},
		{what: "a file for a directory", helper: program(file("plain", "", 0o755) + "/x"), kernel: [3]int{0, -20, -20},
			fate: failed, err: syscall.ENOTDIR, inits: 1},
		{what: "not executable", helper: program(file("read-only", "#!/bin/sh\n", 0o644)), kernel: [3]int{0, -13, -13},
			fate: failed, err: syscall.EACCES, inits: 1},
		{what: "directory", helper: program(dir), kernel: [3]int{0, -13, -13},
			fate: failed, err: syscall.EACCES, inits: 1},
		{what: "bad format", helper: program(file("format", "no program at all", 0o755)), kernel: [3]int{0, -8, -8},
			fate: failed, err: syscall.ENOEXEC, inits: 1},
		{what: "too long", kernel: [3]int{0, -7, -7},
			helper: with(func(h *usermodehelper.Helper) { h.Argv = append(h.Argv, strings.Repeat("x", 4<<20)) }),
			fate:   failed, err: syscall.E2BIG, inits: 1},

		{what: "exit 0", helper: script("exit 0"), inits: 1},
		{what: "exit 3", helper: script("exit 3"), kernel: [3]int{0, 0, 0x300}, status: 0x300, inits: 1},
		{what: "exit 255", helper: script("exit 255"), kernel: [3]int{0, 0, 0xff00}, status: 0xff00, inits: 1},
		{what: "SIGTERM", helper: script("kill -TERM $$"), kernel: [3]int{0, 0, 15}, status: 15, inits: 1},
		{what: "SIGKILL", helper: script("kill -KILL $$"), kernel: [3]int{0, 0, 9}, status: 9, inits: 1},
		{what: "core dump", helper: dumped, kernel: [3]int{0, 0, int(dumpedWant)}, status: dumpedWant, inits: 1},
		{what: "no core dump", helper: notDumped, kernel: [3]int{0, 0, int(notDumpedWant)}, status: notDumpedWant, inits: 1},
	}, moreRows...)
}

// core returns a helper that dies of a signal that dumps core if it may. Whether
// it does is for the system to say, not only for its limit: so another process
// does the same first, and the bit that says so must be as for that one.
func core(t *testing.T, limit string) (func(*testing.T) usermodehelper.Helper, usermodehelper.Status) {
	script, dir := "cd $1; ulimit -c "+limit+" || :; kill -QUIT $$", t.TempDir()
	cmd := exec.Command("/bin/sh", "-c", script, "sh", dir)
	var failed *exec.ExitError
	require.ErrorAs(t, cmd.Run(), &failed)
	ws := failed.Sys().(syscall.WaitStatus)
	want := usermodehelper.Status(syscall.SIGQUIT)
	if ws.CoreDump() {
		want |= 0x80
	}
	require.EqualValues(t, ws, want)
	return func(*testing.T) usermodehelper.Helper { return *shell(script, dir) }, want
}

func TestEverySituationEndsAsInTheKernelOrAsTheDocumentationSays(t *testing.T) {
	var cleanups []*atomic.Int32 // looked at once more in the end
	for _, r := range rows(t) {
		for i, mode := range modes {
			name := fmt.Sprint(r.what, ", ", mode)
			h := r.helper(t)
			var inits, calls atomic.Int32
			init := h.Init
			h.Init = func(attr *os.ProcAttr) error {
				inits.Add(1)
				if init != nil {
					return init(attr)
				}
				return nil
			}
			cleanup := make(chan ended, 2)
			h.Cleanup = func(r usermodehelper.Result) {
				calls.Add(1)
				cleanup <- ended{r.Status, r.Err}
			}
			cleanups = append(cleanups, &calls)

			want := r.returns(mode)
			status, err := h.Exec(t.Context(), mode)
			if mode == usermodehelper.WaitProc || want.err != nil {
				require.Len(t, cleanup, 1, "%s: Cleanup comes before Exec returns", name)
			}
			requireEnded(t, want, ended{status, err}, name)
			requireEnded(t, r.returns(usermodehelper.WaitProc), <-cleanup, name+", Cleanup")
			require.EqualValues(t, r.inits, inits.Load(), name)

			if want.number() != r.kernel[i] {
				requireDiffers(t, r.differs)
			}
		}
		if r.differs != "" {
			require.NotEqual(t, r.kernel, [3]int{
				r.returns(modes[0]).number(), r.returns(modes[1]).number(), r.returns(modes[2]).number(),
			}, "%s: it does not differ", r.what)
		}
	}
	for _, calls := range cleanups {
		require.EqualValues(t, 1, calls.Load())
	}
}

func requireEnded(t *testing.T, want, got ended, name string) {
	t.Helper()
	require.Equal(t, want.status, got.status, name)
	if want.err == errInit {
		require.True(t, got.err == errInit, "%s: as it is, not %v", name, got.err)
	}
	require.ErrorIs(t, got.err, want.err, name)
}

// requireDiffers looks for the words in the lines of the documentation about the
// kernel. A difference on purpose has to be there.
func requireDiffers(t *testing.T, words string) {
	t.Helper()
	var lines string
	for _, name := range []string{"usermodehelper.go", "gate.go"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if _, differs, ok := strings.Cut(line, "// Differs: "); ok {
				lines += differs
			}
		}
	}
	require.NotEmpty(t, words)
	require.Contains(t, lines, words)
}
