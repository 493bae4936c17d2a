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

import "io/fs"

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

	tree *Tree  // nil in a call that comes from no tree
	path string // of the entry
}

// hz returns how many jiffies a second has.
func (r *Request) hz() uint64 {
	if r.tree == nil || r.tree.HZ == 0 {
		return 250
	}
	return uint64(r.tree.HZ)
}

// positioned reports whether a write is at a position that counts. Where it would
// in the strict mode, the mode Warn warns.
//
// Kernel: proc_first_pos_non_zero_ignore, warn_sysctl_write
func (r *Request) positioned() bool {
	if r.Pos == 0 {
		return false
	}
	if r.tree == nil {
		return true
	}
	mode := r.tree.WriteMode()
	if mode == Warn && r.tree.Warn != nil {
		r.tree.warned.Do(func() { r.tree.Warn(r.path) })
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
