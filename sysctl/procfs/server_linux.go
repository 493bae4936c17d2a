//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"context"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"github.com/kprim/kprim/sysctl/vfs"
)

// patience is how long Close waits for the processes that it has woken.
const patience = time.Second

// A Server serves one mount. Mount makes it. It lives until [Server.Close], or until
// another process unmounts it.
//
// Kernel: struct fuse_conn
type Server struct {
	mount mount
	conn  *conn
	files *files

	closing sync.Once
	err     error // of the unmount; set before done is closed
	done    chan struct{}
}

// Mount serves root at dir until [Server.Close]. A [vfs.Dir] is mounted on a directory,
// and a [vfs.File] on a file. Processes can use the mount when Mount returns. All users
// may enter, unless fusermount3 has mounted it. The files decide about reads and writes.
//
// If a server at dir has died and its mount is still there, Mount removes that first. It
// leaves every other mount alone, and mounts over it, if the user may write there.
//
// The caller closes the Server. The error matches:
//
//   - [errors.ErrUnsupported] if there is no FUSE for this process. The text says which of
//     three reasons it is. The error also matches [syscall.ENOENT], [syscall.EACCES] or
//     [syscall.EPERM].
//   - [syscall.ENOENT] or [syscall.ENOTDIR] if there is no such dir, or it is of the wrong
//     kind
//   - [syscall.EINVAL] if root is neither a Dir nor a File
//
// A request timeout of the kernel (fs.fuse.default_request_timeout) would end the whole
// mount when an open blocks for longer. Mount then warns in the ErrorLog.
//
// Kernel: mount
//
// Differs: a process of the server cannot open the files.
func Mount(dir string, root vfs.Node, o Options) (*Server, error) {
	s, err := mountAndServe(dir, root, o)
	if err != nil {
		return nil, fmt.Errorf("procfs: %w", &fs.PathError{Op: "mount", Path: dir, Err: err})
	}
	return s, nil
}

func mountAndServe(dir string, root vfs.Node, o Options) (*Server, error) {
	mode, err := rootMode(root)
	if err != nil {
		return nil, err
	}
	// Everything that looks at a file comes before the mount. The mount may lie over the
	// file, for example over /proc/sys, and a look would then wait for the start for ever.
	warnings, files := timeouts(), newFiles(root)
	c, err := newConn(files, o)
	if err != nil {
		return nil, err
	}
	fd, m, err := newMount(dir, mode)
	if err != nil {
		c.close()
		return nil, err
	}
	s := &Server{mount: m, conn: c, files: files, done: make(chan struct{})}
	c.start(fd)
	go s.serve()
	for _, w := range warnings {
		o.logger().Print(w)
	}
	return s, nil
}

func rootMode(root vfs.Node) (uint32, error) {
	switch root.(type) {
	case vfs.Dir:
		return syscall.S_IFDIR, nil
	case vfs.File:
		return syscall.S_IFREG, nil
	}
	return 0, fmt.Errorf("a %T is neither a vfs.Dir nor a vfs.File: %w", root, syscall.EINVAL)
}

// serve waits for the end, and cleans up. The kernel sends no release for a connection
// that has ended, so the Server itself releases each Handle, after the last call.
func (s *Server) serve() {
	s.conn.wait()
	s.files.releaseAll(s.conn.log)
	s.conn.close()
	if dead(s.mount.dir) { // another process may have aborted the connection
		s.err = s.mount.remove()
		_ = removeStale(s.mount.dir) // a mount below, whose server has closed before
	}
	close(s.done)
}

// Done returns a channel that is closed when the mount has ended and every Handle is
// released.
func (s *Server) Done() <-chan struct{} { return s.done }

// Close unmounts. The context of each blocked call ends, and its process gets ESHUTDOWN. A
// call that comes at the same moment may get ECONNABORTED. A process that still has a file
// open gets errors from then on, mostly ENOTCONN.
//
// Close returns when each call has returned, and each Handle is released. So a File that
// ignores its context keeps Close waiting, and its process gets ECONNABORTED. A File must
// not call Close. A second Close waits too, and returns the same error.
//
// Copies of the mount in other mount namespaces end too. If another mount lies over the
// mount, it ends, but stays in the list of mounts. The Close of the Server above removes it,
// or the next Mount at dir.
//
// Kernel: umount
func (s *Server) Close() error {
	s.closing.Do(func() {
		select {
		case <-s.done: // and the number of the mount may be the number of another one
			return
		default:
		}
		s.files.end(syscall.ESHUTDOWN)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.files.waitIdle(ctx) // so that they are answered before the connection ends
		_ = s.mount.remove()  // serve tries again, and reports
		s.conn.stop()
	})
	<-s.done
	if s.err != nil {
		return fmt.Errorf("procfs: %w", s.err)
	}
	return nil
}
