//go:build darwin || freebsd

package usermodehelper

import (
	"os"
	"syscall"
)

// inCrew calls start. The helper has the umask of the program.
func inCrew(start func() error) (over func(), err error) { return func() {}, start() }

// withoutLeaks returns files as they are: the helper inherits the descriptors
// that every new program inherits.
func withoutLeaks(files []*os.File) []*os.File { return files }

func checkSys(*syscall.SysProcAttr) error { return nil }
