//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Operations of FUSE that the conn looks at.
//
// Kernel: enum fuse_opcode
const (
	opRead        = 15
	opWrite       = 16
	opGetXAttr    = 22
	opListXAttr   = 23
	opReadDir     = 28
	opInterrupt   = 36
	opPoll        = 40
	opReadDirPlus = 44
)

const (
	maxWrite = 1 << 20         // the most that Linux allows in one request
	maxInput = maxWrite + 4096 // a request, with its header

	headerSize = 16  // of an answer
	smallReply = 512 // longer than each answer that has no data

	maxCopy = 1 << 16 // a longer request is not copied

	// maxIdle is how many goroutines wait for the next request.
	//
	// Optimization: with one, each request would first start another goroutine.
	maxIdle = 2
)

// A conn carries requests from the kernel to the files, and answers back. Go-fuse decodes
// and encodes them. The conn reads the device itself, because the loop of go-fuse refuses
// poll(2), and cannot end before each copy of the mount is gone.
//
// Kernel: fs/fuse/dev.c
type conn struct {
	fd     int // set by start
	ending int // an eventfd, readable after stop
	files  *files
	proto  *fuse.ProtocolServer
	polls  *polls // nil without the option
	log    *log.Logger

	idle    atomic.Int32 // goroutines that wait for a request
	readers sync.WaitGroup
	buffers chan *[maxInput]byte // free buffers

	mu     sync.Mutex
	closed bool // guarded by mu
}

// newConn returns a conn that close closes. It needs no mount: go-fuse reads a file in
// /proc/sys, and the mount may lie over it.
func newConn(f *files, o Options) (*conn, error) {
	ending, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	c := &conn{fd: -1, ending: ending, files: f, log: o.logger()}
	c.buffers = make(chan *[maxInput]byte, maxIdle)
	if o.Poll {
		c.polls = newPolls(c.write)
	}
	c.proto = fuse.NewProtocolServer(f, &fuse.MountOptions{
		MaxWrite:           maxWrite,
		MaxBackground:      1<<16 - 1, // a release is a request in the background
		DisableReadDirPlus: true,
		Logger:             c.log,
	})
	return c, nil
}

// start begins to serve the device fd. The conn closes it.
func (c *conn) start(fd int) {
	c.fd = fd
	c.goRead()
}

// goRead starts a goroutine that reads.
func (c *conn) goRead() { c.idle.Add(1); c.readers.Go(c.read) }

// wait waits until the connection has ended and no goroutine reads or serves.
func (c *conn) wait() { c.readers.Wait() }

// stop makes the goroutines that read end, unless close has been called. The number of the
// eventfd may by then be the number of another file, for example of the next Server.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		_, _ = unix.Write(c.ending, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

// close ends the connection for the kernel too, with each copy of the mount. It is called
// once, when no goroutine reads.
func (c *conn) close() {
	if c.polls != nil {
		c.polls.close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_ = unix.Close(c.ending)
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
	}
}

// read serves requests until the connection ends, or until enough others read.
func (c *conn) read() {
	for {
		request, err := c.receive()
		// Invariant: while the connection lasts, a goroutine waits for requests. This one
		// may block in a File, and only a later request can interrupt that.
		if c.idle.Add(-1) == 0 && err == nil {
			c.goRead()
		}
		if err != nil {
			c.files.end(unix.ESHUTDOWN) // no request can interrupt a call any more
			return
		}
		c.serve(request)
		if !c.mayWait() {
			return
		}
	}
}

// mayWait counts the goroutine as one that waits for a request, unless enough do. The test
// and the change are one step. With two steps, a goroutine that only looks would count for
// a moment. In that moment all waiting goroutines could begin to serve, and none of them
// would start another.
func (c *conn) mayWait() bool {
	for {
		n := c.idle.Load()
		if n >= maxIdle {
			return false
		}
		if c.idle.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// receive returns the next request. An error is the end of the connection.
func (c *conn) receive() ([]byte, error) {
	buffer := c.buffer()
	for {
		n, err := c.readDevice(buffer[:])
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOENT):
			continue // ENOENT: the caller was killed before the request was read
		case err != nil:
			return nil, err
		}
		if n > maxCopy {
			return buffer[:n], nil
		}
		// A call that blocks must not keep a large buffer for a small request.
		request := append([]byte(nil), buffer[:n]...)
		c.free(buffer)
		return request, nil
	}
}

// buffer returns a free buffer, or a new one.
func (c *conn) buffer() *[maxInput]byte {
	select {
	case b := <-c.buffers:
		return b
	default:
		return new([maxInput]byte)
	}
}

// free gives a buffer back. If maxIdle buffers are free, the garbage collector gets it.
func (c *conn) free(b *[maxInput]byte) {
	select {
	case c.buffers <- b:
	default:
	}
}

