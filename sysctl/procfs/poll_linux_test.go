//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// A polledTree is a mounted tree with one entry, and a caller that has it open.
type polledTree struct {
	*sysctl.Tree
	header *sysctl.Header
	server *procfs.Server
	path   string
	*caller
	fd string
}

const (
	changed   = "0xa" // POLLPRI and POLLERR, of the events that the callers ask for
	unchanged = "0x0"
	gone      = "0x18" // POLLERR and POLLHUP
	ask       = "0x2"  // POLLPRI; POLLERR comes unasked
)

func pollTree(t testing.TB) *polledTree {
	p := &polledTree{Tree: new(sysctl.Tree)}
	var err error
	p.header, err = p.Register("kernel", sysctl.Entry{
		Name: "limit", Mode: 0o666, Handler: sysctl.DoIntVec(new(sysctl.Var[int32])),
	})
	require.NoError(t, err)
	dir, server := mount(t, p.VFS(), procfs.Options{Poll: true})
	p.server, p.path = server, dir+"/kernel/limit"
	p.caller = newCaller(t, "orders")
	p.fd = p.do(t, "open %s 0", p.path)
	return p
}

// queue returns the queue on which the server waits for changes.
func (p *polledTree) queue(t testing.TB) *waitqueue.Queue {
	f, err := p.OpenFile(sysctl.Root, "kernel/limit", os.O_RDONLY)
	require.NoError(t, err)
	return f.WaitQueue()
}

// poll polls without waiting.
func (p *polledTree) poll(t testing.TB, fd string) string { return p.do(t, "poll %s %s 0", fd, ask) }

// sleepsInPoll makes the caller wait in poll(2).
func (p *polledTree) sleepsInPoll(t testing.TB) {
	p.begin(t, "poll %s %s -1", p.fd, ask)
	p.sleeps(t)
}

func (p *polledTree) write(t testing.TB, text string) {
	out, code := run(t, "bash", "-c", fmt.Sprintf("echo %s > %s", text, p.path))
	require.Zero(t, code, out)
}

func TestPollReportsEachWriteOnce(t *testing.T) {
	p := pollTree(t)
	for i := range 3 {
		p.sleepsInPoll(t)
		p.write(t, fmt.Sprint(i))
		require.Equal(t, changed, p.end(t))
		require.Equal(t, unchanged, p.poll(t, p.fd), "the report was made")
		require.Equal(t, fmt.Sprintf("%q", fmt.Sprintln(i)), p.do(t, "pread %s", p.fd))
	}
	require.Equal(t, "0x145", p.do(t, "poll %s 0x145 -1", p.fd), "a file can always be read and written")
}

// Two open files are told of one write. Two descriptors of one open file share the report.
func TestPollReportsToEachOpenFile(t *testing.T) {
	p := pollTree(t)
	other, dup := p.do(t, "open %s 0", p.path), p.do(t, "dup %s", p.fd)
	p.write(t, "1")
	require.Equal(t, changed, p.poll(t, p.fd))
	require.Equal(t, unchanged, p.poll(t, dup))
	require.Equal(t, changed, p.poll(t, other))

	require.Equal(t, "0", p.do(t, "close %s", p.fd))
	p.begin(t, "poll %s %s -1", dup, ask)
	p.sleeps(t)
	p.write(t, "2")
	require.Equal(t, changed, p.end(t), "the dup keeps the file open")
}

func TestPollFindsAChangeSinceTheOpen(t *testing.T) {
	p := pollTree(t)
	p.write(t, "1")
	require.Equal(t, changed, p.do(t, "poll %s %s -1", p.fd, ask))
	late := p.do(t, "open %s 0", p.path)
	require.Equal(t, unchanged, p.poll(t, late), "the change was before the open")
}

func TestEpollReportsChanges(t *testing.T) {
	for name, edge := range map[string]uint32{"level": 0, "edge": unix.EPOLLET} {
		t.Run(name, func(t *testing.T) {
			p := pollTree(t)
			ep := p.do(t, "epoll %s %d", p.fd, unix.EPOLLPRI|edge)
			require.Equal(t, unchanged, p.do(t, "wait %s 0", ep))
			for range 3 {
				p.begin(t, "wait %s -1", ep)
				p.sleeps(t)
				p.write(t, "1")
				require.Equal(t, changed, p.end(t))
				require.Equal(t, unchanged, p.do(t, "wait %s 0", ep))
			}
		})
	}
}

func TestSelectReportsAChangeAsAnException(t *testing.T) {
	p := pollTree(t)
	p.begin(t, "select %s", p.fd)
	p.sleeps(t)
	p.write(t, "1")
	require.Equal(t, "1 true", p.end(t))
}

func TestNotifyWakesPollers(t *testing.T) {
	p := pollTree(t)
	p.sleepsInPoll(t)
	require.NoError(t, p.Notify("kernel/limit"))
	require.Equal(t, changed, p.end(t))
}

