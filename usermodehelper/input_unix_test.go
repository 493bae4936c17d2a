//go:build linux || darwin || freebsd

package usermodehelper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/usermodehelper"
)

// noise returns n bytes that no error would produce by chance.
func noise(n int) []byte {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte(rand.Uint32())
	}
	return text
}

// sum names a text in few words, for a test that fails.
func sum(text []byte) string {
	return fmt.Sprintf("%d bytes, %08x", len(text), crc32.ChecksumIEEE(text))
}

// echoed runs cat with the input that change sets, and returns its output.
func echoed(t *testing.T, change func(h *usermodehelper.Helper)) []byte {
	t.Helper()
	h := shell("exec cat")
	h.Output = &usermodehelper.Output{Max: 1 << 30}
	change(h)
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Zero(t, status)
	require.False(t, h.Output.Cut())
	return h.Output.Bytes()
}

func TestInputComesWhole(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 1<<16 - 1, 1 << 16, 1<<16 + 1, 3_000_000} {
		text := noise(size)
		for name, change := range map[string]func(h *usermodehelper.Helper){
			"bytes":                   func(h *usermodehelper.Helper) { h.Input = text },
			"a reader":                func(h *usermodehelper.Helper) { h.InputFrom = bytes.NewReader(text) },
			"one byte a Read":         func(h *usermodehelper.Helper) { h.InputFrom = iotest.OneByteReader(bytes.NewReader(text)) },
			"the last bytes with EOF": func(h *usermodehelper.Helper) { h.InputFrom = iotest.DataErrReader(bytes.NewReader(text)) },
			"Reads of nothing":        func(h *usermodehelper.Helper) { h.InputFrom = &hesitant{from: bytes.NewReader(text)} },
		} {
			if name == "one byte a Read" && size > 1<<17 {
				continue
			}
			require.Equal(t, sum(text), sum(echoed(t, change)), "%s, %d", name, size)
		}
	}
}

// hesitant returns 0 and nil before each Read.
type hesitant struct {
	from io.Reader
	odd  bool
}

func (h *hesitant) Read(buf []byte) (int, error) {
	if h.odd = !h.odd; h.odd {
		return 0, nil
	}
	return h.from.Read(buf)
}

func TestInputServesManyCalls(t *testing.T) {
	h := shell("exec cat")
	h.Input = noise(200_000)
	var all sync.WaitGroup
	for range 8 {
		mine := *h
		mine.Output = &usermodehelper.Output{Max: 1 << 20}
		all.Go(func() {
			if status, err := mine.Exec(t.Context(), usermodehelper.WaitProc); status != 0 || err != nil {
				t.Error(status, err)
			}
			if !bytes.Equal(h.Input, mine.Output.Bytes()) {
				t.Error(sum(mine.Output.Bytes()))
			}
		})
	}
	all.Wait()
}

func TestInputComesInEveryMode(t *testing.T) {
	for _, mode := range modes {
		h := shell("exec cat")
		h.InputFrom, h.Output = strings.NewReader("text"), new(usermodehelper.Output)
		over := make(chan usermodehelper.Result, 1)
		h.Cleanup = func(r usermodehelper.Result) { over <- r }
		_, err := h.Exec(t.Context(), mode)
		require.NoError(t, err)
		require.NoError(t, (<-over).Failure())
		require.Equal(t, "text", h.Output.String())
	}
}

// The file itself is the descriptor 0, so it has its position.
func TestInputFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "input")
	require.NoError(t, os.WriteFile(path, []byte("first\nsecond\n"), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	for _, want := range []string{"first\n", "second\n"} {
		require.Equal(t, want, string(echoed(t, func(h *usermodehelper.Helper) {
			h.Argv[2] = `read -r line; echo "$line"`
			h.InputFrom = f
		})))
	}
	require.NoError(t, f.Close())
	h := shell("exit 3")
	h.InputFrom = f
	_, err = h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.EBADF, "it is closed")
}

func TestInputThatIsNoInput(t *testing.T) {
	h := shell("exit 3")
	h.InputFrom = (*os.File)(nil)
	_, err := h.Exec(t.Context(), usermodehelper.NoWait)
	requireInvalid(t, err, "InputFrom is a nil file")
	h.Input, h.InputFrom = []byte{}, strings.NewReader("")
	_, err = h.Exec(t.Context(), usermodehelper.NoWait)
	requireInvalid(t, err, "both Input and InputFrom")
}

// unread fails the test if it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("it was read")
	return 0, io.EOF
}

