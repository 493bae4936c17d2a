package sysctl

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"syscall"
	"time"
)

// FS returns the tree as cred sees it, for reading: for [fs.WalkDir] and other
// functions that take an [fs.FS]. Open reads the whole text of an entry, as ReadFile
// does.
//
// Sizes are 0 and there are no times, as in /proc/sys. A true size would have each
// Stat, and so each listing, call the handler, and would be wrong after the next
// write. A function that reads to the end works. Functions that believe the size do
// not. Among them are these:
//
//   - The file servers of [net/http] answer with an empty body: FileServerFS,
//     ServeFileFS, and FileServer with [net/http.FS]. Package sysctlhttp serves the tree.
//   - [archive/tar.Writer.AddFS] fails with [archive/tar.ErrWriteTooLong]. Copy the
//     tree to a directory by [os.CopyFS] first, or use [archive/zip.Writer.AddFS].
//
// An entry that cred may not read is listed and cannot be opened. A tree with such an
// entry does not pass [testing/fstest.TestFS], which opens every file.
func (t *Tree) FS(cred Cred) fs.FS { return view{t, cred} }

type view struct {
	tree *Tree
	cred Cred
}

// Open implements [fs.FS].
func (v view) Open(name string) (fs.File, error) {
	info, err := v.Stat(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err.(*fs.PathError).Err}
	}
	if info.IsDir() {
		entries, err := v.ReadDir(name)
		return &openDir{info: info.(fileInfo), entries: entries}, err
	}
	text, err := v.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &openFile{Reader: bytes.NewReader(text), info: info.(fileInfo)}, nil
}

// ReadFile implements [fs.ReadFileFS].
func (v view) ReadFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return v.tree.ReadFile(v.cred, fromFS(name))
}

// ReadDir implements [fs.ReadDirFS].
func (v view) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	entries, err := v.tree.list(fromFS(name))
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return entries, nil
}

// list returns the entries of the directory at a clean path, in order, all as they are
// at one moment.
//
// Kernel: proc_sys_readdir
func (t *Tree) list(dir string) ([]fs.DirEntry, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if _, err := t.find(dir); err == nil {
		return nil, syscall.ENOTDIR
	} else if err != syscall.EISDIR {
		return nil, err
	}
	entries := []fs.DirEntry{}
	d := t.dirs[dir]
	if d == nil {
		return entries, nil // the root, with nothing in it
	}
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		info := fileInfo{name, fs.ModeDir | 0o555}
		if isDir := d.names[name]; !isDir {
			info.mode = t.files[join(dir, name)].Mode
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	return entries, nil
}

// Stat implements [fs.StatFS].
//
// Kernel: proc_sys_getattr
func (v view) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	v.tree.mu.RLock()
	defer v.tree.mu.RUnlock()
	f, err := v.tree.find(fromFS(name))
	switch err {
	case nil:
		return fileInfo{f.Name, f.Mode}, nil
	case syscall.EISDIR:
		return fileInfo{path.Base(name), fs.ModeDir | 0o555}, nil
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
}

func fromFS(name string) string {
	if name == "." {
		return ""
	}
	return name
}

type fileInfo struct {
	name string
	mode fs.FileMode
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return 0 }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

type openFile struct {
	*bytes.Reader
	info fileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info    fileInfo
	entries []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: syscall.EISDIR}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.entries)
	} else if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	entries := d.entries[:n:n]
	d.entries = d.entries[n:]
	return entries, nil
}
