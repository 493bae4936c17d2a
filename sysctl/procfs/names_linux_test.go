//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

// module registers an entry net/x with a value, as a module does when it is loaded. The
// scripts load and unload it by controls.
func (s sysctls) module(t testing.TB) {
	var h *sysctl.Header
	loads := 0
	s.on(t, "load", func() (err error) {
		loads++
		v := new(sysctl.Var[string])
		v.Store(fmt.Sprintf("load %d", loads))
		h, err = s.Register("net", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoString(v, 65)})
		return err
	})
	s.on(t, "unload", func() error { h.Unregister(); return nil })
}

// loading are shell functions that load and unload the module, from any directory.
const loading = `control=$(realpath ../control); load() { echo > $control/load; }; unload() { echo > $control/unload; }
exec 2>&1; load
`

// An open file of an entry that is unregistered has ENOENT for ever. A name that is
// registered again is a new file.
func TestOpenFileOfAnEntryThatGoes(t *testing.T) {
	s := mountTree(t)
	s.module(t)
	s.prints(t, `load 1
stat: cannot stat standard input: No such file or directory
cat: -: No such file or directory
bash: line 7: echo: write error: No such file or directory
bash: line 8: net/x: No such file or directory
load 2
cat: -: No such file or directory
`, 0, loading+`exec 3<> net/x 4< net/x; cat <&3; stat - <&4 > /dev/null
unload; stat - <&4
cat <&4
echo new >&3
cat < net/x
load; cat net/x
cat <&4
exec 3<&- 4<&-`)
}

// A listing shows at once which names there are.
func TestListingShowsNamesAtOnce(t *testing.T) {
	s := mountTree(t)
	s.module(t)
	s.prints(t, "kernel net net/x\nls: cannot access 'net/x': No such file or directory\nkernel\nkernel net net/x\n", 0,
		loading+`names() { echo $(ls) $(ls net/x); }
names; unload; names; load; names`)
}

// A process may have a working directory that is removed. It finds no names there, even if
// a directory of the same name is made again. The path leads to the new directory.
func TestDirectoryThatGoesStaysGone(t *testing.T) {
	s := mountTree(t)
	s.module(t)
	s.prints(t, `x
ls: cannot open directory '.': No such file or directory
ls: cannot open directory '.': No such file or directory
cat: x: No such file or directory
stat: cannot statx '.': No such file or directory
load 2
`, 0, loading+`cd net; ls
unload; ls
load; ls
cat x
stat .
cd ../net; cat x`)
}

// A program lists 2,000 names in several pieces, also while a name comes and another goes.
// It sees each of the other names once.
func TestManyNamesAreListedInPieces(t *testing.T) {
	s := mountTree(t)
	var entries []sysctl.Entry
	for i := range 2000 {
		v := new(sysctl.Var[int32])
		v.Store(int32(i))
		entries = append(entries, sysctl.Entry{Name: fmt.Sprintf("entry-%04d", i), Mode: 0o644, Handler: sysctl.DoIntVec(v)})
	}
	s.register(t, "many", entries...)
	last := s.register(t, "many", sysctl.Entry{Name: "entry-last", Mode: 0o644, Handler: sysctl.DoIntVec(new(sysctl.Var[int32]))})
	s.on(t, "change", func() error {
		last.Unregister()
		_, err := s.Register("many", sysctl.Entry{Name: "entry-0000a", Mode: 0o644, Handler: sysctl.DoIntVec(new(sysctl.Var[int32]))})
		return err
	})
	s.prints(t, "2001\n1999\n", 0, "ls -U many | wc -l; cat many/entry-1999")
	s.prints(t, "2001 2001 2000\n", 0, "$PROBE names many ../control/change")
	s.prints(t, "2001\n", 0, "ls many | sort -u | wc -l")
	s.prints(t, "200\n", 0, "cat many/*7 | wc -l")
}

// A name that no path can have is not listed, and the others are. The kernel would refuse
// the list that has it.
func TestNamesThatNoPathCanHave(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, name := range []string{"", ".", "..", "a/b", "a\x00b", long + "x"} {
		dir, _ := mount(t, vfs.Static(map[string]vfs.Node{
			name: &sleepfile.File{}, "two words": &sleepfile.File{}, "ünï": &sleepfile.File{}, "...": &sleepfile.File{}, long: &sleepfile.File{},
		}), procfs.Options{})
		out, code := run(t, "ls", "-fN1", dir)
		require.Zero(t, code, "%q: %s", name, out)
		require.Equal(t, ".\n..\n...\ntwo words\n"+long+"\nünï\n", out, "%q", name)
		out, code = bash(t, dir, `cat "two words" ünï ... x*`)
		require.Zero(t, code, out)
		require.Equal(t, strings.Repeat(emptyOutput, 4), out)
	}
}
