// Package sysctl gives a program tunables that are read and written as text
// under a path and a mode, like those below /proc/sys. They are in memory:
// nothing appears in a file system.
//
// A variable is typed and read in the hot path by an atomic load. An [Entry]
// gives it a name, a mode and a [Handler], and a [Tree] holds the entries:
//
//	var helper sysctl.String
//	var tree sysctl.Tree
//
//	header, err := tree.Register("kernel", sysctl.Entry{
//		Name:    "myevent_handler",
//		Mode:    0o644,
//		Handler: sysctl.DoString(&helper, 256),
//	})
//	...
//	err = tree.WriteFile(sysctl.Root, "kernel/myevent_handler", []byte("/path\n"))
//	path := helper.Load()
//
// # Which tool
//
//   - Use a flag or a configuration file for what is set once.
//   - Use [expvar] for what is only read.
//   - Use a Tree for settings that are changed while the program runs, each
//     with a mode that says by whom.
//
// Kernel: include/linux/sysctl.h, kernel/sysctl.c, fs/proc/proc_sysctl.c
package sysctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

// A Handler is what reading and writing an entry does. [DoString] makes one;
// a type of your own with these methods is another. The calls may come from
// several goroutines at once. A handler must not Unregister its own entry,
// which would wait for the call that it is in.
//
// Kernel: proc_handler
type Handler interface {
	// Read copies text to p, moves r.Pos, and returns how many bytes it
	// copied. 0 is the end of the file.
	Read(r *Request, p []byte) (int, error)

	// Write takes text from p, moves r.Pos, and returns how many bytes it
	// used. The caller writes the rest by another call.
	Write(r *Request, p []byte) (int, error)
}

// A Request is what a [Handler] is told about a call, besides the text.
//
// Kernel: ppos of proc_handler
type Request struct {
	Pos  int64 // the position in the file, 0 or more; the handler moves it
	Cred Cred  // who reads or writes

	tree *Tree // nil in a call that comes from no tree
}

// hz returns how many jiffies a second has.
func (r *Request) hz() uint64 {
	if r.tree == nil || r.tree.HZ == 0 {
		return 250
	}
	return uint64(r.tree.HZ)
}

// mode returns how writes at a position other than 0 are taken.
func (r *Request) mode() WriteMode {
	if r.tree == nil {
		return Strict
	}
	return r.tree.WriteMode()
}

// ignored reports whether a write of a number is at a position at which it is
// not looked at.
func (r *Request) ignored() bool { return r.Pos != 0 && r.mode() == Strict }

// An Entry is one file of a tree.
//
// Kernel: struct ctl_table
//
// Differs: data, maxlen, extra1 and extra2 are in the Handler.
type Entry struct {
	Name    string      // a single name, as in procname
	Mode    fs.FileMode // permission bits, none outside 0666
	Handler Handler     // what reading and writing do
}

// A Header stands for the entries of one Register call.
//
// Kernel: struct ctl_table_header
type Header struct {
	tree    *Tree
	dir     string
	entries []Entry
	gone    bool // unregistered; guarded by tree.mu

	used atomic.Int64    // calls in progress; raised only under tree.mu
	idle waitqueue.Queue // waits for used to be 0
}

// A Tree is a set of entries in directories. The zero value is an empty tree,
// ready to use. A Tree must not be copied after first use.
//
// Kernel: struct ctl_table_set, struct ctl_table_root
type Tree struct {
	// HZ is how many jiffies a second has, for the handlers that count in
	// jiffies; 0 means 250. Set it before the first use.
	HZ int

	lenient atomic.Int32 // by how much the WriteMode is less than Strict
	mu      sync.RWMutex
	files   map[string]file // by full path; guarded by mu
	dirs    map[string]int  // how many entries and directories are in it; guarded by mu
}

// A file is an entry in its place.
type file struct {
	Entry
	header *Header
}

