//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/procfs/internal/processes"
)

// readers are scripts that read the files hostname and pid_max.
var readers = []string{
	"cat hostname pid_max", "cat < hostname", "head -c 3 hostname", "head -n 1 pid_max",
	"tail hostname", "tail -n 1 pid_max", "tail -c 3 hostname", "tail -c +2 hostname", "tac hostname pid_max",
	"wc hostname pid_max | xargs", "wc -c hostname", "wc -l < pid_max",
	"dd if=hostname bs=1 status=none", "dd if=pid_max bs=1 status=none", "dd if=pid_max bs=2 count=1 status=none",
	"dd if=hostname bs=1 skip=2 status=none", "dd if=pid_max bs=1 skip=1 status=none", "dd if=hostname skip=1 bs=9999 status=none",
	"grep -r . hostname pid_max", "grep -c . pid_max", "sed -n p hostname", "awk '{print NF, $0}' pid_max", "od -c hostname", "cut -c 2- hostname",
	"md5sum hostname pid_max", "diff hostname hostname", "cmp hostname pid_max", "sort hostname pid_max", "base64 hostname", "xargs echo < pid_max",
	"mapfile -t lines < hostname; echo ${#lines[@]} $lines", "echo $(<pid_max) $(< hostname)", "read x < pid_max; echo $? $x",
	"read -N 2 x < hostname; echo $? $x", "while read -r x; do echo $x; done < hostname",
	"{ read x; read y; echo $x $y; } < pid_max", "exec 3< hostname; cat <&3; cat <&3", "exec 3< pid_max; head -c 1 <&3; cat <&3",
	"cp hostname /dev/stdout | cat", "tee < pid_max",
	"[ -s hostname -a 1 = 1 ] || true", "test -f hostname -a -r pid_max && echo yes", "find hostname pid_max -type f -perm 644",
	"stat -c '%A %h %U %G %b' hostname pid_max", "du hostname", "timeout 5 cat pid_max",
	"exec 3<> pid_max; cat <&3", "busybox cat hostname pid_max", "busybox tail hostname", "busybox wc pid_max | xargs", "busybox dd if=pid_max bs=1 2>&1 | head -c 9",
	"busybox cp hostname /dev/stdout | cat", "busybox head -c 2 hostname", "getfattr hostname 2>&1 | head -c 0",
}

// A command that reads prints the same of a mounted tree as of /proc/sys. The tree has the
// values of this host, which the test only reads.
func TestReadersPrintTheSameAsOfProc(t *testing.T) {
	program(t, "busybox")
	const proc = "/proc/sys/kernel"
	var s = mountTree(t)
	for _, name := range []string{"hostname", "pid_max"} {
		text, err := os.ReadFile(filepath.Join(proc, name))
		if err != nil {
			t.Skipf("skipped: this host has no %s: %v", name, err)
		}
		v, n := new(sysctl.Var[string]), new(sysctl.Var[int32])
		e := sysctl.Entry{Name: name, Mode: 0o644, Handler: sysctl.DoString(v, 65)}
		if name == "pid_max" {
			e.Handler = sysctl.DoIntVec(n)
		}
		s.register(t, "kernel", e)
		require.NoError(t, s.WriteFile(sysctl.Root, "kernel/"+name, text))
	}
	var script strings.Builder
	for i, r := range readers {
		fmt.Fprintf(&script, "(\n%s\n) 2>&1; echo \"%d: $?\"\n", r, i)
	}
	want, _ := bash(t, proc, script.String())
	got, _ := bash(t, s.dir+"/kernel", script.String())
	for i, r := range readers {
		end := fmt.Sprintf("%d: ", i)
		w, wantRest, _ := strings.Cut(want, end)
		g, gotRest, _ := strings.Cut(got, end)
		require.Equal(t, w+wantRest[:2], g+gotRest[:2], r)
		want, got = wantRest[2:], gotRest[2:]
	}
}

