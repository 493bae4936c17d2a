package usermodehelper

import (
	"context"
	"fmt"
	"syscall"

	"github.com/kprim/kprim/waitqueue"
)

// An interruption is the error of a call whose context has ended, or whose task was
// interrupted. It matches every error that [waitqueue.ContextErr] matches then, and its
// text names this package alone.
type interruption struct {
	text    string
	matches []error
}

func (i *interruption) Error() string   { return i.text }
func (i *interruption) Unwrap() []error { return i.matches }

// add adds a reason.
func (i *interruption) add(reason string, match error) {
	separator := "; "
	if i.matches == nil {
		separator = ": "
	}
	i.text += separator + reason
	i.matches = append(i.matches, match)
}

// interrupted returns the error for a wait that its context has ended. If the context has
// not ended, an Interrupt of its task has ended the wait. The text begins with format and
// ends with the cause. The error also matches errno, if that is not nil.
func interrupted(ctx context.Context, errno error, format string, args ...any) error {
	cause, ended := context.Cause(ctx), waitqueue.ContextErr(ctx)
	if ended == nil {
		cause, ended = syscall.EINTR, syscall.EINTR
	}
	i := &interruption{
		text:    fmt.Sprintf("usermodehelper: "+format+": %v", append(args, cause)...),
		matches: []error{ended},
	}
	if errno != nil {
		i.matches = append(i.matches, errno)
	}
	return i
}
