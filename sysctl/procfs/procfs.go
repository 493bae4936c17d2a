// Package procfs mounts files of package [vfs]: a tree of sysctls, /proc/sleep, or a
// directory that has both. Processes then use them by cat, echo and sysctl(8). A signal
// ends a blocked open. A process gets each error as the errno that a file of the kernel
// gives, as of Linux 7.3. The mount uses FUSE: the kernel turns each call on a file into a
// request, and the server answers it.
//
//	server, err := procfs.Mount("/mnt", tree.VFS(), procfs.Options{})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//
// Program cmd/procfs-demo is an example. Its README shows a session with it.
//
// # Which tool
//
//   - Use [Mount] if the clients are programs that only know files.
//   - Use sysctl.Tree.FS or the Tree itself for clients in the same process.
//   - Use [net/http] for a client that need not be cat or echo.
//   - Use go-fuse itself for a file system with data of its own.
//
// # Needs
//
// Mount needs Linux 5.8 or later with 64 bits, and /dev/fuse. User 0 mounts by mount(2), and
// so does the first user of a user namespace. Every other user needs the program fusermount3
// of the package fuse3. Only that user may enter such a mount: not even user 0 may.
//
// # Where a mount is not a kernel file
//
//   - The last close reaches the server a moment after close(2) has returned. So an open
//     with O_NONBLOCK waits up to 50 ms, and then gets EAGAIN. It waits only if a
//     descriptor of the file was closed after the last read or write. A closed dup counts
//     too, and so does the end of a child that has inherited the descriptor.
//   - If a process lives on after a signal, its blocked open has failed with EINTR. That
//     holds even if the process wants system calls to restart. So Ctrl-Z and fg end it too.
//   - A write or a read of more than 1 MiB reaches the file in parts.
//   - A write of no bytes does not reach the file.
//   - A private mmap(2) succeeds, and so does an open with O_DIRECT.
//   - An entry of a sysctl tree has a size of 4096 bytes. So ls -l shows 4096, lseek(2)
//     finds the end there, and tar pads the text with NULs.
//   - The position moves by the count of each call. Some handlers of the kernel leave the
//     position where it is. So a second write of an unsigned number by one descriptor is
//     ignored here, and not in the kernel.
//   - A descriptor that appends writes at the sum of its counts, and lseek(2) does not
//     change that. A read after such a write finds the end.
//   - While a writer blocks in a file of size 0, the next writer waits in the kernel. Not
//     even SIGKILL ends this wait. If the size is larger, both writers reach the file.
//   - An open with O_TRUNC waits for a blocked writer, at any size. Only a signal that
//     kills the process ends this wait.
//   - An ioctl(2) for the flags of a file, as lsattr makes it, opens the file once more in
//     the kernel. So lsattr sleeps at a file that only one opener may have, until a signal.
//   - If two processes share one open file, the second read waits for the first.
//
// A server cannot open a file of its own mount: it gets EDEADLK. Such an open could stop
// the whole process, and not even SIGKILL would end it. The server calls the File itself.
// For the same reason, a server must not start a program by a path through its mount, nor
// with a working directory there. Between fork and exec the runtime waits for the child,
// and the child would wait for the server.
//
// sysctl -a and grep -r read each file of a tree, and a file that blocks makes them sleep.
// So do not put such a file in a tree that programs walk.
package procfs

import (
	"log"
)

// Options configure a mount. The zero value is right for most mounts.
type Options struct {
	// Poll makes poll(2), select(2) and epoll(7) report changes of a file whose Handle is
	// a vfs.Poller: POLLPRI and POLLERR after each change. Without Poll, poll(2) finds every
	// file ready to read and write, and costs no request.
	Poll bool

	// ErrorLog gets the panics of a File. It also gets a warning if a setting of the kernel
	// could end the mount. If ErrorLog is nil, the standard logger of package log gets both.
	ErrorLog *log.Logger
}

func (o Options) logger() *log.Logger {
	if o.ErrorLog == nil {
		return log.Default()
	}
	return o.ErrorLog
}
