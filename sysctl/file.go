package sysctl

import (
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kprim/kprim/sysctl/vfs"
)

// tooLarge is the size at which a read or a write is refused: the kernel has no
// buffer for it.
//
// Kernel: KMALLOC_MAX_SIZE
const tooLarge = 4 << 20

// A File is an entry that was opened, with a position. Its methods may be called
// by several goroutines. Read, Write and Seek run one after the other. There is nothing
// to close.
//
// Read and Write are one call of the handler each, and return its result, as a system
// call does. If a handler gives bytes without end, so does Read.
//
// An Unregister does not wait for files, and a file does not keep its entry. After it:
//
//   - reads, writes and Stat give [syscall.ENOENT], even if the name is registered again
//   - Changed says that it is gone
//   - Seek and SetCred still work
//
// Errors of the call itself go before ENOENT: [syscall.EINVAL] for a negative position,
// then [syscall.EBADF] for the wrong direction, then EINVAL for a position whose end is
// beyond the largest one.
//
// Kernel: struct file, of proc_sys_file_operations
type File struct {
	path string
	file *file
	want fs.FileMode // the directions that it was opened for

	mu  sync.Mutex // held over a Read, Write or Seek, as the kernel's position lock is
	pos int64      // guarded by mu

	cred atomic.Uint32 // a Cred
	seen atomic.Uint64 // the event of the file that the last Changed reported
}

// OpenFile opens the entry at path to read it, to write it or both:
// [os.O_RDONLY], [os.O_WRONLY], [os.O_RDWR]. The flags O_APPEND, O_TRUNC and
// O_CREATE do not change an entry and do not make one. O_TRUNC asks for the right to
// write, even with O_RDONLY. O_WRONLY and O_RDWR together ask for both rights, as in
// Linux, and open the file for nothing.
//
// The error is an [*fs.PathError]. It matches:
//
//   - [syscall.ENOENT] if there is no such entry
//   - [syscall.ENOTDIR] if a part of path is a file, or path is a file and a slash
//   - [syscall.EEXIST] for O_CREATE with O_EXCL, if path exists
//   - [syscall.EISDIR] if path is a directory
//   - [syscall.EACCES] if cred does not have the rights
//
// Kernel: proc_sys_open, proc_sys_permission
//
// Differs: opens no directories. A slash at the end gives the same error with O_CREATE, where open(2) gives EISDIR.
func (t *Tree) OpenFile(cred Cred, path string, flag int) (*File, error) {
	f, err := t.open(cred, path, flag)
	if err != nil {
		return nil, err
	}
	defer f.header.unuse()
	return f.opened(cred, path, flag), nil
}

// opened returns f as a File, whose rights were checked.
func (f *file) opened(cred Cred, path string, flag int) *File {
	_, want := vfs.Rights(flag)
	opened := &File{path: path, file: f, want: want}
	opened.SetCred(cred)
	opened.seen.Store(f.events.Load())
	return opened
}

// SetCred changes the Cred of the calls after it. A process that gives up its rights
// keeps its open files. Each read and write of them is checked again, and refused with
// [syscall.EPERM]. If several processes share an open file, each call of a [vfs.Handle] has
// a Cred of its own: see [Tree.VFS].
//
// Kernel: setuid
//
// Differs: changes one file, where the kernel changes a process.
func (f *File) SetCred(cred Cred) { f.cred.Store(uint32(cred)) }

// Read reads from the position on, and moves it. Most handlers give their text
// in one go and only at position 0: see the handler. At the end it returns [io.EOF].
func (f *File) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, pos, err := f.read(f.owner(), p, f.pos)
	f.pos = pos
	return n, err
}

// ReadAt is Read at another position, and moves nothing.
//
// Kernel: pread
//
// Differs: returns io.EOF with fewer bytes than p has room for, as an io.ReaderAt does.
func (f *File) ReadAt(p []byte, pos int64) (int, error) {
	n, _, err := f.read(f.owner(), p, pos)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Write writes at the position and moves it. A handler may use only a part of p.
// Then Write says how much, with an error that matches [io.ErrShortWrite], and
// another call can write the rest. An error from the handler moves nothing.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, pos, err := f.write("File", f.owner(), p, f.pos)
	f.pos = pos
	return n, f.short(n, len(p), err)
}

// WriteAt is Write at another position, and moves nothing.
//
// Kernel: pwrite
func (f *File) WriteAt(p []byte, pos int64) (int, error) {
	n, _, err := f.write("File", f.owner(), p, pos)
	return n, f.short(n, len(p), err)
}

