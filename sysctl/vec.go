package sysctl

import (
	"fmt"
	"slices"
	"strings"
)

// A Vec is a variable that holds several numbers: the vectors of the kernel. It has as many
// values as the program's last Store, and none before the first. A change replaces all of
// them at once: a reader never sees some of one write and some of another.
//
// [DoIntVec] and [DoUlongVecMinMax] make handlers for it that follow the kernel. A Vec is
// a [Handler] itself, for new code: a write must have as many numbers as there are values
// and nothing else but white space, or it changes nothing. Positions are as for a [Var]. A
// read gives all values, with tabs between them.
//
// Check and Changed are as in a Var, whichever handler writes. They, and the values that
// they are given, must not be changed. A Vec is a [flag.Value], an [encoding.TextMarshaler]
// and an [encoding.TextUnmarshaler], and prints as its values. It must not be copied after
// first use.
//
// Kernel: an array of int or of unsigned long that is the data of a ctl_table
type Vec[T int32 | uint64] struct {
	Check   func(old, new []T) error // refuses a write
	Changed func(Change[[]T])        // is told of each change

	cell cell[[]T]
}

// A Vector is a [*Var] of one number, or a [*Vec].
type Vector[T any] interface {
	values() []T

	// set calls f with a copy of the values. f sets the first n of them. Then the copy
	// becomes the values, all at once, unless n is 0.
	set(r *Request, f func(values []T) (n int)) error
	check() error
}

// Load returns a copy of the values.
func (v *Vec[T]) Load() []T { return slices.Clone(v.values()) }

// At returns the value at i. It costs one atomic load and allocates nothing. It panics if
// there is no such value. Two calls may see two different writes: see Load.
func (v *Vec[T]) At(i int) T { return v.values()[i] }

// Len returns how many values there are.
func (v *Vec[T]) Len() int { return len(v.values()) }

// Store replaces the values with a copy of the arguments, as [Var.Store] does.
func (v *Vec[T]) Store(values ...T) {
	// The error is nil, because nothing is checked.
	_ = v.cell.change(v.cell.byProgram("Store"), v.owner().unchecked(), func([]T) ([]T, error) { return slices.Clone(values), nil })
}

func (v *Vec[T]) owner() owner[[]T] { return owner[[]T]{v.Check, v.Changed} }

// values implements [Vector].
func (v *Vec[T]) values() []T {
	if p := v.cell.p.Load(); p != nil { // Optimization: for a slice this is faster than cell.load
		return *p
	}
	return nil
}

// set implements [Vector].
func (v *Vec[T]) set(r *Request, f func(values []T) (n int)) error {
	return v.cell.change(r, v.owner(), func(old []T) ([]T, error) {
		values := slices.Clone(old)
		if f(values) == 0 {
			return nil, errSame
		}
		return values, nil
	})
}

// check implements [Vector].
func (v *Vec[T]) check() error {
	switch {
	case v == nil:
		return errNoData
	case v.Len() == 0:
		return errNoMaxlen
	}
	return startFault(v.Check, v.values())
}

func (v *Vec[T]) itself() Handler { return v }

func (v *Vec[T]) fault() error { return v.check() }

// Read implements [Handler].
func (v *Vec[T]) Read(r *Request, p []byte) (int, error) {
	return readOn(r, p, v, func(text []byte) ([]byte, error) { return v.appendText(text), nil })
}

// Write implements [Handler].
func (v *Vec[T]) Write(r *Request, p []byte) (int, error) {
	return writeWhole(r, p, func(text string) error { return v.take(r, text) })
}

// take sets all values from a text.
func (v *Vec[T]) take(r *Request, text string) error {
	values, err := parseValues[T]([]byte(text))
	if err != nil {
		return err
	}
	return v.cell.change(r, v.owner(), func(old []T) ([]T, error) {
		if len(values) != len(old) {
			return nil, invalid("%d numbers for %d values", len(values), len(old))
		}
		return values, nil
	})
}

// parseValues returns all numbers in text, which has nothing else.
func parseValues[T int32 | uint64](text []byte) (values []T, err error) {
	for text = skipSpaces(text); len(text) > 0; text = skipSpaces(text) {
		var f figure
		if f, text, err = number(text, isSpace); err != nil {
			return nil, err
		}
		v, err := plain[T]().parse(f)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func (v *Vec[T]) appendText(text []byte) []byte {
	return appendValues(text, v.values(), plain[T]().show)
}

// String returns the values with tabs between them.
func (v *Vec[T]) String() string {
	if v == nil {
		return "" // as package flag asks it of a zero value
	}
	return string(v.appendText(nil))
}

// Set sets all values from a text, as a write does, for [flag.Value].
func (v *Vec[T]) Set(text string) error { return named(v.take(v.cell.bySet(), text)) }

// MarshalText returns the text of String, for [encoding.TextMarshaler].
func (v *Vec[T]) MarshalText() ([]byte, error) { return v.appendText(nil), nil }

// UnmarshalText is Set, for [encoding.TextUnmarshaler].
func (v *Vec[T]) UnmarshalText(text []byte) error {
	return named(v.take(v.cell.byProgram("UnmarshalText"), string(text)))
}

// writeWhole is the Write of a handler that takes all of a text or nothing. set sets the
// value from the text without the newline at its end. A text in two writes is not taken
// for two texts, because the first part may look like a whole one.
func writeWhole(r *Request, p []byte, set func(text string) error) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case r.Positioned():
		return 0, invalid("the value is written by one write at the beginning of the file, not at %d", r.Pos)
	}
	if err := set(strings.TrimSuffix(string(p), "\n")); err != nil {
		return 0, err
	}
	r.Pos += int64(len(p))
	return len(p), nil
}

// named adds the package to an error that goes to no entry.
func named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sysctl: %w", err)
}
