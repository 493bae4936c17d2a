// Package sleepfile is /proc/sleep of article 3 as a file that a mount can serve to
// processes. One opener at a time has it, and the others sleep in open until it is
// closed. Program blocking-proc-file shows the loops of the article, step by step.
package sleepfile

import (
	"context"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

const messageLength = 80 // with the NUL at its end

// A File is /proc/sleep. The zero value is free and has an empty message. A File must
// not be copied after first use.
type File struct {
	// Log, if not nil, gets a line for each step of an opener. The line begins with the
	// use count. Several goroutines may call Log at once. Set it before the first use.
	Log func(format string, args ...any)

	// Name, if not nil, returns the name of an opener for the Log. Open calls it once,
	// while the opener still waits. Without Name, the lines have the ids of the opener. Set
	// it before the first use.
	Name func(opener vfs.Cred) string

	alreadyOpen atomic.Bool
	waitQ       waitqueue.Queue // the openers that sleep
	useCount    atomic.Int64    // goes up before alreadyOpen is set, and down after it is cleared

	mu      sync.Mutex
	message string // guarded by mu
}

// UseCount returns how many openers have the file or are in Open. If it is 0, the file is
// free.
func (f *File) UseCount() int { return int(f.useCount.Load()) }

// Stat implements [vfs.Node]. The file is a stream, so its size is 0.
func (f *File) Stat() (vfs.Attr, error) { return vfs.Attr{Mode: 0o644}, nil }

// May is module_permission: every user may read, and root may write.
func (f *File) May(cred vfs.Cred, want fs.FileMode) error {
	if attr, _ := f.Stat(); !attr.May(cred, want) {
		return failed("access", syscall.EACCES)
	}
	return nil
}

// Open is module_open. It sleeps while another opener has the file, until ctx ends.
func (f *File) Open(ctx context.Context, cred vfs.Cred, flag int) (vfs.Handle, error) {
	need, open := vfs.Rights(flag)
	if f.May(cred, need) != nil { // before it can block
		return nil, failed("open", syscall.EACCES)
	}
	opener := f.name(cred)
	f.useCount.Add(1)
	if err := f.enter(ctx, opener, flag); err != nil {
		f.useCount.Add(-1) // no Handle, so no Release
		f.log(opener, "gives up: %v", vfs.Errno(err))
		return nil, failed("open", err)
	}
	f.log(opener, "has the file")
	return &handle{file: f, opener: opener, open: open}, nil
}

// enter takes the file. If another opener has it, enter sleeps first.
func (f *File) enter(ctx context.Context, opener string, flag int) error {
	switch {
	case f.take():
		return nil
	case flag&vfs.NonBlock != 0:
		return syscall.EAGAIN
	}
	f.log(opener, "sleeps in open")
	return f.waitQ.Wait(ctx, f.take)
}

// take takes the file if it is free. The test and the change are one step. With two
// steps, two openers could both find the file free.
func (f *File) take() bool { return f.alreadyOpen.CompareAndSwap(false, true) }

func (f *File) name(cred vfs.Cred) string {
	switch {
	case f.Log == nil:
		return "" // no line needs it
	case f.Name == nil:
		return cred.String()
	}
	return f.Name(cred)
}

func (f *File) log(opener, format string, args ...any) {
	if f.Log != nil {
		f.Log("%d %s: %s", f.UseCount(), opener, fmt.Sprintf(format, args...))
	}
}

func failed(op string, err error) error { return &fs.PathError{Op: op, Path: "sleep", Err: err} }

// A handle is the open file. Only one exists at a time.
type handle struct {
	file   *File
	opener string      // for the log
	open   fs.FileMode // MayRead, MayWrite or both

	begun    bool   // rest is set; guarded by file.mu
	rest     string // of the line; guarded by file.mu
	released atomic.Bool
}

// Read is module_output. It gives one line, and then the end of the file. It ignores the
// position.
func (h *handle) Read(_ context.Context, _ vfs.Cred, p []byte, _ int64) (int, error) {
	if h.open&vfs.MayRead == 0 {
		return 0, failed("read", syscall.EBADF)
	}
	h.file.mu.Lock()
	defer h.file.mu.Unlock()
	if !h.begun {
		h.begun, h.rest = true, "Last input:"+h.file.message+"\n"
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

// Write is module_input. The first 79 bytes replace the message.
func (h *handle) Write(_ context.Context, _ vfs.Cred, p []byte, _ int64) (int, error) {
	if h.open&vfs.MayWrite == 0 {
		return 0, failed("write", syscall.EBADF)
	}
	h.file.mu.Lock()
	defer h.file.mu.Unlock()
	n := min(len(p), messageLength-1)
	h.file.message = string(p[:n])
	return n, nil
}

// Flush does nothing: another descriptor may be open.
func (h *handle) Flush() error { return nil }

// Release is module_close. It wakes all sleepers: one gets the file, and the others
// sleep again.
func (h *handle) Release() {
	if h.released.Swap(true) { // another opener may have the file by now
		panic("sleepfile: Release of a released Handle")
	}
	h.file.log(h.opener, "closes the file")
	h.file.alreadyOpen.Store(false)
	h.file.useCount.Add(-1)
	h.file.waitQ.WakeUpAll()
}
