package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kprim/kprim/sysctl"
)

const (
	entryName = "kernel/myevent_handler"
	entryPath = "/proc/sys/" + entryName
)

// entry is a line of kern_table.
func entry(handler *sysctl.Var[string]) sysctl.Entry {
	return sysctl.Entry{
		// .procname = "myevent_handler", .mode = 0644,
		// .data = &myevent_handler, .maxlen = 256,
		// .proc_handler = &proc_dostring
		Name:    filepath.Base(entryName),
		Mode:    0o644,
		Handler: sysctl.DoString(handler, 256),
	}
}

// stat prints the mode of the entry.
func (s *shell) stat() error {
	info, err := fs.Stat(s.proc.FS(sysctl.Nobody), entryName)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "# stat -c %%A %s\n%v\n", entryPath, info.Mode())
	return nil
}

// register writes a path to the entry, as echo does. It returns the number of
// bytes that the entry has taken.
func (s *shell) register(path string) (int, error) {
	f, err := s.proc.OpenFile(sysctl.Root, entryName, os.O_WRONLY)
	if err != nil {
		return 0, err
	}
	return f.Write([]byte(path + "\n"))
}

// registerLong writes a path that leads to the helper, and is one byte too long
// for the entry.
func (s *shell) registerLong(helper string) error {
	dir, name := filepath.Split(helper)
	long := dir + strings.Repeat("/", 256-len(helper)) + name
	fmt.Fprintf(s.out, "# test -x $long && echo $long > %s\n", entryPath)
	info, err := os.Stat(long)
	if err != nil {
		return err
	}
	if info.Mode()&0o111 == 0 {
		return &os.PathError{Op: "test -x", Path: long, Err: os.ErrPermission}
	}
	n, err := s.register(long)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "write of %d bytes: %d\n", len(long)+1, n)
	kept, err := s.proc.ReadFile(sysctl.Root, entryName)
	if err != nil {
		return err
	}
	end := kept[max(0, len(kept)-7):]
	fmt.Fprintf(s.out, "# tail -c 7 %s\n%s", entryPath, end)
	return nil
}

//go:embed helper.sh
var script []byte

// installHelper returns the path of the helper, which is in a new directory.
// The helper mails if a file named mail-too is there.
func installHelper(mail bool) (string, error) {
	temp, err := filepath.Abs(os.TempDir()) // TMPDIR may be relative
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(temp, "kthread-loop-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "helper")
	err = os.WriteFile(path, script, 0o755) // chmod +x helper
	if mail {
		too := filepath.Join(dir, "mail-too")
		err = errors.Join(err, os.WriteFile(too, nil, 0o600))
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	return path, nil
}
