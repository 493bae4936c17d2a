// Package sysctl gives a program tunables that are read and written as text
// under a path and a mode, like the files below /proc/sys as of Linux 7.3.
//
//	rate := sysctl.NewVar(100.0, sysctl.Between(0.1, 1e6))
//	var tree sysctl.Tree
//
//	header, err := tree.Register("limits", sysctl.Entry{
//		Name: "rate", Mode: 0o644, Handler: rate, Doc: "requests per second",
//	})
//	...
//	err = tree.WriteFile(sysctl.Root, "limits/rate", []byte("250\n"))
//	if perSecond > rate.Load() { // one atomic load
//
// # Which tool
//
//   - Use a flag or a file for a value that is set once. A Var is a flag too.
//   - Use [expvar] for a value that is only read, and [Func] if it belongs beside settings.
//   - Use a Var alone for a value that the program itself changes by a text:
//     rate.Set("250") parses, checks and stores it, or returns an error.
//   - Use a Tree for settings that others change while the program runs. The mode of
//     each says which [Cred] may change it.
//
// # Four names to start with
//
// Most programs need four names. A [Var] is a setting, and [NewVar] makes one with its
// checks. An [Entry] gives it a path and a mode, and a [Tree] holds the entries.
//
// The entries are in memory. Nothing appears in a file system, unless a server mounts the
// result of [Tree.VFS].
//
// # Handlers
//
// An Entry has a [Handler], which reads and writes its text. A [Var] is a handler for one
// value of any type: a number, a word, a duration, [Bytes], a list, a struct. A [Vec] is one
// for several numbers. Both take all of a text or nothing, and tell the program of each
// change.
//
// Every handler whose name begins with Do follows the kernel: its grammar, its bounds, its
// errors, and its rule of how much of a text one write uses. They are for programs that
// come from the kernel, and for users of /proc/sys. Their variables are a Var, a Vec
// or a [Bitmap] too. See [DoIntVec], [DoUint], [DoUlongVecMinMax], [DoString], [DoBool],
// [DoLargeBitmap] and [DoJiffies]. The rules for a number:
//
//   - It is decimal, octal with a leading 0, or hexadecimal with 0x.
//   - It has a sign only if the type has one, and at most 20 characters.
//   - White space before it is skipped.
//   - A blank, a tab, a newline or the end of the text follows it.
//   - One call looks at the first 4095 bytes of a text and at no others.
//
// A bad text is [syscall.EINVAL] and changes nothing, except that a vector keeps
// the values before the bad number.
//
// A type with the two methods of a Handler is a handler too. A Var with Parse and Format
// does the same with no rules of positions to keep.
//
// # Reading and writing
//
// [Tree.WriteFile] and [Tree.ReadFile] write and read a whole text, like echo and
// sysctl(8). A [File] has a position, as an open file has. It shows short writes and
// partial reads as they are. [Tree.Changes] and [File.Changed] tell of writes, and of
// values that the program itself has stored, if it calls [Tree.Notify]. [Tree.FS] is
// for functions that take an [io/fs.FS]. [Tree.VFS] is for a server that gives the tree
// to real processes. [Tree.Load] reads files like /etc/sysctl.conf, and [Tree.Save] writes
// one. [Settings] are checked first, and are stored all or none. [Tree.Source] says where a
// value comes from. Packages sysctlhttp and sysctlexpvar show a tree over HTTP and among the
// variables of package expvar.
//
// Each access passes a [Cred], and through VFS the Cred of package vfs. Nothing in the
// package asks the operating system, except Load and [Settings] for a nil fsys.
//
// # Memory model
//
// In the terms of the Go memory model, these are synchronized before each other:
//
//   - a Store, or a write of an entry, before each Load and each read that returns
//     its value
//   - each call of the Check or the Changed of one variable before the next of them, and
//     before the return of its write or Store
//   - Register before each call of a handler of the Register call
//   - a call of a handler's Write, and a call of [Tree.Notify], before the Changed that
//     reports it
//   - the same calls before the wake-up of the [File.WaitQueue], and before the body of the
//     loop over Changes that they start
//   - every call of a handler before the return of [Header.Unregister]
//   - every Read, Write and Seek of one File before the next of these on that File
//
// Nothing else is ordered. Two calls of a handler may run at once: by two Files, by
// ReadFile and WriteFile, by calls with a position, or through VFS. So a handler of
// your own needs a lock or an atomic for its data.
//
// # Differences from the kernel
//
//   - A vector is replaced as a whole: a reader sees the values of one write.
//   - Every entry reports its writes to poll. Failed writes are reported because a
//     part may have been stored. Ignored writes are reported too.
//   - Registration says why it fails, and leaves nothing behind.
//   - Unregister frees the names before the calls in progress have ended: a new entry
//     may be in the place while a handler of the old one still runs.
//
// Kernel: include/linux/sysctl.h, kernel/sysctl.c, fs/proc/proc_sysctl.c
package sysctl

