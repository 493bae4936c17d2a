package sysctl

import (
	"bytes"
	"fmt"
)

// DoString makes a handler for s that keeps at most maxlen-1 bytes: maxlen is
// the size of the buffer that a C program would have, with the NUL at its end. For new
// code, a [Var] of string is a handler itself, and [MaxLen] refuses a text that is too
// long. Register refuses a start value that is too long.
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
func DoString(s *Var[string], maxlen int) Handler { return &doString{s, maxlen} }

type doString struct {
	data   *Var[string]
	maxlen int
}

func (d *doString) fault() error {
	switch {
	case d.data == nil && d.maxlen < 1:
		return fmt.Errorf("%w, and %w", errNoData, errNoMaxlen)
	case d.data == nil:
		return errNoData
	case d.maxlen < 1:
		return errNoMaxlen
	}
	if n := len(d.data.Load()); n >= d.maxlen {
		return invalid("the start value has %d bytes, and a maxlen of %d has room for %d", n, d.maxlen, d.maxlen-1)
	}
	return d.data.check()
}

func (d *doString) Read(r *Request, p []byte) (int, error) {
	return readOn(r, p, d, func(text []byte) ([]byte, error) {
		value := d.data.Load()
		return append(text, value[:min(len(value), d.maxlen)]...), nil
	})
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
	err := d.data.set(r, func(value []string) int {
		head := ""
		if positioned {
			if beyond = r.Pos > int64(min(len(value[0]), d.maxlen-1)); beyond {
				return 0
			}
			head = value[0][:r.Pos]
		}
		all := head + string(text)
		value[0] = all[:min(len(all), d.maxlen-1)]
		return 1
	})
	if err != nil {
		return 0, err
	}
	if !beyond { // or all is ignored, and Pos stays
		r.Pos += int64(len(p))
	}
	return len(p), nil
}
