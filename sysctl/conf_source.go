package sysctl

import "sync/atomic"

// Source says where the value of the entry at path comes from: the source of the write, the
// Store or the Set that has made it, as [Change] has it. It is empty if there is no such
// entry, and for the value that a variable was made with. So a listing can show each value
// with its file and line:
//
//	etc/myapp.d/10-limits.conf:7
//
// For a handler of a program's own it is the source of the last write that was not refused.
func (t *Tree) Source(path string) string {
	t.mu.RLock()
	f, err := t.lookup(path)
	t.mu.RUnlock()
	if err != nil {
		return ""
	}
	source := f.source.Load()
	if n := notesOf(f.Handler); n != nil {
		source = n.source.Load()
	}
	if source == nil {
		return ""
	}
	return *source
}

// The notes of a variable are for logs and listings. Each is nil as long as it is not known.
type notes struct {
	source atomic.Pointer[string] // of the value, nil for the one to start with
	place  atomic.Pointer[place]  // of the entry that was registered last
}

// A place is where an entry is.
type place struct {
	path   string
	secret bool // Nobody may not read it
}

// A noted handler has a variable with notes. Another handler has the source of its last
// write.
type noted interface {
	notes() *notes
}

// notesOf returns the notes of the handler's variable, or nil.
func notesOf(h Handler) *notes {
	if n, ok := h.(noted); ok {
		return n.notes()
	}
	return nil
}

func (v *Var[T]) notes() *notes {
	if v == nil {
		return nil // a type of a program may embed a nil pointer
	}
	return &v.cell.notes
}

func (v *Vec[T]) notes() *notes {
	if v == nil {
		return nil
	}
	return &v.cell.notes
}

func (b *bit) notes() *notes         { return &b.cell.notes }
func (h *scalar[T]) notes() *notes   { return &h.data.cell.notes }
func (d *doString) notes() *notes    { return &d.data.cell.notes }
func (h *largeBitmap) notes() *notes { return &h.data.cell.notes }

func (h *numbers[T]) notes() *notes {
	if v, ok := h.data.(noted); ok {
		return v.notes()
	}
	return nil // of a DoWritesStrict
}

// comesFrom notes a source. It allocates only if the source is another one.
func comesFrom(p *atomic.Pointer[string], source string) {
	if s := p.Load(); s == nil || *s != source {
		p.Store(&source)
	}
}
