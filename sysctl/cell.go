package sysctl

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
)

// A cell holds a value that is replaced as a whole. Nothing changes the memory of a value
// after it was stored, so a reader needs no lock.
type cell[T any] struct {
	mu    sync.Mutex // held over each change
	p     atomic.Pointer[T]
	notes notes
}

// load returns the value.
//
// Optimization: the result has a name, so the compiler needs no jump behind the load.
func (c *cell[T]) load() (value T) {
	if p := c.p.Load(); p != nil {
		value = *p
	}
	return value
}

// An owner is told of the changes of a cell. Both functions may be nil.
type owner[T any] struct {
	check   func(old, new T) error
	changed func(Change[T])
}

// unchecked returns the owner for a Store of the program itself.
func (o owner[T]) unchecked() owner[T] { return owner[T]{changed: o.changed} }

// errSame is for a change that changes nothing. It is not a fault.
var errSame = errors.New("no change")

// change replaces the value by the result of f, if f and the check agree.
//
// Invariant: the lock is held from f to the end of changed. Without it, a Store between f
// and the store of a write would be lost. The calls of changed could overlap, or come in
// another order than the stores.
func (c *cell[T]) change(r *Request, o owner[T], f func(old T) (T, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, old := c.p.Load(), c.load()
	value, err := f(old)
	if err == errSame {
		return nil
	}
	if err == nil && o.check != nil {
		err = o.check(old, value)
	}
	if err != nil {
		return refused(err)
	}
	if !r.dry {
		c.store(r, o, before, &value)
	}
	return nil
}

// store replaces the value at before by the one at after, and tells the owner. The caller
// holds the lock.
func (c *cell[T]) store(r *Request, o owner[T], before, after *T) {
	old, source := c.load(), c.notes.source.Load()
	c.p.Store(after)
	comesFrom(&c.notes.source, r.Source)
	if r.batch != nil {
		r.batch.add(func() error { c.putBack(r, o, after, before, source); return nil })
	}
	if o.changed == nil {
		return
	}
	told := false
	defer func() {
		if !told { // changed panicked
			c.p.Store(before)
			c.notes.source.Store(source)
		}
	}()
	o.changed(Change[T]{Old: old, New: *after, Path: r.Path, Cred: r.Cred, Source: r.Source, secret: r.secret})
	told = true
}

// putBack takes the change of r back, from after to before, unless a newer one has come.
// The program is told, because it was told of the change.
func (c *cell[T]) putBack(r *Request, o owner[T], after, before *T, source *string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.p.CompareAndSwap(after, before) {
		return
	}
	c.notes.source.Store(source)
	if o.changed != nil {
		o.changed(Change[T]{Old: *after, New: c.load(), Path: r.Path, Cred: r.Cred, Source: "undo " + r.Source, secret: r.secret})
	}
}

// byProgram is the Request of a change by the program itself.
func (c *cell[T]) byProgram(source string) *Request {
	r := &Request{Cred: Root, Source: source}
	if p := c.notes.place.Load(); p != nil {
		r.Path, r.secret = p.path, p.secret
	}
	return r
}

// bySet is the Request of a Set. Package flag does not tell the name of the flag, so the
// source names the entry.
func (c *cell[T]) bySet() *Request {
	r := c.byProgram("Set")
	if r.Path != "" {
		r.Source += " " + r.Path
	}
	return r
}

// refused returns err as an error that matches an errno: EINVAL unless it has one.
func refused(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return err
	}
	return invalid("%w", err)
}

// startFault returns why the value that a variable has at Register is refused, or nil.
func startFault[T any](check func(old, new T) error, start T) error {
	if check == nil {
		return nil
	}
	if err := check(start, start); err != nil {
		return fmt.Errorf("the start value: %w", refused(err))
	}
	return nil
}

// nilFault returns why an entry without its data is refused.
func nilFault(isNil bool) error {
	if isNil {
		return errNoData
	}
	return nil
}