// A mounted file has a size of 4096, and a file of /proc/sys has 0. These programs show the
// difference.
func TestProgramsThatShowTheSize(t *testing.T) {
	t.Setenv("FILE", filepath.Join(t.TempDir(), "file"))
	s := mountTree(t)
	s.prints(t, "-rw-r--r-- 1 root root 4096 Jan  1  1970 kernel/name\n", 0, "TZ=UTC ls -l kernel/name")
	s.prints(t, "", 0, "[ -s kernel/name ]")
	// The shell reads as many bytes of a script, so it finds a command in the text.
	s.prints(t, "kernel/name: line 1: abc: command not found\n", 127, "source kernel/name")
	// A column of wc is as wide as the sum of the sizes.
	s.prints(t, "   1    1    4 name\n   1    1    3 number\n   2    2    7 total\n", 0, "cd kernel; wc name number")
	// The archive has the rest of the size as NULs, where an archive of /proc/sys has no text.
	s.prints(t, "tar: kernel/name: File shrank by 4092 bytes; padding with zeros\n"+
		"tar: kernel/number: File shrank by 4093 bytes; padding with zeros\n1\n8192\n", 0,
		"tar cf $FILE kernel; echo $?; tar xf $FILE -O | wc -c")
}

// Programs that walk the whole tree come to an end.
func TestProgramsThatWalkTheTree(t *testing.T) {
	s := mountTree(t)
	s.register(t, "net/ipv4", withMode(0o600))
	s.prints(t, ".\n./kernel\n./kernel/name\n./kernel/number\n./net\n./net/ipv4\n./net/ipv4/0600\n", 0, "find . | sort")
	s.prints(t, "./kernel/name:abc\n./kernel/number:42\n", 0, "grep -r . . | sort")
	s.prints(t, "0\t.\n", 0, "du -s .")
	s.prints(t, "0 0 0\n", 0, "df --output=size,used,avail . | tail -n 1 | xargs")
	s.prints(t, "dr-xr-xr-x 1 root root 0 kernel\ndr-xr-xr-x 1 root root 0 net\n", 0, "stat -c '%A %h %U %G %s %n' *")
	s.prints(t, "5\n", 0, "ls -aR kernel | grep -c .")
	s.prints(t, "fuse.kprim 255\n", 0, "echo $(findmnt -no FSTYPE -T .) $(stat -f -c %l .)")
}

// The value that each script leaves. Before it the values are abc and 42.
func TestWritersLeaveTheValueOfTheKernel(t *testing.T) {
	program(t, "busybox")
	s := mountTree(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("77\n"), 0o600))
	t.Setenv("FILE", file)
	for _, c := range []struct{ script, name, number string }{
		{"echo xyz > name", "xyz", "42"},
		{"printf xyz > name", "xyz", "42"},
		{"echo 7 > number", "abc", "7"},
		{"echo 5 6 > number", "abc", "5"}, // the shell writes the rest, which is ignored
		{"echo xyz >> name; echo uvw >> name", "uvw", "42"},
		{"echo 7 >> number; echo 8 >> number", "abc", "8"},
		{"exec 3>> name; printf xy >&3; printf z >&3", "xyz", "42"},
		{"exec 3>> name; echo xy >&3; echo z >&3", "xy", "42"}, // behind the newline is the end
		{"exec 3>> number; echo 7 >&3; echo 8 >&3", "abc", "7"},
		{"exec 3> name; printf xy >&3; printf z >&3", "xyz", "42"},
		{"exec 3<> name; read x <&3; printf z >&3", "abc", "42"},
		{"exec 3<> name; read -N 1 x <&3; printf z >&3", "az", "42"},
		{"exec 3<> name; printf xy >&3; read x <&3; echo z$x > name", "z", "42"},
		{"printf xyz | tee name > /dev/null", "xyz", "42"},
		{"printf xyz | tee -a name > /dev/null", "xyz", "42"},
		{"printf xyz | dd of=name bs=1 status=none", "xyz", "42"},
		{"printf 78 | dd of=number bs=1 status=none", "abc", "7"},
		{"printf Z | dd of=name bs=1 seek=1 status=none", "aZ", "42"},
		{"printf Z | dd of=name bs=1 seek=1 conv=notrunc status=none", "aZ", "42"},
		{"printf Z | dd of=name bs=1 seek=9 conv=notrunc status=none", "abc", "42"},
		{"printf 9 | dd of=number bs=1 seek=1 conv=notrunc status=none", "abc", "42"},
		{"printf xyz | dd of=name oflag=append conv=notrunc status=none", "xyz", "42"},
		{"cp $FILE name; cp $FILE number", "77", "77"},
		{"cat $FILE > number", "abc", "77"},
		{"busybox cp $FILE name; busybox cp name number", "77", "77"},
		{"busybox cat $FILE > number", "abc", "77"},
		{"busybox sh -c 'echo xyz > name; echo 7 >> number'", "xyz", "7"},
		{"cat number > name", "42", "42"},
		{"sed -n 's/4/5/p' number > number", "abc", "52"}, // nothing was truncated before
		{"printf '%0100d' 0 > name; printf 7 > number", strings.Repeat("0", 64), "7"},
		{"head -c 100000 /dev/zero | tr '\\0' x > name", strings.Repeat("x", 64), "42"},
		{"(printf 7; head -c 300000 /dev/zero | tr '\\0' ' ') > number", "abc", "7"},
		{"echo > name", "", "42"},
		{"cp /dev/null name; : > number", "abc", "42"},
	} {
		require.NoError(t, s.WriteFile(sysctl.Root, "kernel/name", []byte("abc")))
		require.NoError(t, s.WriteFile(sysctl.Root, "kernel/number", []byte("42")))
		out, code := bash(t, s.dir+"/kernel", c.script)
		require.Empty(t, out, c.script)
		require.Zero(t, code, c.script)
		require.Equal(t, c.name+"\n", s.value(t, "kernel/name"), c.script)
		require.Equal(t, c.number+"\n", s.value(t, "kernel/number"), c.script)
	}
}

