package sysctl

import (
	"reflect"
)

// A view of a tree in JSON, such as package sysctlexpvar, asks a handler whether its texts
// mean JSON. It cannot go by the text: a string may be "5" today and "five" tomorrow, and
// a reader of the JSON wants one type for all values.

// TextIsJSON reports whether the texts of v are JSON: a T without a text of its own that
// is a number, a bool, or of a type shown in JSON. A text with a Format is not. Packages
// sysctlhttp and sysctlexpvar ask each handler that has this method.
func (v *Var[T]) TextIsJSON() bool {
	t := reflect.TypeFor[T]()
	return v.Format == nil && !reflect.PointerTo(t).Implements(textualType) && t != durationType &&
		t.Kind() != reflect.String && !isBytes(t) && !isList(t)
}

// TextIsJSON reports whether there is one number, and not a vector of any length.
func (h *numbers[T]) TextIsJSON() bool {
	_, isVector := h.data.(*Vec[T])
	return !isVector
}

// TextIsJSON reports that the text is a number.
func (h *scalar[T]) TextIsJSON() bool { return true }