func TestUnregisterWakesPollers(t *testing.T) {
	p := pollTree(t)
	p.sleepsInPoll(t)
	p.header.Unregister()
	require.Equal(t, gone, p.end(t))
	require.Equal(t, gone, p.poll(t, p.fd), "it stays so")
}

func TestCloseEndsPollers(t *testing.T) {
	p := pollTree(t)
	queue := p.queue(t)
	p.sleepsInPoll(t)
	require.NoError(t, p.server.Close())
	require.Equal(t, "0x8", p.end(t))
	require.False(t, queue.Active())
}

// The server keeps one entry for an open file from its first poll on, and takes it away
// at the last close. A killed process closes too.
func TestNoEntryIsLeftOnTheQueue(t *testing.T) {
	for name, closes := range map[string]func(p *polledTree){
		"close": func(p *polledTree) {
			for range 2 {
				require.Equal(t, unchanged, p.poll(t, p.fd))
			}
			require.True(t, p.queue(t).Active())
			p.do(t, "close %s", p.fd)
		},
		"kill": func(p *polledTree) {
			p.sleepsInPoll(t)
			processes.Eventually(t, "the entry is on the queue", p.queue(t).Active)
			p.kill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := pollTree(t)
			require.False(t, p.queue(t).Active(), "nobody has polled")
			closes(p)
			processes.Eventually(t, "the queue is empty", func() bool { return !p.queue(t).Active() })
		})
	}
}

// Two hundred threads poll one file, each with an open file of its own.
func TestOneWriteWakesAllPollers(t *testing.T) {
	p := pollTree(t)
	crowd := newCaller(t, "pollers", p.path, "200")
	require.Equal(t, "all poll", crowd.end(t))
	p.write(t, "7")
	require.Equal(t, "all are awake", crowd.end(t))
}

func init() { roles["pollers"] = pollers }

// pollers polls a file by many threads. The first poll of each thread does not wait, and puts
// the entry of its open file on the queue. So the write comes when all entries are there.
func pollers(args []string) int {
	var n int
	fmt.Sscan(args[1], &n)
	var awake sync.WaitGroup
	for range n {
		fd, err := unix.Open(args[0], unix.O_RDONLY, 0)
		if events, _ := poll(fd, unix.POLLPRI, 0); err != nil || events != unchanged {
			fmt.Println("first poll:", events, err)
			return 1
		}
		awake.Go(func() {
			if events, err := poll(fd, unix.POLLPRI, -1); err != nil || events != changed {
				fmt.Println("poll:", events, err)
			}
		})
	}
	fmt.Println("all poll")
	awake.Wait()
	fmt.Println("all are awake")
	return 0
}

func TestFileThatIsNoPollerIsAlwaysReady(t *testing.T) {
	dir, _ := mount(t, vfs.Static(map[string]vfs.Node{"sleep": &sleepfile.File{}}), procfs.Options{Poll: true})
	c := newCaller(t, "orders")
	fd := c.do(t, "open %s/sleep 0", dir)
	for range 2 {
		require.Equal(t, "0x145", c.do(t, "poll %s 0x14f -1", fd))
	}
}

// Without the option a poll costs no request. So it ends even while the server is stopped.
// Only the first poll of the mount is a request: its answer is ENOSYS.
func TestWithoutTheOptionEveryFileIsAlwaysReady(t *testing.T) {
	mount(t, vfs.Static(nil), procfs.Options{}) // skips without FUSE
	dir := t.TempDir()
	server := newCaller(t, "servetree", dir)
	require.Equal(t, "serving", server.end(t))
	t.Cleanup(func() {
		require.NoError(t, server.Process.Signal(syscall.SIGINT))
		server.drain()
	})
	c := newCaller(t, "orders")
	fd := c.do(t, "open %s/sleep 0", dir)
	require.Equal(t, "0x145", c.do(t, "poll %s 0x14f -1", fd))

	require.NoError(t, server.Process.Signal(syscall.SIGSTOP))
	t.Cleanup(func() { require.NoError(t, server.Process.Signal(syscall.SIGCONT)) })
	processes.Eventually(t, "the server is stopped", func() bool { return processes.State(server.Process.Pid) == "T" })
	require.Equal(t, "0x145", c.do(t, "poll %s 0x14f -1", fd))
}

// A change that comes while the server asks the file for its events is not lost, because
// the entry is on the queue by then.
func TestChangeDuringPollIsNotLost(t *testing.T) {
	file := &changingFile{}
	dir, _ := mount(t, vfs.Static(map[string]vfs.Node{"changing": file}), procfs.Options{Poll: true})
	c := newCaller(t, "orders")
	fd := c.do(t, "open %s/changing 0", dir)
	require.Equal(t, "0x2", c.do(t, "poll %s %s -1", fd, ask))
}

// A changingFile changes once, after its first Poll has looked and before it returns.
type changingFile struct {
	sleepfile.File
	queue  waitqueue.Queue
	polled atomic.Bool
}

