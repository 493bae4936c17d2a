package waitqueue

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"syscall"
)

// ContextErr returns nil while ctx lives. After that it returns the error of
// a wait that ctx ended. With [errors.Is] the error matches ctx.Err(),
// context.Cause(ctx) and [syscall.EINTR]. If ctx ended by its deadline, it
// matches [syscall.ETIMEDOUT] in the place of EINTR.
//
// A wait loop written out calls it at the place where the kernel tests for a signal. Code
// that waits by other means calls it to return the same error. It does not block.
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
	return &waitError{errno: errno, ended: err, cause: cmp.Or(context.Cause(ctx), err)}
}

// errInterrupted ends the wait of a task whose interrupt is set.
var errInterrupted error = &waitError{errno: syscall.EINTR, ended: syscall.EINTR, cause: errors.New("an interrupt is set")}

// errNoErr ends the wait of a context whose Done channel is closed and whose Err
// is nil. Sleeping again would spin, because that channel stays closed. An error
// would need a cause, and the context has none.
var errNoErr = errors.New("waitqueue: the context's Done channel is closed, but its Err is nil")

// failed returns the error of a wait, and panics with errNoErr.
func failed(err error) error {
	if err == errNoErr {
		panic(err.Error())
	}
	return err
}

// A waitError says why a wait ended with its condition false.
type waitError struct {
	errno        syscall.Errno
	ended, cause error
}

func (e *waitError) Error() string {
	text := "wait interrupted: "
	if e.errno == syscall.ETIMEDOUT { // its own text is "connection timed out"
		text = "wait timed out: "
	}
	// The cause may be the error of another wait.
	return prefix + text + strings.TrimPrefix(e.cause.Error(), prefix)
}

const prefix = "waitqueue: "

func (e *waitError) Unwrap() []error { return []error{e.errno, e.ended, e.cause} }

// Timeout reports whether a deadline ended the wait, as the method of net.Error does.
func (e *waitError) Timeout() bool { return e.errno == syscall.ETIMEDOUT }
