package sysctl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"syscall"
)

// ReadFile returns the whole text of the entry at path, as sysctl(8) reads it: it
// calls the handler until the handler gives 0 bytes or [io.EOF]. It may call the
// handler again from position 0:
//
//   - If the first part fills the buffer, ReadFile drops the part and begins again
//     with a larger buffer, because some handlers give only one part.
//   - A text in one part is from one call, and ReadFile returns it.
//   - If the text comes in several parts, the value may have changed between two of
//     them. ReadFile then reads the text again and again. It returns the text if each
//     of 32 readings gives the same parts. Otherwise it begins again.
//
// So a handler of a program's own can give its text in parts, at the cost of about
// twenty readings for one. A handler whose parts never stay the same is an error.
//
// If the handler fails half-way, ReadFile returns the error and the text up to it.
// The error is an [*fs.PathError]. It matches:
//
//   - [syscall.ENOENT] if there is no such entry
//   - [syscall.ENOTDIR] if a part of path is a file
//   - [syscall.EISDIR] if path is a directory
//   - [syscall.EACCES] if cred may not read the entry
//   - [syscall.EIO] if the handler gives bytes and does not move r.Pos forward, gives
//     an impossible count, or gives parts that change with each reading
//   - [syscall.ENOMEM] if the text has 4 MiB or more, or more than 1024 parts
//
// Kernel: proc_sys_open, proc_sys_read
//
// Differs: reads all of the text; a text of 4 MiB or more, or of more than 1024 parts, is an error.
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
// if the buffer has more room than the text.
type stock interface {
	fault() error // why an entry cannot have the handler, or nil
}

// An embeddable handler is a stock handler that a type of a program can embed. The type
// has the methods of the handler then, and may have a Read of its own.
type embeddable interface {
	itself() Handler
}

// stockOf returns h as a stock handler, if it is one.
func stockOf(h Handler) (s stock, ok bool) {
	s, ok = h.(stock)
	if e, may := h.(embeddable); may {
		ok = ok && e.itself() == h
	}
	return s, ok
}

// A snapshot is the text that a [DoString] handler, a [Var] or a [Func] has begun to give. A reading
// has one place for it, which every Request and copy of a Request points to. So a
// wrapper need not say that it wraps a handler, nor which.
type snapshot struct {
	of   Handler // a pointer of this package
	text []byte
}

// text reads until the end. It gives up between two calls of the handler when ctx
// has ended.
func (f *file) text(ctx context.Context, cred Cred) ([]byte, error) {
	if _, ok := stockOf(f.Handler); ok {
		text, err := f.first(ctx, &Request{Cred: cred, Path: f.path, tree: f.header.tree}, make([]byte, 64)) // most texts are short
		return text, ended(err)
	}
	buf := f.spare.Swap(nil)
	if buf == nil {
		buf = new([4096]byte)
	}
	r := &reading{Request: Request{Cred: cred, Path: f.path, tree: f.header.tree}}
	text, err := f.whole(ctx, r, buf[:])
	switch {
	case r.seen.of != nil && bytes.Equal(text, r.seen.text):
		text = r.seen.text // which no later reading has
	case len(text) <= len(buf):
		text = bytes.Clone(text) // it may be in buf
	}
	if err == nil {
		// A handler that gave up may still write to buf, and buf must not come back.
		// If a handler writes to buf later all the same, only its own entry has buf.
		f.spare.Store(buf)
	}
	return text, err
}

// A reading is a Request with a place for the snapshot.
type reading struct {
	Request
	snapshot snapshot
	calls    int // of the handler, at least
}

// The bounds of a reading. With them a handler that never gives an end, or never gives
// the same text twice, does not keep an Unregister waiting.
const (
	maxParts    = 1024          // of a text
	maxAttempts = 100           // to find a text that is no mixture
	maxCalls    = 32 * maxParts // after which there is no further attempt
)

// whole reads a text that is not a mixture of two values. A text in one part is from
// one call. A text in several parts is one of these:
//
//   - The handler gave all of a short text. Then the value became a longer text, and
//     the handler gave the rest of that one. Another attempt most likely shows the
//     text in one part.
//   - The handler gives its text in parts. Then the same parts come again, or all of
//     them are of the text that a DoString handler within it has begun to give.
func (f *file) whole(ctx context.Context, r *reading, buf []byte) ([]byte, error) {
	r.seen = &r.snapshot
	for i := 0; i < maxAttempts && r.calls < maxCalls; i++ {
		text, starts, err := f.attempt(ctx, r, buf)
		if err != nil || starts == nil || r.seen.of != nil && bytes.Equal(text, r.seen.text) {
			return text, err
		}
		text = bytes.Clone(text) // of buf
		same, err := f.repeats(ctx, r, buf, text, starts)
		if same || err != nil {
			return text, err
		}
		// A writer in step with the calls would spoil each attempt at the same place. A
		// random number of calls takes it out of step.
		runtime.Gosched()
		for range rand.IntN(16) {
			_, _ = f.first(ctx, &r.Request, buf) // an error comes again in the next attempt
		}
	}
	return nil, fmt.Errorf("the handler gave its text in several parts, and other parts with each reading: %w", syscall.EIO)
}

// repeats reports whether the handler gives the same parts each time. A handler that
// copies from a position of its text gives a short text in one part. So it gives no
// second part until the value has changed. It seems to give parts if a writer changes
// the value to and fro between the calls. So a coin decides whether a first part is
// followed by a second call or by a new first one: no writer changes with the coin.
func (f *file) repeats(ctx context.Context, r *reading, buf, text []byte, starts []int) (bool, error) {
	for range 32 {
		if rand.IntN(2) == 0 {
			r.calls++
			part, err := f.first(ctx, &r.Request, buf)
			if err != nil || !bytes.Equal(part, text[:starts[0]]) {
				return false, ended(err)
			}
			continue
		}
		again, parts, err := f.attempt(ctx, r, buf)
		if err != nil || !bytes.Equal(again, text) || !slices.Equal(parts, starts) {
			return false, err
		}
	}
	return true, nil
}

// attempt reads from the beginning to the end. It returns where each part but the
// first begins.
func (f *file) attempt(ctx context.Context, r *reading, buf []byte) (text []byte, starts []int, err error) {
	clear(buf) // a handler may claim bytes that it has not set
	text, err = f.first(ctx, &r.Request, buf)
	for n := len(text); n > 0 && err == nil; {
		r.calls++
		if cap(text)-len(text) < 512 {
			text = slices.Grow(text, 4096) // a handler of records cuts one for which there is no room
		}
		end := len(text)
		n, err = f.part(ctx, &r.Request, text[end:cap(text)])
		text = text[:end+n]
		if n > 0 {
			starts = append(starts, end)
		}
		if err == nil && (len(text) >= tooLarge || len(starts) >= maxParts) {
			err = endless(len(starts)+1, len(text))
		}
	}
	return text, starts, ended(err)
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
			return nil, endless(1, n)
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

func endless(parts, n int) error {
	if parts == 1 {
		return fmt.Errorf("the handler gave %d bytes and no end: %w", n, syscall.ENOMEM)
	}
	return fmt.Errorf("the handler gave %d parts of together %d bytes and no end: %w", parts, n, syscall.ENOMEM)
}
