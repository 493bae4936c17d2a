package sysctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unicode/utf8"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
)

// Reasons for which Register refuses an entry. A program sees them as EINVAL.
//
// Kernel: sysctl_check_table
var (
	errNoData    = fmt.Errorf("no data: %w", syscall.EINVAL)
	errNoMaxlen  = fmt.Errorf("no maxlen: %w", syscall.EINVAL)
	errNoHandler = fmt.Errorf("no handler: %w", syscall.EINVAL)
	errMode      = fmt.Errorf("a mode with bits outside 0666: %w", syscall.EINVAL)
	errName      = fmt.Errorf("not a single name: %w", syscall.EINVAL)
	errNotEmpty  = fmt.Errorf("it is not empty: %w", syscall.EINVAL)
)

// A Header stands for the entries of one Register call.
//
// Kernel: struct ctl_table_header
type Header struct {
	tree  *Tree
	dir   string
	files []*file
	gone  bool // unregistered; guarded by tree.mu

	used atomic.Int64    // calls in progress; raised only under tree.mu
	idle waitqueue.Queue // waits for used to be 0
}

// A Tree is a set of entries in directories. The zero value is an empty tree,
// ready to use. A Tree must not be copied after first use.
//
// Kernel: struct ctl_table_set, struct ctl_table_root
//
// Differs: a value, of which a program may have several.
type Tree struct {
	// HZ is how many jiffies a second has, for the handlers that count in
	// jiffies; 0 means 250. Set it before the first use.
	HZ int

	// Warn, if not nil, is called once, with the path of the entry. The first write
	// in the mode [Warn] that is not at the beginning of a file calls it. It must not
	// use that file.
	//
	// Kernel: warn_sysctl_write
	Warn func(path string)

	warned   atomic.Bool  // Warn was called
	lenient  atomic.Int32 // Strict minus the WriteMode, so that 0 is Strict
	applying sync.Mutex   // held over an Apply that is all or nothing
	mu       sync.RWMutex
	files    map[string]*file      // by full path; guarded by mu
	dirs     map[string]*directory // by full path, without the root while it is empty; guarded by mu

	eventMu sync.Mutex
	event   uint64          // the number of the last event; guarded by eventMu
	poll    waitqueue.Queue // the waiters for an event of a directory
}

// A directory exists as long as it has names or is registered itself.
type directory struct {
	names map[string]bool // of its files and directories; true for a directory
	users int             // registrations of the directory itself
	empty bool            // it is a mount point; once set, as long as the directory lives
}

// A file is an entry in its place.
type file struct {
	Entry
	header *Header
	path   string // in the tree
	place  place  // for the variable
	start  string // the text at Register, for Save
	known  bool   // start is known

	source atomic.Pointer[string]     // of the last write that was not refused; nil without one
	spare  atomic.Pointer[[4096]byte] // the buffer of the last reading, if it may be used again
	events atomic.Uint64              // the number of its last event
	poll   waitqueue.Queue            // the waiters for the next event
}

// Register adds entries to the directory dir, all of them or none. dir is a
// path with slashes, empty for the root. Slashes at its ends, and two in a row, mean
// nothing. Register makes directories as they are needed; they go with their last
// entry. With no entries at all, dir exists and is empty.
//
// The error joins all faults of all entries, by [errors.Join]. If dir itself is at
// fault, Register does not look at the entries. The error matches:
//
//   - [syscall.EEXIST] if the name is taken, perhaps by an earlier entry of the call
//     or by a directory
//   - [syscall.ENOTDIR] if a part of dir is a file
//   - [syscall.EROFS] if dir is at or below a mount point
//   - [syscall.EINVAL] for all other reasons, which the text tells
//
// The other reasons are these:
//
//   - A name or a part of dir is "." or "..", has a NUL byte, or is not UTF-8, as an
//     [io/fs.FS] wants.
//   - A name is empty or has a slash.
//   - No file of settings could set the entry, because its name has an equals sign or a
//     newline, or a blank at the end.
//   - The mode has a bit outside 0666, or it lets a caller write an entry that can only be
//     read, as one with a [Func].
//   - The Handler is nil, its variable is nil, or the variable has room for nothing.
//   - The bounds of the handler are the wrong way round, or the value to start with is
//     outside of them or refused by a Check.
//
// Register calls a Check before it takes the lock of the tree, so a Check may read the
// tree. It does not look into a handler of the program's own.
//
// All entries of a call appear at once. Calls that open, list or register wait for
// that: for a hundred thousand entries about a tenth of a second. A program for which
// this is too long calls Register for some entries at a time.
//
// Kernel: register_sysctl, register_sysctl_sz
//
// Differs: says why it failed. It refuses start values outside the bounds. It refuses more names: empty ones, and names with a slash, an equals sign, a newline, a blank at the end, or bytes that are not UTF-8.
func (t *Tree) Register(dir string, entries ...Entry) (*Header, error) {
	return t.register(dir, false, entries)
}

