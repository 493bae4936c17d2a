package kthread

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

// ErrStopped ends the sleeps of a thread that is asked to stop. It is also the
// cause that ends the thread's context. It matches [syscall.EINTR] with
// [errors.Is]. After [Thread.AskStop] with a reason, both are an error that matches
// ErrStopped and the reason.
var ErrStopped error = errStopped

var errStopped = &failure{"asked to stop", syscall.EINTR}

// errNoErr ends a wait with a context that breaks its own rules.
var errNoErr error = &failure{"the context's Done channel is closed, but its Err is nil", nil}

var errTimedOut = &failure{"wait timed out", syscall.ETIMEDOUT}

// The results of a thread whose function returned none.
var (
	errNeverRan = &failure{"stopped before its first run", syscall.EINTR}
	errGoexit   = &failure{"the function called runtime.Goexit", nil}
	errNotReady = &failure{"the function returned before it was ready", nil}
)

const prefix = "kthread: "

// A failure is an error of this package. Its text is for people: it leaves out
// the errno, which is for errors.Is.
type failure struct {
	text string
	is   error // matched with errors.Is, or nil
}

func (f *failure) Error() string { return prefix + f.text }
func (f *failure) Unwrap() error { return f.is }

// Timeout reports whether time ran out, as in net.Error.
func (f *failure) Timeout() bool { return errors.Is(f.is, syscall.ETIMEDOUT) }

// contextErr is [waitqueue.ContextErr] for a wait of this package.
func contextErr(ctx context.Context) error {
	err := waitqueue.ContextErr(ctx)
	if err == nil {
		return nil
	}
	text := "wait interrupted: "
	if errors.Is(err, syscall.ETIMEDOUT) {
		text = "wait timed out: "
	}
	cause := cmp.Or(context.Cause(ctx), ctx.Err()).Error()
	return &failure{text + strings.TrimPrefix(cause, prefix), err}
}