func TestKernelCopiesAndMaps(t *testing.T) {
	s := mountTree(t)
	s.prints(t, "\"abc\\n\" 4\n\"abc\\n\" 4\n", 0, "$PROBE sendfile kernel/name; $PROBE splice kernel/name")
	s.prints(t, "\"42\\n\" 3\n\"42\\n\" 3\n", 0, "$PROBE sendfile kernel/number; $PROBE splice kernel/number")
	s.prints(t, "-1 ENODEV\n", 1, "$PROBE mmap kernel/name")
}

// A sizes handler remembers the sizes of the calls that reach it.
type sizes struct {
	mu   sync.Mutex
	list []int // negative for a write; guarded by mu
}

func (s *sizes) Read(r *sysctl.Request, p []byte) (int, error)  { return s.add(r, len(p), 1) }
func (s *sizes) Write(r *sysctl.Request, p []byte) (int, error) { return s.add(r, len(p), -1) }

func (s *sizes) add(r *sysctl.Request, n, sign int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, sign*n)
	r.Pos += int64(n)
	return n, nil
}

// A call of up to 1 MiB reaches the file whole. A longer one comes in parts.
func TestSizesOfCalls(t *testing.T) {
	const mib = 1 << 20
	s := mountTree(t)
	seen := &sizes{}
	s.register(t, "", sysctl.Entry{Name: "x", Mode: 0o644, Handler: seen})
	s.prints(t, "", 0, `run() { dd count=1 status=none "$@"; }
run if=/dev/zero of=x bs=1; run if=/dev/zero of=x bs=1M; run if=/dev/zero of=x bs=1048577
run if=x of=/dev/null bs=1; run if=x of=/dev/null bs=1M; run if=x of=/dev/null bs=1048577`)
	seen.mu.Lock()
	defer seen.mu.Unlock()
	require.Equal(t, []int{-1, -mib, -mib, -1, 1, mib, mib, 1}, seen.list)
}

// A file that is opened to append is written at the sum of the counts of its calls. A
// read after a write finds the end, because the kernel has moved the position behind the
// size. In /proc/sys such a read finds the newline.
func TestOneDescriptorThatReadsAndAppends(t *testing.T) {
	s := mountTree(t)
	s.prints(t, "\"ab\" \"\" 1\n", 0, "$PROBE append kernel/name")
	require.Equal(t, "abxyz\n", s.value(t, "kernel/name"))
}

// Tail prints the text, and sleeps until it is ended.
func TestTailFollows(t *testing.T) {
	s := mountTree(t)
	out := filepath.Join(t.TempDir(), "out")
	c := start(t, "bash", "-c", fmt.Sprintf("exec tail -f %q > %q", s.dir+"/kernel/name", out))
	processes.Eventually(t, "tail has printed the text", func() bool {
		text, _ := os.ReadFile(out)
		return string(text) == "abc\n"
	})
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	require.Equal(t, -int(syscall.SIGTERM), c.Wait(t))
	require.Empty(t, c.Out.String())
}
