package sysctl

import (
	"context"
	"io"
	"io/fs"
	"maps"
	"slices"
	"syscall"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// pageSize is the size that stat(2) shows of an entry. With 0, a program that reads by
// splice or sendfile would see an empty file.
const pageSize = 4096

// VFS returns the tree as a server gives it to processes, for reading and writing. It
// has the rights of /proc/sys: user 0 has the owner's bits, the members of group 0 have
// the group's bits, and no one overrides a mode. A caller whose groups cannot be read has
// the rights that members and strangers have alike, and is Nobody for a handler.
//
// Each [vfs.Node] stands for one registration. Once it is unregistered, its errors match
// [syscall.ENOENT], even if the name is registered again. The root always exists. Reads
// and writes end when the handler does: no context ends them. A [vfs.Handle] is a
// [vfs.Poller]: after a change it reports PollIn, PollRdNorm, PollErr and PollPri once, and
// PollErr and PollHup after an Unregister. Flush and Release do nothing.
//
// Kernel: fs/proc/proc_sysctl.c
//
// Differs: an entry has a size of 4096 bytes, where the kernel has 0.
func (t *Tree) VFS() vfs.Dir { return dirNode{tree: t} }

// A dirNode is a directory. A directory that is made again is another one.
type dirNode struct {
	tree *Tree
	path string
	dir  *directory // nil for the root, which may have no directory while it is empty
}

// names returns the names in the directory, nil if there are none. The caller holds
// tree.mu.
//
// Kernel: sysctl_head_grab
func (d dirNode) names() (map[string]bool, error) {
	now := d.tree.dirs[d.path]
	switch {
	case d.dir != nil && d.dir != now:
		return nil, syscall.ENOENT
	case now == nil:
		return nil, nil
	}
	return now.names, nil
}

// Stat implements [vfs.Node].
func (d dirNode) Stat() (vfs.Attr, error) {
	d.tree.mu.RLock()
	defer d.tree.mu.RUnlock()
	if _, err := d.names(); err != nil {
		return vfs.Attr{}, d.failed("stat", d.path, err)
	}
	return vfs.Attr{Mode: fs.ModeDir | 0o555}, nil
}

// May implements [vfs.Node].
func (d dirNode) May(cred vfs.Cred, want fs.FileMode) error {
	attr, err := d.Stat()
	if err == nil && !attr.May(cred, want) {
		err = d.failed("access", d.path, syscall.EACCES)
	}
	return err
}

// Lookup implements [vfs.Dir].
//
// Kernel: proc_sys_lookup
func (d dirNode) Lookup(name string) (vfs.Node, error) {
	d.tree.mu.RLock()
	defer d.tree.mu.RUnlock()
	path := join(d.path, name)
	names, err := d.names()
	isDir, found := names[name]
	switch {
	case err != nil || !found:
		return nil, d.failed("lookup", path, syscall.ENOENT)
	case isDir:
		return dirNode{d.tree, path, d.tree.dirs[path]}, nil
	}
	return entryNode{d.tree.files[path]}, nil
}

// Names implements [vfs.Dir].
//
// Kernel: proc_sys_readdir
func (d dirNode) Names() ([]string, error) {
	d.tree.mu.RLock()
	defer d.tree.mu.RUnlock()
	names, err := d.names()
	if err != nil {
		return nil, d.failed("readdir", d.path, err)
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func (d dirNode) failed(op, path string, err error) error {
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// An entryNode is an entry of one registration.
type entryNode struct{ file *file }

// Stat implements [vfs.Node].
//
// Kernel: proc_sys_getattr
func (e entryNode) Stat() (vfs.Attr, error) {
	if e.file.header.isGone() {
		return vfs.Attr{}, e.failed("stat", syscall.ENOENT)
	}
	return vfs.Attr{Mode: e.file.Mode, Size: pageSize}, nil
}

// May implements [vfs.Node]. No entry can be executed, not even one that is gone.
//
// Kernel: proc_sys_permission
func (e entryNode) May(cred vfs.Cred, want fs.FileMode) error {
	attr, err := e.Stat()
	if want&vfs.MayExec != 0 || err == nil && !attr.May(cred, want) {
		err = e.failed("access", syscall.EACCES)
	}
	return err
}

// Open implements [vfs.File].
//
// Kernel: proc_sys_open
func (e entryNode) Open(_ context.Context, cred vfs.Cred, flag int) (vfs.Handle, error) {
	want, _ := vfs.Rights(flag)
	if err := e.May(cred, want); err != nil {
		return nil, e.failed("open", err.(*fs.PathError).Err)
	}
	return handle{e.file.opened(Nobody, e.file.path, flag)}, nil
}

func (e entryNode) failed(op string, err error) error {
	return &fs.PathError{Op: op, Path: e.file.path, Err: err}
}

// A handle is an opened entry. Each call brings its Cred, so the File's own Cred is not
// used.
type handle struct{ file *File }

// cred returns the kind of caller that c is, for a call that wants a right. Of a caller
// with unknown groups it returns a kind that lacks the right, if one of the two does.
func (h handle) cred(c vfs.Cred, want fs.FileMode) Cred {
	if c.IsUser(0) {
		return Root
	}
	in, known := c.InGroup(0)
	if in || !known && !Group.May(want, h.file.file.Mode) {
		return Group
	}
	return Nobody
}

// Read implements [vfs.Handle].
//
// Kernel: proc_sys_read
func (h handle) Read(_ context.Context, cred vfs.Cred, p []byte, pos int64) (int, error) {
	n, _, err := h.file.read(h.cred(cred, mayRead), p, pos)
	switch {
	case err == io.EOF:
		return 0, nil
	case err != nil:
		return 0, err
	}
	return n, nil
}

// Write implements [vfs.Handle].
//
// Kernel: proc_sys_write
func (h handle) Write(_ context.Context, cred vfs.Cred, p []byte, pos int64) (int, error) {
	n, _, err := h.file.write(cred.String(), h.cred(cred, mayWrite), p, pos)
	return n, err
}

// Flush implements [vfs.Handle].
func (h handle) Flush() error { return nil }

// Release implements [vfs.Handle].
func (h handle) Release() {}

// Poll implements [vfs.Poller].
//
// Kernel: proc_sys_poll
func (h handle) Poll() vfs.PollEvents {
	switch changed, gone := h.file.Changed(); {
	case gone:
		return vfs.PollErr | vfs.PollHup
	case changed:
		return vfs.PollIn | vfs.PollRdNorm | vfs.PollErr | vfs.PollPri
	}
	return vfs.PollIn | vfs.PollOut | vfs.PollRdNorm | vfs.PollWrNorm // it can always be read and written
}

// WaitQueue implements [vfs.Poller].
func (h handle) WaitQueue() *waitqueue.Queue { return h.file.WaitQueue() }
