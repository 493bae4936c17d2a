//go:build !(386 || arm || mips || mipsle)

package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/sysctl/vfs"
)

// A process is the server itself, as far as a caller can be told from it.
type process struct {
	pid  int
	proc bool // the numbers in /proc are the numbers of the requests
}

func thisProcess() process {
	pid := os.Getpid()
	self, err := os.Readlink("/proc/self")
	return process{pid, err == nil && self == strconv.Itoa(pid)}
}

// has reports whether the caller is a thread of this process. Such a thread must not open
// a file here. After the open, the runtime of Go adds the file to its epoll. Then the kernel
// asks this process to poll the file. But the runtime waits in the epoll call, and cannot
// answer. Not even SIGKILL would end that.
func (p process) has(caller fuse.Caller) bool {
	return caller.Pid != 0 && unix.Tgkill(p.pid, int(caller.Pid), 0) == nil
}

// cred returns the caller of a request. The groups are not in the request. They are read if a
// File asks for them, while the caller still waits, so that its number is still its own.
//
// Kernel: current_cred
func (p process) cred(caller fuse.Caller) vfs.Cred {
	return vfs.Process(caller.Uid, caller.Gid, int(caller.Pid), func() ([]uint32, error) {
		if caller.Pid == 0 || !p.proc {
			return nil, errors.New("procfs: the caller is not in /proc")
		}
		return groups(caller.Pid)
	})
}

// groups reads the supplementary groups of a thread.
func groups(tid uint32) ([]uint32, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return nil, err
	}
	_, rest, found := bytes.Cut(text, []byte("\nGroups:"))
	line, _, whole := bytes.Cut(rest, []byte("\n"))
	if !found || !whole {
		return nil, fmt.Errorf("procfs: no groups in /proc/%d/status", tid)
	}
	var list []uint32
	for word := range bytes.FieldsSeq(line) {
		gid, err := strconv.ParseUint(string(word), 10, 32)
		if err != nil {
			return nil, err
		}
		list = append(list, uint32(gid))
	}
	return list, nil
}
