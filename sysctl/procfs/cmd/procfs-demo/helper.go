package main

import (
	_ "embed"
	"errors"
	"os"
	"path/filepath"
)

//go:embed helper.sh
var script []byte

// installHelper puts the helper into a new temporary directory, where it writes its messages.
// remove deletes the directory.
func installHelper() (path string, remove func(), err error) {
	temp, err := filepath.Abs(os.TempDir()) // TMPDIR may be relative
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp(temp, "procfs-demo-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	path = filepath.Join(dir, "helper")
	err = os.WriteFile(path, script, 0o700)
	if err = errors.Join(err, os.Chmod(path, 0o755)); err != nil { // the umask may have taken bits
		remove()
		return "", nil, err
	}
	return path, remove, nil
}
