package sysctl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
)

// ReadFile returns the whole text of the entry at path, as sysctl(8) reads it: it
// calls the handler until the handler gives 0 bytes or [io.EOF]. It may call the
// handler again from position 0:
//
//   - If the first part fills the buffer, ReadFile drops the part and begins again
//     with a larger buffer, because some handlers give only one part.
//   - If the text comes in several parts, ReadFile begins again, because the value
//     may have changed between two of them. It keeps a text that comes in one part.
//     After sixteen attempts it knows that the handler always gives parts, and keeps
//     the last text. The next reading of that entry is one attempt.
//
// If the handler fails half-way, ReadFile returns the error and the text up to it.
// The error is an [*fs.PathError]. It matches:
//
//   - [syscall.ENOENT] if there is no such entry
//   - [syscall.ENOTDIR] if a part of path is a file
//   - [syscall.EISDIR] if path is a directory
//   - [syscall.EACCES] if cred may not read the entry
//   - [syscall.EIO] if the handler gives bytes and does not move r.Pos forward, or
//     gives an impossible count
//   - [syscall.ENOMEM] if the text has 4 MiB or more
//
// Kernel: proc_sys_open, proc_sys_read
//
// Differs: reads all of the text; a text of 4 MiB or more is an error.
func (t *Tree) ReadFile(cred Cred, path string) ([]byte, error) {
	f, err := t.open(cred, path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.header.unuse()
	text, err := f.text(context.Background(), cred)
	if err != nil {
		return text, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return text, nil
}

// A stock handler is a handler of this package. It gives all of its text in one part
// if the buffer has more room than the text. No type that a program can embed has the
// method, so no handler of a program is taken for one.
type stock interface {
	fault() error // why an entry cannot have the handler, or nil
}

// A snapshot is the text that a [DoString] handler has begun to give. A reading
// has one place for it, which every Request and copy of a Request points to. So a
// wrapper need not say that it wraps a handler, nor which.
type snapshot struct {
	of   *doString
	text string
}

// buffers has the first buffers for handlers that are not stock handlers.
var buffers = sync.Pool{New: func() any { return new([4096]byte) }}

// text reads until the end. It gives up between two calls of the handler when ctx
// has ended.
func (f *file) text(ctx context.Context, cred Cred) ([]byte, error) {
	if _, ok := f.Handler.(stock); ok {
		text, err := f.first(ctx, &Request{Cred: cred, Path: f.path, tree: f.header.tree}, make([]byte, 64)) // most texts are short
		return text, ended(err)
	}
	buf := buffers.Get().(*[4096]byte)
	defer buffers.Put(buf)
	r := &reading{Request: Request{Cred: cred, Path: f.path, tree: f.header.tree}}
	text, err := f.whole(ctx, r, buf[:])
	if len(text) <= len(buf) {
		text = bytes.Clone(text) // it may be in buf
	}
	return text, err
}

// A reading is a Request with a place for the snapshot.
type reading struct {
	Request
	snapshot snapshot
}

// whole reads a text that is not a mixture of two values. A text in one part is from
// one call. A text in several parts is one of these:
//
//   - The handler gave all of a short text. Then the value became a longer text, and
//     the handler gave the rest of that one. Another attempt most likely shows it in
//     one part. With a busy writer, one attempt in ten was seen to fail.
//   - The handler always gives its text in parts.
func (f *file) whole(ctx context.Context, r *reading, buf []byte) (text []byte, err error) {
	const attempts = 16
	r.seen = &r.snapshot
	var first []byte
	for range attempts {
		var parts int
		text, parts, err = f.attempt(ctx, &r.Request, buf)
		switch {
		case parts == 0 && err == nil && first != nil:
			return first, nil // a handler that gives its text only once
		case parts <= 1 || err != nil:
			f.inParts.Store(false)
			return text, err
		case f.inParts.Load():
			return text, nil
		case first == nil:
			first = bytes.Clone(text)
		}
	}
	f.inParts.Store(true)
	return text, nil
}

// attempt reads from the beginning to the end, and counts the parts.
func (f *file) attempt(ctx context.Context, r *Request, buf []byte) (text []byte, parts int, err error) {
	clear(buf) // of another entry's text: a handler may claim bytes that it has not set
	text, err = f.first(ctx, r, buf)
	for n := len(text); n > 0; {
		if parts++; err != nil {
			break
		}
		text = slices.Grow(text, 1)
		n, err = f.part(ctx, r, text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err == nil && len(text) >= tooLarge {
			err = endless(len(text))
		}
	}
	return text, parts, ended(err)
}

// first reads at position 0, with larger and larger buffers until one is not full.
func (f *file) first(ctx context.Context, r *Request, buf []byte) ([]byte, error) {
	for {
		r.Pos = 0
		n, err := f.part(ctx, r, buf)
		switch {
		case err != nil || n < len(buf):
			return buf[:n], err
		case n >= tooLarge:
			return nil, endless(n)
		}
		buf = make([]byte, min(4*len(buf), tooLarge))
	}
}

// part has the handler read once. A handler that gives bytes without moving the
// position forward gives them for ever.
func (f *file) part(ctx context.Context, r *Request, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	before := r.Pos
	n, err := f.read(r, p)
	if err == nil && n > 0 && r.Pos <= before {
		return 0, fmt.Errorf("the handler gave %d bytes and moved r.Pos from %d to %d, not forward: %w", n, before, r.Pos, syscall.EIO)
	}
	return n, err
}

// ended returns no error for the end of a text.
func ended(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func endless(n int) error {
	return fmt.Errorf("the handler gave %d bytes and no end: %w", n, syscall.ENOMEM)
}