// RegisterMountPoint makes the directory dir a mount point, which stays empty: nothing
// can be registered in it or below it. An empty directory becomes one too. It is one
// as long as it lives, until every registration of it is unregistered. The error
// matches [syscall.EINVAL] if dir has entries, and is otherwise as for Register.
//
// Kernel: register_sysctl_mount_point
//
// Differs: says why it failed.
func (t *Tree) RegisterMountPoint(dir string) (*Header, error) { return t.register(dir, true, nil) }

func (t *Tree) register(dir string, empty bool, entries []Entry) (*Header, error) {
	h := newHeader(t, clean(dir), entries)
	faults := handlerFaults(entries) // before the lock, because a Check may read the tree
	h.noteStart(faults)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.checkDir(h.dir, empty); err != nil {
		return nil, fmt.Errorf("sysctl: register in %q: %w", h.dir, err)
	}
	if err := t.checkFiles(h, faults); err != nil {
		return nil, err
	}
	if t.files == nil {
		t.files, t.dirs = map[string]*file{}, map[string]*directory{}
	}
	d := t.make(h.dir)
	d.users++
	d.empty = empty
	for _, f := range h.files {
		t.files[f.path] = f
		d.names[f.Name] = false
		f.notePlace()
	}
	return h, nil
}

// notePlace tells the variable of the handler, if it has one, where the entry is.
func (f *file) notePlace() {
	if n := notesOf(f.Handler); n != nil {
		n.place.Store(&f.place)
	}
}

// dropPlace takes the note back, unless the variable has an entry that came later. The
// variable would keep the tree alive.
func (f *file) dropPlace() {
	if n := notesOf(f.Handler); n != nil {
		n.place.CompareAndSwap(&f.place, nil)
	}
}

// isSecret reports whether Nobody may not read the entry.
func (f *file) isSecret() bool { return !Nobody.May(mayRead, f.Mode) }

// newHeader makes the files, for which it needs no lock.
func newHeader(t *Tree, dir string, entries []Entry) *Header {
	h := &Header{tree: t, dir: dir, files: make([]*file, 0, len(entries))}
	for _, e := range entries {
		f := &file{Entry: e, header: h, path: join(dir, e.Name)}
		f.place = place{f.path, f.isSecret()}
		h.files = append(h.files, f)
	}
	return h
}

// Walk calls fn for each entry, in the order of a walk through the directories, until
// fn returns an error, which Walk returns. Entries that are registered or unregistered
// meanwhile may be seen or not. fn may do anything: no lock is held. A whole
// walk costs less than one by [io/fs.WalkDir]. Walk sorts all entries before the first
// call, so a walk that ends early may cost more.
//
// Kernel: sysctl(8) -a
func (t *Tree) Walk(fn func(path string, e Entry) error) error {
	t.mu.RLock()
	files := slices.AppendSeq(make([]*file, 0, len(t.files)), maps.Values(t.files))
	t.mu.RUnlock()
	slices.SortFunc(files, func(a, b *file) int { return comparePaths(a.path, b.path) })
	for _, f := range files {
		if err := fn(f.path, f.Entry); err != nil {
			return err
		}
	}
	return nil
}

// comparePaths orders paths as a walk through the directories meets them: a slash
// is before all other characters, so a/x is before a.b/x.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
			continue
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		}
		return cmp.Compare(a[i], b[i])
	}
	return cmp.Compare(len(a), len(b))
}

// Unregister removes the entries of h, and their directories if nothing else
// is in them. It then waits for the calls of h's handlers that are in progress, and
// for nothing else. After it has returned, no handler of h runs again. A second
// Unregister only waits. Unregister of a nil Header returns at once.
//
// A handler that blocks for ever makes Unregister wait for ever. A handler that gives
// text without end does not: see [Handler].
//
// Kernel: unregister_sysctl_table
//
// Differs: the names are free before the calls have ended. It wakes the waiters of poll.
func (h *Header) Unregister() {
	if h == nil {
		return
	}
	h.remove()
	point.At("removed", nil)
	for _, f := range h.files {
		f.poll.WakeUpAll() // there will be nothing to wait for
	}
	h.tree.poll.WakeUpAll()
	// The names are gone, and a call raises used only after it has found a name. So
	// used can only fall now. The wait has no error, because Background never ends.
	_ = h.idle.Wait(context.Background(), func() bool { return h.used.Load() == 0 })
}

func (h *Header) remove() {
	t := h.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.gone {
		return
	}
	h.gone = true
	d := t.dirs[h.dir]
	d.users--
	for _, f := range h.files {
		delete(t.files, f.path)
		delete(d.names, f.Name)
		f.dropPlace()
	}
	t.release(h.dir)
}