// Stat describes the entry: its name, its mode, a size of 0 and no times. After an
// Unregister the error matches [syscall.ENOENT].
//
// Kernel: proc_sys_getattr
func (f *File) Stat() (fs.FileInfo, error) {
	if f.file.header.isGone() {
		return nil, f.failed("stat", syscall.ENOENT)
	}
	return fileInfo{f.file.Name, f.file.Mode}, nil
}

// Seek moves the position. The size of the file counts as 0. The error matches
// [syscall.EINVAL] for a negative position.
//
// Kernel: lseek
func (f *File) Seek(offset int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pos := offset
	switch whence {
	case io.SeekStart, io.SeekEnd:
	case io.SeekCurrent:
		pos += f.pos
	default:
		return 0, f.failed("seek", invalid("whence is %d", whence))
	}
	if pos < 0 {
		return 0, f.failed("seek", invalid("%d from %d is not within a file", offset, pos-offset))
	}
	f.pos = pos
	return pos, nil
}

// WriteFile writes text to the entry at path, as echo does. If the handler uses only
// a part of the text, WriteFile calls it again with the rest, until all is used. If a
// later call fails, the values of the calls before it stay stored: see [DoLargeBitmap],
// and [DoIntVec] for the modes Warn and Legacy. Writing nothing changes nothing.
//
// The error is an [*fs.PathError], with an error of the handler, or one that matches:
//
//   - [syscall.ENOENT], [syscall.ENOTDIR], [syscall.EISDIR] or [syscall.EACCES], as for
//     [Tree.ReadFile]
//   - [syscall.EIO] if the handler uses nothing, or gives an impossible count
//   - [syscall.ENOMEM] if text has 4 MiB or more
//
// Kernel: proc_sys_open, proc_sys_write
//
// Differs: writes all of the text.
func (t *Tree) WriteFile(cred Cred, path string, text []byte) error {
	return t.WriteFrom("WriteFile", cred, path, text)
}

// WriteFrom is [Tree.WriteFile] for a write that comes from source: a file and its line, a
// request, a peer. Handlers have it in [Request], and a [Change] tells it.
func (t *Tree) WriteFrom(source string, cred Cred, path string, text []byte) error {
	return t.put(Request{Cred: cred, Source: source}, path, text)
}

