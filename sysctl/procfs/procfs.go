// Package procfs mounts files of package [vfs]: a tree of sysctls, /proc/sleep, or a
// directory that has both. Processes then use them by cat, echo and sysctl(8). A signal
// ends their sleep, and each error reaches them as the errno that a file of the kernel
// gives, as of Linux 7.3.
//
//	server, err := procfs.Mount("/mnt", tree.VFS(), procfs.Options{})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//
// Program cmd/procfs-demo is an example, and its README a session with it.
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
// It needs Linux 5.8 or later with 64 bits, and /dev/fuse. User 0 mounts by mount(2), and so
// does the first user of a user namespace. Everybody else needs the program fusermount3 of
// the package fuse3. Such a mount is for its user alone: not even user 0 may enter.
//
// # Where a mount is not a kernel file
//
//   - The last close reaches the server a moment after close(2) has returned. An opener
//     with O_NONBLOCK waits up to 50 ms for a close that is on its way, and then gets
//     EAGAIN.
//   - A signal that does not kill ends a blocked open with EINTR, even if the process
//     wants system calls to restart. So Ctrl-Z and fg end it too.
//   - A write or a read of more than 1 MiB reaches the file in parts.
//   - A write of no bytes does not reach the file.
//   - A private mmap succeeds, and O_DIRECT opens.
//   - An entry of a sysctl tree has a size of 4096 bytes. So ls -l shows 4096, lseek(2)
//     finds the end there, and tar pads the text with NULs.
//   - The position moves by the count of each call, where some handlers of the kernel leave
//     it. So a second write of an unsigned number by one descriptor is ignored.
//   - A descriptor that appends writes at the sum of its counts, and lseek(2) does not
//     change that. A read after such a write finds the end.
//   - Two writers of a file whose Write blocks wait one after the other. The second can
//     be interrupted only if the size of the file is not 0. An open with O_TRUNC waits for
//     a blocked writer, and only SIGKILL ends that.
//   - An ioctl(2) for the flags of a file, as lsattr makes it, opens the file once more in the
//     kernel. So lsattr sleeps at a file that only one opener may have, until a signal.
//   - Two processes that share one open file, and read it at the same moment, read one
//     after the other.
//
// A process cannot open a file of its own mount: it gets EDEADLK. Such an open could stop
// the whole process, so that not even SIGKILL ends it. The process calls the File itself.
// For the same reason, it must not start a program by a path through its mount, nor with a
// working directory there. Between fork and exec the runtime waits for the child, and the
// child would wait for the server.
//
// A file that blocks does not belong in a tree that programs walk: sysctl -a and grep -r
// read each file, and would sleep.
package procfs

import (
	"log"
)

// Options are the wishes for a mount. The zero value is right for most mounts.
type Options struct {
	// Poll makes poll(2), select(2) and epoll(7) report changes of a file whose Handle is
	// a vfs.Poller: POLLPRI and POLLERR after each. Without Poll, every file can always be
	// read and written, and a poll costs no request.
	Poll bool

	// ErrorLog is told of panics of a File, and of a setting of the kernel that would end
	// the mount. If it is nil, the standard logger of package log is.
	ErrorLog *log.Logger
}

func (o Options) logger() *log.Logger {
	if o.ErrorLog == nil {
		return log.Default()
	}
	return o.ErrorLog
}
