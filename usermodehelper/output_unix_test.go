//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// captured runs h, which has to end well, and returns its output.
func captured(t *testing.T, h *usermodehelper.Helper, max int) *usermodehelper.Output {
	t.Helper()
	h.Output = &usermodehelper.Output{Max: max}
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Zero(t, status, "%s", h.Output)
	return h.Output
}

func TestOutputHasBothFilesInTheOrderOfWriting(t *testing.T) {
	o := captured(t, shell("echo one; echo two >&2; echo three"), 0)
	require.Equal(t, "one\ntwo\nthree\n", o.String())
	require.False(t, o.Cut())
	text := o.Bytes()
	require.Equal(t, "one\ntwo\nthree\n", string(text))
	text[0] = 'X'
	require.Equal(t, "one\ntwo\nthree\n", o.String(), "Bytes is a copy")
}

func TestOutputIsBounded(t *testing.T) {
	for _, c := range []struct {
		max, written, kept int
		note               string
	}{
		{0, 1 << 16, 1 << 16, ""},
		{0, 1<<16 + 10, 1 << 16, "[cut: 10 bytes more]"},
		{0, 10_000_000, 1 << 16, "[cut: 9934464 bytes more]"},
		{5, 5, 5, ""},
		{5, 6, 5, "[cut: 1 bytes more]"},
		{-1, 1, 0, "[cut: 1 bytes more]"},
		{100_000, 99_999, 99_999, ""},
	} {
		// It writes all of it, and is neither kept nor killed.
		o := captured(t, shell(`head -c "$1" /dev/zero && exit 0`, strconv.Itoa(c.written)), c.max)
		require.Equal(t, strings.Repeat("\x00", c.kept), string(o.Bytes()))
		require.Equal(t, c.note, strings.TrimLeft(o.String(), "\x00"))
		require.Equal(t, c.note != "", o.Cut())
	}
}

// It holds the output open. There is no time to read anything meanwhile.
func TestOutputHasAllThatTheHelperItselfHasWritten(t *testing.T) {
	const written = 50_000 // fits into the pipe
	for range 50 {
		h := shell(`sleep 1000 & head -c "$1" /dev/zero; exit 0`, strconv.Itoa(written))
		h.Grace, h.Sweep = time.Nanosecond, true
		require.Len(t, captured(t, h, 1<<20).Bytes(), written)
	}
}

// It writes more, and always more, and holds the output.
func TestBusyDaemonDoesNotKeepExec(t *testing.T) {
	const script = `echo ready >&3; for i in 1 2 3 4; do cat /dev/zero & done; exec cat /dev/zero`
	h := actor(t, "daemon", "/bin/sh", "-c", script)
	l := leashed(t, h)
	h.Grace, h.Output = 50*time.Millisecond, new(usermodehelper.Output)
	result := started(t, t.Context(), h)
	l.line()
	start := time.Now()
	require.Equal(t, ended{}, <-result)
	require.Less(t, time.Since(start), h.Grace+soon)
	require.True(t, h.Output.Cut())
	l.gone() // of SIGPIPE: nobody reads it
}

func TestSeveralHelpersShareAnOutput(t *testing.T) {
	var o usermodehelper.Output
	var all sync.WaitGroup
	want := []string{""} // after the last line
	for i := range 8 {
		h := shell(`echo "this is $1"`, strconv.Itoa(i))
		h.Output = &o
		want = append(want, "this is "+h.Argv[4])
		all.Go(func() {
			if status, err := h.Exec(t.Context(), usermodehelper.WaitProc); status != 0 || err != nil {
				t.Error(status, err)
			}
		})
		_ = o.Cut() // at any time
	}
	all.Wait()
	got := strings.Split(o.String(), "\n")
	slices.Sort(got)
	require.Equal(t, want, got)
}

// The kernel gives a core dump to a program in this way.
func TestInitMayFeedTheHelper(t *testing.T) {
	h := shell("cat")
	h.Init = func(attr *os.ProcAttr) error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		attr.Files[0] = r
		go func() {
			_, _ = w.WriteString("the dump")
			_ = w.Close()
		}()
		t.Cleanup(func() { _ = r.Close() })
		return nil
	}
	require.Equal(t, "the dump", captured(t, h, 0).String())
}

func TestInitMayAddAFile(t *testing.T) {
	h := shell("echo extra >&3; echo more >&4")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	h.Init = func(attr *os.ProcAttr) error {
		attr.Files = append(attr.Files, w, w)
		return nil
	}
	h.Cleanup = func(usermodehelper.Result) { _ = w.Close() }
	require.Empty(t, captured(t, h, 0).String())
	require.Equal(t, "extra\nmore\n", readAll(t, r))
	require.NoError(t, r.Close())
}

func TestInitMayLeaveNothingInSys(t *testing.T) {
	h := shell("echo fine")
	h.Init = func(attr *os.ProcAttr) error {
		attr.Sys = nil
		return nil
	}
	require.Equal(t, "fine\n", captured(t, h, 0).String())
}

func TestInitMaySetTheUser(t *testing.T) {
	requireDiffers(t, "the helper runs as the caller's user or as User, not as root")
	require.Equal(t, strconv.Itoa(os.Getuid())+"\n", captured(t, shell("id -u"), 0).String())
	if os.Getuid() != 0 {
		t.Skip("only root may")
	}
	h := shell("id -u; id -g; id -G")
	h.Init = func(attr *os.ProcAttr) error {
		attr.Sys.Credential = &syscall.Credential{Uid: 65534, Gid: 65533}
		return nil
	}
	require.Equal(t, "65534\n65533\n65533\n", captured(t, h, 0).String())
}

func TestHelperThatCannotBeStartedLeavesNoDescriptor(t *testing.T) {
	captured(t, shell("exit 0"), 0)                  // the runtime has opened its descriptors now
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which closes forgotten files
	before := descriptors(t)
	for range 20 {
		h := usermodehelper.Helper{Path: "/missing", Output: new(usermodehelper.Output)}
		_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.ErrorIs(t, err, syscall.ENOENT)
	}
	require.Equal(t, before, descriptors(t))
}