// readDevice reads one request. It waits in poll(2), because nothing ends a read(2) while
// the connection lasts. If two goroutines wait for one request, the slower one gets EAGAIN.
func (c *conn) readDevice(p []byte) (int, error) {
	ready := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}, {Fd: int32(c.ending), Events: unix.POLLIN}}
	if _, err := unix.Poll(ready, -1); err != nil {
		return 0, err
	}
	if ready[1].Revents != 0 {
		return 0, unix.ESHUTDOWN
	}
	return unix.Read(c.fd, p)
}

// serve answers one request.
func (c *conn) serve(request []byte) {
	h := header(request)
	switch {
	case h.opcode() == opInterrupt:
		if !c.files.interrupt(binary.NativeEndian.Uint64(request[requestHeader:])) {
			c.reply(h.unique(), unix.EAGAIN, nil) // its call has not begun: the kernel asks again
		}
	case hidden(request):
		c.reply(h.unique(), unix.ENOENT, nil)
	case h.opcode() == opPoll && c.polls == nil:
		c.reply(h.unique(), unix.ENOSYS, nil) // the kernel does not ask again
	case h.opcode() == opPoll:
		c.poll(request)
	default:
		c.handle(request)
	}
	if cap(request) == maxInput {
		c.free((*[maxInput]byte)(request[:maxInput]))
	}
}

// hidden reports whether the request looks for, or makes, a file that go-fuse puts in each
// root for a loop of its own. No such file is in our root.
func hidden(request []byte) bool {
	h := header(request)
	return h.node() == fuse.FUSE_ROOT_ID && h.opcode() != opWrite &&
		bytes.Contains(request[requestHeader:], []byte(".go-fuse-epoll-hack\x00"))
}

// poll answers poll(2). If a Poller panics or ends the goroutine, the answer is EIO, as in
// handle. The kernel turns it into POLLERR.
//
// Kernel: struct fuse_poll_in, struct fuse_poll_out
func (c *conn) poll(request []byte) {
	errno, out := unix.EIO, []byte(nil)
	defer func() {
		if p := recover(); p != nil {
			c.log.Printf("procfs: panic in Poll: %v\n%s", p, debug.Stack())
		}
		c.reply(header(request).unique(), errno, out)
	}()
	body := request[requestHeader:]
	h := c.files.handles.get(binary.NativeEndian.Uint64(body))
	events := c.polls.poll(h, binary.NativeEndian.Uint64(body[8:]))
	errno, out = 0, append(binary.NativeEndian.AppendUint32(nil, uint32(events)), 0, 0, 0, 0)
}

// handle serves a request by go-fuse. If a File ends the goroutine, the caller gets EIO.
// Without an answer the caller would sleep for ever, and SIGKILL would not end it.
func (c *conn) handle(request []byte) {
	out := make([]byte, replySize(request))
	n, code := 0, fuse.EIO
	c.files.begin()
	defer c.files.finish()
	defer func() {
		if code != fuse.OK {
			c.reply(header(request).unique(), unix.Errno(code), nil)
		} else if n > 0 {
			c.write(out[:n])
		}
	}()
	n, code = c.proto.HandleRequest([][]byte{request}, [][]byte{out})
}

// reply answers with an error, or with data.
func (c *conn) reply(unique uint64, errno unix.Errno, data []byte) {
	out := make([]byte, headerSize, headerSize+8)
	binary.NativeEndian.PutUint32(out, uint32(headerSize+len(data)))
	binary.NativeEndian.PutUint32(out[4:], uint32(-int32(errno)))
	binary.NativeEndian.PutUint64(out[8:], unique)
	c.write(append(out, data...))
}

// write writes an answer. An error means that the connection has ended, so no process waits
// for the answer. If the call was an open, releaseAll releases its handle.
func (c *conn) write(p []byte) {
	for {
		if _, err := unix.Write(c.fd, p); err != unix.EINTR {
			break
		}
	}
}

// A header is the beginning of each request.
//
// Kernel: struct fuse_in_header
type header []byte

const requestHeader = 40 // bytes

func (h header) opcode() uint32 { return binary.NativeEndian.Uint32(h[4:]) }
func (h header) unique() uint64 { return binary.NativeEndian.Uint64(h[8:]) }
func (h header) node() uint64   { return binary.NativeEndian.Uint64(h[16:]) }

// replySize returns how long the answer can be.
func replySize(request []byte) int {
	body := request[requestHeader:]
	switch header(request).opcode() {
	case opRead, opReadDir, opReadDirPlus:
		return smallReply + int(binary.NativeEndian.Uint32(body[16:]))
	case opGetXAttr, opListXAttr:
		return smallReply + int(binary.NativeEndian.Uint32(body))
	}
	return smallReply
}