func (c *changingFile) Open(ctx context.Context, cred vfs.Cred, flag int) (vfs.Handle, error) {
	h, err := c.File.Open(ctx, cred, flag)
	return &changingHandle{h, c}, err
}

type changingHandle struct {
	vfs.Handle
	file *changingFile
}

func (h *changingHandle) WaitQueue() *waitqueue.Queue { return &h.file.queue }

func (h *changingHandle) Poll() vfs.PollEvents {
	if h.file.polled.Swap(true) {
		return unix.POLLPRI
	}
	h.file.queue.WakeUpAll()
	return 0
}

// A Poll that panics or ends its goroutine costs one answer, and not the server.
func TestPollThatPanicsIsAnError(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("oops") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var text processes.Text
			dir, _ := mount(t, vfs.Static(map[string]vfs.Node{"bad": &badPoller{end: end}}),
				procfs.Options{Poll: true, ErrorLog: log.New(&text, "", 0)})
			c := newCaller(t, "orders")
			fd := c.do(t, "open %s/bad 0", dir)
			for range 2 {
				require.Equal(t, "0x8", c.do(t, "poll %s %s -1", fd, ask))
			}
			require.Equal(t, name == "panic", strings.Contains(text.String(), "oops"))
		})
	}
}

type badPoller struct {
	sleepfile.File
	end func()
}

func (b *badPoller) Open(ctx context.Context, cred vfs.Cred, flag int) (vfs.Handle, error) {
	h, err := b.File.Open(ctx, cred, flag)
	return &badHandle{h, b}, err
}

type badHandle struct {
	vfs.Handle
	*badPoller
}

func (h *badHandle) WaitQueue() *waitqueue.Queue { return new(waitqueue.Queue) }
func (h *badHandle) Poll() vfs.PollEvents        { h.end(); return 0 }

// Writers and pollers race. After each burst of writes every follower learns the last
// value. A lost wake-up would leave a follower asleep. Each follower has more open files than it
// needs, so that the server still tells of one write when the next one comes.
func TestNoWakeUpIsLost(t *testing.T) {
	const followers, writers, rounds = 4, 2, 60
	tree := new(sysctl.Tree)
	var value sysctl.Var[int32]
	_, err := tree.Register("", sysctl.Entry{Name: "value", Mode: 0o666, Handler: sysctl.DoIntVec(&value)})
	require.NoError(t, err)
	var seen [followers]sysctl.Var[int32]
	for i := range seen {
		_, err := tree.Register("seen", sysctl.Entry{Name: fmt.Sprint(i), Mode: 0o666, Handler: sysctl.DoIntVec(&seen[i])})
		require.NoError(t, err)
	}
	dir, _ := mount(t, tree.VFS(), procfs.Options{Poll: true})
	for i := range followers {
		newCaller(t, "follow", filepath.Join(dir, "value"), filepath.Join(dir, "seen", fmt.Sprint(i)))
	}
	for round := range rounds {
		var burst sync.WaitGroup
		last := round*10 + 9
		for w := range writers {
			burst.Go(func() {
				for n := range 1 + (round+w)%3 {
					_ = tree.WriteFile(sysctl.Root, "value", fmt.Appendln(nil, round*10+n))
				}
			})
		}
		burst.Wait()
		require.NoError(t, tree.WriteFile(sysctl.Root, "value", fmt.Appendln(nil, last)))
		for i := range seen {
			awaitValue(t, tree, fmt.Sprintf("seen/%d", i), func() bool { return int(seen[i].Load()) == last })
		}
	}
}

// awaitValue waits until an entry was written and holds is true.
func awaitValue(t testing.TB, tree *sysctl.Tree, path string, holds func() bool) {
	ctx, cancel := context.WithTimeout(t.Context(), processes.Limit)
	defer cancel()
	f, err := tree.OpenFile(sysctl.Root, path, os.O_RDONLY)
	require.NoError(t, err)
	require.NoError(t, f.WaitQueue().Wait(ctx, holds), "%s has not learnt the last value", path)
}

func init() { roles["follow"] = follow }

// follow copies each value of a file to another file.
func follow(args []string) int {
	for range 100 {
		fd, _ := unix.Open(args[0], unix.O_RDONLY, 0)
		_, _ = poll(fd, unix.POLLPRI, 0)
	}
	from, err := unix.Open(args[0], unix.O_RDONLY, 0)
	if err != nil {
		fmt.Println(&fs.PathError{Op: "open", Path: args[0], Err: err})
		return 1
	}
	text := make([]byte, 100)
	for {
		n, err := unix.Pread(from, text, 0) // the first read is for a change before the open
		if err != nil {
			return 1
		}
		if os.WriteFile(args[1], text[:n], 0) != nil {
			return 1
		}
		if _, err := poll(from, unix.POLLPRI, -1); err != nil {
			return 1
		}
	}
}
