//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

// A sysctls is a tree at a mount, in a directory next to the directory of its controls.
type sysctls struct {
	*sysctl.Tree
	dir     string // of the tree
	control *sysctl.Tree
}

// mountTree mounts a tree that has kernel/name, a string, and kernel/number, an int from 0
// to 100.
func mountTree(t testing.TB) sysctls {
	s := sysctls{Tree: &sysctl.Tree{}, control: &sysctl.Tree{}}
	name, number := new(sysctl.Var[string]), new(sysctl.Var[int32])
	name.Store("abc")
	number.Store(42)
	s.register(t, "kernel",
		sysctl.Entry{Name: "name", Mode: 0o644, Handler: sysctl.DoString(name, 65)},
		sysctl.Entry{Name: "number", Mode: 0o644, Handler: sysctl.DoIntVecMinMax(number, 0, 100)})
	dir, _ := mount(t, vfs.Static(map[string]vfs.Node{"sys": s.VFS(), "control": s.control.VFS()}), procfs.Options{})
	s.dir = dir + "/sys"
	return s
}

func (s sysctls) register(t testing.TB, dir string, entries ...sysctl.Entry) *sysctl.Header {
	h, err := s.Register(dir, entries...)
	require.NoError(t, err)
	return h
}

// value returns the text of an entry, without a process.
func (s sysctls) value(t testing.TB, path string) string {
	text, err := s.ReadFile(sysctl.Root, path)
	require.NoError(t, err)
	return string(text)
}

// prints runs a script in the directory of the tree, and compares its output and its exit
// code.
func (s sysctls) prints(t testing.TB, want string, code int, script string) {
	t.Helper()
	out, got := bash(t, s.dir, script)
	require.Equal(t, want, out, script)
	require.Equal(t, code, got, script)
}

// An action is an entry that does something when a process writes to it. So a script can
// change the tree between two of its commands.
type action func() error

func (action) Read(*sysctl.Request, []byte) (int, error) { return 0, nil }

func (a action) Write(_ *sysctl.Request, p []byte) (int, error) { return len(p), a() }

// on makes the command "echo > ../control/name" of a script call a function.
func (s sysctls) on(t testing.TB, name string, do func() error) {
	_, err := s.control.Register("", sysctl.Entry{Name: name, Mode: 0o600, Handler: action(do)})
	require.NoError(t, err)
}

// withMode is an entry with a mode, which is also its name.
func withMode(mode fs.FileMode) sysctl.Entry {
	return sysctl.Entry{Name: fmt.Sprintf("%04o", mode), Mode: mode, Handler: sysctl.DoString(new(sysctl.Var[string]), 65)}
}
