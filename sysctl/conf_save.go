package sysctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Save writes a line for each entry whose text is not the one at Register, in the order of
// [Tree.Walk]. [Tree.Load] of these lines sets the entries to the same texts. An entry with
// a handler of a program's own has no text at Register. It has a line if it was written, and
// if its text is not empty. Save leaves out entries that cred may not read and write, and
// entries that can only be read.
//
// A line is a setting of sysctl.conf(5). Such a line cannot hold blanks
// at the ends of a value, or invisible characters such as a newline. A value with these
// is in quotes behind := as [Tree.Load] says.
//
// Save writes all of the lines to w by one call, and returns its error. A value that no line
// can give back has no line. Save joins an error for each of them, as a [*SettingError] that
// has a Key and no File:
//
//   - a value that the handler refuses, because the program has stored it
//   - a text longer than the handler takes from a write, or one that it would change
//   - a text that cannot be read
//
// A value that changes meanwhile is saved as it was or as it becomes. To replace a file,
// write to a new one, and rename it if there was no error.
func (t *Tree) Save(cred Cred, w io.Writer) error {
	var text []byte
	var errs []error
	// The function has no error, so Walk has none.
	_ = t.Walk(func(path string, e Entry) error {
		value, ok, err := t.toSave(cred, path)
		switch {
		case err != nil:
			errs = append(errs, &SettingError{Key: Key(path), Err: fmt.Errorf("%s is not saved: %w", visible(path), err)})
		case ok:
			text = append(text, lineOf(path, value)...)
		}
		return nil
	})
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("sysctl: save: %w", err)
	}
	return errors.Join(errs...)
}

// toSave returns the value for the line of an entry, if it has one.
func (t *Tree) toSave(cred Cred, path string) (value string, ok bool, err error) {
	f, err := t.open(cred, path, os.O_RDWR)
	if err != nil {
		return "", false, nil // it is gone, or not for cred
	}
	defer f.header.unuse()
	_, isStock := stockOf(f.Handler)
	if isStock && !f.known || !isStock && f.source.Load() == nil {
		return "", false, nil
	}
	data, err := f.text(context.Background(), cred)
	if err != nil {
		return "", false, err
	}
	text := string(data)
	if f.known && text == f.start || text == "" {
		return "", false, nil
	}
	value = strings.TrimSuffix(text, "\n")
	if isStock {
		err = f.givesBack(cred, value)
	}
	return value, true, err
}

// noteStart notes the texts of the entries at Register. The handlers of this package give
// them at once. A handler of a program's own might block, so it is not called.
func (h *Header) noteStart(faults []error) {
	r, buf := Request{Cred: Root, tree: h.tree}, make([]byte, 64) // Optimization: for all of them
	for i, f := range h.files {
		s, ok := stockOf(f.Handler)
		if !ok || faults[i] != nil || isReadOnly(s) {
			continue
		}
		r.Path = f.path
		text, err := f.first(context.Background(), &r, buf)
		f.start, f.known = string(text), ended(err) == nil
	}
}

// isReadOnly reports whether no write of the handler can succeed.
func isReadOnly(s stock) bool {
	only, may := s.(interface{ isReadOnly() bool })
	return may && only.isReadOnly()
}

func (h *computed) isReadOnly() bool { return true }
func (v *Var[T]) isReadOnly() bool   { return v.Parse == nil && v.Format != nil }

// A twin is a handler like another one, with a variable of its own.
type twin interface{ twin() Handler }

// givesBack returns why a write of the value would not give the text of the entry: because
// the handler refuses it, or because it would make another text of it.
func (f *file) givesBack(cred Cred, value string) error {
	text := []byte(value + "\n")
	if err := f.writeAll(&Request{Cred: cred, Path: f.path, tree: f.header.tree, dry: true}, text); err != nil {
		return err
	}
	h, ok := f.Handler.(twin)
	if !ok {
		return nil
	}
	try := file{Entry: Entry{Handler: h.twin()}, header: f.header, path: f.path}
	if err := try.writeAll(&Request{Cred: cred, Path: f.path, tree: f.header.tree}, text); err != nil {
		return err
	}
	again, err := try.text(context.Background(), cred)
	if err == nil && !bytes.Equal(again, text) {
		err = fmt.Errorf("a write of %.40q would make it %.40q", value, bytes.TrimSuffix(again, []byte("\n")))
	}
	return err
}

func (v *Var[T]) twin() Handler      { return &Var[T]{Parse: v.Parse, Format: v.Format} }
func (d *doString) twin() Handler    { return DoString(new(Var[string]), d.maxlen) }
func (h *largeBitmap) twin() Handler { return DoLargeBitmap(NewBitmap(h.data.bits)) }
func (v *Vec[T]) twin() Handler      { return otherThan(v.values()) }
func (h *numbers[T]) twin() Handler {
	return &numbers[T]{otherThan(h.data.values()), h.unit, h.min, h.max}
}

// otherThan returns a vector of other values: a write that does not reach the last one
// shows.
func otherThan[T int32 | uint64](values []T) *Vec[T] {
	others := make([]T, len(values))
	for i, v := range values {
		others[i] = ^v
	}
	v := new(Vec[T])
	v.Store(others...)
	return v
}

// lineOf returns the line that sets an entry.
func lineOf(path, value string) string {
	key := keyOf(path)
	if isPlain(value) && !(strings.HasSuffix(key, ":") && strings.HasPrefix(value, `"`)) {
		return key + " = " + value + "\n"
	}
	return key + " := " + strconv.Quote(value) + "\n"
}

// isPlain reports whether a line can have the value without quotes. A tab is a part of the
// text of a vector. Other characters that do not print could be, but a reader of the file
// would not see them.
func isPlain(value string) bool {
	hidden := func(c rune) bool { return c != '\t' && !strconv.IsPrint(c) }
	return value == trim(value) && utf8.ValidString(value) && !strings.ContainsFunc(value, hidden)
}

// keyOf returns a key that names the entry in a line and no other. Most are as sysctl(8)
// shows them. A key that would look like a comment, a hyphen or a pattern is a path with a
// slash before it.
func keyOf(path string) string {
	key := Key(path)
	first, _ := utf8.DecodeRuneInString(path)
	switch {
	case isPattern(path):
		return "/" + escaped.Replace(path)
	case strings.ContainsRune("#;-\ufeff"+blanks, first):
		return "/" + path
	}
	return key
}

var escaped = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)
