//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/kprim/kprim/sysctl/vfs"
)

// Lookup finds a name. The kernel may keep the answer for no time, so that names come and
// go at once.
//
// Kernel: FUSE_LOOKUP
func (f *files) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	node, err := f.lookup(in, name)
	if err != nil {
		return status(err)
	}
	i := f.inodes.enter(node)
	if code := attr(i, &out.Attr); !code.Ok() {
		f.inodes.forget(i.id, 1) // the kernel does not get it
		return code
	}
	out.NodeId = i.id
	return fuse.OK
}

func (f *files) lookup(in *fuse.InHeader, name string) (vfs.Node, error) {
	dir, ok := f.inodes.get(in.NodeId).Node.(vfs.Dir)
	if !ok {
		return nil, syscall.ENOTDIR
	}
	if err := dir.May(f.own.cred(in.Caller), vfs.MayExec); err != nil {
		return nil, err
	}
	return dir.Lookup(name)
}

// An openedDir is an open directory. Its list is made when it is read from the beginning.
type openedDir struct {
	dir  vfs.Dir
	mu   sync.Mutex
	list []fuse.DirEntry // guarded by mu
}

// OpenDir opens a directory.
//
// Kernel: FUSE_OPENDIR
func (f *files) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	dir, ok := f.inodes.get(in.NodeId).Node.(vfs.Dir)
	if !ok {
		return fuse.ENOTDIR
	}
	need, _ := vfs.Rights(int(in.Flags))
	if err := dir.May(f.own.cred(in.Caller), need); err != nil {
		return status(err)
	}
	out.Fh = f.dirs.add(&openedDir{dir: dir})
	return fuse.OK
}

// ReadDir lists names, after "." and "..". Without these two, sysctl(8) would skip two names.
//
// Kernel: FUSE_READDIR
func (f *files) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	d := f.dirs.get(in.Fh)
	d.mu.Lock()
	defer d.mu.Unlock()
	if in.Offset == 0 {
		if err := d.read(); err != nil {
			return status(err)
		}
	}
	for n := in.Offset; n < uint64(len(d.list)); n++ {
		if !out.AddDirEntry(d.list[n]) {
			break
		}
	}
	return fuse.OK
}

// read makes the list. A name may go before it is looked up, and is then left out. So is a
// name that no path can have, because the kernel would refuse the whole list.
func (d *openedDir) read() error {
	names, err := d.dir.Names()
	if err != nil {
		return err
	}
	d.list = []fuse.DirEntry{{Name: ".", Mode: syscall.S_IFDIR}, {Name: "..", Mode: syscall.S_IFDIR}}
	for _, name := range names {
		if !possible(name) {
			continue
		}
		switch node, _ := d.dir.Lookup(name); node.(type) {
		case vfs.Dir:
			d.list = append(d.list, fuse.DirEntry{Name: name, Mode: syscall.S_IFDIR})
		case vfs.File:
			d.list = append(d.list, fuse.DirEntry{Name: name, Mode: syscall.S_IFREG})
		}
	}
	return nil
}

// possible reports whether a path can have the name.
//
// Kernel: verify_dirent_name, NAME_MAX
func possible(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\x00")
}

// ReleaseDir is the last close of a directory.
//
// Kernel: FUSE_RELEASEDIR
func (f *files) ReleaseDir(in *fuse.ReleaseIn) { f.dirs.remove(in.Fh) }

// No process can make, remove or rename a name. The errors are the errors of /proc/sys. The
// kernel first looks up the name of a new file there, and gets ENOENT.

// Create answers for a file that open(2) would make.
//
// Kernel: FUSE_CREATE
func (f *files) Create(<-chan struct{}, *fuse.CreateIn, string, *fuse.CreateOut) fuse.Status {
	return fuse.ENOENT
}

// Mknod makes nothing.
//
// Kernel: FUSE_MKNOD
func (f *files) Mknod(<-chan struct{}, *fuse.MknodIn, string, *fuse.EntryOut) fuse.Status {
	return fuse.ENOENT
}

// Mkdir makes nothing.
//
// Kernel: FUSE_MKDIR
func (f *files) Mkdir(<-chan struct{}, *fuse.MkdirIn, string, *fuse.EntryOut) fuse.Status {
	return fuse.ENOENT
}

// Symlink makes nothing.
//
// Kernel: FUSE_SYMLINK
func (f *files) Symlink(<-chan struct{}, *fuse.InHeader, string, string, *fuse.EntryOut) fuse.Status {
	return fuse.ENOENT
}

// Link makes nothing.
//
// Kernel: FUSE_LINK
func (f *files) Link(<-chan struct{}, *fuse.LinkIn, string, *fuse.EntryOut) fuse.Status {
	return fuse.ENOENT
}

// Rename renames nothing. A name that is there may not be replaced.
//
// Kernel: FUSE_RENAME, FUSE_RENAME2
func (f *files) Rename(_ <-chan struct{}, in *fuse.RenameIn, _, name string) fuse.Status {
	dir, ok := f.inodes.get(in.Newdir).Node.(vfs.Dir)
	if !ok {
		return fuse.ENOTDIR
	}
	if _, err := dir.Lookup(name); err != nil {
		return status(err)
	}
	return fuse.EACCES
}

// Unlink removes nothing.
//
// Kernel: FUSE_UNLINK
func (f *files) Unlink(<-chan struct{}, *fuse.InHeader, string) fuse.Status { return fuse.EACCES }

// Rmdir removes nothing.
//
// Kernel: FUSE_RMDIR
func (f *files) Rmdir(<-chan struct{}, *fuse.InHeader, string) fuse.Status { return fuse.EACCES }

// Tmpfile makes nothing.
//
// Kernel: FUSE_TMPFILE
func (f *files) Tmpfile(<-chan struct{}, *fuse.CreateIn, *fuse.CreateOut) fuse.Status {
	return fuse.EACCES
}
