//go:build linux || darwin || freebsd

package usermodehelper

import (
	"cmp"
	"io"
	"os"
	"sync"
	"syscall"
)

// A feeder writes the standard input of one helper on a goroutine. A nil feeder
// does nothing.
type feeder struct {
	input []byte
	from  io.Reader // nil if input is all
	fail  func(*fault)
	r, w  *os.File

	// The goroutine holds mu except during a Read of from. So a Read that blocks does
	// not keep stop out.
	mu   sync.Mutex
	over bool // the helper has ended; guarded by mu
}

// newFeeder returns nil if h has no input, or gives a file of its own to the helper.
func newFeeder(h *Helper, fail func(*fault)) (*feeder, error) {
	_, isFile := h.InputFrom.(*os.File)
	if isFile || h.Input == nil && h.InputFrom == nil {
		return nil, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &feeder{input: h.Input, from: h.InputFrom, fail: fail, r: r, w: w}, nil
}

// discard gives up a feeder that was not started.
func (f *feeder) discard() {
	if f != nil {
		_, _ = f.r.Close(), f.w.Close()
	}
}

func (f *feeder) start() {
	if f != nil {
		go f.run()
	}
}

// run writes the input, until its end or until the helper takes no more. If
// a Read fails, the pipe stays open until stop: the helper must not take a part of
// its input for the whole.
func (f *feeder) run() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.from == nil {
		_ = f.write(f.input)
		_ = f.w.Close()
		return
	}
	f.copy()
}

// copy is called with mu held.
func (f *feeder) copy() {
	buf := make([]byte, chunk)
	for {
		n, err := f.read(buf)
		switch {
		case f.over:
			return
		case err != nil && err != io.EOF:
			f.fail(&fault{what: inputFrom, err: err}) // has no effect if read has failed the helper already
			return
		}
		if refused := f.write(buf[:n]); refused != nil || err == io.EOF {
			_ = f.w.Close()
			return
		}
	}
}

// write fails with EPIPE when the helper takes no more. The Write of package os would end
// the program then, with SIGPIPE, if the pipe has the descriptor 1 or 2. It can have
// them in a program that has closed its own.
func (f *feeder) write(text []byte) error {
	raw, err := f.w.SyscallConn()
	for len(text) > 0 && err == nil {
		n, failure := 0, error(nil)
		err = raw.Write(func(fd uintptr) bool {
			n, failure = syscall.Write(int(fd), text[:min(len(text), pipeSize)])
			return failure != syscall.EAGAIN
		})
		if failure != syscall.EINTR {
			err = cmp.Or(err, failure)
		}
		text = text[max(n, 0):]
	}
	return err
}

const inputFrom = "InputFrom"

// read makes one call of Read, without mu.
func (f *feeder) read(buf []byte) (n int, err error) {
	f.mu.Unlock()
	defer f.mu.Lock()
	n, err = 0, io.ErrUnexpectedEOF // if it does not return
	guard(inputFrom, func() error {
		m, failure := f.from.Read(buf)
		_ = buf[:m] // a reader that breaks its contract gets a panic
		n, err = m, failure
		return nil
	}, f.settle)
	return n, err
}

// settle takes note of a Read that did not return. It reports whether that still counts.
func (f *feeder) settle(bad *fault) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.fail(bad)
	}
	return !f.over
}

// stop ends the input of a helper that has ended. It does not wait for a Read.
func (f *feeder) stop() {
	if f == nil {
		return
	}
	_ = f.w.Close() // ends a Write that waits for space
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}
