//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/examples/sleepfile"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/procfs"
	"github.com/kprim/kprim/sysctl/vfs"
)

var latencies = flag.Bool("latency", false, "measure how long open, read and close take, and print a table")

// TestLatency prints how long open, read and close of one Int take. It compares them with a
// file of the kernel, and with calls in process. Every row has its turn in each round,
// because the speed of a machine changes.
//
//	go test . -run Latency -latency -v
func TestLatency(t *testing.T) {
	rounds := 20
	if *latencies {
		rounds = 5_000
	}
	tree := new(sysctl.Tree)
	_, err := tree.Register("kernel", sysctl.Entry{Name: "pid_max", Mode: 0o644, Handler: sysctl.DoIntVec(new(sysctl.Var[int32]))})
	require.NoError(t, err)
	dir, _ := mount(t, tree.VFS(), procfs.Options{})
	polled, _ := mount(t, tree.VFS(), procfs.Options{Poll: true})
	deep, _ := mount(t, vfs.Static(map[string]vfs.Node{"sys": tree.VFS()}), procfs.Options{})
	stream, _ := mount(t, &sleepfile.File{}, procfs.Options{})
	ways := []struct{ name, path string }{
		{"a file of the kernel", "/proc/sys/kernel/pid_max"},
		{"a mounted File, no name below the mount", stream},
		{"an Int, two names below the mount", dir + "/kernel/pid_max"},
		{"an Int, three names below the mount", deep + "/sys/kernel/pid_max"},
		{"an Int, two names, with Options.Poll", polled + "/kernel/pid_max"},
	}
	args := []string{strconv.Itoa(rounds)}
	for _, w := range ways {
		args = append(args, w.path)
	}
	c := newCaller(t, "latency", args...)
	t.Logf("| microseconds, medians of %d | open | read | close | sum | 99th percentile | ratio |", rounds)
	var kernel time.Duration
	for _, w := range ways {
		l := parseLatency(t, c.end(t))
		if kernel == 0 {
			kernel = l.sum
		}
		t.Log(l.row(w.name, kernel))
	}
	t.Log(inProcess(t, tree, rounds).row("an Int by calls in process, two names", kernel))
}

// A latency is how long the three calls take: their medians, and the 99th percentile of
// the sum.
type latency struct{ open, read, close, sum, slow time.Duration }

func (l latency) row(name string, kernel time.Duration) string {
	us := func(d time.Duration) float64 { return float64(d) / 1000 }
	return fmt.Sprintf("| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |",
		name, us(l.open), us(l.read), us(l.close), us(l.sum), us(l.slow), us(l.sum)/us(kernel))
}

func parseLatency(t testing.TB, line string) (l latency) {
	_, err := fmt.Sscan(line, &l.open, &l.read, &l.close, &l.sum, &l.slow)
	require.NoError(t, err, line)
	return l
}

// samples are the times of open, read, close, and their sum.
type samples [4][]time.Duration

func (s *samples) add(before, opened, read, closed time.Time) {
	for i, d := range []time.Duration{opened.Sub(before), read.Sub(opened), closed.Sub(read), closed.Sub(before)} {
		s[i] = append(s[i], d)
	}
}

func (s *samples) latency() latency {
	at := func(i, percent int) time.Duration {
		slices.Sort(s[i])
		return s[i][len(s[i])*percent/100]
	}
	return latency{at(0, 50), at(1, 50), at(2, 50), at(3, 50), at(3, 99)}
}

func init() { roles["latency"] = measureLatency }

// measureLatency opens, reads and closes each file in each round. It makes raw system calls,
// without package os.
func measureLatency(args []string) int {
	rounds, _ := strconv.Atoi(args[0])
	paths := args[1:]
	found := make([]samples, len(paths))
	for range rounds {
		for i, path := range paths {
			if errno := openReadClose(path, &found[i]); errno != 0 {
				fmt.Println(path, errno)
				return 1
			}
		}
	}
	for i := range found {
		l := found[i].latency()
		fmt.Println(int64(l.open), int64(l.read), int64(l.close), int64(l.sum), int64(l.slow))
	}
	return 0
}

func openReadClose(path string, s *samples) unix.Errno {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return unix.EINVAL
	}
	var text [4096]byte
	cwd := unix.AT_FDCWD
	before := time.Now()
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(name)), unix.O_RDONLY, 0, 0, 0)
	opened := time.Now()
	if errno != 0 {
		return errno
	}
	n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&text)), uintptr(len(text)))
	read := time.Now()
	if errno != 0 || n == 0 {
		return max(errno, unix.EIO)
	}
	_, _, errno = unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	s.add(before, opened, read, time.Now())
	return errno
}

// inProcess measures the same calls without a mount.
func inProcess(t testing.TB, tree *sysctl.Tree, rounds int) latency {
	var s samples
	cred := vfs.Process(0, 0, os.Getpid(), nil)
	text := make([]byte, 4096)
	for range rounds {
		before := time.Now()
		dir, _ := tree.VFS().Lookup("kernel")
		file, err := dir.(vfs.Dir).Lookup("pid_max")
		require.NoError(t, err)
		h, err := file.(vfs.File).Open(t.Context(), cred, os.O_RDONLY)
		opened := time.Now()
		require.NoError(t, err)
		n, err := h.Read(t.Context(), cred, text, 0)
		read := time.Now()
		require.NoError(t, err)
		require.Equal(t, "0\n", string(text[:n]))
		start := time.Now()
		_ = h.Flush()
		h.Release()
		s.add(before, opened, read, read.Add(time.Since(start)))
	}
	return s.latency()
}
