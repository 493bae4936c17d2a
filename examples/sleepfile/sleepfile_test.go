package sleepfile_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A mount takes a File as it is.
var _ vfs.File = (*sleepfile.File)(nil)

var (
	root     = vfs.Process(0, 0, 1, nil)
	stranger = vfs.Process(1000, 1000, 2, func() ([]uint32, error) { return nil, nil })
)

func open(t *testing.T, f *sleepfile.File, flag int) vfs.Handle {
	h, err := f.Open(t.Context(), root, flag)
	require.NoError(t, err)
	return h
}

// errClosing is the cause with which a server ends the contexts when it closes.
var errClosing = errors.New("the server closes")

// An opening is an Open in a goroutine of its own.
type opening struct {
	cancel context.CancelCauseFunc
	handle vfs.Handle
	err    error
	done   atomic.Bool
}

func start(t *testing.T, f *sleepfile.File) *opening {
	o := new(opening)
	var ctx context.Context
	ctx, o.cancel = context.WithCancelCause(t.Context())
	go func() {
		o.handle, o.err = f.Open(ctx, stranger, os.O_RDONLY)
		o.done.Store(true)
	}()
	synctest.Wait()
	return o
}

func text(t *testing.T, h vfs.Handle) string {
	var text []byte
	buf := make([]byte, 200)
	for {
		n, err := h.Read(t.Context(), stranger, buf, int64(len(text)))
		require.NoError(t, err)
		if n == 0 {
			return string(text)
		}
		text = append(text, buf[:n]...)
	}
}

func TestTheOthersSleepUntilRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f sleepfile.File
		a := open(t, &f, os.O_RDONLY)
		b, c := start(t, &f), start(t, &f)
		require.Equal(t, 3, f.UseCount(), "the openers that sleep count too")
		require.NoError(t, a.Flush()) // a dup was closed
		synctest.Wait()
		require.False(t, b.done.Load() || c.done.Load())

		a.Release()
		synctest.Wait()
		require.NotEqual(t, b.done.Load(), c.done.Load(), "one of the two has it")
		require.Equal(t, 2, f.UseCount())
		if c.done.Load() {
			b, c = c, b
		}
		require.NoError(t, b.err)
		b.handle.Release()
		synctest.Wait()
		require.NoError(t, c.err)
		c.handle.Release()
		require.Zero(t, f.UseCount())
	})
}

func TestNonBlock(t *testing.T) {
	var f sleepfile.File
	h := open(t, &f, os.O_RDONLY|vfs.NonBlock)
	_, err := f.Open(t.Context(), root, os.O_RDONLY|vfs.NonBlock)
	require.ErrorIs(t, err, syscall.EAGAIN)
	require.EqualError(t, err, "open sleep: "+syscall.EAGAIN.Error())
	require.Equal(t, 1, f.UseCount(), "it is not counted")
	h.Release()
	open(t, &f, os.O_RDONLY|vfs.NonBlock).Release()
	require.Zero(t, f.UseCount())
}

func TestAStrangersWriteIsRefusedBeforeItCanBlock(t *testing.T) {
	var f sleepfile.File
	h := open(t, &f, os.O_RDONLY)
	defer h.Release()
	for _, flag := range []int{os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | vfs.NonBlock} {
		for _, cred := range []vfs.Cred{stranger, {}} {
			_, err := f.Open(t.Context(), cred, flag)
			require.ErrorIs(t, err, syscall.EACCES)
		}
	}
	require.Equal(t, 1, f.UseCount())
	require.NoError(t, f.May(stranger, vfs.MayRead))
	require.NoError(t, f.May(root, vfs.MayRead|vfs.MayWrite))
	require.ErrorIs(t, f.May(stranger, vfs.MayWrite), syscall.EACCES)
	require.ErrorIs(t, f.May(root, vfs.MayExec), syscall.EACCES)
	attr, err := f.Stat()
	require.NoError(t, err)
	require.Equal(t, vfs.Attr{Mode: 0o644}, attr)
}

func TestAnEndedContextGivesTheCountBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f sleepfile.File
		h := open(t, &f, os.O_RDONLY)
		signal, closed := start(t, &f), start(t, &f)
		signal.cancel(nil)
		closed.cancel(errClosing)
		synctest.Wait()
		for _, o := range []*opening{signal, closed} {
			require.True(t, o.done.Load())
			require.ErrorIs(t, o.err, syscall.EINTR)
			require.Equal(t, syscall.EINTR, vfs.Errno(o.err))
			require.Nil(t, o.handle)
		}
		require.ErrorIs(t, closed.err, errClosing)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.Open(ctx, root, os.O_WRONLY)
		require.Equal(t, syscall.ETIMEDOUT, vfs.Errno(err))
		require.Equal(t, 1, f.UseCount())

		h.Release()
		h, err = f.Open(ctx, root, os.O_WRONLY)
		require.NoError(t, err, "a free file is taken even if the context has ended")
		h.Release()
		require.Zero(t, f.UseCount())
	})
}

func TestReadGivesTheLineAndThenTheEnd(t *testing.T) {
	var f sleepfile.File
	for _, message := range []string{"", "hello\n"} {
		h := open(t, &f, os.O_WRONLY)
		n, err := h.Write(t.Context(), root, []byte(message), 0)
		require.NoError(t, err)
		require.Equal(t, len(message), n)
		h.Release()

		for _, size := range []int{1, 4, 200} {
			h = open(t, &f, os.O_RDONLY)
			var got strings.Builder
			buf := make([]byte, size)
			for {
				n, err := h.Read(t.Context(), root, buf, 0) // any position will do
				require.NoError(t, err)
				if n == 0 {
					break
				}
				got.Write(buf[:n])
			}
			require.Equal(t, "Last input:"+message+"\n", got.String())
			require.Empty(t, text(t, h), "a handle gives its line once")
			h.Release()
		}
	}
}

