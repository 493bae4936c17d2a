package usermodehelper

import "bytes"

// longestLine is how many bytes of a line without an end are held back.
const longestLine = 1 << 16

// lines cuts one stream of bytes into lines.
type lines struct{ rest []byte } // the line that has no end yet

// add calls f for each line that text completes.
func (l *lines) add(text []byte, f func(line string)) {
	for {
		line, rest, found := bytes.Cut(text, []byte{'\n'})
		l.rest = append(l.rest, line...)
		// A part only if there is more: the newline may be the next byte.
		for len(l.rest) > longestLine {
			part := string(l.rest[:longestLine])
			l.rest = append(l.rest[:0], l.rest[longestLine:]...)
			f(part)
		}
		if !found {
			return
		}
		l.take(f)
		text = rest
	}
}

// flush calls f for a last line without a newline.
func (l *lines) flush(f func(line string)) {
	if len(l.rest) > 0 {
		l.take(f)
	}
}

func (l *lines) take(f func(line string)) {
	line := string(l.rest)
	l.rest = l.rest[:0]
	f(line)
}
