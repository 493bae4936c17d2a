package usermodehelper

import (
	"fmt"
	"syscall"
)

// A fault is a function of the caller that failed, or did not return, while the
// helper ran. The helper is ended.
type fault struct {
	what     string // the name of the function
	err      error  // that it returned, or nil if it did not return
	panicked any    // the value of its panic, or nil if it has ended its goroutine
}

func (f *fault) Error() string {
	switch {
	case f.err != nil:
		return fmt.Sprintf("%s failed: %v", f.what, f.err)
	case f.panicked != nil:
		return fmt.Sprintf("%s did not return: panic: %v", f.what, f.panicked)
	}
	return f.what + " did not return"
}

func (f *fault) Unwrap() []error {
	if f.err != nil {
		return []error{f.err, syscall.EIO}
	}
	return []error{syscall.ECANCELED}
}

// guard makes a call and passes a failure to settle. If settle takes a panic, the panic ends here.
// A panic that came too late for settle goes on, and so does the end of a goroutine.
func guard(what string, call func() error, settle func(*fault) bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		value := recover()
		if !settle(&fault{what: what, panicked: value}) && value != nil {
			panic(value)
		}
	}()
	err := call()
	returned = true
	if err != nil {
		settle(&fault{what: what, err: err})
	}
}
