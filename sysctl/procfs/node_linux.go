//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"io/fs"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/kprim/kprim/sysctl/vfs"
)

// attr answers with the attributes of an inode. The kernel may keep them for no time, so
// that a file is gone as soon as it is unregistered.
//
// Kernel: fuse_fillattr
func attr(i *inode, out *fuse.Attr) fuse.Status {
	a, err := i.Stat()
	if err != nil {
		return status(err)
	}
	kind := uint32(syscall.S_IFREG)
	if _, ok := i.Node.(vfs.Dir); ok {
		kind = syscall.S_IFDIR
	}
	*out = fuse.Attr{
		Ino: i.id, Size: uint64(a.Size), Nlink: 1, Blksize: 4096,
		Mode: kind | uint32(a.Mode.Perm()), Owner: fuse.Owner{Uid: a.UID, Gid: a.GID},
	}
	return fuse.OK
}

// GetAttr is stat(2) and fstat(2).
//
// Kernel: FUSE_GETATTR
func (f *files) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return attr(f.inodes.get(in.NodeId), &out.Attr)
}

// SetAttr is chmod(2), chown(2), truncate(2), utime(2), and an open with O_TRUNC after its
// FUSE_OPEN. Mode and owner stay as they are. A size or a time may be set by a process
// that may write, and changes nothing.
//
// Kernel: FUSE_SETATTR, proc_sys_setattr
func (f *files) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	i := f.inodes.get(in.NodeId)
	if in.Valid&(fuse.FATTR_MODE|fuse.FATTR_UID|fuse.FATTR_GID) != 0 {
		return fuse.EPERM
	}
	if err := f.maySet(i, in); err != nil {
		return status(err)
	}
	return attr(i, &out.Attr)
}

// maySet asks whether the caller may set the size and the times that in has.
//
// Kernel: setattr_prepare, notify_change
func (f *files) maySet(i *inode, in *fuse.SetAttrIn) error {
	cred := f.own.cred(in.Caller)
	if in.Valid&(fuse.FATTR_SIZE|fuse.FATTR_FH) == fuse.FATTR_SIZE {
		if err := i.May(cred, vfs.MayWrite); err != nil { // no open file has asked
			return err
		}
	}
	if in.Valid&(fuse.FATTR_ATIME|fuse.FATTR_MTIME) == 0 || cred.IsUser(0) {
		return nil
	}
	a, err := i.Stat()
	switch {
	case err != nil || cred.IsUser(a.UID):
		return err
	case in.Valid&fuse.FATTR_ATIME != 0 && in.Valid&fuse.FATTR_ATIME_NOW == 0,
		in.Valid&fuse.FATTR_MTIME != 0 && in.Valid&fuse.FATTR_MTIME_NOW == 0:
		return syscall.EPERM // another time than now
	}
	return i.May(cred, vfs.MayWrite)
}

// Access is access(2) and chdir(2).
//
// Kernel: FUSE_ACCESS
func (f *files) Access(_ <-chan struct{}, in *fuse.AccessIn) fuse.Status {
	return status(f.inodes.get(in.NodeId).May(f.own.cred(in.Caller), fs.FileMode(in.Mask&7)))
}

// StatFs is statfs(2). The file system has no blocks, like /proc.
//
// Kernel: FUSE_STATFS
func (f *files) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Bsize: 4096, Frsize: 4096, NameLen: 255}
	return fuse.OK
}

// Fsync fails, because the files are on no disk.
//
// Kernel: FUSE_FSYNC
func (f *files) Fsync(_ <-chan struct{}, _ *fuse.FsyncIn) fuse.Status { return fuse.EINVAL }

// FsyncDir fails too.
//
// Kernel: FUSE_FSYNCDIR
func (f *files) FsyncDir(_ <-chan struct{}, _ *fuse.FsyncIn) fuse.Status { return fuse.EINVAL }

// ListXAttr finds no extended attributes.
//
// Kernel: FUSE_LISTXATTR
func (f *files) ListXAttr(_ <-chan struct{}, _ *fuse.InHeader, _ []byte) (uint32, fuse.Status) {
	return 0, fuse.OK
}
