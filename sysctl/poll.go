package sysctl

import (
	"cmp"
	"context"
	"io/fs"
	"iter"
	"slices"
	"syscall"

	"github.com/kprim/kprim/internal/point"
	"github.com/kprim/kprim/waitqueue"
)

// Changed reports whether the entry was changed: by a write, or by a [Tree.Notify] for it,
// since the file was opened or since the last Changed that reported one. gone says that the
// entry was unregistered; changed is false then, and nothing more will come.
//
// Several writes are one report. A write of the same value is a change. So is a write
// that failed, because a part may have been stored. Changed does not block, and does not
// move the position: to read the new text, seek.
//
// To wait, sleep on the WaitQueue:
//
//	err := file.WaitQueue().Wait(ctx, func() bool {
//		changed, gone := file.Changed()
//		return changed || gone
//	})
//
// or, in a kernel thread, cur.Wait(file.WaitQueue(), ...). A server that gives the tree to
// processes has the events of poll(2): see [Tree.VFS].
//
// Kernel: proc_sys_poll, proc_sys_poll_event
//
// Differs: every entry reports its writes. In the kernel an entry reports them only if it has a poll field and its handler calls proc_sys_poll_notify.
func (f *File) Changed() (changed, gone bool) {
	if !f.file.header.use() {
		return false, true
	}
	defer f.file.header.unuse()
	events := f.file.events.Load()
	return f.seen.Swap(events) != events, false
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

// Changes waits for changes of the entry at path, or of all entries below the directory
// at path, from this call on: for writes, and for calls of [Tree.Notify]. After each it
// yields the path of the entry and its present text. So a loop may miss some of several
// writes in a row, and never sees an older text of an entry after a newer one. Several
// entries come in the order of their last changes. Entries that are registered later
// belong to the directory too; the registration itself is no change.
//
// The body of the loop may do anything, and may write the entry. The text is read as Root,
// even if the entry's mode lets nobody read.
//
// The loop ends when ctx ends, when the entry or the directory is gone, and at once if there
// is no such path. It does not say which: with a misspelt path it is over before the first
// text. A loop over the root, "", ends with ctx alone. If the handler fails to read, there
// is no text to yield, and the loop goes on with the next change. A reading in progress
// gives up between two calls of the handler when ctx ends. A program that needs the errors
// calls [Tree.OpenFile], sleeps on the [File.WaitQueue] as [File.Changed] shows, and reads
// the file. A program that must not miss a value has a [Var] with a Changed.
//
// Each range over the result begins where Changes was called. A second range, after the
// first or at the same time, yields the present text if there was any change since. The
// ranges share nothing.
//
// A kernel thread that a stop should end passes its Current's Context. A change is looked
// for in all entries below a directory, so a loop over a directory of thousands of entries
// takes time for each change.
//
// Kernel: poll of an entry of /proc/sys
func (t *Tree) Changes(ctx context.Context, path string) iter.Seq2[string, string] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	f, err := t.lookup(path)
	dir := dirNode{t, clean(path), t.dirs[clean(path)]}
	switch {
	case err == nil:
		return f.changes(ctx, f.events.Load())
	case err != syscall.EISDIR:
		return func(func(string, string) bool) {}
	case dir.path == "":
		dir.dir = nil // the root always exists
	}
	return dir.changes(ctx, t.lastEvent())
}

// changes yields the text after each event from seen on.
func (f *file) changes(ctx context.Context, start uint64) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for seen := start; ; {
			now := seen
			err := f.poll.Wait(ctx, func() bool {
				now = f.events.Load()
				return now != seen || f.header.isGone()
			})
			// In Wait a change goes before ctx. Here ctx goes first, because another
			// goroutine that writes all the time would keep the loop going for ever.
			if err != nil || ctx.Err() != nil || now == seen || !f.yieldText(ctx, yield) {
				return
			}
			seen = now
		}
	}
}

// changes yields the texts of the entries below d after each event from seen on.
func (d dirNode) changes(ctx context.Context, start uint64) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for seen := start; ; {
			now, gone := seen, false
			err := d.tree.poll.Wait(ctx, func() bool {
				now = d.tree.lastEvent()
				gone = d.isGone()
				return now != seen || gone
			})
			if err != nil || ctx.Err() != nil || gone { // ctx goes first, as for an entry
				return
			}
			late := d.since(seen)
			point.At("found", nil)
			for _, f := range late {
				if !f.yieldText(ctx, yield) {
					return
				}
			}
			seen = now
		}
	}
}

// isGone reports whether the directory is not there any more.
func (d dirNode) isGone() bool {
	d.tree.mu.RLock()
	defer d.tree.mu.RUnlock()
	_, err := d.names()
	return err != nil
}

// since returns the entries below d that have changed after seen, in the order of their
// last changes.
func (d dirNode) since(seen uint64) []*file {
	type dated struct {
		file *file
		at   uint64
	}
	var all []dated
	d.tree.mu.RLock()
	defer d.tree.mu.RUnlock()
	d.tree.below(d.path, func(f *file) {
		if at := f.events.Load(); at > seen {
			all = append(all, dated{f, at})
		}
	})
	slices.SortFunc(all, func(a, b dated) int { return cmp.Compare(a.at, b.at) })
	files := make([]*file, len(all))
	for i, c := range all {
		files[i] = c.file
	}
	return files
}

// below calls f for each entry below dir. The caller holds t.mu.
func (t *Tree) below(dir string, f func(*file)) {
	d := t.dirs[dir]
	if d == nil {
		return // the root, with nothing in it
	}
	for name, isDir := range d.names {
		if path := join(dir, name); isDir {
			t.below(path, f)
		} else {
			f(t.files[path])
		}
	}
}

// yieldText yields the present text of an entry, if it has one and is not gone. It reports
// whether the loop goes on.
func (f *file) yieldText(ctx context.Context, yield func(path, text string) bool) bool {
	if !f.header.use() {
		return true
	}
	text, err := f.textAndUnuse(ctx)
	return err != nil || yield(f.path, string(text))
}

// changed reports a change of the entry.
//
// Invariant: of two events, the one with the larger number is seen last. So a loop that has
// seen an event has seen all with smaller numbers. Without the lock, an event could get its
// number, and store it after a loop has seen the next one.
func (f *file) changed() {
	t := f.header.tree
	t.eventMu.Lock()
	t.event++
	f.events.Store(t.event)
	t.eventMu.Unlock()
	point.At("changed", nil)
	f.poll.WakeUpAll()
	t.poll.WakeUpAll()
}

// lastEvent returns the number of the last event.
func (t *Tree) lastEvent() uint64 {
	t.eventMu.Lock()
	defer t.eventMu.Unlock()
	return t.event
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
