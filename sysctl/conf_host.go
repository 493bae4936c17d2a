package sysctl

import (
	"io/fs"
	"os"
	"path/filepath"
)

// hostFS has the files of the machine under their own names. [os.DirFS] refuses a name
// with a slash at its beginning, and gives no names relative to the working directory.
type hostFS struct{}

// orHost returns fsys, or the files of the machine for nil.
func orHost(fsys fs.FS) fs.FS {
	if fsys == nil {
		return hostFS{}
	}
	return fsys
}

func (hostFS) Open(name string) (fs.File, error)          { return os.Open(name) }
func (hostFS) ReadFile(name string) ([]byte, error)       { return os.ReadFile(name) }
func (hostFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (hostFS) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }

func (hostFS) Glob(pattern string) ([]string, error) {
	names, err := filepath.Glob(pattern)
	for i := range names {
		names[i] = filepath.ToSlash(names[i])
	}
	return names, err
}