func TestInitMayReplaceOrMoveTheInput(t *testing.T) {
	for _, change := range []func(h *usermodehelper.Helper){
		func(h *usermodehelper.Helper) { h.Input = noise(1_000_000) },
		func(h *usermodehelper.Helper) { h.InputFrom = unread{t} },
	} {
		require.Empty(t, echoed(t, func(h *usermodehelper.Helper) {
			change(h)
			h.Init = func(attr *os.ProcAttr) error {
				null, err := os.Open(os.DevNull)
				t.Cleanup(func() { _ = null.Close() })
				attr.Files[0] = null
				return err
			}
		}))
	}
	require.Equal(t, "text", string(echoed(t, func(h *usermodehelper.Helper) {
		h.Argv[2], h.Input = "exec cat <&3", []byte("text")
		h.Init = func(attr *os.ProcAttr) error {
			attr.Files = append(attr.Files, attr.Files[0])
			attr.Files[0] = nil
			return nil
		}
	})))
}

func TestHelperThatIsNotStartedReadsNoInput(t *testing.T) {
	before := descriptors(t)
	for range 10 {
		h := usermodehelper.Helper{Path: "/missing", InputFrom: unread{t}, Output: new(usermodehelper.Output), Errors: new(usermodehelper.Output)}
		_, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.ErrorIs(t, err, syscall.ENOENT)
	}
	require.Equal(t, before, descriptors(t))
}

// endless never ends.
type endless struct{}

func (endless) Read(buf []byte) (int, error) { return len(buf), nil }

func TestHelperNeedNotReadItsInput(t *testing.T) {
	for _, script := range []string{"exit 3", "exec <&-; exit 3", "head -c 10 >&2; exit 3"} {
		for _, mode := range modes {
			for _, change := range []func(h *usermodehelper.Helper){
				func(h *usermodehelper.Helper) { h.Input = make([]byte, 1<<20) },
				func(h *usermodehelper.Helper) { h.InputFrom = endless{} },
			} {
				h := shell(script)
				change(h)
				over := make(chan usermodehelper.Result, 1)
				h.Cleanup = func(r usermodehelper.Result) { over <- r }
				_, err := h.Exec(t.Context(), mode)
				require.NoError(t, err)
				r := <-over
				require.NoError(t, r.Err)
				require.Equal(t, 3, r.Status.ExitCode())
			}
		}
	}
}

func init() { roles["close-stdio"] = closeStdio }

// The pipes of a program that has closed its own files have their numbers. A program dies of
// SIGPIPE if it writes to a descriptor 1 that nobody reads.
func TestProgramThatHasClosedItsFilesOutlivesAHelperThatTakesNoInput(t *testing.T) {
	status, err := actor(t, "close-stdio").Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Equal(t, "exit status 0", status.String())
}

func closeStdio([]string) error {
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if err := f.Close(); err != nil {
			return err
		}
	}
	h := shell("exec <&-; exit 3")
	for _, change := range []func(){
		func() { h.Input = make([]byte, 1<<20) },
		func() { h.Input, h.InputFrom = nil, endless{} },
	} {
		change()
		if status, err := h.Exec(context.Background(), usermodehelper.WaitProc); status.ExitCode() != 3 || err != nil {
			return fmt.Errorf("%v: %w", status, err)
		}
	}
	h = shell("cat; echo error >&2")
	h.Input, h.Output, h.Errors = noise(200_000), &usermodehelper.Output{Max: 1 << 20}, new(usermodehelper.Output)
	status, err := h.Exec(context.Background(), usermodehelper.WaitProc)
	if status != 0 || err != nil || !bytes.Equal(h.Input, h.Output.Bytes()) || h.Errors.String() != "error\n" {
		return fmt.Errorf("%v: %w: %s, %s", status, err, sum(h.Output.Bytes()), h.Errors)
	}
	return nil
}

// A heldCall is a reader, or a writer, whose first call waits until it is let go.
type heldCall struct {
	entered chan bool // gets one value for each call
	release chan bool // is closed to let go
	text    string    // of a Read
	err     error
}

func newHeldCall() *heldCall {
	return &heldCall{entered: make(chan bool, 1000), release: make(chan bool)}
}

func (h *heldCall) Read(buf []byte) (int, error) {
	h.entered <- true
	<-h.release
	return copy(buf, h.text), h.err
}

func (h *heldCall) Write(text []byte) (int, error) {
	h.entered <- true
	<-h.release
	return len(text), h.err
}

// The bytes come too late, and so does the failure.
func TestReaderThatBlocksDoesNotKeepExec(t *testing.T) {
	for _, late := range []heldCall{{text: "dropped"}, {err: io.EOF}, {err: errors.New("nobody hears it")}} {
		from := newHeldCall()
		from.text, from.err = late.text, late.err
		h := shell("exit 3")
		h.InputFrom, h.Grace = from, time.Minute
		start := time.Now()
		status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
		require.NoError(t, err)
		require.Equal(t, 3, status.ExitCode())
		require.Less(t, time.Since(start), soon)
		close(from.release) // and the goroutine ends
	}
}

