// Package shell is root's side of a session with a kernel module: a screen, a
// helper, the sysctl entry that names the helper, and the log to which the
// helper appends. It prints each command above its output.
package shell

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kprim/kprim/kthread"
	"github.com/kprim/kprim/sysctl"
)

// helper is the articles' script. It appends to a file in its own directory.
const helper = `#!/bin/sh
echo "kernel Datastructure $TROUBLED_DS is in trouble" >> "${0%/*}/messages"
`

// A Shell prints to one screen. After an error its commands still print, and
// Close returns the first error.
type Shell struct {
	Handler sysctl.Var[string] // /proc/sys/kernel/myevent_handler

	screen io.Writer
	dir    string // of the helper
	proc   sysctl.Tree
	err    error // the first error
}

// New installs the helper in a new directory, which Close removes.
func New(screen io.Writer) (*Shell, error) {
	s := &Shell{screen: screen}
	entry := sysctl.Entry{
		Name:    "myevent_handler",
		Mode:    0o644,
		Handler: sysctl.DoString(&s.Handler, 256),
	}
	if _, err := s.proc.Register("kernel", entry); err != nil {
		return nil, err
	}
	temp, err := filepath.Abs(os.TempDir()) // TMPDIR may be relative
	if err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp(temp, "kprim-"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.Helper(), []byte(helper), 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// Close removes the helper and its log. It returns the first error of the
// session.
func (s *Shell) Close() error {
	s.fail(os.RemoveAll(s.dir))
	return s.err
}

func (s *Shell) fail(err error) { s.err = cmp.Or(s.err, err) }

// Helper returns the path of the helper.
func (s *Shell) Helper() string { return filepath.Join(s.dir, "helper") }

func (s *Shell) messages() string { return filepath.Join(s.dir, "messages") }

// Write makes the screen the console of a kernel's log.
func (s *Shell) Write(text []byte) (int, error) {
	n, err := s.screen.Write(text)
	s.fail(err)
	return n, err
}

// Title prints the heading of a part of the session.
func (s *Shell) Title(title string) { fmt.Fprintf(s, "==== %s ====\n", title) }

// Type prints a command that the program carries out itself.
func (s *Shell) Type(command string) { fmt.Fprintf(s, "# %s\n", command) }

// Register makes path the helper of the kernel. An empty path means none.
func (s *Shell) Register(path string) {
	const entry = "kernel/myevent_handler"
	command := "echo"
	if path != "" {
		command += " " + path
	}
	s.Type(command + " > /proc/sys/" + entry)
	s.fail(s.proc.WriteFile(sysctl.Root, entry, []byte(path+"\n")))
	if kept := s.Handler.Load(); kept != path {
		s.fail(fmt.Errorf("the entry keeps 255 bytes of the path: %s", kept))
	}
}

// EmptyLog empties the log of the helper.
func (s *Shell) EmptyLog() {
	s.Type("> messages")
	s.fail(os.WriteFile(s.messages(), nil, 0o644))
}

// ShowLog prints the log of the helper.
func (s *Shell) ShowLog() {
	s.Type("cat messages")
	text, err := os.ReadFile(s.messages())
	if !errors.Is(err, fs.ErrNotExist) { // no helper has run yet
		s.fail(err)
	}
	_, _ = s.Write(text)
}

// Ps prints the state of a thread.
func (s *Shell) Ps(thread *kthread.Thread) {
	info := thread.Info()
	s.Type("ps -o stat,comm | grep " + info.Comm())
	fmt.Fprintf(s, "%-4v %s\n", info.State, info.Comm())
}
