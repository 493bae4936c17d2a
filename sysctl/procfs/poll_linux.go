//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"encoding/binary"
	"maps"
	"sync"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// alwaysReady are the events of a file that is no Poller.
//
// Kernel: DEFAULT_POLLMASK
const alwaysReady = vfs.PollIn | vfs.PollOut | vfs.PollRdNorm | vfs.PollWrNorm

// Polls report changes to the kernel. Go-fuse does not know poll(2), so the conn gives its
// requests to Polls.
//
// Kernel: fuse_file_poll, fuse_notify_poll
type polls struct {
	write func([]byte) // to the device
	kick  chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	changed map[uint64]bool // the files with a change that notify has not reported
}

// A polled is the waiter by which an open file reports its changes.
type polled struct {
	entry waitqueue.Entry
	queue *waitqueue.Queue // that entry is on, or nil; guarded by opened.mu
}

func newPolls(write func([]byte)) *polls {
	p := &polls{
		write: write, kick: make(chan struct{}, 1), done: make(chan struct{}),
		changed: map[uint64]bool{},
	}
	go p.notify()
	return p
}

// poll returns the events of an open file. From then on, each change is reported to the
// kernel, which knows the file by the number id.
func (p *polls) poll(h *opened, id uint64) vfs.PollEvents {
	poller, ok := h.Handle.(vfs.Poller)
	if !ok {
		return alwaysReady
	}
	p.watch(h, id, poller.WaitQueue())
	return poller.Poll() // after watch, because a change in between would be lost
}

// watch puts an entry on the queue of the file, once.
func (p *polls) watch(h *opened, id uint64, q *waitqueue.Queue) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.polled.queue != nil {
		return
	}
	h.polled.entry.Func = func(*waitqueue.Entry, waitqueue.State, any) int {
		p.tell(id)
		return 0
	}
	h.polled.queue = q
	q.Add(&h.polled.entry)
}

// unwatch takes the entry off the queue.
func (h *opened) unwatch() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.polled.queue != nil {
		h.polled.queue.Remove(&h.polled.entry)
	}
}

// tell makes notify report a change. It runs under the lock of the queue, so it leaves the
// system call to the goroutine of notify.
func (p *polls) tell(id uint64) {
	p.mu.Lock()
	p.changed[id] = true
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default: // the goroutine has not taken the last kick, and will see this change too
	}
}

// notify reports changes to the kernel, until close. Processes that wait in poll(2) then
// ask again.
//
// Kernel: FUSE_NOTIFY_POLL
func (p *polls) notify() {
	defer close(p.done)
	for range p.kick {
		p.mu.Lock()
		changed := maps.Clone(p.changed)
		clear(p.changed)
		p.mu.Unlock()
		for id := range changed {
			p.write(notification(id))
		}
	}
}

// notification is an answer to no request.
func notification(id uint64) []byte {
	const notifyPoll = 1
	out := make([]byte, headerSize, headerSize+8)
	binary.NativeEndian.PutUint32(out, headerSize+8)
	binary.NativeEndian.PutUint32(out[4:], notifyPoll)
	return binary.NativeEndian.AppendUint64(out, id)
}

// close ends the goroutine. All files are released, so nothing calls tell any more.
func (p *polls) close() {
	close(p.kick)
	<-p.done
}
