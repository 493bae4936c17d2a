package waitqueue

import (
	"context"
	"errors"
	"syscall"
)

// ContextErr returns nil while ctx lives. After that it returns the error of
// a wait that ctx ended. The error matches [syscall.EINTR], ctx.Err() and
// context.Cause(ctx) with [errors.Is]; if ctx ended by its deadline, it
// matches [syscall.ETIMEDOUT] in the place of EINTR.
//
// Wait loops written out use it where the kernel tests for a signal, and
// whoever waits by other means to give the same error. It does not block.
//
// Kernel: ERESTARTSYS, EINTR, ETIME
//
// Differs: a timeout is ETIMEDOUT, which every platform has, in place of ETIME or a result of 0.
func ContextErr(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	errno := syscall.EINTR
	if errors.Is(err, context.DeadlineExceeded) {
		errno = syscall.ETIMEDOUT
	}
	return &waitError{errno: errno, ended: err, cause: context.Cause(ctx)}
}

// errInterrupted ends the wait of a task whose interrupt is set.
var errInterrupted error = &waitError{errno: syscall.EINTR, ended: syscall.EINTR, cause: errors.New("an interrupt is set")}

// A waitError says why a wait ended with its condition false.
type waitError struct {
	errno        syscall.Errno
	ended, cause error
}

func (e *waitError) Error() string {
	if e.errno == syscall.ETIMEDOUT { // its own text is "connection timed out"
		return "waitqueue: wait timed out: " + e.cause.Error()
	}
	return "waitqueue: wait interrupted: " + e.cause.Error()
}

func (e *waitError) Unwrap() []error { return []error{e.errno, e.ended, e.cause} }

// Timeout reports whether a deadline ended the wait, as net.Error has it.
func (e *waitError) Timeout() bool { return e.errno == syscall.ETIMEDOUT }