// use keeps the entries of h from going away until unuse. It reports whether
// they are there.
func (h *Header) use() bool {
	h.tree.mu.RLock()
	defer h.tree.mu.RUnlock()
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

// checkDir refuses a directory that cannot be. The caller holds t.mu, here and
// below.
func (t *Tree) checkDir(dir string, empty bool) error {
	for part := range strings.SplitSeq(dir, "/") {
		if err := checkName(part); err != nil && part != "" {
			return err
		}
	}
	if d := t.dirs[""]; d != nil && d.empty {
		return fmt.Errorf("the root is a mount point: %w", syscall.EROFS)
	}
	for path := range above(join(dir, "x")) {
		if _, ok := t.files[path]; ok {
			return fmt.Errorf("%s is a file: %w", path, syscall.ENOTDIR)
		}
		if d := t.dirs[path]; d != nil && d.empty {
			return fmt.Errorf("%s is a mount point: %w", path, syscall.EROFS)
		}
	}
	if d := t.dirs[dir]; empty && d != nil && len(d.names) > 0 {
		return errNotEmpty
	}
	return nil
}

func (t *Tree) checkFiles(h *Header, faults []error) error {
	var errs []error
	seen := map[string]bool{}
	for i, f := range h.files {
		for _, err := range append(t.faults(f, seen), faults[i]) {
			if err == nil {
				continue
			}
			errs = append(errs, fmt.Errorf("sysctl: register %q: %w", f.path, err))
		}
		seen[f.Name] = true
	}
	return errors.Join(errs...)
}

// faults returns all that is wrong with the name and the mode of an entry. The name must
// not be in seen.
func (t *Tree) faults(f *file, seen map[string]bool) (errs []error) {
	switch err := checkName(f.Name); {
	case err != nil:
		errs = append(errs, fmt.Errorf("the name %w", err))
	case strings.TrimRight(f.Name, blanks) != f.Name:
		errs = append(errs, fmt.Errorf("the name %q has a blank at its end, which a file of settings drops: %w", f.Name, errName))
	case seen[f.Name] || t.files[f.path] != nil || t.dirs[f.path] != nil:
		errs = append(errs, fmt.Errorf("duplicate entry: %w", syscall.EEXIST))
	}
	if f.Mode&^0o666 != 0 {
		errs = append(errs, fmt.Errorf("%#o: %w", uint32(f.Mode), errMode))
	}
	return errs
}

// handlerFaults returns for each entry why it cannot have its handler, or nil.
func handlerFaults(entries []Entry) []error {
	faults := make([]error, len(entries))
	for i, e := range entries {
		if e.Handler == nil {
			faults[i] = errNoHandler
		} else if s, ok := stockOf(e.Handler); ok {
			faults[i] = s.fault()
			if faults[i] == nil && isReadOnly(s) && e.Mode&0o222 != 0 {
				faults[i] = invalid("the mode %#o has a right to write, and its handler can only be read", uint32(e.Mode))
			}
		}
	}
	return faults
}

// make returns the directory at path, which it makes if it is not there.
func (t *Tree) make(path string) *directory {
	d := t.dirs[path]
	if d != nil {
		return d
	}
	d = &directory{names: map[string]bool{}}
	t.dirs[path] = d
	if path != "" {
		dir, name := split(path)
		t.make(dir).names[name] = true
	}
	return d
}

// release removes the directory at path, and those above it, that nothing is in.
func (t *Tree) release(path string) {
	for d := t.dirs[path]; d != nil && len(d.names) == 0 && d.users == 0; d = t.dirs[path] {
		delete(t.dirs, path)
		dir, name := split(path)
		if path != "" {
			delete(t.dirs[dir].names, name)
		}
		path = dir
	}
}

// checkName refuses a part of a path that is no name. It also refuses a part that a key in
// a file of settings cannot have, or an [fs.FS].
func checkName(s string) error {
	why := ""
	switch {
	case s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/\x00"):
	case strings.Contains(s, "="):
		why = " has an equals sign, at which a file of settings ends the key"
	case strings.Contains(s, "\n"):
		why = " has a newline"
	case !utf8.ValidString(s):
		why = " is not UTF-8, so an fs.FS cannot have it"
	default:
		return nil
	}
	return fmt.Errorf("%q%s: %w", s, why, errName)
}

// clean drops empty parts, so that "/kernel//x/" is "kernel/x".
func clean(path string) string {
	if !strings.HasPrefix(path, "/") && !strings.HasSuffix(path, "/") && !strings.Contains(path, "//") {
		return path // and allocate nothing
	}
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	return strings.Join(parts, "/")
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

func split(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(0, i)], path[i+1:]
}

// above yields the directories that path is in, from the top, without the root.
func above(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i, c := range []byte(path) {
			if c == '/' && !yield(path[:i]) {
				return
			}
		}
	}
}
