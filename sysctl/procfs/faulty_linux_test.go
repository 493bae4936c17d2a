//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
)

// An opener is a file whose Open is a function.
type opener func(context.Context) (vfs.Handle, error)

func (o *opener) Stat() (vfs.Attr, error) { return vfs.Attr{Mode: 0o666}, nil }

func (o *opener) May(vfs.Cred, fs.FileMode) error { return nil }

func (o *opener) Open(ctx context.Context, _ vfs.Cred, _ int) (vfs.Handle, error) { return (*o)(ctx) }

func fileOf(o opener) vfs.File { return &o }

// A handle is an open file whose methods are functions. A nil function does nothing.
type handle struct {
	read, write, flush func() error
	release            func()
	released           atomic.Int64
}

func (h *handle) file() vfs.File {
	return fileOf(func(context.Context) (vfs.Handle, error) { return h, nil })
}

func (h *handle) Read(context.Context, vfs.Cred, []byte, int64) (int, error) {
	return 0, call(h.read)
}

func (h *handle) Write(_ context.Context, _ vfs.Cred, p []byte, _ int64) (int, error) {
	return len(p), call(h.write)
}

func (h *handle) Flush() error { return call(h.flush) }

func call(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

func (h *handle) Release() {
	h.released.Add(1)
	if h.release != nil {
		h.release()
	}
}

// The kernel refuses an answer with a number that it uses inside. The caller would then
// sleep for ever.
func TestErrnoOfAFile(t *testing.T) {
	for err, want := range map[error]syscall.Errno{
		syscall.Errno(511):                        511,
		syscall.Errno(512):                        syscall.EINTR, // ERESTARTSYS
		syscall.Errno(513):                        syscall.EINTR,
		syscall.Errno(514):                        syscall.EINTR,
		syscall.Errno(515):                        syscall.ENOTTY,
		syscall.Errno(516):                        syscall.EINTR,
		syscall.Errno(517):                        syscall.EIO,
		syscall.Errno(0):                          syscall.EIO,
		^syscall.Errno(0):                         syscall.EIO, // -1
		errors.New("plain"):                       syscall.EIO,
		fmt.Errorf("wrapped: %w", syscall.ENOSPC): syscall.ENOSPC,
		context.Canceled:                          syscall.EINTR,
		context.DeadlineExceeded:                  syscall.ETIMEDOUT,
	} {
		fail := func() error { return err }
		dir, _ := mount(t, faulty(fail), procfs.Options{})
		c := startCmd(t, probing("errnos", dir))
		require.Equal(t, 0, c.Wait(t))
		require.Equal(t, fmt.Sprintf("open %[1]d read %[1]d write %[1]d close %[1]d ", int(want)), c.Out.String(), "%v", err)
	}
}

// faulty returns a directory with a file for each method that can fail.
func faulty(fail func() error) vfs.Dir {
	return vfs.Static(map[string]vfs.Node{
		"open":  fileOf(func(context.Context) (vfs.Handle, error) { return nil, fail() }),
		"read":  (&handle{read: fail}).file(),
		"write": (&handle{write: fail}).file(),
		"close": (&handle{flush: fail}).file(),
		"sleep": &counted{},
	})
}

// A method that panics, or ends its goroutine, gives EIO, and the mount goes on. With no
// answer the caller would sleep for ever.
func TestFileThatPanics(t *testing.T) {
	for name, fault := range map[string]func(){
		"panic": func() { panic("a fault of the file") },
		"exit":  runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			var told processes.Text
			dir, server := mount(t, faulty(func() error { fault(); return nil }),
				procfs.Options{ErrorLog: log.New(&told, "", 0)})
			for range 10 { // more often than goroutines wait for requests
				c := startCmd(t, probing("errnos", dir))
				require.Equal(t, 0, c.Wait(t))
				require.Equal(t, "open 5 read 5 write 5 close 5 ", c.Out.String())
				out, code := run(t, "cat", dir+"/sleep")
				require.Equal(t, 0, code, out)
			}
			require.Equal(t, name == "panic", strings.Contains(told.String(), "a fault of the file"))
			require.NoError(t, server.Close())
			require.Contains(t, procfs.Left(server), "0 calls, 0 contexts")
		})
	}
}

// A Release that panics is not repeated at the end.
func TestReleaseThatPanics(t *testing.T) {
	var told processes.Text
	h := &handle{release: func() { panic("a fault of the file") }}
	dir, server := mount(t, vfs.Static(map[string]vfs.Node{"file": h.file()}),
		procfs.Options{ErrorLog: log.New(&told, "", 0)})
	out, code := run(t, "cat", filepath.Join(dir, "file"))
	require.Equal(t, 0, code, out)
	processes.Eventually(t, "the log is told", func() bool { return strings.Contains(told.String(), "a fault of the file") })
	require.NoError(t, server.Close())
	require.Equal(t, int64(1), h.released.Load())
}

