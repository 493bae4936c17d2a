package sysctl

import (
	"context"
	"io/fs"
	"iter"

	"github.com/kprim/kprim/waitqueue"
)

// PollEvents are what a poll of a file finds, as bits.
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

// Poll reports whether the entry was written, or [Tree.Notify] called for it, since
// the file was opened, or since the last Poll that said so: then it returns PollIn,
// PollRdNorm, PollErr and PollPri. Several writes are one report, and so is a write
// of the same value, or one that failed, for a part of it may have been stored.
// Otherwise it returns what is always the case, that the file can be read and
// written. It does not move the position: to read the new text, seek. If the entry
// was unregistered it returns PollErr and PollHup.
//
// To wait, sleep on the Queue:
//
//	err := file.Queue().Wait(ctx, func() bool { return file.Poll()&sysctl.PollErr != 0 })
//
// or, in a kernel thread, cur.Wait(file.Queue(), ...).
//
// Kernel: proc_sys_poll, proc_sys_poll_event
//
// Differs: every entry reports its writes, where the kernel has those alone that have a poll field, and a handler that calls proc_sys_poll_notify.
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

// Queue returns the queue that is woken after each write of the entry, by
// [Tree.Notify], and when it is unregistered.
//
// Kernel: struct ctl_table_poll
func (f *File) Queue() *waitqueue.Queue { return &f.file.poll }

// Notify tells those who poll the entry at path, or range over its Changes, that
// there is something new: what the program itself has stored in the variable, by
// which nobody is told. Errors are as for [Tree.ReadFile], but anybody may.
//
// Kernel: proc_sys_poll_notify
//
// Differs: takes a path, where the kernel takes the entry's poll field; a write is told without it.
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

// Changes waits for writes of the entry at path, from this call on, and yields its
// text after each, and after each [Tree.Notify]: the text that is there then, so
// that of several writes in a row some may not be seen, and none is seen after a
// later one. The loop's body may do anything, also write. The text is read as the
// program itself would, whatever the entry's mode.
//
// It says nothing of why it ends. It does when ctx ends and when the entry is
// unregistered, and at once if there is none: a misspelt path looks like an entry
// that nobody writes to. If the handler fails to read, there is no text to yield,
// and the loop goes on with the next change: it does not go deaf because of one.
// Who has to know asks [Tree.OpenFile], whose error tells of the path, sleeps on
// the [File.Queue] as [File.Poll] shows, and reads the file, which tells of the
// rest.
//
// Each range over what Changes has returned begins where Changes was called. A
// second one, after the first or beside it, is given the text that is there if
// there has been any change since. They share nothing.
//
// A kernel thread that is to be ended by a stop passes its Current's Context.
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
			// A change beats ctx there; here, or who writes in the body would
			// never come to an end.
			if err != nil || ctx.Err() != nil || now == seen || !f.header.use() {
				return
			}
			seen = now
			text, err := f.text(ctx, Root)
			f.header.unuse()
			if err == nil && !yield(string(text)) {
				return
			}
		}
	}
}

func (h *Header) isGone() bool {
	h.tree.mu.RLock()
	defer h.tree.mu.RUnlock()
	return h.gone
}
