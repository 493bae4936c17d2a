package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed helper.sh
var script []byte

// installHelper returns the path of the helper: the argument, or that of the
// program's own script in a temporary directory, which remove deletes.
func installHelper(out io.Writer, args []string) (
	path string, remove func(), err error) {
	if len(args) == 1 {
		path, err = filepath.Abs(args[0])
		return path, func() {}, err
	}
	temp, err := filepath.Abs(os.TempDir()) // TMPDIR may be relative
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp(temp, "monitor-and-helper-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	path = filepath.Join(dir, "helper")
	err = os.WriteFile(path, script, 0o644)
	fmt.Fprintln(out, "# chmod +x helper")
	if err = errors.Join(err, os.Chmod(path, 0o755)); err != nil {
		remove()
		return "", nil, err
	}
	return path, remove, nil
}

// A file is one that the helper appends to, beside itself.
type file struct {
	name string
	seen int // bytes that were there before
}

func watch(helper, name string) (*file, error) {
	f := &file{name: filepath.Join(filepath.Dir(helper), name)}
	text, err := f.read()
	f.seen = len(text)
	return f, err
}

// added returns the lines that were appended since.
func (f *file) added() ([]string, error) {
	text, err := f.read()
	return slices.Collect(strings.Lines(text[min(f.seen, len(text)):])), err
}

// read returns what is in the file, nothing if there is none yet.
func (f *file) read() (string, error) {
	text, err := os.ReadFile(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(text), err
}