// put writes text to the entry at path, as r says: with its Cred and its Source, in a
// batch, or not at all if r is dry.
func (t *Tree) put(r Request, path string, text []byte) error {
	f, err := t.open(r.Cred, path, os.O_WRONLY)
	if err != nil {
		return err
	}
	defer f.header.unuse()
	if len(text) >= tooLarge {
		return &fs.PathError{Op: "write", Path: path, Err: tooMany(len(text))}
	}
	r.Path, r.tree, r.secret = f.path, t, f.isSecret()
	_, ok := stockOf(f.Handler)
	if !ok && r.dry {
		return nil // it would store, because it does not know that it must not
	}
	if b := r.batch; b != nil {
		b.file = f
		if !ok {
			r.batch = nil // a wrapper passes it on, and there would be two ways back
			b.own(r)
		}
	}
	if err := f.writeAll(&r, text); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// writeAll has the handler write until all of the text is used.
func (f *file) writeAll(r *Request, text []byte) error {
	for len(text) > 0 {
		n, err := f.write(r, text)
		if err == nil && n == 0 {
			err = errNothingUsed
		}
		if err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

var errNothingUsed = fmt.Errorf("the handler used none of the text: %w", syscall.EIO)

// open finds the entry at path and keeps it from going away until unuse.
func (t *Tree) open(cred Cred, path string, flag int) (*file, error) {
	const create = os.O_CREATE | os.O_EXCL
	want, _ := vfs.Rights(flag)
	t.mu.RLock()
	defer t.mu.RUnlock()
	f, err := t.lookup(path)
	switch {
	case flag&create == create && (err == nil || err == syscall.EISDIR):
		err = syscall.EEXIST // for every cred
	case err == nil && !cred.May(want, f.Mode):
		err = syscall.EACCES
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f.header.used.Add(1)
	return f, nil
}

// lookup returns the file at a path as it was given. The caller holds t.mu.
func (t *Tree) lookup(path string) (*file, error) {
	f, err := t.find(clean(path))
	if err == nil && strings.HasSuffix(path, "/") {
		return nil, syscall.ENOTDIR
	}
	return f, err
}

// find returns the file at a path that is clean. The caller holds t.mu.
func (t *Tree) find(path string) (*file, error) {
	if f := t.files[path]; f != nil {
		return f, nil
	}
	if path == "" || t.dirs[path] != nil {
		return nil, syscall.EISDIR
	}
	for dir := range above(path) {
		if t.files[dir] != nil {
			return nil, syscall.ENOTDIR
		}
	}
	return nil, syscall.ENOENT
}

// owner returns the Cred of the last SetCred.
func (f *File) owner() Cred { return Cred(f.cred.Load()) }

func (f *File) read(cred Cred, p []byte, pos int64) (n int, after int64, err error) {
	r, err := f.use("read", cred, mayRead, p, pos)
	if err != nil {
		return 0, pos, err
	}
	defer f.file.header.unuse()
	n, err = f.file.read(&r, p)
	switch {
	case err != nil && err != io.EOF:
		return n, pos, f.failed("read", err)
	case n == 0 && len(p) > 0:
		return 0, r.Pos, io.EOF
	}
	return n, r.Pos, nil
}

func (f *File) write(source string, cred Cred, p []byte, pos int64) (n int, after int64, err error) {
	r, err := f.use("write", cred, mayWrite, p, pos)
	if err != nil {
		return 0, pos, err
	}
	defer f.file.header.unuse()
	r.Source = source
	if n, err = f.file.write(&r, p); err != nil {
		return 0, pos, f.failed("write", err)
	}
	return n, r.Pos, nil
}

// short returns the error of a write: that it used n bytes of most, if it has no other.
func (f *File) short(n, most int, err error) error {
	if err != nil || n == most {
		return err
	}
	return f.failed("write", fmt.Errorf("%d bytes of %d were used: %w", n, most, io.ErrShortWrite))
}

// use checks a call and keeps the entry from going away until unuse.
func (f *File) use(op string, cred Cred, want fs.FileMode, p []byte, pos int64) (Request, error) {
	switch {
	case pos < 0: // before the direction is looked at, as pread64 does
		return Request{}, f.failed(op, outside(len(p), pos))
	case f.want&want == 0:
		return Request{}, f.failed(op, fmt.Errorf("it is not open to %s: %w", op, syscall.EBADF))
	case pos > math.MaxInt64-int64(len(p)):
		return Request{}, f.failed(op, outside(len(p), pos))
	case !f.file.header.use():
		return Request{}, f.failed(op, syscall.ENOENT)
	case !cred.May(want, f.file.Mode):
		f.file.header.unuse()
		return Request{}, f.failed(op, syscall.EPERM)
	case len(p) >= tooLarge:
		f.file.header.unuse()
		return Request{}, f.failed(op, tooMany(len(p)))
	}
	return Request{Pos: pos, Cred: cred, Path: f.file.path, tree: f.file.header.tree, secret: f.file.isSecret()}, nil
}

func outside(n int, pos int64) error {
	return invalid("%d bytes at %d are not within a file", n, pos)
}

func tooMany(n int) error {
	return fmt.Errorf("%d bytes are too many for one call: %w", n, syscall.ENOMEM)
}

func (f *File) failed(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.path, Err: err}
}

// read has the handler read.
func (f *file) read(r *Request, p []byte) (int, error) {
	n, err := f.Handler.Read(r, p)
	return checked(r, n, len(p), err)
}

// write has the handler write. It tells the waiters of a change afterwards, even
// if the handler fails or panics, because the handler may have stored a part.
func (f *file) write(r *Request, p []byte) (int, error) {
	if !r.dry {
		defer f.changed()
	}
	n, err := f.Handler.Write(r, p)
	n, err = checked(r, n, len(p), err)
	if err == nil && n > 0 && !r.dry {
		comesFrom(&f.source, r.Source)
	}
	return n, err
}

// checked does not believe a handler that reports fewer bytes than none, more
// bytes than there are, or a position before the file. An error of the handler
// goes first: the count is then only brought into its bounds.
func checked(r *Request, n, most int, err error) (int, error) {
	switch {
	case err != nil && err != io.EOF:
		return min(max(n, 0), most), err
	case n < 0 || n > most:
		return 0, fmt.Errorf("the handler says that it has done %d bytes of %d: %w", n, most, syscall.EIO)
	case r.Pos < 0:
		return 0, fmt.Errorf("the handler moved the position to %d: %w", r.Pos, syscall.EIO)
	}
	return n, err
}