import (
	"fmt"
	"io/fs"
	"strings"
)

// The life of a write, from [Tree.WriteFile] to the variable and to its readers:
//
//	Tree.open        finds the entry, asks for the right, keeps the entry in place
//	file.write       calls the Handler of the entry
//	Var.Write        takes the whole text, without a newline at its end
//	Var.parse        makes a value of the text
//	cell.change      asks Check, under the lock of the value
//	cell.store       stores the value, and calls Changed
//	file.changed     wakes poll(2) and the loops over Tree.Changes
//	Var.Load         the program reads the value: one atomic load
//
// A write through an open file begins with [File.Write] and File.use instead of Tree.open.
// A handler whose name begins with Do parses in writeVector, writeScalar or doString.Write.

// A Handler reads and writes an entry. The functions whose names begin with Do make
// one. A type of your own with these methods is another. The calls may come from
// several goroutines at once.
//
// A handler must not Unregister an entry of its own Register call, because Unregister
// would wait for the call that it is in. It must not read, write or seek the File
// through which it is called. It must keep neither r nor p after it has returned: a
// wrapper with a timeout passes on a Request and a buffer of its own. A Read should
// change nothing, because ReadFile may read a text more than once. A Read that calls
// Notify for its own entry keeps a loop over Changes busy.
//
// A Read that copies all of its text from r.Pos on is the simplest one. Its text is
// never a mixture of two values in [Tree.ReadFile], in [Tree.FS] and in [Tree.Changes].
// A Read that gives its text in parts is read several times, until the parts agree.
//
// The caller checks each result. An error that the method returns goes first. [io.EOF] is
// not such an error. Otherwise these are [syscall.EIO]:
//
//   - a count that is less than 0 or more than len(p)
//   - a position that is less than 0
//   - in ReadFile, in FS and in Changes: a Read that gives bytes and does not move
//     r.Pos forward, because it would give them for ever; with io.EOF it need not move
//   - in ReadFile, in FS and in Changes: a Read whose text has several parts, if the
//     parts do not agree in a hundred attempts
//   - in [Tree.WriteFile]: a Write that uses no bytes
//
// A handler that wraps another one passes it the same Request, or a copy, and is then
// read as well as the handler itself: nothing is torn. Register does not look into a
// wrapper. If the data of the inner handler is nil, its first call that reads or
// stores a value panics. A [DoString] that has room for nothing panics in Write. A panic goes on to the
// caller, and leaves no lock held and no call in progress.
//
// Kernel: proc_handler
//
// Differs: two methods, where C has a flag. They return the count, where C passes
// a length in and out. A C handler that returns 0 and leaves *lenp alone has read NULs
// into all of the buffer; here a method that returns 0 has read nothing.
type Handler interface {
	// Read copies text to p, moves r.Pos forward, and returns how many bytes it
	// copied. 0 is the end of the file, and so is [io.EOF].
	Read(r *Request, p []byte) (int, error)

	// Write takes text from p, moves r.Pos, and returns how many bytes it
	// used. The caller writes the rest by another call.
	Write(r *Request, p []byte) (int, error)
}

// A Request tells a [Handler] about a call.
//
// Kernel: ppos of proc_handler
type Request struct {
	Pos  int64  // the position in the file, 0 or more; the handler moves it
	Cred Cred   // of the caller
	dry  bool   // a Write must find each fault, and store nothing
	Path string // of the entry, as in [Tree.Walk]

	// Source says where a write comes from, for a log: see [Change]. It is empty in a
	// Read.
	Source string

	tree   *Tree     // nil in a call that comes from no tree
	secret bool      // Nobody may not read the entry
	batch  *batch    // nil unless a Write must note how to put the old value back
	seen   *snapshot // nil unless the text is read from its beginning to its end
}

// hz returns how many jiffies a second has.
func (r *Request) hz() uint64 {
	if r.tree == nil || r.tree.HZ == 0 {
		return 250
	}
	return uint64(r.tree.HZ)
}

// Positioned reports whether a write is at a position that counts: not at 0, and
// in the mode [Strict]. In the modes [Warn] and [Legacy] a handler takes each write as
// one at the beginning. Positioned is for Write, which calls it once: at a position
// other than 0, the call makes the tree warn.
//
// Kernel: proc_first_pos_non_zero_ignore
//
// Differs: only reports; to ignore the write is up to the handler.
func (r *Request) Positioned() bool {
	if r.Pos == 0 {
		return false
	}
	if r.tree == nil {
		return true
	}
	mode := r.tree.WriteMode()
	if mode == Warn && r.tree.Warn != nil && !r.dry {
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
	Handler Handler     // reads and writes it
	Doc     string      // its purpose in one line, for listings
}

// String returns a line for a listing, as "-rw-r--r-- somaxconn  connections that wait".
func (e Entry) String() string {
	return strings.TrimRight(fmt.Sprintf("%v %s  %s", e.Mode, e.Name, e.Doc), " ")
}
