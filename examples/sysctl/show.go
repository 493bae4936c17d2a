package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/kprim/kprim/sysctl"
)

// show shows the entry at name, or all entries in and below the directory.
func (c *command) show(name string) (code int) {
	name = inTree(name)
	files := c.tree.FS(sysctl.Root)
	root, slash := strings.CutSuffix(name, "/")
	if root == "" {
		root = "."
	}
	info, err := fs.Stat(files, root)
	if err == nil && slash && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return c.unknown(name, err)
	}
	_ = fs.WalkDir(files, root, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			code |= c.showFile(name, d)
		}
		return nil // an entry that was removed meanwhile is not shown
	})
	return code
}

// showFile shows an entry if it can be read and is wanted.
func (c *command) showFile(name string, d fs.DirEntry) int {
	key := sysctl.Key(name)
	info, err := d.Info()
	if err != nil || info.Mode()&0o400 == 0 || !c.selects(key) {
		return 0
	}
	if c.names {
		fmt.Fprintln(c.stdout, key)
		return 0
	}
	value, err := c.tree.ReadFile(sysctl.Root, name)
	if err != nil {
		c.warn("reading key \"%s\": %s", key, text(err))
		return 1
	}
	if c.values && !c.binary {
		_, _ = c.stdout.Write(value) // as it is: a text may end without a newline
		return 0
	}
	for line := range strings.Lines(string(value)) {
		c.line(key, strings.TrimSuffix(line, "\n"))
	}
	return 0
}

// line shows a line of a value.
func (c *command) line(key, line string) {
	switch {
	case c.binary:
		fmt.Fprint(c.stdout, line)
	case c.values:
		fmt.Fprintln(c.stdout, line)
	default:
		fmt.Fprintf(c.stdout, "%s = %s\n", key, line)
	}
}

// wrote shows the text that was written to the entry at name, as it was given.
func (c *command) wrote(name, text string) {
	key := sysctl.Key(name)
	switch {
	case c.quiet:
	case c.names:
		fmt.Fprintln(c.stdout, key)
	default:
		c.line(key, strings.TrimSuffix(text, "\n"))
	}
}

// failed reports why key was not set. If an entry exists and cannot be opened, the
// entry or its directory lacks the bit of the owner, which root needs here.
func (c *command) failed(key string, err error) int {
	path, _ := errors.AsType[*fs.PathError](err)
	switch {
	case path.Op == "write":
		c.warn("setting key \"%s\": %s", key, text(err))
	case path.Err == syscall.ENOENT || path.Err == syscall.ENOTDIR:
		return c.unknown(path.Path, err)
	default:
		c.warn("setting key \"%s\": %s", key, text(syscall.EPERM))
	}
	return 1
}

// unknown reports that there is no entry at name.
func (c *command) unknown(name string, err error) int {
	if c.ignore {
		return 0
	}
	c.warn("cannot stat /proc/sys/%s: %s", name, text(err))
	return 1
}

func (c *command) warn(format string, args ...any) {
	fmt.Fprintf(c.stderr, "sysctl: "+format+"\n", args...)
}

// text returns the text of an error as C has it, with a capital.
func text(err error) string {
	s := err.Error()
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		s = errno.Error()
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// inTree returns the same path for all spellings of it. A slash at the end stays,
// because only a directory may have one.
func inTree(name string) string {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean != "" && strings.HasSuffix(name, "/") {
		clean += "/"
	}
	return clean
}

// A host has the files of the machine under the names that programs use, and
// the standard input as "-". Lines that are not selected are empty.
type host struct{ *command }

func (host) Open(name string) (fs.File, error) { return os.Open(name) }

func (h host) ReadFile(name string) ([]byte, error) {
	text, err := h.readAll(name)
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if !h.selects(strings.TrimLeft(line, blanks)) {
			lines[i] = ""
		}
	}
	return []byte(strings.Join(lines, "\n")), err
}

func (h host) readAll(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(h.stdin)
	}
	return os.ReadFile(name)
}
