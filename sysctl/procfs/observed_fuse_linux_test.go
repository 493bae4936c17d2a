//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"

	"github.com/kprim/kprim/internal/observed"
	"github.com/kprim/kprim/sysctl"
)

// Sizes of FUSE: the most that one request carries, and the size of an entry for stat(2).
const (
	requestSize = 1 << 20
	entrySize   = 4096
)

// Reasons for which a mounted file differs from a file of the kernel.
const (
	bySize     = "an entry has a size of 4096, so that splice and sendfile read it"
	byMap      = "the kernel maps each file of FUSE privately, and asks no server"
	byNothing  = "a write of no bytes does not reach a server"
	byAppend   = "the kernel counts the position of a file of FUSE that appends from its size"
	byParts    = "a call of more than 1 MiB reaches the file in parts"
	byPosition = "the kernel moves the position of a file of FUSE by the count, and here the handler does not move it"
)

// underFUSE returns the outcome that a case must have at a mounted file, and the reason if it
// differs from the kernel's outcome. Without a reason it must not differ.
func underFUSE(c observed.Case, want observed.Outcome) (o observed.Outcome, reason string) {
	switch step, _ := c.Asks(); {
	case c.Op == "stat":
		stat := strings.Replace(want.Stat[0], "size 0", "size 4096", 1)
		want.Stat = []string{stat, stat}
		return want, bySize
	case strings.HasPrefix(c.Op, "mmap_private"):
		want.Result, want.Errno = []int64{0}, []string{""}
		return want, byMap
	case c.Op == "poll" && step == "after a zero-length write":
		want.Polled = []string{}
		return want, byNothing
	case observed.Ops[c.Op] == nil:
		return want, ""
	}
	if o, ok := runIn(c, func(t *sysctl.Tree) observed.System { return observed.InProcess{Tree: t} }); !ok || !reflect.DeepEqual(o, want) {
		return o, "" // FUSE is not the reason: the Tree itself differs
	}
	o, ok := runIn(c, func(t *sysctl.Tree) observed.System { return fuseModel{observed.InProcess{Tree: t}} })
	if !ok {
		return o, ""
	}
	return o, whyModel(c)
}

// runIn does a case in the process.
func runIn(c observed.Case, system func(*sysctl.Tree) observed.System) (o observed.Outcome, ok bool) {
	tree, _, err := c.Tree()
	if err == nil {
		o, err = c.Run(system(tree), nil)
	}
	return o, err == nil
}

// whyModel returns the reason why the outcome of a model may differ from the kernel's.
func whyModel(c observed.Case) string {
	switch {
	case strings.HasPrefix(c.Op, "lseek_end"):
		return bySize
	case c.Largest() > requestSize:
		return byParts
	case c.Op == "write_O_APPEND":
		return byAppend
	case c.Unsigned(), c.Handler == "proc_dostring", strings.HasPrefix(c.Handler, "handler that returns 0"):
		return byPosition
	}
	return ""
}

// A fuseModel imitates the kernel's treatment of mounted files in the process: it cuts long
// calls into parts, and it moves the position by the count.
//
// Kernel: fuse_direct_io
type fuseModel struct{ observed.InProcess }

func (m fuseModel) Open(entry string, flag int) (observed.File, error) {
	f, err := m.InProcess.Open(entry, flag)
	return &modelFile{File: f, appends: flag&os.O_APPEND != 0}, err
}

type modelFile struct {
	observed.File
	pos     int64
	appends bool // one write, because the kernel changes the size
}

func (f *modelFile) ReadAt(p []byte, pos int64) (int, error) { return inParts(f.File.ReadAt, p, pos) }

func (f *modelFile) WriteAt(p []byte, pos int64) (int, error) { return inParts(f.File.WriteAt, p, pos) }

func (f *modelFile) Read(p []byte) (n int, err error) {
	n, err = f.ReadAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *modelFile) Write(p []byte) (n int, err error) {
	n, err = f.WriteAt(p, f.pos)
	if f.appends {
		f.pos = entrySize
	}
	f.pos += int64(n)
	return n, err
}

func (f *modelFile) Seek(offset int64, whence int) (int64, error) {
	pos := map[int]int64{io.SeekStart: 0, io.SeekCurrent: f.pos, io.SeekEnd: entrySize}[whence] + offset
	if pos < 0 {
		return 0, syscall.EINVAL
	}
	f.pos = pos
	return pos, nil
}

// inParts makes calls of at most a request's size until one is short or fails. The error of
// a later part is lost.
func inParts(call func([]byte, int64) (int, error), p []byte, pos int64) (done int, err error) {
	for done < len(p) {
		part := p[done:min(len(p), done+requestSize)]
		n, err := call(part, pos+int64(done))
		if err != nil && err != io.EOF && !errors.Is(err, io.ErrShortWrite) {
			if done > 0 {
				err = nil
			}
			return done, err
		}
		done += n
		if n < len(part) {
			break
		}
	}
	return done, nil
}