// Register adds entries to the directory dir, all of them or none. dir is a
// path with slashes, empty for the root; empty parts of it are skipped.
// Directories are made as they are needed, and go with their last entry.
//
// The error says which entry is wrong and why. It matches [syscall.EEXIST] if
// the name is taken, also by an earlier entry of the call or by a directory,
// [syscall.ENOTDIR] if a part of dir is a file, and [syscall.EINVAL] for an
// empty name, one with a slash or a NUL byte, the names "." and "..", a mode
// with bits outside 0666, a nil handler, or a [DoString] of a nil String or a
// maxlen below 1.
//
// Kernel: register_sysctl, register_sysctl_sz
//
// Differs: says why it failed; refuses empty names and names with slashes; needs at least one entry.
func (t *Tree) Register(dir string, entries ...Entry) (*Header, error) {
	dir = clean(dir)
	if len(entries) == 0 {
		return nil, fmt.Errorf("sysctl: register in %q: no entries: %w", dir, syscall.EINVAL)
	}
	for part := range strings.SplitSeq(dir, "/") {
		if part == "." || part == ".." || strings.Contains(part, "\x00") {
			return nil, fmt.Errorf("sysctl: register in %q: %q cannot be a directory: %w", dir, part, syscall.EINVAL)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.check(dir, entries); err != nil {
		return nil, err
	}
	h := &Header{tree: t, dir: dir, entries: append([]Entry(nil), entries...)}
	if t.files == nil {
		t.files, t.dirs = map[string]file{}, map[string]int{}
	}
	for _, e := range h.entries {
		t.files[join(dir, e.Name)] = file{e, h}
		t.hold(dir)
	}
	return h, nil
}

// Unregister removes the entries of h, and their directories if nothing else
// is in them. It then waits for the calls of handlers that are in progress,
// and for no others: once it has returned, no handler of h runs, and none will.
// A second Unregister only waits.
//
// Kernel: unregister_sysctl_table
func (h *Header) Unregister() {
	t := h.tree
	t.mu.Lock()
	if !h.gone {
		h.gone = true
		for _, e := range h.entries {
			delete(t.files, join(h.dir, e.Name))
			t.release(h.dir)
		}
	}
	t.mu.Unlock()
	// The names are gone, and used is raised only by who has found one. So it
	// can only fall now. Background never ends, so neither can the wait.
	_ = h.idle.Wait(context.Background(), func() bool { return h.used.Load() == 0 })
}

// ReadFile returns the whole text of the entry at path, as cat does; if the
// handler fails half-way, what it gave until then. The error is an
// [*fs.PathError]. It matches [syscall.ENOENT] if there is no such entry,
// [syscall.EISDIR] if it is a directory, and [syscall.EACCES] if cred may not
// read it.
//
// Kernel: proc_sys_open, proc_sys_read
func (t *Tree) ReadFile(cred Cred, path string) ([]byte, error) {
	f, err := t.open(cred, path, mayRead)
	if err != nil {
		return nil, err
	}
	defer f.header.unuse()
	var text []byte
	r := Request{Cred: cred, tree: t}
	buf := make([]byte, 4096)
	for {
		n, err := f.Handler.Read(&r, buf)
		text = append(text, buf[:n]...)
		if err != nil {
			return text, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return text, nil
		}
	}
}

// WriteFile writes text to the entry at path, as echo does: what a call of the
// handler has not used is written by another one, until all is used. Errors are
// as for ReadFile, or the handler's. Writing nothing changes nothing.
//
// Kernel: proc_sys_open, proc_sys_write
func (t *Tree) WriteFile(cred Cred, path string, text []byte) error {
	f, err := t.open(cred, path, mayWrite)
	if err != nil {
		return err
	}
	defer f.header.unuse()
	r := Request{Cred: cred, tree: t}
	for len(text) > 0 {
		n, err := f.Handler.Write(&r, text)
		if err == nil && n == 0 {
			err = errNothingUsed
		}
		if err != nil {
			return &fs.PathError{Op: "write", Path: path, Err: err}
		}
		text = text[n:]
	}
	return nil
}

var errNothingUsed = errors.New("the handler used none of the text")

// open finds the entry at path and keeps it from going away until unuse.
func (t *Tree) open(cred Cred, path string, want fs.FileMode) (file, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	name := clean(path)
	f, ok := t.files[name]
	var err error
	switch {
	case ok && !cred.may(want, f.Mode):
		err = syscall.EACCES
	case ok:
		f.header.used.Add(1)
		return f, nil
	case name == "" || t.dirs[name] > 0:
		err = syscall.EISDIR
	case t.fileAbove(name) != "":
		err = syscall.ENOTDIR
	default:
		err = syscall.ENOENT
	}
	return file{}, &fs.PathError{Op: "open", Path: path, Err: err}
}

// use keeps the entries of h from going away until unuse. It reports whether
// they are there.
func (t *Tree) use(h *Header) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if h.gone {
		return false
	}
	h.used.Add(1)
	return true
}

func (h *Header) unuse() {
	if h.used.Add(-1) == 0 {
		h.idle.WakeUpAll()
	}
}

// check refuses entries that cannot be registered. The caller holds t.mu.
func (t *Tree) check(dir string, entries []Entry) error {
	if above := t.fileAbove(join(dir, "x")); above != "" {
		return fmt.Errorf("sysctl: register in %q: %s is a file: %w", dir, above, syscall.ENOTDIR)
	}
	seen := map[string]bool{}
	for _, e := range entries {
		path := join(dir, e.Name)
		var taken bool
		if _, taken = t.files[path]; !taken {
			taken = t.dirs[path] > 0 || seen[path]
		}
		seen[path] = true
		if err := e.check(path, taken); err != nil {
			return err
		}
	}
	return nil
}

func (e Entry) check(path string, taken bool) error {
	wrong := func(errno syscall.Errno, format string, args ...any) error {
		return fmt.Errorf("sysctl: register %q: %s: %w", path, fmt.Sprintf(format, args...), errno)
	}
	switch {
	case e.Name == "":
		return wrong(syscall.EINVAL, "the name is empty")
	case strings.ContainsAny(e.Name, "/\x00") || e.Name == "." || e.Name == "..":
		return wrong(syscall.EINVAL, "%q is not a single name", e.Name)
	case e.Mode&^0o666 != 0:
		return wrong(syscall.EINVAL, "mode %#o has bits outside 0666", uint32(e.Mode))
	case e.Handler == nil:
		return wrong(syscall.EINVAL, "no handler")
	case taken:
		return wrong(syscall.EEXIST, "duplicate entry")
	}
	if c, ok := e.Handler.(interface{ check() error }); ok {
		if err := c.check(); err != nil {
			return wrong(syscall.EINVAL, "%v", err)
		}
	}
	return nil
}

// fileAbove returns the part of path that is a file in the place of a
// directory, or "". The caller holds t.mu.
func (t *Tree) fileAbove(path string) string {
	for i, c := range path {
		if c != '/' {
			continue
		}
		if _, ok := t.files[path[:i]]; ok {
			return path[:i]
		}
	}
	return ""
}

// hold counts one more thing in dir, which makes it if it was not there.
// The caller holds t.mu.
func (t *Tree) hold(dir string) {
	t.dirs[dir]++
	if dir != "" && t.dirs[dir] == 1 {
		t.hold(parent(dir))
	}
}

// release undoes hold.
func (t *Tree) release(dir string) {
	t.dirs[dir]--
	if dir != "" && t.dirs[dir] == 0 {
		delete(t.dirs, dir)
		t.release(parent(dir))
	}
}

// clean drops empty parts, so that "/kernel//x/" is "kernel/x".
func clean(path string) string {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	return strings.Join(parts, "/")
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

func parent(dir string) string { return dir[:max(0, strings.LastIndexByte(dir, '/'))] }