// A reader that blocks does not hold up the end by ctx either.
func TestReaderThatBlocksIsLeftWithTheContext(t *testing.T) {
	from := newHeldCall()
	h := shell("exec cat")
	h.InputFrom, h.Grace, h.Timeout = from, time.Minute, 50*time.Millisecond
	start := time.Now()
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.ErrorIs(t, err, syscall.ETIMEDOUT)
	require.Equal(t, syscall.SIGTERM, status.Signal())
	require.Less(t, time.Since(start), soon)
	close(from.release)
}

var errDisk = errors.New("the disk has gone")

// breaks gives more bytes than a pipe holds, so the helper has read some, and then fails.
func breaks(err error) io.Reader {
	return io.MultiReader(bytes.NewReader(make([]byte, 100_000)), iotest.ErrReader(err))
}

// breaksLate fails together with its last bytes.
func breaksLate(err error) io.Reader {
	last := func(buf []byte) (int, error) { return len(buf), err }
	return io.MultiReader(bytes.NewReader(make([]byte, 100_000)), readFunc(last))
}

type readFunc func(buf []byte) (int, error)

func (f readFunc) Read(buf []byte) (int, error) { return f(buf) }

// The helper would write a file if it saw the end of its input. It sees none, even if
// it takes all of its Grace.
func TestReaderThatFailsEndsTheHelperBeforeItSeesTheEnd(t *testing.T) {
	for trap, want := range map[string]usermodehelper.Status{
		"":                     usermodehelper.Status(syscall.SIGTERM),
		"trap '' TERM; ":       usermodehelper.Status(syscall.SIGKILL),
		"trap 'exit 7' TERM; ": 7 << 8,
	} {
		for _, from := range []io.Reader{breaks(errDisk), breaksLate(errDisk)} {
			h := shell(trap+`cat >/dev/null; echo whole > "$1"`, filepath.Join(t.TempDir(), "out"))
			h.InputFrom, h.Grace = from, 200*time.Millisecond
			l := leashed(t, h)
			status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
			require.ErrorIs(t, err, errDisk)
			require.ErrorIs(t, err, syscall.EIO)
			require.NotErrorIs(t, err, syscall.EINTR)
			require.Equal(t, fmt.Sprintf("usermodehelper: /bin/sh was ended (%v): InputFrom failed: the disk has gone", want), err.Error())
			require.Equal(t, want, status, trap)
			l.gone()
			require.NoFileExists(t, h.Argv[4])
		}
	}
}

// The context ended the helper. The error tells of both.
func TestReaderThatFailsAfterTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	from := newHeldCall()
	from.err = errDisk
	h := shell(`trap '' TERM; echo >&3; sleep 1000`)
	l := leashed(t, h)
	h.InputFrom, h.Grace = from, time.Second
	result := started(t, ctx, h)
	l.line()
	cancel()
	close(from.release)
	got := <-result
	for _, want := range []error{syscall.EINTR, context.Canceled, syscall.EIO, errDisk} {
		require.ErrorIs(t, got.err, want)
	}
	require.EqualError(t, got.err, "usermodehelper: /bin/sh was ended (signal: killed): context canceled; InputFrom failed: the disk has gone")
	require.Equal(t, syscall.SIGKILL, got.status.Signal())
	l.gone()
}

// A daemon has the reading end of the pipe still. It is not signalled, and Exec
// waits neither for it nor for the input that nobody reads.
func TestDaemonThatHoldsTheInputDoesNotKeepExec(t *testing.T) {
	for _, change := range []func(h *usermodehelper.Helper){
		func(h *usermodehelper.Helper) { h.Input = make([]byte, 1<<20) },
		func(h *usermodehelper.Helper) { h.InputFrom = endless{} },
	} {
		rec := recorded(t)
		// The shell gives /dev/null to a child in the background, but not for 4.
		h := shell(`exec 4<&0; (echo $$ >&3; exec sleep 1000) & exit 3`)
		l := leashed(t, h)
		change(h)
		h.Grace = time.Minute
		var pid int
		h.Started = func(p int) { pid = p }
		start := time.Now()
		require.Equal(t, ended{status: 3 << 8}, <-started(t, t.Context(), h))
		require.Less(t, time.Since(start), soon)
		require.Equal(t, strconv.Itoa(pid), l.line())
		require.Equal(t, "reap", rec.take(t))
		require.NoError(t, syscall.Kill(-pid, syscall.SIGKILL), "it was there still")
		l.gone()
	}
}

// It ends by itself then, and the output that it holds is whole.
func TestDaemonSeesTheEndOfTheInputWhenTheHelperEnds(t *testing.T) {
	from := newHeldCall()
	h := shell(`exec 4<&0; (cat <&4; echo end) & exit 3`)
	h.InputFrom, h.Output, h.Grace = from, new(usermodehelper.Output), time.Minute
	start := time.Now()
	status, err := h.Exec(t.Context(), usermodehelper.WaitProc)
	require.NoError(t, err)
	require.Equal(t, 3, status.ExitCode())
	require.Less(t, time.Since(start), soon)
	require.Equal(t, "end\n", h.Output.String())
	close(from.release)
}
