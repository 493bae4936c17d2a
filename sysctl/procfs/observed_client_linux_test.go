//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/internal/observed"
)

// An observedReply is a client's report of a case.
type observedReply struct {
	Outcome observed.Outcome
	Err     string
}

// observedClient does the cases of a file at a mount. A directory that has the number of a
// case stands for the directory of its entry. The client prints the outcomes.
func observedClient(args []string) int {
	cases, err := observed.Read(args[0])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	trees, err := os.ReadDir(args[1])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	replies := map[int]observedReply{}
	var mu sync.Mutex // guards replies
	var workers sync.WaitGroup
	work := make(chan int)
	for range 4 { // some cases wait for time to pass
		workers.Go(func() {
			for i := range work {
				r := doObserved(cases[i], filepath.Join(args[1], strconv.Itoa(i)))
				mu.Lock()
				replies[i] = r
				mu.Unlock()
			}
		})
	}
	for _, tree := range trees {
		i, _ := strconv.Atoi(tree.Name())
		work <- i
	}
	close(work)
	workers.Wait()
	_ = json.NewEncoder(os.Stdout).Encode(replies)
	return 0
}

// doObserved does one case, whose entry is in dir.
func doObserved(c observed.Case, dir string) (r observedReply) {
	ops := map[string]func(observed.Case, *observed.Outcome){}
	if do := mountedOps[c.Op]; do != nil {
		ops[c.Op] = func(c observed.Case, o *observed.Outcome) { do(c, filepath.Join(dir, path.Base(c.Entry)), o) }
	}
	var err error
	if r.Outcome, err = c.Run(mounted{dir, c.Dir() + "/"}, ops); err != nil {
		r.Err = err.Error()
	}
	return r
}

// A mounted system does system calls at a mount.
type mounted struct {
	dir    string
	prefix string // dir stands for it
}

func (m mounted) path(entry string) string {
	return filepath.Join(m.dir, strings.TrimPrefix(entry, m.prefix))
}

func (m mounted) Open(entry string, flag int) (observed.File, error) {
	return openFD(m.path(entry), flag)
}

// Text reads with a small buffer. If it is full, Text starts over with a large one, because
// a number or a bitmap comes in one read.
func (m mounted) Text(entry string) []byte {
	f := must(openFD(m.path(entry), unix.O_RDONLY))
	defer f.Close()
	for size := 1 << 12; ; size <<= 8 {
		buf := make([]byte, size)
		if n := must(f.ReadAt(buf, 0)); n < size {
			return buf[:n]
		}
	}
}

// An fd is an open file, without the help of a library.
type fd int

func openFD(path string, flag int) (fd, error) {
	f, err := unix.Open(path, flag|unix.O_CLOEXEC, 0o644)
	return fd(f), err
}

func (f fd) Close() error                              { return unix.Close(int(f)) }
func (f fd) Read(p []byte) (int, error)                { return unix.Read(int(f), p) }
func (f fd) Write(p []byte) (int, error)               { return unix.Write(int(f), p) }
func (f fd) ReadAt(p []byte, pos int64) (int, error)   { return unix.Pread(int(f), p, pos) }
func (f fd) WriteAt(p []byte, pos int64) (int, error)  { return unix.Pwrite(int(f), p, pos) }
func (f fd) Writev(p [][]byte) (int, error)            { return unix.Writev(int(f), p) }
func (f fd) Seek(pos int64, whence int) (int64, error) { return unix.Seek(int(f), pos, whence) }

// must is for calls that do not fail, unless the test is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// as calls a function with other ids. The kernel keeps ids for each thread. This thread ends
// with its goroutine, because the goroutine stays locked to it.
func as(ids observed.IDs, do func()) {
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		runtime.LockOSThread()
		setIDs(ids)
		do()
	}()
	if p := <-done; p != nil {
		panic(p)
	}
}

// setIDs sets the real, effective and saved ids of this thread. The functions of package
// syscall would set them for all threads.
func setIDs(ids observed.IDs) {
	groups := make([]uint32, len(ids.Groups)+1) // not empty, so that it has an address
	for i, gid := range ids.Groups {
		groups[i] = uint32(gid)
	}
	uid, gid := uintptr(ids.UID), uintptr(ids.GID)
	_, _, e1 := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(ids.Groups)), uintptr(unsafe.Pointer(&groups[0])), 0)
	_, _, e2 := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid)
	_, _, e3 := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid)
	if e1 != 0 || e2 != 0 || e3 != 0 {
		panic(fmt.Sprint(e1, e2, e3))
	}
}
