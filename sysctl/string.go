package sysctl

import (
	"bytes"
	"fmt"
	"sync/atomic"
)

// A String is a variable of text. Load costs one atomic load. The zero value
// is the empty string, ready to use. A String must not be copied after first
// use.
//
// Kernel: a char array that is the data of a ctl_table
type String struct {
	p atomic.Pointer[string]
}

// Load returns the value. Values are replaced as a whole, so it is never a
// mixture of two.
func (s *String) Load() string {
	if p := s.p.Load(); p != nil {
		return *p
	}
	return ""
}

// Store replaces the value. It is for the program itself: the limit and the
// grammar of a handler do not apply.
func (s *String) Store(value string) { s.p.Store(&value) }

// change replaces the value by the result of f, if ok is true. If another change came
// between, f is called again with the new value.
func (s *String) change(f func(old string) (value string, ok bool)) {
	for {
		p := s.p.Load()
		old := ""
		if p != nil {
			old = *p
		}
		value, ok := f(old)
		if !ok || s.p.CompareAndSwap(p, &value) {
			return
		}
	}
}

// DoString makes a handler for s that keeps at most maxlen-1 bytes: maxlen is
// the size of the buffer that a C program would have, with the NUL at its end.
//
// A write ends at the first newline or NUL byte. That byte and the text after it are
// dropped. A text that is too long is cut. Both are reported as written in full.
//
// In the mode [Strict], a write at a position within the present text replaces the text
// from there on. A write beyond the end is ignored. In the other modes each write
// replaces all of the text. Writing nothing changes nothing.
//
// A read gives the text and a newline. If the program has stored a longer text, the
// read gives its first maxlen bytes and a newline.
//
// Kernel: proc_dostring
func DoString(s *String, maxlen int) Handler { return &doString{s, maxlen} }

type doString struct {
	data   *String
	maxlen int
}

func (d *doString) fault() error {
	switch {
	case d.data == nil && d.maxlen < 1:
		return fmt.Errorf("%w, and %w", ErrNoData, ErrNoMaxlen)
	case d.data == nil:
		return ErrNoData
	case d.maxlen < 1:
		return ErrNoMaxlen
	}
	return nil
}

func (d *doString) Read(r *Request, p []byte) (int, error) {
	text := d.text(r)
	if r.Pos >= int64(len(text)) {
		return 0, nil
	}
	n := copy(p, text[r.Pos:])
	r.Pos += int64(n)
	return n, nil
}

// text returns the text that r reads. If r has begun to read a text of d, it goes
// on with that one. The present text may be another one, and a part of it behind
// a part of the old one would be a text that nobody has written.
func (d *doString) text(r *Request) string {
	if r.Pos > 0 && r.seen != nil && r.seen.of == d {
		return r.seen.text
	}
	text := d.data.Load()
	text = text[:min(len(text), d.maxlen)] + "\n"
	if r.seen != nil {
		*r.seen = snapshot{of: d, text: text}
	}
	return text
}

// Write swaps in a new text. Two writers at once leave the text of one of
// them, or both texts in a row; neither text is torn.
func (d *doString) Write(r *Request, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // not even the present text is cut
	}
	text, _, _ := bytes.Cut(p, []byte("\n"))
	text, _, _ = bytes.Cut(text, []byte{0})
	positioned := r.Positioned()
	beyond := false
	d.data.change(func(old string) (string, bool) {
		head := ""
		if positioned {
			if beyond = r.Pos > int64(min(len(old), d.maxlen-1)); beyond {
				return "", false
			}
			head = old[:r.Pos]
		}
		value := head + string(text)
		return value[:min(len(value), d.maxlen-1)], true
	})
	if !beyond { // or all is ignored, and Pos stays
		r.Pos += int64(len(p))
	}
	return len(p), nil
}
