//go:build linux || darwin || freebsd

package usermodehelper

// SetTrace has f told of each signal and of each reaping, before it is done. No
// helper may run when it is called.
func SetTrace(f func(what string, pid int)) { trace = f }

// Add keeps text as if a helper had written it.
func Add(o *Output, text []byte) { o.add(text) }

var ErrInvalidWrite = errInvalidWrite
