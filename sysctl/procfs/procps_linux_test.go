//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
)

// overProc runs a script in a mount namespace of its own, where the tree is mounted over
// /proc/sys. The host's /proc/sys stays as it is.
func (s sysctls) overProc(t testing.TB, script string) (string, int) {
	return run(t, "unshare", "-m", "bash", "-c", fmt.Sprintf(
		"mount --make-rprivate / && mount --bind %q /proc/sys && [ -e /proc/sys/kernel/myint ] || exit 99\n%s", s.dir, script))
}

// settings is a tree with entries that no host has.
func settings(t testing.TB) sysctls {
	asRoot(t)
	program(t, "unshare")
	s := mountTree(t)
	number, fixed, handler := new(sysctl.Var[int32]), new(sysctl.Var[int32]), new(sysctl.Var[string])
	number.Store(5)
	fixed.Store(42)
	handler.Store("/sbin/handler")
	s.register(t, "kernel",
		sysctl.Entry{Name: "myint", Mode: 0o644, Handler: sysctl.DoIntVecMinMax(number, 0, 100)},
		sysctl.Entry{Name: "myro", Mode: 0o444, Handler: sysctl.DoIntVec(fixed)},
		sysctl.Entry{Name: "myevent_handler", Mode: 0o644, Handler: sysctl.DoString(handler, 256)})
	s.register(t, "net/eth0.100", sysctl.Entry{Name: "mtu", Mode: 0o644, Handler: sysctl.DoIntVec(new(sysctl.Var[int32]))})
	return s
}

// A step is a command, with its output and its exit code.
type step struct {
	command, out string
	code         int
}

// step runs a command over /proc/sys. Lines of its two outputs may come in any order.
func (s sysctls) step(t testing.TB, c step) {
	out, code := s.overProc(t, c.command)
	require.ElementsMatch(t, strings.Split(c.out, "\n"), strings.Split(out, "\n"), c.command)
	require.Equal(t, c.code, code, c.command)
}

const allSettings = `kernel.myevent_handler = /sbin/handler
kernel.myint = 5
kernel.myro = 42
kernel.name = abc
kernel.number = 42
`

// The program sysctl of procps has /proc/sys built in. It is used as it is.
func TestSysctlOfProcps(t *testing.T) {
	program(t, "sysctl")
	program(t, "setpriv")
	s := settings(t)
	conf := filepath.Join(t.TempDir(), "s.conf")
	require.NoError(t, os.WriteFile(conf, []byte(
		"# a comment\nkernel.myint = 11\nkernel/name = def ghi\nkernel.nosuch = 1\nkernel.number = 1000\n"), 0o644))
	for _, c := range []step{
		{"sysctl -a", allSettings + "net.eth0/100.mtu = 0\n", 0},
		{"sysctl kernel.myint", "kernel.myint = 5\n", 0},
		{"sysctl -n kernel/myro", "42\n", 0},
		{"sysctl -w kernel.myevent_handler=/bin/x", "kernel.myevent_handler = /bin/x\n", 0},
		{"sysctl -w kernel.myint=7 kernel.number=8", "kernel.myint = 7\nkernel.number = 8\n", 0},
		{"sysctl -q net.eth0/100.mtu=1500; sysctl -n net.eth0/100.mtu", "1500\n", 0},
		{"sysctl -w kernel.myint=1000", "sysctl: setting key \"kernel.myint\": Invalid argument\n", 1},
		{"sysctl -w kernel.myint=x", "sysctl: setting key \"kernel.myint\": Invalid argument\n", 1},
		{"sysctl kernel.nosuch", "sysctl: cannot stat /proc/sys/kernel/nosuch: No such file or directory\n", 1},
		{"sysctl -e kernel.nosuch", "", 0},
		{"sysctl -p " + conf, "kernel.myint = 11\nkernel.name = def ghi\n" +
			"sysctl: cannot stat /proc/sys/kernel/nosuch: No such file or directory\n" +
			"sysctl: setting key \"kernel.number\": Invalid argument\n", 1},
		{"setpriv --reuid 65534 --regid 65534 --clear-groups sysctl -w kernel.myint=9",
			"sysctl: permission denied on key \"kernel.myint\"\n", 1},
		{"setpriv --reuid 65534 --regid 65534 --clear-groups sysctl kernel.myint", "kernel.myint = 11\n", 0},
	} {
		s.step(t, c)
	}
	require.Equal(t, "/bin/x\n", s.value(t, "kernel/myevent_handler"))
	require.Equal(t, "11\n", s.value(t, "kernel/myint"))
	require.Equal(t, "8\n", s.value(t, "kernel/number"))
	require.Equal(t, "1500\n", s.value(t, "net/eth0.100/mtu"))
}

// sysctl(8) does not even open a file that its owner may not write. Version 4.0.2 prints a
// stale errno, and returns 0. Later versions print that the write is not permitted.
func TestSysctlOfProcpsAndAKeyThatIsReadOnly(t *testing.T) {
	program(t, "sysctl")
	s := settings(t)
	out, code := s.overProc(t, "sysctl -w kernel.myro=3")
	version, _ := run(t, "sysctl", "--version")
	allowed := []step{{"", "sysctl: setting key \"kernel.myro\": Operation not permitted\n", 1}}
	if strings.HasSuffix(strings.TrimSpace(version), " 4.0.2") {
		allowed = []step{{"", "sysctl: setting key \"kernel.myro\": Invalid argument\n", 0}}
	}
	require.Contains(t, allowed, step{"", out, code}, version)
	require.Equal(t, "42\n", s.value(t, "kernel/myro"))
}

func TestSysctlOfBusybox(t *testing.T) {
	program(t, "busybox")
	s := settings(t)
	conf := filepath.Join(t.TempDir(), "s.conf")
	require.NoError(t, os.WriteFile(conf, []byte("kernel.myint = 11\nkernel.name = def\nkernel.number = 1000\n"), 0o644))
	for _, c := range []step{
		{"busybox sysctl -a", allSettings + "net.eth0/100.mtu = 0\n", 0},
		{"busybox sysctl -w kernel.myint=7", "kernel.myint = 7\n", 0},
		{"busybox sysctl kernel.myint", "kernel.myint = 7\n", 0},
		{"busybox sysctl -w kernel.myint=1000", "sysctl: write error: Invalid argument\n", 1},
		{"busybox sysctl kernel.nosuch", "sysctl: error: 'kernel.nosuch' is an unknown key\n", 1},
		{"busybox sysctl -w kernel.myro=3", "sysctl: error setting key 'kernel.myro': Permission denied\n", 1},
		{"busybox sysctl -w net.eth0.100.mtu=1500", "net.eth0/100.mtu = 1500\n", 0},
		{"busybox sysctl -p " + conf, "kernel.myint = 11\nkernel.name = def\nsysctl: write error: Invalid argument\n", 1},
	} {
		s.step(t, c)
	}
	require.Equal(t, "11\n", s.value(t, "kernel/myint"))
	require.Equal(t, "42\n", s.value(t, "kernel/number"))
}

// The scripts never touch the settings of the host.
func TestTheHostKeepsItsOwnSettings(t *testing.T) {
	s := settings(t)
	s.overProc(t, "echo 1 > /proc/sys/kernel/myint")
	require.Equal(t, "1\n", s.value(t, "kernel/myint"))
	require.NoFileExists(t, "/proc/sys/kernel/myint")
}
