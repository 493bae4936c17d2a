// Package vfs describes files that a server gives to processes. Such a file has a mode,
// an owner and perhaps a size, and several processes may have it open at once. The
// calls and their errors are the kernel's, as of Linux 7.3.
//
// The package itself has one directory, [Static], and no files. sysctl.Tree.VFS returns a
// whole tree, and examples/sleepfile is one [File] that blocks. A mount, or a test in the
// same process, opens the File and makes the calls of a [Handle].
//
// # Which tool
//
//   - Use [io/fs] to read files that never block and have no owner.
//   - Use [net/http] for a client that need not be cat or echo.
//   - Use a File if open may block, or if the caller's user matters, or if the errno and
//     the count of each call matter.
//
// # A server's duties
//
// The types below tell the duties of a File. The server has duties too:
//
//   - Each call has a context of its own. The server ends it when a signal interrupts
//     the caller, and when the server itself closes. A blocked call hears of neither in any
//     other way.
//   - The server passes the position to each Read and Write, and adds up the counts. For a
//     Handle opened with O_APPEND the position is this sum, and the client's is ignored.
//   - The server calls Flush at each close of a descriptor, and Release once, after the
//     last close and after every other call has returned.
//   - The server asks May for access(2), for an opening with O_TRUNC that it splits in
//     two, and for a truncate(2) without a Handle. A change of the size then succeeds
//     and changes nothing.
//   - The server itself refuses to make, remove, rename or own a name.
//   - The server answers with [Errno] of an error, and never with another number.
//
// # Memory model
//
// In the terms of the Go memory model, the return of each other call of a Handle is
// synchronized before its Release, if the server keeps to its duties. Nothing else is
// ordered: a File needs a lock or an atomic for its data.
//
// Kernel: include/linux/fs.h, fs/read_write.c, fs/open.c
package vfs

import (
	"context"
	"io/fs"

	"github.com/kprim/kprim/waitqueue"
)

// A Node is a [File] or a [Dir]. Two look-ups of one file give Nodes that are equal by
// ==, and a Node can be the key of a map. So a server finds the inode that it has for a
// file. A name that was removed and made again leads to another Node.
//
// The methods do not block. They may be called by several goroutines at once. Their
// errors match a [syscall.Errno], in particular [syscall.ENOENT] once the file is gone.
//
// Kernel: struct inode_operations
//
// Differs: has no methods that make or remove names.
type Node interface {
	// Stat returns the attributes for stat(2) and fstat(2).
	Stat() (Attr, error)

	// May asks whether cred has the rights want: a sum of [MayRead], [MayWrite] and
	// [MayExec], or 0 to ask whether the file is there. It returns nil or an error that
	// matches [syscall.EACCES].
	May(cred Cred, want fs.FileMode) error
}

// A File is a Node that can be opened, by several callers at once.
//
// Kernel: open of struct file_operations
type File interface {
	Node

	// Open opens the file for cred. flag has the O_ constants of package os, and perhaps
	// [NonBlock]. A File knows the direction, O_TRUNC and NonBlock; O_APPEND is for the
	// server to keep. Flags like O_CREATE and O_EXCL are about the name, and are ignored.
	//
	// Open may block until the file is free, or until ctx ends. A file that is free goes
	// before an ended ctx. So a server that has ended ctx may still get a Handle, and
	// releases it. With an error there is no Handle, and nothing to release. The error
	// matches:
	//
	//   - [syscall.EACCES] if cred does not have the rights
	//   - [syscall.ENOENT] if the file is gone
	//   - [syscall.EAGAIN] if the call would block and flag has NonBlock
	//   - [syscall.EINTR] and the cause of ctx, if ctx was cancelled
	//   - [syscall.ETIMEDOUT] if a deadline ended ctx
	Open(ctx context.Context, cred Cred, flag int) (Handle, error)
}

// A Dir is a Node that has names. A name has 1 to 255 bytes, without a slash or a NUL, and is
// not "." or "..". A server leaves every other name out.
//
// Kernel: lookup of struct inode_operations, iterate_shared of struct file_operations
type Dir interface {
	Node

	// Lookup returns the Node of a name: a File or a Dir. The error matches
	// [syscall.ENOENT] if there is no such name. "." and ".." are for the server.
	Lookup(name string) (Node, error)

	// Names returns all names of one moment, in order, without "." and "..". Each may
	// be gone at the next Lookup. The caller owns the slice.
	Names() ([]string, error)
}

// A Handle is a [File] that was opened. The server owns it until Release. The methods,
// except Release, may be called by several goroutines at once, also by processes that
// share the open file and have different ids. So each call has its own [Cred].
//
// Read and Write are one system call each. They return the count with an error of nil
// also if the count is less than len(p). They may block until ctx ends. The error then
// matches [syscall.EINTR] or [syscall.ETIMEDOUT], as for [File]. They do not keep p.
// With an error the count is 0. The error also matches:
//
//   - [syscall.EBADF] if the Handle is not open in this direction
//   - [syscall.EPERM] if the file asks again, and cred does not have the right
//   - [syscall.ENOENT] if the file is gone
//   - an errno of the file, like [syscall.EINVAL] for a bad value
//
// A Handle that can report changes is a [Poller] too.
//
// Kernel: struct file_operations
//
// Differs: the caller keeps the position and gives the Cred. There is no non-blocking read: only Open takes flags.
type Handle interface {
	// Read copies text at pos to p. A count of 0 is the end of the file. A stream
	// ignores pos, and goes on where the last Read of the Handle ended.
	Read(ctx context.Context, cred Cred, p []byte, pos int64) (int, error)

	// Write uses text of p at pos, and returns how many bytes it has used. It may use
	// fewer than there are; the caller writes the rest by another call.
	Write(ctx context.Context, cred Cred, p []byte, pos int64) (int, error)

	// Flush reports the close of one descriptor. Others may still be open. It does not
	// block. Its error is the error of close(2).
	Flush() error

	// Release reports the last close. It does not block, and wakes the callers that
	// wait for the file. It is called once, and no call of the Handle comes after it.
	Release()
}

// A Poller is a [Handle] that reports changes. For poll(2), every other Handle is always
// ready to read and write.
//
// To miss no change, put a waiter on the WaitQueue first and then call Poll. The function
// of a custom waitqueue.Entry runs under the lock of that queue. So it must not call Poll
// itself: it wakes a goroutine that does.
//
// Kernel: poll of struct file_operations
type Poller interface {
	// Poll returns the events of poll(2). A change is reported once. Poll does not block.
	Poll() PollEvents

	// WaitQueue returns the queue that is woken after each change of the events.
	WaitQueue() *waitqueue.Queue
}
