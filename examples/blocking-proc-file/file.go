package main

import (
	"io"
	"io/fs"
	"syscall"
)

const messageLength = 80 // #define MESSAGE_LENGTH 80

// A file is one opening of /proc/sleep.
type file struct {
	inode *procFile
	name  string // of the process that opened it
	op    int    // the operations that it is open for

	// rest is the part of the line that is not read yet, and begun says that
	// there is a line. The article has one static variable, finished, for all
	// openings: then one reader meets the end of another reader's file.
	rest  string
	begun bool

	closed bool
}

// Read is module_output: one line, and then the end of the file.
func (f *file) Read(buf []byte) (int, error) {
	if err := f.check(mayRead); err != nil {
		return 0, err
	}
	if !f.begun {
		f.begun = true
		// snprintf(text, sizeof(text), "Last input:%s\n", Message)
		f.rest = "Last input:" + f.inode.message + "\n"
	}
	if f.rest == "" && len(buf) > 0 {
		return 0, io.EOF
	}
	// simple_read_from_buffer(buf, len, offset, text, n)
	n := copy(buf, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// Write is module_input. It replaces the message, keeps as much as the message
// has room for, and returns that number.
func (f *file) Write(buf []byte) (int, error) {
	if err := f.check(mayWrite); err != nil {
		return 0, err
	}
	// min_t(size_t, length, MESSAGE_LENGTH - 1)
	n := min(len(buf), messageLength-1)
	// copy_from_user(Message, buf, n)
	f.inode.message = string(buf[:n])
	if n < len(buf) {
		return n, io.ErrShortWrite // no error in C: the caller compares
	}
	return n, nil // return n
}

// Close is module_close.
func (f *file) Close() error {
	if err := f.check(0); err != nil {
		return err
	}
	f.closed = true
	f.inode.alreadyOpen = false // atomic_set(&Already_Open, 0)
	f.inode.say(f.name, "closes, wake_up")
	// All of them: none is exclusive. One takes the file, the others sleep
	// again.
	f.inode.waitQ.WakeUp() // wake_up(&WaitQ)
	f.inode.useCount--     // module_put(THIS_MODULE)
	return nil
}

// check returns an error if the file is not open for op.
func (f *file) check(op int) error {
	switch {
	case f.closed:
		return fs.ErrClosed
	case f.op&op != op:
		return syscall.EBADF
	}
	return nil
}
