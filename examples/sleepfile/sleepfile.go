// Package sleepfile is the file /proc/sleep of article 3, for a mount. One opener at a time
// has the file, and the others sleep in open. The program blocking-proc-file has the
// article's own loops.
package sleepfile

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// A File is /proc/sleep. The zero value is ready. It must not be copied after first use.
type File struct {
	// Log, if not nil, gets each step of each opener, from several goroutines at once.
	Log         func(opener vfs.Cred, step string)
	alreadyOpen atomic.Pointer[handle] // nil if the file is free
	waitQ       waitqueue.Queue        // the openers that sleep
	useCount    atomic.Int64           // goes up before alreadyOpen is set, and down after it is cleared
	mu          sync.Mutex
	message     string // guarded by mu
}

// UseCount returns how many openers have the file or are in Open. At 0 the file is free.
func (f *File) UseCount() int { return int(f.useCount.Load()) }

// Stat implements [vfs.Node]. The file is a stream, so its size is 0.
func (f *File) Stat() (vfs.Attr, error) { return vfs.Attr{Mode: 0o644}, nil }

// May is module_permission: every user may read, and root may write.
func (f *File) May(cred vfs.Cred, want fs.FileMode) error {
	if attr, _ := f.Stat(); attr.May(cred, want) {
		return nil
	}
	return failed("access", syscall.EACCES)
}

// Open is module_open. It sleeps while another opener has the file, until ctx ends.
func (f *File) Open(ctx context.Context, cred vfs.Cred, flag int) (vfs.Handle, error) {
	need, open := vfs.Rights(flag)
	if f.May(cred, need) != nil { // comes before the wait
		return nil, failed("open", syscall.EACCES)
	}
	h := &handle{file: f, opener: cred, open: open}
	// Test and set in one step. In two steps, both of two openers could find the file free.
	take := func() bool { return f.alreadyOpen.CompareAndSwap(nil, h) }
	f.useCount.Add(1)
	err := error(syscall.EAGAIN)
	if take() {
		err = nil
	} else if flag&vfs.NonBlock == 0 {
		f.log(cred, "sleeps in open")
		err = f.waitQ.Wait(ctx, take)
	}
	if err != nil {
		f.useCount.Add(-1) // no Handle, so no Release
		f.log(cred, "gives up: "+vfs.Errno(err).Error())
		return nil, failed("open", err)
	}
	f.log(cred, "has the file")
	return h, nil
}

func (f *File) log(opener vfs.Cred, step string) {
	if f.Log != nil {
		f.Log(opener, step)
	}
}

func failed(op string, err error) error { return &fs.PathError{Op: op, Path: "sleep", Err: err} }

// A handle is the open file. Only one exists at a time.
type handle struct {
	file   *File
	opener vfs.Cred        // for Log
	open   fs.FileMode     // MayRead, MayWrite or both
	line   *strings.Reader // nil before the first Read; guarded by file.mu
}

// Read is module_output: one line, and then the end of the file. The position does not
// matter.
func (h *handle) Read(_ context.Context, _ vfs.Cred, p []byte, _ int64) (int, error) {
	if h.open&vfs.MayRead == 0 {
		return 0, failed("read", syscall.EBADF)
	}
	h.file.mu.Lock()
	defer h.file.mu.Unlock()
	if h.line == nil {
		h.line = strings.NewReader("Last input:" + h.file.message + "\n")
	}
	n, _ := h.line.Read(p)
	return n, nil
}

// Write is module_input. The first 79 bytes replace the message; C needs one for the NUL.
func (h *handle) Write(_ context.Context, _ vfs.Cred, p []byte, _ int64) (int, error) {
	if h.open&vfs.MayWrite == 0 {
		return 0, failed("write", syscall.EBADF)
	}
	h.file.mu.Lock()
	defer h.file.mu.Unlock()
	h.file.message = string(p[:min(len(p), 79)])
	return len(h.file.message), nil
}

// Flush does nothing, because another descriptor of the handle may still be open.
func (h *handle) Flush() error { return nil }

// Release is module_close. Of all sleepers, one gets the file, and the others sleep again.
func (h *handle) Release() {
	h.file.log(h.opener, "closes the file")
	if !h.file.alreadyOpen.CompareAndSwap(h, nil) {
		panic("sleepfile: Release of a released Handle")
	}
	h.file.useCount.Add(-1)
	h.file.waitQ.WakeUpAll()
}
