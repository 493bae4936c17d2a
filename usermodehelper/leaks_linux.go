package usermodehelper

import (
	"os"
	"strconv"
	"sync"
	"syscall"
)

// withoutLeaks returns files, and after them a nil for each number up to the
// highest descriptor that a helper would inherit. A nil closes the descriptor in
// the helper. Such a descriptor was opened without close-on-exec: by the program's
// parent, by a C library or by package syscall.
func withoutLeaks(files []*os.File) []*os.File {
	top := leaks.top()
	if top >= len(files) {
		top = min(top, descriptorLimit()-reserve)
	}
	for len(files) <= top {
		files = append(files, nil)
	}
	return files
}

// A start needs some descriptors above the list, for its own use. With a list
// that reaches the limit it fails.
const reserve = 8

func descriptorLimit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return reserve
	}
	return int(min(limit.Cur, 1<<30))
}

// A leakFinder finds the descriptors that a helper would inherit.
type leakFinder struct {
	mu    sync.Mutex
	open  int // how many descriptors the last look found open; guarded by mu
	found int // the highest that a helper would inherit, or -1; guarded by mu
}

var leaks leakFinder

// Optimization: with more open descriptors than this, a look costs as much as
// the start itself. Then there is a look only if their number has changed.
const manyDescriptors = 256

func (l *leakFinder) top() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	dir, err := syscall.Open("/proc/self/fd", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil { // there is no /proc, or no descriptor is left
		return tryNumbers()
	}
	defer syscall.Close(dir)
	open := openDescriptors(dir)
	if open > manyDescriptors && open == l.open {
		return l.found
	}
	l.open, l.found = open, lookForLeaks(dir)
	return l.found
}

// openDescriptors returns how many descriptors are open. Before Linux 6.2 the
// kernel does not tell, and it returns 0.
func openDescriptors(dir int) int {
	var st syscall.Stat_t
	if syscall.Fstat(dir, &st) != nil {
		return 0
	}
	return int(st.Size)
}

// lookForLeaks returns the highest descriptor that a helper would inherit, or -1.
func lookForLeaks(dir int) (top int) {
	top = -1
	var buf [4096]byte
	var names []string
	for {
		n, err := syscall.ReadDirent(dir, buf[:])
		if n <= 0 || err != nil {
			return top
		}
		_, _, names = syscall.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if fd, err := strconv.Atoi(name); err == nil && fd > top && isInherited(fd) {
				top = fd
			}
		}
	}
}

// tryNumbers is lookForLeaks without a list of the descriptors. It tries 65,536
// numbers at most, which takes some milliseconds.
func tryNumbers() int {
	for fd := min(descriptorLimit(), 1<<16) - 1; fd >= 0; fd-- {
		if isInherited(fd) {
			return fd
		}
	}
	return -1
}

// isInherited reports whether a program that is started now would inherit the
// descriptor.
func isInherited(fd int) bool {
	flags, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
	return errno == 0 && flags&syscall.FD_CLOEXEC == 0
}
