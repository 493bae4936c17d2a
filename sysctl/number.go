package sysctl

import (
	"fmt"
	"strconv"
	"syscall"
)

// Limits of the kernel's number parser.
const (
	window   = 4096 - 1 // bytes of a write that it looks at
	maxToken = 20       // bytes of a number, with its sign and prefix
)

// isSpace is the kernel's idea of white space, which has Latin-1's hard blank.
func isSpace(c byte) bool { return c >= '\t' && c <= '\r' || c == ' ' || c == 0xa0 }

func skipSpaces(p []byte) []byte {
	for len(p) > 0 && isSpace(p[0]) {
		p = p[1:]
	}
	return p
}

// isBlank reports whether c may come after a number.
func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// invalid returns the error of a text that is refused, and says why.
func invalid(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, syscall.EINVAL)...)
}

// errNothing is for a text with nothing but white space.
var errNothing = invalid("there is no number")

// number takes a number from the beginning of p: a sign, a prefix that gives
// the base, and digits. After them is the end of p, or a byte for which follows is
// true; that byte stays in rest. Errors take nothing.
//
// Kernel: proc_get_long
func number(p []byte, follows func(byte) bool) (f figure, rest []byte, err error) {
	token := p[:min(len(p), maxToken+1)]
	digits := token
	if len(digits) > 1 && digits[0] == '-' {
		f.negative, digits = true, digits[1:]
	}
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return f, p, invalid("%q is not a number", token)
	}
	base, digits := splitBase(digits)
	n := 0
	for n < len(digits) && digit(digits[n]) < base {
		n++
	}
	used := len(token) - len(digits) + n
	switch {
	case used > maxToken:
		return f, p, invalid("%q is too long for a number", token)
	case used < len(p) && !follows(p[used]):
		return f, p, invalid("%q is not a number", p[:used+1])
	case n > 0: // or it is the 0 that looked like a prefix
		f.magnitude, err = strconv.ParseUint(string(digits[:n]), base, 64)
		if err != nil {
			return f, p, invalid("%s has more than 64 bits", token[:used])
		}
	}
	return f, p[used:], nil
}

// splitBase takes the prefix from text that begins with a digit. A 0x without a
// digit after it is the number 0, and something else.
func splitBase(text []byte) (base int, digits []byte) {
	switch {
	case text[0] != '0':
		return 10, text
	case len(text) > 2 && (text[1] == 'x' || text[1] == 'X') && digit(text[2]) < 16:
		return 16, text[2:]
	}
	return 8, text[1:]
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}

// A figure is a number as text has it. There is a -0.
type figure struct {
	negative  bool
	magnitude uint64
}

// String returns the number in decimal.
func (f figure) String() string { return string(f.append(nil)) }

func (f figure) append(text []byte) []byte {
	if f.negative {
		text = append(text, '-')
	}
	return strconv.AppendUint(text, f.magnitude, 10)
}

// readText is the Read of a handler whose text can only be read in one go. text appends
// the text, and is not called where there is nothing to read.
func readText(r *Request, p []byte, text func([]byte) []byte) (int, error) {
	if r.Pos != 0 {
		return 0, nil
	}
	n := copy(p, text(p[:0:len(p)])) // Optimization: a text for which p has room is built in its place
	r.Pos += int64(n)
	return n, nil
}

// readOn is the Read of a handler h whose text is read on at r.Pos. build appends the text
// without its newline. If r has begun to read a text of h, readOn goes on with that one.
// The present text may be another one. A part of it behind a part of the old one would
// be a text that no writer has written.
func readOn(r *Request, p []byte, h Handler, build func([]byte) ([]byte, error)) (int, error) {
	text, err := textFor(r, p, h, build)
	if err != nil || r.Pos >= int64(len(text)) {
		return 0, err
	}
	n := copy(p, text[r.Pos:])
	r.Pos += int64(n)
	return n, nil
}

// textFor returns the text for readOn, with its newline.
func textFor(r *Request, p []byte, h Handler, build func([]byte) ([]byte, error)) ([]byte, error) {
	if r.Pos > 0 && r.seen != nil && r.seen.of == h {
		return r.seen.text, nil
	}
	var text []byte
	if r.seen == nil {
		text = p[:0:len(p)] // Optimization: a text for which p has room is built in its place
	}
	text, err := build(text)
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	if r.seen != nil {
		*r.seen = snapshot{of: h, text: text}
	}
	return text, nil
}

// appendValues appends all values, with tabs between them.
func appendValues[T any](text []byte, values []T, show func(T) figure) []byte {
	for i, v := range values {
		if i > 0 {
			text = append(text, '\t')
		}
		text = show(v).append(text)
	}
	return text
}

// writeVector sets as many values as text has numbers, and no more than there
// are. The values before a bad number stay set. It reports how much of the text
// it used, with the white space after the last number.
//
// Kernel: do_proc_dointvec, do_proc_doulongvec_minmax
func writeVector[T any](r *Request, p []byte, data Vector[T], parse func(figure) (T, error)) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.Positioned() {
		r.Pos += int64(len(p))
		return len(p), nil
	}
	rest := p[:min(len(p), window)]
	var err error
	refusal := data.set(r, func(values []T) (n int) {
		for ; n < len(values); n++ {
			if rest = skipSpaces(rest); len(rest) == 0 {
				break
			}
			var f figure
			if f, rest, err = number(rest, isBlank); err != nil {
				break
			}
			var v T
			if v, err = parse(f); err != nil {
				break
			}
			values[n] = v
		}
		if n == 0 && err == nil {
			err = errNothing
		}
		return n
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return 0, err
	}
	// As in the kernel: of a text longer than the window, only the unread part of
	// the window counts as unused.
	used := len(p) - len(skipSpaces(rest))
	r.Pos += int64(used)
	return used, nil
}

// writeScalar sets one unsigned value. Text after the number is dropped. The position
// does not move, so the next write counts too.
//
// Kernel: do_proc_douintvec_w
func writeScalar(r *Request, p []byte, set func(uint64) error) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.Positioned() {
		r.Pos += int64(len(p))
		return len(p), nil
	}
	text := skipSpaces(p[:min(len(p), window)])
	if len(text) == 0 {
		return 0, errNothing
	}
	f, _, err := number(text, isBlank)
	if err == nil {
		err = f.unsigned()
	}
	if err == nil {
		err = set(f.magnitude)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f figure) sign(v int64) int64 {
	if f.negative {
		return -v
	}
	return v
}

// unsigned refuses a sign, even in -0.
func (f figure) unsigned() error {
	if f.negative {
		return invalid("%v has a sign", f)
	}
	return nil
}

// within refuses a value outside the bounds.
func within[T int32 | uint8 | uint32 | uint64](v, min, max T) error {
	if v < min || v > max {
		return invalid("%d is not from %d to %d", v, min, max)
	}
	return nil
}
