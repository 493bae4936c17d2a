package sysctl

import (
	"fmt"
	"log/slog"
	"reflect"
)

// A Var is a variable of any type. It is a [Handler], so an [Entry] needs nothing else.
// The zero value holds the zero value of T, ready to use. [NewVar] makes a Var with a value
// to start with.
//
// Load costs one atomic load. A value is replaced as a whole: no reader sees a part of one
// value and a part of another. So nothing may change the memory that a value points to,
// after it was stored. A Var must not be copied after first use.
//
// # Text
//
// Parse and Format give T a text. Without them the text depends on T:
//
//   - A T whose pointer has MarshalText and UnmarshalText has the text of these methods.
//   - A bool is shown as true or false. It may be written as on, off, true, false, yes, no,
//     1 or 0.
//   - A number is written as in Go, with 0x, 0o or 0b too. A leading 0 is octal.
//   - A [time.Duration] is written with its unit: 1.5s.
//   - A string or a []byte is its own text, with the blanks at its ends.
//   - A slice of these is a list with commas between the items. Blanks around an item are
//     dropped. An item that is empty is in double quotes, as in Go. So is an item with
//     blanks at its ends, a comma, a quote or a newline.
//   - Every other type is in JSON, a pointer too. A field that the type lacks is refused.
//
// # Writes
//
// A write is one call of Write at position 0 with all of the text. A newline at the end
// is dropped. These steps follow:
//
//  1. Parse makes a value from the text.
//  2. The write takes the lock of the Var. Loads do not wait for it.
//  3. Check may refuse the change.
//  4. The new value is stored.
//  5. Changed is told.
//  6. The write lets go of the lock and returns.
//
// So the calls of Changed are in the order of the stores, and never overlap. A refused
// text leaves the old value. So does a panic in Parse, Check or Changed. A panic in Changed
// takes the new value back, which a Load may have seen meanwhile. The next write works.
//
// Check and Changed must not write or Store the same Var, because they would wait for
// their own lock for ever. They may Store another Var whose functions do not Store this one.
// They must not Unregister the entry, because Unregister waits for the write that they are in.
//
// A refused write returns the error of Parse or Check. It matches [syscall.EINVAL] too,
// unless it matches another errno already. These writes are EINVAL as well:
//
//   - at another position than 0, in the mode [Strict]: a text in two writes is not taken
//     for two texts
//   - without Parse, if Format is set: the file can only be read
//
// Check is also called without a write: by Register with the start value as the old and
// the new one, and for a file of settings that is only checked. Register refuses a Var
// whose start value Check refuses, and a T that has no text, as a func.
//
// A Var is a [flag.Value], an [encoding.TextMarshaler] and an
// [encoding.TextUnmarshaler], and prints as the text of its value. So package
// encoding/json shows each Var as a string, also one of a number: "5".
type Var[T any] struct {
	// Parse makes a value from a text, without the newline at its end. It may be called by
	// several goroutines at once. None of the four fields may change after the first use.
	Parse func(text string) (T, error)

	// Format makes a text from a value, without a newline. It is called as Parse is.
	Format func(value T) string

	// Check refuses a write by an error, whose text the writer sees. A Store of the program
	// itself is not checked.
	Check func(old, new T) error

	// Changed is told of each write and each Store, also of the value that is there already.
	// A log may skip a change whose Old and New are equal.
	Changed func(Change[T])

	cell cell[T]
}

// NewVar returns a Var that holds start. A write must pass each of the checks, which may
// be [Between], [OneOf], [MaxLen], [Matches] or a program's own. They are the field Check: a
// program that sets this field has its own check in place of them.
//
// NewVar does not check start. Register does, and a Var without an entry never has its start
// value checked.
func NewVar[T any](start T, checks ...func(old, new T) error) *Var[T] {
	v := new(Var[T])
	v.cell.p.Store(&start)
	v.Check = func(old, new T) error {
		for _, check := range checks {
			if err := check(old, new); err != nil {
				return err
			}
		}
		return nil
	}
	return v
}

// A Change is the change of a variable: by a write, or by the program itself.
type Change[T any] struct {
	Old  T      // the value before
	New  T      // the value that Load returns now
	Path string // of the entry; a Store and a Set have the last one, if there is any
	Cred Cred   // of the writer; Root for the program itself

	// Source says where the change comes from:
	//
	//   - Store or UnmarshalText for a call of this method, and Store for each other method
	//     of a [Bitmap]
	//   - Set and the path, as in Set http/rate, for a flag and for [Settings.Set]; without
	//     a path before the first Register
	//   - WriteFile for [Tree.WriteFile], File for a write of a [File]
	//   - the file and the line for [Tree.Load] and [Settings], as in etc/myapp.conf:3
	//   - undo and the source of a setting, for a value that [Settings.Apply] puts back
	//   - the user and the process for a write through [Tree.VFS]
	//   - the source of a [Tree.WriteFrom]
	Source string

	secret bool // Nobody may not read the entry
}

