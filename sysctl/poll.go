package sysctl

import (
	"context"
	"io/fs"
	"iter"

	"github.com/kprim/kprim/waitqueue"
)

// PollEvents are the events that a poll of a file finds, as bits.
//
// Kernel: EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDNORM, EPOLLWRNORM
type PollEvents uint16

const (
	PollIn     PollEvents = 0x001 // it can be read
	PollPri    PollEvents = 0x002 // it was written
	PollOut    PollEvents = 0x004 // it can be written
	PollErr    PollEvents = 0x008 // with PollPri or PollHup
	PollHup    PollEvents = 0x010 // it was unregistered
	PollRdNorm PollEvents = 0x040 // with PollIn
	PollWrNorm PollEvents = 0x100 // with PollOut
)

// Poll reports a change: a write of the entry, or a [Tree.Notify] for it, since the file
// was opened or since the last Poll that reported one. It returns:
//
//   - PollIn, PollRdNorm, PollErr and PollPri after a change
//   - PollIn, PollRdNorm, PollOut and PollWrNorm without one: the file can always be
//     read and written
//   - PollErr and PollHup if the entry was unregistered
//
// Several writes are one report. A write of the same value is a change. So is a write
// that failed, because a part may have been stored. Poll does not move the position: to
// read the new text, seek.
//
// To wait, sleep on the WaitQueue:
//
//	err := file.WaitQueue().Wait(ctx, func() bool { return file.Poll()&sysctl.PollErr != 0 })
//
// or, in a kernel thread, cur.Wait(file.WaitQueue(), ...).
//
// Kernel: proc_sys_poll, proc_sys_poll_event
//
// Differs: every entry reports its writes. In the kernel an entry reports them only if it has a poll field and its handler calls proc_sys_poll_notify.
func (f *File) Poll() PollEvents {
	if !f.file.header.use() {
		return PollErr | PollHup
	}
	defer f.file.header.unuse()
	events := f.file.events.Load()
	if f.seen.Swap(events) != events {
		return PollIn | PollRdNorm | PollErr | PollPri
	}
	return PollIn | PollOut | PollRdNorm | PollWrNorm
}

// WaitQueue returns the queue that is woken after each write of the entry, by
// [Tree.Notify], and when it is unregistered.
//
// Kernel: struct ctl_table_poll
//
// Differs: every entry has one.
func (f *File) WaitQueue() *waitqueue.Queue { return &f.file.poll }

// Notify reports a change of the entry at path to each Poll and each loop over its
// Changes. A program calls it after a Store, which reports nothing by itself. Errors are
// as for [Tree.ReadFile], but it needs no rights.
//
// Kernel: proc_sys_poll_notify
//
// Differs: takes a path, where the kernel takes the entry's poll field. A write is reported without it.
func (t *Tree) Notify(path string) error {
	t.mu.RLock()
	f, err := t.lookup(path)
	t.mu.RUnlock()
	if err != nil {
		return &fs.PathError{Op: "notify", Path: path, Err: err}
	}
	f.changed()
	return nil
}

// Changes waits for changes of the entry at path, from this call on: for writes, and for
// calls of [Tree.Notify]. After each it yields the present text. So a loop may miss
// some of several writes in a row, and never sees an older text after a newer one. The
// body of the loop may do anything, and may write the entry. The text is read as Root,
// even if the entry's mode lets nobody read.
//
// The loop ends when ctx ends, when the entry is unregistered, and at once if there is
// no such entry. It does not say which: with a misspelt path it is over before the first
// text. If the handler fails to read, there is no text to yield, and the loop goes on
// with the next change. A reading in progress gives up between two calls of the handler
// when ctx ends. A program that needs the errors calls [Tree.OpenFile], sleeps on the
// [File.WaitQueue] as [File.Poll] shows, and reads the file.
//
// Each range over the result begins where Changes was called. A second range, after the
// first or at the same time, yields the present text if there was any change since. The
// ranges share nothing.
//
// A kernel thread that a stop should end passes its Current's Context.
//
// Kernel: poll of an entry of /proc/sys
func (t *Tree) Changes(ctx context.Context, path string) iter.Seq[string] {
	t.mu.RLock()
	f, err := t.lookup(path)
	t.mu.RUnlock()
	if err != nil {
		return func(func(string) bool) {}
	}
	start := f.events.Load()
	return func(yield func(string) bool) {
		for seen := start; ; {
			now := seen
			err := f.poll.Wait(ctx, func() bool {
				now = f.events.Load()
				return now != seen || f.header.isGone()
			})
			// In Wait a change goes before ctx. Here ctx goes first, because another
			// goroutine that writes all the time would keep the loop going for ever.
			if err != nil || ctx.Err() != nil || now == seen || !f.header.use() {
				return
			}
			seen = now
			text, err := f.textAndUnuse(ctx)
			if err == nil && !yield(string(text)) {
				return
			}
		}
	}
}

// textAndUnuse reads the text of an entry that the caller keeps from going away. It lets
// the entry go even if the handler panics.
func (f *file) textAndUnuse(ctx context.Context) ([]byte, error) {
	defer f.header.unuse()
	return f.text(ctx, Root)
}

func (h *Header) isGone() bool {
	h.tree.mu.RLock()
	defer h.tree.mu.RUnlock()
	return h.gone
}
