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

// installHelper returns the path of the helper. That is the argument, or the
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
	dir, err := os.MkdirTemp(temp, "kprim-")
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

// A file is a file in the helper's directory, to which the helper appends.
type file struct {
	name string
	seen int // bytes that were there before the session
}

func watch(helper, name string) (*file, error) {
	f := &file{name: filepath.Join(filepath.Dir(helper), name)}
	text, err := f.read()
	f.seen = len(text)
	return f, err
}

// added returns the lines that were appended in the session.
func (f *file) added() ([]string, error) {
	text, err := f.read()
	return slices.Collect(strings.Lines(text[min(f.seen, len(text)):])), err
}

// read returns the text of the file, or "" if there is no file yet.
func (f *file) read() (string, error) {
	text, err := os.ReadFile(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(text), err
}
