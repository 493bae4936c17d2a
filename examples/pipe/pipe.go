package main

import (
	"sync"
	"syscall"

	"github.com/kprim/kprim/sysctl/vfs"
	"github.com/kprim/kprim/waitqueue"
)

// A pipe is a bounded buffer with two ends: struct pipe_inode_info.
//
// Invariant: when the mutex is free, no reader sleeps while there is a byte
// unless a reader that was woken is on its way. The same holds for writers and
// room.
type pipe struct {
	mutex   sync.Locker      // guards the ring and the counts
	rdWait  *waitqueue.Queue // readers sleep here
	wrWait  *waitqueue.Queue // writers sleep here
	readers int              // open files for reading
	writers int              // open files for writing
	ring
}

// A file is one end of a pipe, which a process has open: struct file.
type file struct {
	*pipe
	reads    bool // FMODE_READ; otherwise FMODE_WRITE
	nonblock bool // O_NONBLOCK
}

// A sleeper calls read and write: a waitqueue.Task, a kthread.Current or a
// process.
type sleeper interface {
	// WaitExclusiveLocked sleeps on q until cond returns true. The caller holds
	// l. The sleep releases it, and it is held again on return. A signal ends
	// the wait with an error.
	WaitExclusiveLocked(
		q *waitqueue.Queue, l sync.Locker, cond func() bool,
	) error
}

// newPipe is pipe(2). It returns an end to read from and an end to write to.
func newPipe(mutex sync.Locker, ringSize, pageSize int) (r, w *file) {
	p := &pipe{
		mutex:   mutex,
		rdWait:  &waitqueue.Queue{Name: "rd_wait"},
		wrWait:  &waitqueue.Queue{Name: "wr_wait"},
		readers: 1, // pipe->readers = pipe->writers = 1
		writers: 1,
		ring:    ring{size: ringSize, pageSize: pageSize},
	}
	return &file{pipe: p, reads: true}, &file{pipe: p}
}

// readable is pipe_readable: a read need not sleep.
func (p *pipe) readable() bool { return !p.empty() || p.writers == 0 }

// writable is pipe_writable: a write need not sleep.
func (p *pipe) writable() bool { return !p.full() || p.readers == 0 }

// read is anon_pipe_read. It returns as many bytes as there are, at most
// len(buf). It sleeps if there are none. A count of 0 is the end of the file:
// the last writer is gone.
func (f *file) read(cur sleeper, buf []byte) (n int, err error) {
	if len(buf) == 0 { // if (unlikely(total_len == 0))
		return 0, nil
	}
	f.mutex.Lock() // mutex_lock(&pipe->mutex)
	defer f.mutex.Unlock()
	if !f.readable() {
		if f.nonblock {
			// if ((filp->f_flags & O_NONBLOCK) ret = -EAGAIN
			return 0, syscall.EAGAIN
		}
		// The loop is in the wait: another reader may come first.
		// wait_event_interruptible_exclusive(pipe->rd_wait,
		//	pipe_readable(pipe))
		err := cur.WaitExclusiveLocked(f.rdWait, f.mutex, f.readable)
		if err != nil {
			return 0, err // return -ERESTARTSYS
		}
	}
	n = f.take(buf)
	f.wake()
	return n, nil
}

// write is anon_pipe_write. It returns len(buf), or how many bytes it has
// written until it met an error. A process sees the error only if that number
// is 0.
func (f *file) write(cur sleeper, buf []byte) (n int, err error) {
	f.mutex.Lock() // mutex_lock(&pipe->mutex)
	defer f.mutex.Unlock()
	defer f.wake()
	if f.readers > 0 {
		n = f.merge(buf)
	}
	for n < len(buf) { // if (!iov_iter_count(from))
		switch {
		case f.readers == 0: // if (!pipe->readers)
			return n, syscall.EPIPE // ret = -EPIPE
		case !f.full(): // if (!pipe_full(head, pipe->tail, pipe->max_usage))
			n += f.add(buf[n:])
		case f.nonblock: // if ((filp->f_flags & O_NONBLOCK)
			return n, syscall.EAGAIN // ret = -EAGAIN
		default:
			// Without this wake-up a reader would sleep beside a full pipe, and
			// this writer would wait for that reader: if (was_empty)
			f.wake()
			// wait_event_interruptible_exclusive(pipe->wr_wait,
			//	pipe_writable(pipe))
			err := cur.WaitExclusiveLocked(f.wrWait, f.mutex, f.writable)
			if err != nil {
				return n, err // ret = -ERESTARTSYS
			}
		}
	}
	return n, nil
}

// wake ends each call of anon_pipe_read and anon_pipe_write. A waiter is
// exclusive, so one wake-up wakes one reader. If that reader leaves bytes, it
// wakes the next reader here. The same holds for writers.
func (p *pipe) wake() {
	if !p.empty() { // if (wake_next_reader)
		p.rdWait.WakeUp()
	}
	if !p.full() { // if (wake_writer), if (wake_next_writer)
		p.wrWait.WakeUp()
	}
}

// poll is pipe_poll. It returns the events of the file.
func (f *file) poll() (mask vfs.PollEvents) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.reads && !f.empty() { // if (!pipe_empty(idx.head, idx.tail))
		mask |= vfs.PollIn | vfs.PollRdNorm
	}
	if f.reads && f.writers == 0 { // if (!pipe->writers
		mask |= vfs.PollHup
	}
	if !f.reads && !f.full() {
		mask |= vfs.PollOut | vfs.PollWrNorm
	}
	if !f.reads && f.readers == 0 { // if (!pipe->readers)
		mask |= vfs.PollErr
	}
	return mask
}

// queue returns the queue whose wake-ups tell of new events: the rest of
// pipe_poll.
func (f *file) queue() *waitqueue.Queue {
	if f.reads {
		return f.rdWait // poll_wait(filp, &pipe->rd_wait, wait)
	}
	return f.wrWait // poll_wait(filp, &pipe->wr_wait, wait)
}

// close is pipe_release. Sleepers at the other end look again: there may be an
// end of the file for them, or a broken pipe.
func (f *file) close() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.reads {
		f.readers-- // pipe->readers--
	} else {
		f.writers-- // pipe->writers--
	}
	// if (!pipe->readers != !pipe->writers)
	if (f.readers == 0) != (f.writers == 0) {
		f.rdWait.WakeUpAll() // wake_up_interruptible_all(&pipe->rd_wait)
		f.wrWait.WakeUpAll() // wake_up_interruptible_all(&pipe->wr_wait)
	}
}
