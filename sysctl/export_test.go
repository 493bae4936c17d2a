package sysctl

import (
	"time"

	"github.com/kprim/kprim/sysctl/vfs"
)

// The errors of Register and of Load, so that a test can tell them apart.
var (
	ErrNoData    = errNoData
	ErrNoMaxlen  = errNoMaxlen
	ErrNoHandler = errNoHandler
	ErrMode      = errMode
	ErrName      = errName
	ErrNotEmpty  = errNotEmpty
	ErrSyntax    = errSyntax
)

// Changes of variables as handlers make them, so that a test can be in the middle of one.

func (v *Vec[T]) Change(f func([]T) int) { _ = v.set(new(Request), f) }

func (v *Var[T]) Change(f func([]T) int) { _ = v.set(new(Request), f) }

func (b *Bitmap) Change(first, last int, f func([]uint64, int, int)) { b.change(first, last, f) }

// DryWrite is Write at the position, for which the handler stores nothing.
func (f *File) DryWrite(p []byte) (n int, pos int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.use("write", f.owner(), mayWrite, p, f.pos)
	if err != nil {
		return 0, f.pos, err
	}
	defer f.file.header.unuse()
	r.dry = true
	if n, err = f.file.write(&r, p); err != nil {
		return 0, f.pos, f.failed("write", err)
	}
	return n, r.Pos, f.short(n, len(p), err)
}

// LineOf is the line that Save writes.
func LineOf(path, value string) string { return lineOf(path, value) }

// Whole returns v with bounds for each of its values.
func Whole(v *Vec[int32], min, max int32) Handler {
	if v != nil {
		v.Check = func(_, values []int32) error {
			for _, v := range values {
				if err := within(v, min, max); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return v
}

// Bounded returns d with bounds.
func Bounded(d *Var[time.Duration], min, max time.Duration) Handler {
	if d != nil {
		d.Check = Between(min, max)
	}
	return d
}

// Events returns the events that a process finds by poll(2).
func (f *File) Events() vfs.PollEvents { return handle{f}.Poll() }

// Try writes text as Root, and stores nothing.
func Try(h Handler, text string) error {
	_, err := h.Write(&Request{Cred: Root, dry: true}, []byte(text))
	return err
}
