package sysctl

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// The text of a value whose Var has no Parse and no Format.

// A textual type has a text of its own.
type textual interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

var (
	textualType  = reflect.TypeFor[textual]()
	durationType = reflect.TypeFor[time.Duration]()
)

// appendText appends the text of v, which is addressable.
func appendText(text []byte, v reflect.Value) ([]byte, error) {
	switch t := v.Type(); {
	case reflect.PointerTo(t).Implements(textualType):
		own, err := v.Addr().Interface().(textual).MarshalText()
		return append(text, own...), err
	case t == durationType:
		return append(text, time.Duration(v.Int()).String()...), nil
	case isBytes(t):
		return append(text, v.Bytes()...), nil
	case isList(t):
		return appendList(text, v)
	}
	switch {
	case v.Kind() == reflect.String:
		return append(text, v.String()...), nil
	case v.Kind() == reflect.Bool:
		return strconv.AppendBool(text, v.Bool()), nil
	case v.CanInt():
		return strconv.AppendInt(text, v.Int(), 10), nil
	case v.CanUint():
		return strconv.AppendUint(text, v.Uint(), 10), nil
	case v.CanFloat():
		return strconv.AppendFloat(text, v.Float(), 'g', -1, v.Type().Bits()), nil
	}
	own, err := json.Marshal(v.Addr().Interface())
	return append(text, own...), err
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// isList reports whether t is a slice whose items are words: not lists themselves, and
// not in JSON.
func isList(t reflect.Type) bool {
	if t.Kind() != reflect.Slice || isBytes(t) {
		return false
	}
	item := t.Elem()
	return item.Kind() == reflect.String || isNumber(item.Kind()) || reflect.PointerTo(item).Implements(textualType)
}

// isNumber includes the bool, which is a word as well.
func isNumber(k reflect.Kind) bool { return k >= reflect.Bool && k <= reflect.Float64 }

// parseText sets v, which is zero, from a text.
func parseText(text string, v reflect.Value) error {
	if t := v.Type(); !reflect.PointerTo(t).Implements(textualType) {
		switch {
		case t.Kind() == reflect.String:
			v.SetString(text)
			return nil
		case isBytes(t):
			v.SetBytes([]byte(text))
			return nil
		case isList(t):
			return parseList(text, v)
		}
	}
	return parseWord(strings.TrimSpace(text), v)
}

// parseWord sets v from a text around which blanks mean nothing.
func parseWord(text string, v reflect.Value) (err error) {
	switch t := v.Type(); {
	case reflect.PointerTo(t).Implements(textualType):
		return v.Addr().Interface().(textual).UnmarshalText([]byte(text))
	case t == durationType:
		var d time.Duration
		if d, err = time.ParseDuration(text); err != nil {
			return errors.New(strings.TrimPrefix(err.Error(), "time: "))
		}
		v.SetInt(int64(d))
		return nil
	case isNumber(t.Kind()):
		return parseNumber(text, v)
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(v.Addr().Interface()); err != nil {
		return fmt.Errorf("not the JSON of a %v: %w", v.Type(), err)
	}
	if _, err = d.Token(); err != io.EOF {
		return errors.New("there is more text after the JSON")
	}
	return nil
}

func parseNumber(text string, v reflect.Value) error {
	var err error
	switch {
	case v.Kind() == reflect.Bool:
		var b bool
		b, err = parseBool(text)
		v.SetBool(b)
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 0, v.Type().Bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 0, v.Type().Bits())
		v.SetUint(n)
	default:
		var f float64
		f, err = strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(f)
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%q does not fit into a %v", text, v.Kind())
	case errors.Is(err, strconv.ErrSyntax):
		return fmt.Errorf("%q is not a number of type %v", text, v.Kind())
	}
	return err
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "on", "true", "yes", "1":
		return true, nil
	case "off", "false", "no", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is not on, off, true, false, yes, no, 1 or 0", text)
}

func appendList(text []byte, v reflect.Value) ([]byte, error) {
	for i := range v.Len() {
		if i > 0 {
			text = append(text, ',')
		}
		begin := len(text)
		var err error
		if text, err = appendText(text, v.Index(i)); err != nil {
			return text, err
		}
		if item := text[begin:]; len(item) == 0 || bytes.ContainsAny(item, ",\"\n") || len(bytes.TrimSpace(item)) < len(item) {
			text = strconv.AppendQuote(text[:begin], string(item))
		}
	}
	return text, nil
}

// parseList sets the slice v. No text at all is an empty list.
func parseList(text string, v reflect.Value) error {
	list := reflect.MakeSlice(v.Type(), 0, 0)
	for more := strings.TrimSpace(text) != ""; more; {
		var item string
		var err error
		if item, text, more, err = cutItem(text); err != nil {
			return err
		}
		value := reflect.New(v.Type().Elem()).Elem()
		if err := parseItem(item, value); err != nil {
			return err
		}
		list = reflect.Append(list, value)
	}
	v.Set(list)
	return nil
}

func parseItem(item string, v reflect.Value) error {
	if v.Kind() == reflect.String && !reflect.PointerTo(v.Type()).Implements(textualType) {
		v.SetString(item)
		return nil
	}
	return parseWord(item, v)
}

// cutItem takes the first item from a list.
func cutItem(text string) (item, rest string, more bool, err error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, `"`) {
		item, rest, more = strings.Cut(text, ",")
		item = strings.TrimSpace(item)
		switch {
		case item == "":
			err = errors.New(`an item of the list is empty: an empty text is ""`)
		case strings.Contains(item, `"`):
			err = fmt.Errorf("%s has a quote within", visible(item))
		}
		return item, rest, more, err
	}
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", false, fmt.Errorf("%s has no end of the quotes", visible(text))
	}
	item, _ = strconv.Unquote(quoted) // it is well-formed
	rest = strings.TrimSpace(text[len(quoted):])
	if rest == "" {
		return item, "", false, nil
	}
	rest, more = strings.CutPrefix(rest, ",")
	if !more {
		err = fmt.Errorf("there is no comma after %s", quoted)
	}
	return item, rest, more, err
}
