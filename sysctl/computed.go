package sysctl

import (
	"fmt"
	"syscall"
)

// Func returns a handler for a file that is only read: each read calls f, and shows its
// text with a newline behind it. A write is [syscall.EPERM]. f may be called by several
// goroutines at once.
func Func(f func() string) Handler { return &computed{f} }

type computed struct{ text func() string }

func (h *computed) fault() error { return nilFault(h.text == nil) }

func (h *computed) Read(r *Request, p []byte) (int, error) {
	return readOn(r, p, h, func(text []byte) ([]byte, error) { return append(text, h.text()...), nil })
}

func (h *computed) Write(*Request, []byte) (int, error) {
	return 0, fmt.Errorf("it can only be read: %w", syscall.EPERM)
}