// At the end the Server itself releases. One Release that panics, or ends its goroutine,
// stops neither the others nor the program.
func TestReleaseThatPanicsAtTheEnd(t *testing.T) {
	var told processes.Text
	var handles [3]handle
	handles[0].release = func() { panic("a fault of the file") }
	handles[1].release = runtime.Goexit
	dir, server := mount(t, vfs.Static(map[string]vfs.Node{
		"0": handles[0].file(), "1": handles[1].file(), "2": handles[2].file(),
	}), procfs.Options{ErrorLog: log.New(&told, "", 0)})
	holder := newCaller(t, "orders")
	for n := range handles {
		require.NotContains(t, holder.do(t, "open %s/%d 0", dir, n), " ", "an error")
	}
	require.NoError(t, server.Close())
	require.Contains(t, told.String(), "procfs: panic in Release: a fault of the file")
	for n := range handles {
		require.Equal(t, int64(1), handles[n].released.Load())
	}
}

// A file of size 0 would have one writer at a time.
type onePage struct{ vfs.File }

func (onePage) Stat() (vfs.Attr, error) { return vfs.Attr{Mode: 0o666, Size: 4096}, nil }

// A writer that blocks keeps no more memory than its text needs.
func TestMemoryOfAWriterThatBlocks(t *testing.T) {
	const writers = 40
	var waiting atomic.Int64
	goOn := make(chan struct{})
	block := &handle{write: func() error { waiting.Add(1); <-goOn; return nil }}
	dir, _ := mount(t, vfs.Static(map[string]vfs.Node{"file": onePage{block.file()}}), procfs.Options{})
	defer close(goOn)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for n := range writers {
		start(t, "dd", "if=/dev/zero", "of="+dir+"/file", "bs=4096", "count=1", "conv=notrunc", "status=none")
		processes.Eventually(t, "the writer blocks", func() bool { return waiting.Load() == int64(n+1) })
	}
	require.Less(t, heap()-before, uint64(writers*100_000))
}

// The end of a context may come too late to end an Open. The handle is then the caller's,
// and the kernel releases it if the caller is dead.
func TestOpenThatSucceedsAfterItsContextHasEnded(t *testing.T) {
	var h handle
	var waiting atomic.Int64
	dir, server := mount(t, vfs.Static(map[string]vfs.Node{
		"late": fileOf(func(ctx context.Context) (vfs.Handle, error) {
			waiting.Add(1)
			<-ctx.Done()
			return &h, nil
		}),
	}), procfs.Options{})
	late := filepath.Join(dir, "late")
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGKILL, syscall.SIGTERM}
	for i, signal := range signals {
		cat := start(t, "cat", late)
		processes.Eventually(t, "cat waits", func() bool { return waiting.Load() == int64(i+1) })
		end(t, cat, signal)
		processes.Eventually(t, "the handle is released", func() bool { return h.released.Load() == int64(i+1) })
	}
	cat := start(t, "cat", late)
	processes.Eventually(t, "cat waits", func() bool { return waiting.Load() == 4 })
	require.NoError(t, server.Close())
	cat.Wait(t)
	require.Equal(t, int64(4), h.released.Load(), "once, also at the end")
}

// A killed process stays until a File that ignores its context has opened. The kernel then
// releases the handle.
func TestKilledOpenerOfAFileThatIgnoresItsContext(t *testing.T) {
	var h handle
	goOn := make(chan struct{})
	var waiting atomic.Bool
	dir, _ := mount(t, vfs.Static(map[string]vfs.Node{
		"deaf": fileOf(func(ctx context.Context) (vfs.Handle, error) {
			waiting.Store(true)
			<-ctx.Done()
			<-goOn
			return &h, nil
		}),
	}), procfs.Options{})
	cat := start(t, "cat", filepath.Join(dir, "deaf"))
	processes.Eventually(t, "cat waits", waiting.Load)
	require.NoError(t, cat.Process.Kill())
	processes.Eventually(t, "cat waits for the answer only", func() bool { return processes.State(cat.Process.Pid) == "D" })
	close(goOn)
	require.Equal(t, -9, cat.Wait(t))
	processes.Eventually(t, "the handle is released", func() bool { return h.released.Load() == 1 })
}

// Close waits for a File that ignores its context. The process gets its error before that.
func TestCloseWaitsForAFileThatIgnoresItsContext(t *testing.T) {
	var h handle
	goOn := make(chan struct{})
	var waiting atomic.Bool
	dir, server := mount(t, vfs.Static(map[string]vfs.Node{
		"deaf": fileOf(func(context.Context) (vfs.Handle, error) {
			waiting.Store(true)
			<-goOn
			return &h, nil
		}),
	}), procfs.Options{})
	cat := start(t, "cat", filepath.Join(dir, "deaf"))
	processes.Eventually(t, "cat waits", waiting.Load)
	closed := make(chan error, 1)
	go func() { closed <- server.Close() }()
	require.Equal(t, 1, cat.Wait(t))
	require.Contains(t, cat.Out.String(), "Software caused connection abort")
	require.Empty(t, mountsBelow(dir))
	require.False(t, ended(server))
	require.Empty(t, closed)
	close(goOn)
	require.NoError(t, <-closed)
	require.True(t, ended(server))
	require.Equal(t, int64(1), h.released.Load())
}