func TestWriteKeeps79(t *testing.T) {
	var f sleepfile.File
	digits := strings.Repeat("0123456789", 20)
	for _, length := range []int{1, 78, 79, 80, 100, 200} {
		h := open(t, &f, os.O_RDWR)
		n, err := h.Write(t.Context(), root, []byte(digits[:length]), 1000)
		require.NoError(t, err)
		require.Equal(t, min(length, 79), n)
		require.Equal(t, "Last input:"+digits[:n]+"\n", text(t, h))
		h.Release()
	}
	h := open(t, &f, os.O_WRONLY)
	for rest := digits[:100]; rest != ""; {
		n, err := h.Write(t.Context(), root, []byte(rest), 0)
		require.NoError(t, err)
		rest = rest[n:]
	}
	h.Release()
	h = open(t, &f, os.O_RDONLY)
	require.Equal(t, "Last input:"+digits[79:100]+"\n", text(t, h), "the rest replaces the beginning")
	h.Release()
}

func TestHandleHasItsDirection(t *testing.T) {
	var f sleepfile.File
	for flag, want := range map[int][2]error{
		os.O_RDONLY:             {nil, syscall.EBADF},
		os.O_WRONLY:             {syscall.EBADF, nil},
		os.O_RDWR:               {nil, nil},
		os.O_WRONLY | os.O_RDWR: {syscall.EBADF, syscall.EBADF},
	} {
		h := open(t, &f, flag)
		_, err := h.Read(t.Context(), root, make([]byte, 9), 0)
		require.ErrorIs(t, err, want[0])
		_, err = h.Write(t.Context(), root, []byte("1"), 0)
		require.ErrorIs(t, err, want[1])
		h.Release()
	}
}

// A second Release would take the file from its next opener.
func TestReleaseTwicePanics(t *testing.T) {
	var f sleepfile.File
	h := open(t, &f, os.O_RDONLY)
	h.Release()
	next := open(t, &f, os.O_RDONLY)
	require.PanicsWithValue(t, "sleepfile: Release of a released Handle", h.Release)
	require.Equal(t, 1, f.UseCount())
	_, err := f.Open(t.Context(), root, os.O_RDONLY|vfs.NonBlock)
	require.ErrorIs(t, err, syscall.EAGAIN)
	next.Release()
}

func TestAFileWithoutUsersIsFree(t *testing.T) {
	var f sleepfile.File
	for range 5000 {
		go open(t, &f, os.O_RDONLY).Release()
		for f.UseCount() != 0 {
			runtime.Gosched()
		}
		open(t, &f, os.O_RDONLY|vfs.NonBlock).Release()
	}
}

func TestLogTellsTheSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var lines []string
		var f sleepfile.File
		f.Log = func(opener vfs.Cred, step string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, fmt.Sprintf("%d %v: %s", f.UseCount(), opener, step))
		}
		h := open(t, &f, os.O_RDONLY)
		o := start(t, &f)
		o.cancel(nil)
		synctest.Wait()
		o = start(t, &f)
		h.Release()
		synctest.Wait()
		o.handle.Release()
		const a, b = "uid 0, gid 0, pid 1: ", "uid 1000, gid 1000, pid 2: "
		require.Equal(t, []string{
			"1 " + a + "has the file",
			"2 " + b + "sleeps in open",
			"1 " + b + "gives up: " + syscall.EINTR.Error(),
			"2 " + b + "sleeps in open",
			"2 " + a + "closes the file",
			"1 " + b + "has the file",
			"1 " + b + "closes the file",
		}, lines)
	})
}

func TestTwoHundredOpenersAreAllServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f sleepfile.File
		h := open(t, &f, os.O_RDONLY)
		var readers sync.WaitGroup
		for range 200 {
			readers.Go(func() {
				h, err := f.Open(t.Context(), stranger, os.O_RDONLY)
				require.NoError(t, err)
				require.Equal(t, "Last input:\n", text(t, h))
				h.Release()
			})
		}
		synctest.Wait()
		require.Equal(t, 201, f.UseCount())
		h.Release()
		readers.Wait()
		require.Zero(t, f.UseCount())
	})
}

// Closes race with signals. Two openers never have the file, and in the end it is free.
func TestHammer(t *testing.T) {
	var f sleepfile.File
	var openers sync.WaitGroup
	var inside, opened, ended atomic.Int64
	for i := range 8 {
		openers.Go(func() {
			for range 1000 {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(2) == 0 {
					openers.Go(cancel)
				}
				flag := os.O_RDWR
				if i%4 == 0 {
					flag |= vfs.NonBlock
				}
				h, err := f.Open(ctx, root, flag)
				if err == nil {
					opened.Add(1)
					require.EqualValues(t, 1, inside.Add(1))
					_, err = h.Write(ctx, root, []byte{'x'}, 0)
					require.NoError(t, err)
					inside.Add(-1)
					h.Release()
				} else {
					ended.Add(1)
					require.Contains(t, []syscall.Errno{syscall.EINTR, syscall.EAGAIN}, vfs.Errno(err))
				}
				cancel()
			}
		})
	}
	openers.Wait()
	t.Log(opened.Load(), "opened,", ended.Load(), "ended")
	require.EqualValues(t, 8000, opened.Load()+ended.Load())
	require.Zero(t, f.UseCount())
	open(t, &f, os.O_RDONLY|vfs.NonBlock).Release()
}
