//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"context"
	"errors"
	"log"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/kprim/kprim/sysctl/vfs"
)

// grace is how long an opener with O_NONBLOCK waits for a release that is on its way.
const grace = 50 * time.Millisecond

// An opened is an open file.
//
// Kernel: struct fuse_file
type opened struct {
	vfs.Handle
	inode   *inode
	flushed atomic.Bool // a descriptor was closed, and no read or write came after it

	mu     sync.Mutex
	pos    int64 // the sum of the counts of all reads and writes; guarded by mu
	polled polled
}

// closing reports whether a descriptor of the inode was closed, and its file is not yet
// released.
func (f *files) closing(i *inode) bool {
	for _, h := range f.handles.all() {
		if h.inode == i && h.flushed.Load() {
			return true
		}
	}
	return false
}

// Open opens a file. It asks the kernel for each read and write, without a cache, so that
// the calls keep their sizes and errors.
//
// Kernel: FUSE_OPEN
func (f *files) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if f.own.has(in.Caller) {
		return fuse.Status(syscall.EDEADLK)
	}
	i := f.inodes.get(in.NodeId)
	file, ok := i.Node.(vfs.File)
	if !ok {
		return fuse.Status(syscall.EISDIR)
	}
	ctx, done := f.context(in.Unique)
	defer done()
	h, err := f.open(ctx, i, file, f.own.cred(in.Caller), int(in.Flags))
	if err != nil {
		return status(err)
	}
	out.Fh = f.handles.add(&opened{Handle: h, inode: i})
	out.OpenFlags = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_PARALLEL_DIRECT_WRITES
	return fuse.OK
}

// open opens a file. The kernel sends a release after close(2) has returned. So a process
// that closes the file, and opens it again with O_NONBLOCK, could find it in use. To prevent
// that, an opener that gets EAGAIN waits a moment for the release, and tries again.
//
// The opener waits only if a handle was flushed: a flush comes before close(2) returns. It
// also comes for a dup, and then the wait ends with EAGAIN. The look at the handles comes
// before the first try. After it, the release may have come between the try and the look.
func (f *files) open(ctx context.Context, i *inode, file vfs.File, cred vfs.Cred, flag int) (vfs.Handle, error) {
	closing := flag&vfs.NonBlock != 0 && f.closing(i)
	h, err := file.Open(ctx, cred, flag)
	if !closing || !errors.Is(err, syscall.EAGAIN) {
		return h, err
	}
	moment, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	_ = f.released.Wait(moment, func() bool { return !f.closing(i) })
	return file.Open(ctx, cred, flag)
}

// Read reads at the position that the kernel sends.
//
// Kernel: FUSE_READ
func (f *files) Read(_ <-chan struct{}, in *fuse.ReadIn, p []byte) (fuse.ReadResult, fuse.Status) {
	h := f.handles.get(in.Fh)
	h.flushed.Store(false)
	ctx, done := f.context(in.Unique)
	defer done()
	n, err := h.Read(ctx, f.own.cred(in.Caller), p, int64(in.Offset))
	if err != nil {
		return nil, status(err)
	}
	h.move(n)
	return fuse.ReadResultData(p[:n]), fuse.OK
}

// Write writes at the position that the kernel sends. After an open with O_APPEND the kernel
// sends the size of the file, which says nothing here. So such a write goes to the position
// of the open file, as in /proc: the sum of all counts.
//
// Kernel: FUSE_WRITE
func (f *files) Write(_ <-chan struct{}, in *fuse.WriteIn, p []byte) (uint32, fuse.Status) {
	h := f.handles.get(in.Fh)
	h.flushed.Store(false)
	ctx, done := f.context(in.Unique)
	defer done()
	pos := int64(in.Offset)
	if in.Flags&syscall.O_APPEND != 0 {
		pos = h.position() // the kernel lets no two appending writes run at once
	}
	n, err := h.Write(ctx, f.own.cred(in.Caller), p, pos)
	if err != nil {
		return 0, status(err)
	}
	h.move(n)
	return uint32(n), fuse.OK
}

func (h *opened) move(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pos += int64(n)
}

func (h *opened) position() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pos
}

// Flush is a close of one descriptor.
//
// Kernel: FUSE_FLUSH
func (f *files) Flush(_ <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	h := f.handles.get(in.Fh)
	h.flushed.Store(true)
	return status(h.Flush())
}

// Release is the last close. The handle stays in the table until its file is free. If it
// left before, an opener would find the file in use, but no flushed handle, and get EAGAIN.
//
// Kernel: FUSE_RELEASE
func (f *files) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	defer f.released.WakeUpAll()
	defer f.handles.remove(in.Fh) // also after a panic: the Server must not release again
	h := f.handles.get(in.Fh)
	h.unwatch()
	h.Release()
}

// releaseAll releases the handles that the kernel has not released. It is called when no
// request is left. Each Release has a goroutine of its own. If one panics, or ends its
// goroutine, the other handles are released all the same, and the Server ends.
func (f *files) releaseAll(l *log.Logger) {
	var all sync.WaitGroup
	for _, h := range f.handles.all() {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					l.Printf("procfs: panic in Release: %v\n%s", p, debug.Stack())
				}
			}()
			h.unwatch()
			h.Release()
		})
	}
	all.Wait()
}
