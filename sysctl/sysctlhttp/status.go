package sysctlhttp

import (
	"errors"
	"io/fs"
	"net/http"
	"syscall"
)

// An answer is the status for an error that matches one of some errnos.
type answer struct {
	status int
	errnos []syscall.Errno
}

// statuses are for the errors of handlers. The errors of the tree itself are among them.
var statuses = []answer{
	{http.StatusForbidden, []syscall.Errno{syscall.EACCES, syscall.EPERM}},
	{http.StatusConflict, []syscall.Errno{syscall.EBUSY}},
	{http.StatusInternalServerError, []syscall.Errno{syscall.EIO}},
}

// status returns the status for the error of a write. A write that finds no entry is 404.
// But a handler may say ENOENT of a file that its text names, and then the text is at
// fault.
func status(err error) int {
	if path, ok := errors.AsType[*fs.PathError](err); ok && path.Op == "open" {
		if path.Err == syscall.EACCES {
			return http.StatusForbidden
		}
		return http.StatusNotFound // it was unregistered just now
	}
	for _, a := range statuses {
		for _, errno := range a.errnos {
			if errors.Is(err, errno) {
				return a.status
			}
		}
	}
	return http.StatusBadRequest
}

// readStatus returns the status for the error of a read. The caller has sent nothing that
// could be at fault.
func readStatus(err error) int {
	if s := status(err); s == http.StatusForbidden || s == http.StatusNotFound {
		return s
	}
	return http.StatusInternalServerError
}
