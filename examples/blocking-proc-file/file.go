package main

import (
	"io"
	"io/fs"
	"syscall"
)

const messageLength = 80 // #define MESSAGE_LENGTH 80

// A file is /proc/sleep opened once.
type file struct {
	inode *procFile
	name  string // whose
	op    int    // what it is open for

	// What has to be read yet, and whether it was asked for. The original has
	// a static finished in their place: one reader's end of the file is met by
	// another.
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
		// char message[MESSAGE_LENGTH + 30], of which this fills at most 92
		// sprintf(message, "Last input:%s\n", Message)
		f.rest = "Last input:" + f.inode.message + "\n"
	}
	if f.rest == "" && len(buf) > 0 { // if (finished)
		return 0, io.EOF // return 0
	}
	n := copy(buf, f.rest) // put_user(message[i], buf + i)
	f.rest = f.rest[n:]    // finished = 1
	return n, nil          // return i
}

// Write is module_input. It keeps what the message has room for, in the place
// of what was there, and returns how much that is.
func (f *file) Write(buf []byte) (int, error) {
	if err := f.check(mayWrite); err != nil {
		return 0, err
	}
	// i < MESSAGE_LENGTH - 1 && i < length
	n := min(len(buf), messageLength-1)
	f.inode.message = string(buf[:n]) // get_user(Message[i], buf + i)
	if n < len(buf) {
		return n, io.ErrShortWrite // no error in C: the caller compares
	}
	return n, nil // return i
}

// Close is module_close.
func (f *file) Close() error {
	if err := f.check(0); err != nil {
		return err
	}
	f.closed = true
	f.inode.alreadyOpen = false // Already_Open = 0
	// All of them, of whom one takes the file and the rest sleep again. WakeUp
	// would do: today's wake_up, too, wakes all entries that are not exclusive.
	woken := f.inode.waitQ.WakeUpAll() // module_wake_up(&WaitQ)
	if woken > 0 {
		f.inode.log.Printk("%s: closes the file, wakes %d", f.name, woken)
	}
	f.inode.useCount-- // MOD_DEC_USE_COUNT
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