// LogValue returns the fields as a group, for a line of an audit in [log/slog]. The values
// of an entry that [Nobody] may not read are left out, because they may be secrets.
func (c Change[T]) LogValue() slog.Value {
	fields := []slog.Attr{slog.String("path", c.Path)}
	if !c.secret {
		fields = append(fields, slog.Any("old", c.Old), slog.Any("new", c.New))
	}
	return slog.GroupValue(append(fields, slog.String("cred", c.Cred.String()), slog.String("source", c.Source))...)
}

// Load returns the value. It does not block.
func (v *Var[T]) Load() T { return v.cell.load() }

// Store replaces the value, and calls Changed before it returns. It is for the program
// itself: Check is not called, and the bounds of a handler do not apply. It waits for a
// change in progress. To report the change to [Tree.Changes], call [Tree.Notify].
func (v *Var[T]) Store(value T) {
	// The error is nil, because nothing is checked.
	_ = v.cell.change(v.cell.byProgram("Store"), v.owner().unchecked(), func(T) (T, error) { return value, nil })
}

func (v *Var[T]) owner() owner[T] { return owner[T]{v.Check, v.Changed} }

// values implements [Vector].
func (v *Var[T]) values() []T { return []T{v.Load()} }

// set implements [Vector].
func (v *Var[T]) set(r *Request, f func(values []T) (n int)) error {
	return v.cell.change(r, v.owner(), func(old T) (T, error) {
		one := []T{old}
		if f(one) == 0 {
			return old, errSame
		}
		return one[0], nil
	})
}

// check implements [Vector].
func (v *Var[T]) check() error {
	if v == nil {
		return errNoData
	}
	return startFault(v.Check, v.Load())
}

// Read implements [Handler].
func (v *Var[T]) Read(r *Request, p []byte) (int, error) { return readOn(r, p, v, v.appendText) }

// Write implements [Handler].
func (v *Var[T]) Write(r *Request, p []byte) (int, error) {
	return writeWhole(r, p, func(text string) error { return v.take(r, text) })
}

// take sets the value from a text.
func (v *Var[T]) take(r *Request, text string) error {
	value, err := v.parse(text) // before the lock, because it may take long
	if err != nil {
		return refused(err)
	}
	return v.replace(r, value)
}

// replace sets the value for a write.
func (v *Var[T]) replace(r *Request, value T) error {
	return v.cell.change(r, v.owner(), func(T) (T, error) { return value, nil })
}

func (v *Var[T]) parse(text string) (value T, err error) {
	switch {
	case v.Parse != nil:
		return v.Parse(text)
	case v.Format != nil:
		return value, invalid("it can only be read")
	}
	err = parseText(text, reflect.ValueOf(&value).Elem())
	return value, err
}

func (v *Var[T]) appendText(text []byte) ([]byte, error) {
	p := v.cell.p.Load()
	if p == nil {
		p = new(T)
	}
	if v.Format != nil {
		return append(text, v.Format(*p)...), nil
	}
	return appendText(text, reflect.ValueOf(p).Elem())
}

func (v *Var[T]) itself() Handler { return v }

func (v *Var[T]) fault() error {
	if v == nil {
		return errNoData
	}
	if _, err := v.appendText(nil); v.Format == nil && err != nil {
		return invalid("%w", err)
	}
	return v.check()
}

// String returns the text of the value, for [flag.Value] and for fmt.
func (v *Var[T]) String() string {
	if v == nil {
		return ""
	}
	text, err := v.appendText(nil)
	if err != nil {
		return fmt.Sprintf("!(%v)", err)
	}
	return string(text)
}

// Set sets the value from a text, as a write does: it parses and checks the text, and refuses
// it by an error. It needs no [Tree] and no [Entry], and may be called while others Load. It is
// a method of [flag.Value] too. A program that logs its changes calls Register before Set,
// and before it parses its flags: the [Change] names the entry then.
func (v *Var[T]) Set(text string) error { return named(v.take(v.cell.bySet(), text)) }

// IsBoolFlag reports whether T is a bool: such a flag needs no value.
func (v *Var[T]) IsBoolFlag() bool { return reflect.TypeFor[T]().Kind() == reflect.Bool }

// MarshalText returns the text of the value, for [encoding.TextMarshaler].
func (v *Var[T]) MarshalText() ([]byte, error) { return v.appendText(nil) }

// UnmarshalText is Set, for [encoding.TextUnmarshaler].
func (v *Var[T]) UnmarshalText(text []byte) error {
	return named(v.take(v.cell.byProgram("UnmarshalText"), string(text)))
}
