//go:build linux || darwin || freebsd

package usermodehelper

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// directory returns the absolute form of the Dir that Init has left. A thread that
// starts helpers has a directory of its own, so os/exec would begin from there. The path
// is not cleaned: ".." after a symbolic link is the parent of the link's target.
func directory(dir, chroot string) (string, error) {
	switch {
	case strings.Contains(dir, "\x00"):
		return "", fmt.Errorf("the Dir %q has a NUL byte: %w", dir, syscall.EINVAL)
	case chroot == "" && !filepath.IsAbs(dir):
		from, err := os.Getwd()
		return strings.TrimSuffix(from, "/") + "/" + dir, err
	case chroot == "":
		return dir, nil
	case dir == "": // must not be a directory outside of the new root
		return "/", nil
	case !filepath.IsAbs(dir):
		return "", fmt.Errorf("with Chroot, Dir %q must be absolute: %w", dir, syscall.EINVAL)
	}
	return dir, nil
}

func checkEnv(env []string) error {
	for i, s := range env {
		if strings.Contains(s, "\x00") {
			return fmt.Errorf("env[%d] has a NUL byte: %w", i, syscall.EINVAL)
		}
	}
	return nil
}

// checkFiles refuses a file that is not open. Package os would panic, or close a
// descriptor of the helper and return no error.
func checkFiles(files []*os.File) error {
	for i, f := range files {
		if f == nil {
			continue
		}
		if !isOpen(f) {
			return fmt.Errorf("files[%d] is not open: %w", i, syscall.EBADF)
		}
	}
	return nil
}

// isOpen does not use Fd, which changes the mode of the file.
func isOpen(f *os.File) bool {
	if *f == (os.File{}) {
		return false
	}
	conn, err := f.SyscallConn()
	return err == nil && conn.Control(func(uintptr) {}) == nil
}
