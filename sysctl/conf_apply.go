package sysctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/kprim/kprim/internal/point"
)

// Check reports all faults that Apply would report, and stores nothing. No reader sees a
// new value, and Changed of a [Var] is not called. For each setting it asks the handler:
// Parse and Check of a Var are called with the present values. So a setting that is valid
// only together with another one of the files is refused: values that belong together
// belong in one Var of a struct.
//
// A handler of a program's own cannot be asked. Check looks only at its mode.
//
// The error joins all faults, as the error of [Tree.Load] does.
func (s *Settings) Check(t *Tree, cred Cred) error {
	_, errs := s.check(t, cred)
	return errors.Join(errs...)
}

// Apply writes the settings in their order, all of them or none, unless Partial is set. It
// first does as Check does, and returns the faults without a write. Then it writes. A
// write can be refused even then, because a value has changed meanwhile. After that, and
// after a panic in Check or Changed of a [Var], Apply puts all old values back. A panic
// goes on to the caller.
// A setting with a hyphen that is refused is left out, and the others are stored.
//
// Other goroutines may see some of the new values before the others, and values that are
// put back. To put a value back is a [Change] too. Its source is "undo" and the source
// of the setting. If another writer has stored a newer value meanwhile, that value stays.
// Apply does not put back the value of an entry that is unregistered.
//
// For a handler of a program's own, Apply reads the old text before it writes, and writes
// it to put it back. If that fails, the error says so.
//
// Two calls of Apply for a tree run one after the other, so the values of two files do not
// mix. Check and Changed of a Var must not call Apply for the same tree, because it would
// wait for itself.
//
// The error joins all faults, as the error of [Tree.Load] does.
func (s *Settings) Apply(t *Tree, cred Cred) error {
	if s.Partial {
		return s.applyEach(t, cred)
	}
	t.applying.Lock()
	defer t.applying.Unlock()
	steps, errs := s.check(t, cred)
	if errs != nil {
		return errors.Join(errs...)
	}
	return errors.Join(s.applyAll(t, cred, steps)...)
}

// A step is one write. A setting with a pattern has several.
type step struct {
	*setting
	to string // the path
}

// steps yields the writes in their order. A pattern is looked up when its turn comes.
func (s *Settings) steps(t *Tree) func(yield func(step) bool) {
	return func(yield func(step) bool) {
		for i := range s.lines {
			for _, to := range s.targets(t, &s.lines[i]) {
				if !yield(step{&s.lines[i], to}) {
					return
				}
			}
		}
	}
}

// check returns the writes that would not be refused, and all faults.
func (s *Settings) check(t *Tree, cred Cred) (good []step, errs []error) {
	errs = slices.Clone(s.errs)
	for step := range s.steps(t) {
		err := t.put(Request{Cred: cred, Source: step.source(), dry: true}, step.to, step.text())
		if err == nil {
			good = append(good, step)
		} else {
			errs = s.judge(errs, step, err)
		}
	}
	return good, errs
}

// applyEach writes the settings, and returns all faults. No file is read after the first
// write: the last line of the last file can exclude a key from the first pattern.
func (s *Settings) applyEach(t *Tree, cred Cred) error {
	errs := slices.Clone(s.errs)
	for step := range s.steps(t) {
		if err := t.put(Request{Cred: cred, Source: step.source()}, step.to, step.text()); err != nil {
			errs = s.judge(errs, step, err)
		}
	}
	return errors.Join(errs...)
}

// applyAll writes each step. After a fault or a panic it puts back the old values.
func (s *Settings) applyAll(t *Tree, cred Cred, steps []step) (errs []error) {
	b := new(batch)
	done := false
	defer func() {
		if !done {
			errs = append(errs, b.putBack()...)
		}
	}()
	for _, step := range steps {
		point.At("apply", nil)
		b.step = step
		if err := t.put(Request{Cred: cred, Source: step.source(), batch: b}, step.to, step.text()); err != nil {
			if errs = s.judge(errs, step, err); errs != nil {
				return errs
			}
		}
	}
	done = true
	return nil
}

// judge adds the error of a step, if it is a fault.
func (s *Settings) judge(errs []error, step step, err error) []error {
	e := &SettingError{step.file, step.line, Key(step.to), err}
	switch {
	case step.hyphen:
		return errs
	case s.Unknown != nil && isMissing(err):
		s.Unknown(e)
		return errs
	}
	return append(errs, e)
}

func (s *step) text() []byte { return []byte(s.value + "\n") }

// isMissing reports whether err says that there is no such entry. The errno alone does
// not: a handler may return it for another reason.
func isMissing(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && p.Op == "open" && (p.Err == syscall.ENOENT || p.Err == syscall.ENOTDIR)
}

// targets returns the paths to which a setting is written.
func (s *Settings) targets(t *Tree, of *setting) []string {
	if !isPattern(of.path) {
		return []string{of.path}
	}
	return slices.DeleteFunc(t.matching(of.path), s.decided)
}

// decided reports whether a line sets or excludes the entry at name, so that no
// pattern may set it.
func (s *Settings) decided(name string) bool {
	return s.named[name] || slices.ContainsFunc(s.excluded, func(pattern string) bool {
		is, _ := path.Match(pattern, strings.ReplaceAll(name, "/", standIn))
		return is
	})
}

// A batch has the ways back of one Apply, in the order of the stores. The request of each
// write points to it, and a handler of this package adds to it after a store. A way back
// compares first: a newer value of another writer stays.
type batch struct {
	step step  // that is being written
	file *file // of the step
	undo []undo
}

type undo struct {
	step   step
	file   *file
	source *string // of the file before
	back   func() error
}

// add notes the way back of a store.
func (b *batch) add(back func() error) {
	b.undo = append(b.undo, undo{b.step, b.file, b.file.source.Load(), back})
}

// putBack goes all ways back, from the last to the first, because an entry may have been
// set twice. The calls are deferred, because Changed may panic in each of them.
func (b *batch) putBack() (errs []error) {
	for _, u := range b.undo {
		defer func() {
			if err := u.run(); err != nil {
				errs = append(errs, &SettingError{u.step.file, u.step.line, Key(u.step.to), fmt.Errorf("it is not put back: %w", err)})
			}
		}()
	}
	return nil
}

// run goes back, unless the entry is gone: no handler runs after its Unregister.
func (u *undo) run() error {
	point.At("apply", nil)
	if !u.file.header.use() {
		return nil
	}
	defer u.file.header.unuse()
	defer u.file.changed()
	if s := u.file.source.Load(); s != nil && *s == u.step.source() {
		u.file.source.CompareAndSwap(s, u.source)
	}
	return u.back()
}

// own prepares the way back for a handler of a program's own: its old text.
func (b *batch) own(r Request) {
	f := b.file
	old, err := f.text(context.Background(), r.Cred)
	r.Source = "undo " + r.Source
	b.add(func() error {
		switch {
		case err != nil:
			return fmt.Errorf("its text could not be read: %w", err)
		case len(old) == 0:
			return errors.New("it had no text")
		}
		return f.writeAll(&r, old)
	})
}
