// Package sysctl gives a program tunables that are read and written as text
// under a path and a mode, like those below /proc/sys. They are in memory:
// nothing appears in a file system.
//
// A variable is typed and read in the hot path by an atomic load. An [Entry]
// gives it a name, a mode and a [Handler], and a [Tree] holds the entries:
//
//	var limit sysctl.Int
//	var tree sysctl.Tree
//
//	header, err := tree.Register("net/core", sysctl.Entry{
//		Name: "somaxconn", Mode: 0o644, Handler: sysctl.DoIntVecMinMax(&limit, 0, 65535),
//	})
//	...
//	err = tree.WriteFile(sysctl.Root, "net/core/somaxconn", []byte("4096\n"))
//	if queued > limit.Load() {
//
// # Which tool
//
//   - Use a flag or a configuration file for what is set once.
//   - Use [expvar] for what is only read.
//   - Use a Tree for settings that are changed while the program runs, each
//     with a mode that says by whom.
//
// # Handlers
//
// All handlers whose names begin with Do, but two, have the grammar of the kernel's,
// its bounds, its errors, and its idea of what a write uses of a text: see
// [DoIntVec], [DoUint], [DoUlongVecMinMax], [DoString], [DoBool], [DoLargeBitmap]
// and [DoIntVecJiffies]. Numbers are decimal, octal with a leading 0, or
// hexadecimal with 0x, have a sign if the type has one, at most 20 characters,
// and a blank, a tab, a newline or the end of the text after them; white space
// before them is skipped. Of a text with numbers only the first 4095 bytes are
// looked at in one call. A bad call is [syscall.EINVAL], and changes nothing,
// except that a vector keeps what came before the bad number.
//
// The two are [DoDuration], which new programs may prefer to jiffies, and
// [DoIntVecWhole], to half a vector: they have no counterpart, look at all of a
// text, and take all of it or nothing. A type with the two methods of a [Handler]
// is a handler too.
//
// # Reading and writing
//
// [Tree.WriteFile] and [Tree.ReadFile] do what echo and sysctl(8) do. A [File] has
// a position, as an open file has, and shows short writes and partial reads as they
// are. [Tree.Changes] and [File.Poll] tell of writes, and by [Tree.Notify] of what
// the program itself has stored. [Tree.FS] is for all that takes an [io/fs.FS], and
// [Tree.Load] reads files like /etc/sysctl.conf.
//
// Each access says who asks, by a [Cred]. Nothing in the package asks the
// operating system.
//
// # What is not as in the kernel
//
//   - A vector is replaced as a whole: who reads it sees one write's values.
//   - Every entry reports its writes to poll, also those that failed, for a part may
//     have been stored, and those that were ignored.
//   - Registration says why it fails, and leaves nothing behind.
//   - Unregister frees the names before the calls in progress have ended: a new entry
//     may be in the place while a handler of the old one still runs.
//
// Kernel: include/linux/sysctl.h, kernel/sysctl.c, fs/proc/proc_sysctl.c
package sysctl

import "io/fs"

// A Handler is what reading and writing an entry does. The functions whose names
// begin with Do make one; a type of your own with these methods is another. The
// calls may come from several goroutines at once. A handler must not Unregister an
// entry of its own Register call, which would wait for the call that it is in, nor
// read, write or seek the File through which it is called.
//
// What a method returns is not believed if it is less than 0 or more than len(p):
// the call fails with [syscall.EIO], or with the method's own error if there is one.
//
// A Handler that wraps another one is not looked into: Register does not see that
// the data of the other one is nil, and the first call panics.
//
// Kernel: proc_handler
//
// Differs: two methods, where C has a flag.
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
	Pos  int64  // the position in the file, 0 or more; the handler moves it
	Cred Cred   // who reads or writes
	Path string // of the entry, as in [Tree.Walk]

	tree *Tree     // nil in a call that comes from no tree
	seen *snapshot // nil unless the text is read from its beginning to its end
}

// hz returns how many jiffies a second has.
func (r *Request) hz() uint64 {
	if r.tree == nil || r.tree.HZ == 0 {
		return 250
	}
	return uint64(r.tree.HZ)
}

// Positioned reports whether a write is at a position that counts: not at 0, and
// in the mode [Strict]. In the modes [Warn] and [Legacy] a handler is to take each
// write as one at the beginning. It is for Write, which calls it once: at a
// position other than 0 it is what has the tree warn.
//
// Kernel: proc_first_pos_non_zero_ignore
//
// Differs: only says so; to ignore the write is up to the handler.
func (r *Request) Positioned() bool {
	if r.Pos == 0 {
		return false
	}
	if r.tree == nil {
		return true
	}
	mode := r.tree.WriteMode()
	if mode == Warn && r.tree.Warn != nil {
		if r.tree.warned.CompareAndSwap(false, true) {
			r.tree.Warn(r.Path)
		}
	}
	return mode == Strict
}

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
