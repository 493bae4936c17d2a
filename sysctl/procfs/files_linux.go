//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"errors"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// files are the files of a mount. Go-fuse calls one method for each request. Requests
// without a method here get ENOSYS. The kernel then does without them, or returns the right
// errno.
//
// Kernel: struct super_operations
type files struct {
	fuse.RawFileSystem
	calls
	own      process
	inodes   inodes
	dirs     table[*openedDir]
	handles  table[*opened]
	released waitqueue.Queue // woken after each release
}

func newFiles(root vfs.Node) *files {
	return &files{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		calls:         newCalls(),
		own:           thisProcess(),
		inodes:        newInodes(root),
	}
}

// status is the answer for an error. Go-fuse sends it as it is, so it must be a number
// that a process may see.
func status(err error) fuse.Status {
	if errors.Is(err, syscall.ESHUTDOWN) {
		return fuse.Status(syscall.ESHUTDOWN) // the error also matches EINTR, but this is the cause
	}
	return fuse.Status(vfs.Errno(err))
}

// Inodes are the nodes that the kernel knows by number. The kernel counts how many answers
// had a number, and gives the whole count back by FORGET. An inode with a count of 0 is
// dropped. So names that come and go leave nothing behind.
//
// Kernel: struct inode, fuse_iget, fuse_queue_forget
type inodes struct {
	mu     sync.Mutex
	byID   map[uint64]*inode
	byNode map[vfs.Node]*inode
	last   uint64 // a number is never used again
}

type inode struct {
	vfs.Node
	id    uint64
	count uint64 // guarded by inodes.mu
}

func newInodes(root vfs.Node) inodes {
	top := &inode{Node: root, id: fuse.FUSE_ROOT_ID, count: 1}
	return inodes{
		byID:   map[uint64]*inode{top.id: top},
		byNode: map[vfs.Node]*inode{root: top},
		last:   fuse.FUSE_ROOT_ID,
	}
}

// get returns an inode. The kernel uses no number that it gave back, so the inode is there.
func (t *inodes) get(id uint64) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id]
}

// enter returns the inode of a node for an answer, and counts it.
func (t *inodes) enter(node vfs.Node) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.byNode[node]
	if i == nil {
		t.last++
		i = &inode{Node: node, id: t.last}
		t.byID[i.id], t.byNode[node] = i, i
	}
	i.count++
	return i
}

// forget takes back the counts of n answers.
func (t *inodes) forget(id, n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.byID[id]
	if i == nil || i.id == fuse.FUSE_ROOT_ID {
		return
	}
	if i.count -= min(n, i.count); i.count == 0 {
		delete(t.byID, id)
		delete(t.byNode, i.Node)
	}
}

// Forget takes back the counts of n answers.
//
// Kernel: FUSE_FORGET
func (f *files) Forget(id, n uint64) { f.inodes.forget(id, n) }
