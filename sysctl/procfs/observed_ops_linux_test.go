//go:build !(386 || arm || mips || mipsle)

package procfs_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kprim/kprim/internal/observed"
)

// A mountedOp does an operation on the entry at path.
type mountedOp func(c observed.Case, path string, o *observed.Outcome)

// nobody are the ids of a process that has given up its rights, where the case names none.
var nobody = observed.IDs{UID: 65534, GID: 65534}

// mountedOps are the operations of the data that need a process or a mounted file.
var mountedOps = map[string]mountedOp{
	"open_rdonly": openAs(unix.O_RDONLY), "open_wronly": openAs(unix.O_WRONLY), "open_rdwr": openAs(unix.O_RDWR),
	"access_r": accessAs(unix.R_OK), "access_w": accessAs(unix.W_OK), "access_x": accessAs(unix.X_OK),

	"write_on_fd_opened_by_root_after_setuid": onFD(unix.O_RDWR, func(c observed.Case, f fd, o *observed.Outcome) {
		as(c.Caller(nobody), func() { o.Add(f.Write(c.Inputs()[0])) })
	}),
	"read_on_fd_opened_by_root_after_setuid": onFD(unix.O_RDWR, func(c observed.Case, f fd, o *observed.Outcome) {
		as(c.Caller(nobody), func() { o.Add(f.Read(make([]byte, 4096))) })
	}),
	"stat":     func(_ observed.Case, path string, o *observed.Outcome) { statEntry(path, o) },
	"stat_dir": func(_ observed.Case, path string, o *observed.Outcome) { statEntry(filepath.Dir(path), o) },
	"opendir":  openOnly(unix.O_RDONLY | unix.O_DIRECTORY),
	"readdir":  readdir,
	"poll":     pollStep,

	"open_file_O_DIRECTORY": openOnly(unix.O_RDONLY | unix.O_DIRECTORY),

	"chmod_0600":     byName(func(path string) error { return unix.Chmod(path, 0o600) }),
	"chown_0_0":      byName(func(path string) error { return unix.Chown(path, 0, 0) }),
	"utime_now":      byName(utimeNow),
	"truncate_0":     byName(func(path string) error { return unix.Truncate(path, 0) }),
	"unlink":         byName(unix.Unlink),
	"rename":         byName(func(path string) error { return unix.Rename(path, path+"-none") }),
	"link":           byName(func(path string) error { return unix.Link(path, path+"-none") }),
	"symlink_beside": byName(func(path string) error { return unix.Symlink("x", path+"-none") }),
	"mkdir_beside":   byName(func(path string) error { return unix.Mkdir(path+"-none", 0o755) }),
	"setxattr_user":  byName(func(path string) error { return unix.Setxattr(path, "user.x", []byte("y"), 0) }),
	"execve":         byName(execve),
	"listxattr": func(_ observed.Case, path string, o *observed.Outcome) {
		o.Add(unix.Listxattr(path, make([]byte, 4096)))
	},

	"ftruncate_0": byFD(func(f int) error { return unix.Ftruncate(f, 0) }),
	"fsync":       byFD(unix.Fsync),
	"flock":       byFD(func(f int) error { return unix.Flock(f, unix.LOCK_EX) }),
	"mmap_private_read": onFD(unix.O_RDONLY, func(_ observed.Case, f fd, o *observed.Outcome) {
		data, err := unix.Mmap(int(f), 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
		if err == nil {
			err = unix.Munmap(data)
		}
		o.Add(0, err)
	}),
	"sendfile_to_pipe": onFD(unix.O_RDONLY, func(_ observed.Case, f fd, o *observed.Outcome) {
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			panic(err)
		}
		defer unix.Close(pipe[0])
		defer unix.Close(pipe[1])
		o.Add(unix.Sendfile(pipe[1], int(f), nil, 4096))
	}),
}

// byName does a system call that has the name of the entry.
func byName(do func(path string) error) mountedOp {
	return func(_ observed.Case, path string, o *observed.Outcome) { o.Add(0, do(path)) }
}

// onFD opens the entry for an operation.
func onFD(flag int, do func(observed.Case, fd, *observed.Outcome)) mountedOp {
	return func(c observed.Case, path string, o *observed.Outcome) {
		f := must(openFD(path, flag))
		defer f.Close()
		do(c, f, o)
	}
}

// byFD does a system call that has the open entry.
func byFD(do func(f int) error) mountedOp {
	return onFD(unix.O_RDWR, func(_ observed.Case, f fd, o *observed.Outcome) { o.Add(0, do(int(f))) })
}

func openOnly(flag int) mountedOp {
	return byName(func(path string) error {
		f, err := openFD(path, flag)
		if err == nil {
			err = f.Close()
		}
		return err
	})
}

func openAs(flag int) mountedOp {
	return func(c observed.Case, path string, o *observed.Outcome) {
		as(c.Caller(observed.IDs{}), func() { openOnly(flag)(c, path, o) })
	}
}

// accessAs asks for rights. The data has no errno of access(2).
func accessAs(want uint32) mountedOp {
	return func(c observed.Case, path string, o *observed.Outcome) {
		as(c.Caller(observed.IDs{}), func() { o.Add(0, unix.Access(path, want)) })
		o.Errno = []string{""}
	}
}

// statEntry asks for mode and size, by the name and of the open file. Both have one link, and
// belong to root.
func statEntry(path string, o *observed.Outcome) {
	var named, opened unix.Stat_t
	err := unix.Stat(path, &named)
	o.Add(0, err)
	f := must(openFD(path, unix.O_RDONLY))
	defer f.Close()
	if err := unix.Fstat(int(f), &opened); err != nil {
		panic(err)
	}
	for _, st := range []unix.Stat_t{named, opened} {
		if st.Nlink != 1 || st.Uid != 0 || st.Gid != 0 || st.Blocks != 0 {
			panic("links, owner, group or blocks are wrong")
		}
		o.Stat = append(o.Stat, observed.StatText(st.Mode, st.Size))
	}
}

func utimeNow(path string) error {
	now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, now, 0)
}

func execve(path string) error {
	_, err := syscall.ForkExec(path, []string{path}, nil)
	return err
}

// readdir counts the names of a directory, and looks at their order.
func readdir(_ observed.Case, path string, o *observed.Outcome) {
	f := must(openFD(path, unix.O_RDONLY|unix.O_DIRECTORY))
	defer f.Close()
	var names []string
	for buf := make([]byte, 1024); ; { // so that the list comes in several pieces
		n := must(unix.Getdents(int(f), buf))
		if n == 0 {
			break
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
	o.Add(len(names), nil)
	o.Sorted = slices.IsSorted(names)
}

// Events that package unix does not have.
//
// Kernel: POLLRDNORM, POLLWRNORM
const (
	pollRdNorm = 0x40
	pollWrNorm = 0x100
)

// eventBits are the events of poll(2), in the order of the data.
var eventBits = []struct {
	name string
	bit  int16
}{
	{"IN", unix.POLLIN}, {"PRI", unix.POLLPRI}, {"OUT", unix.POLLOUT}, {"ERR", unix.POLLERR},
	{"HUP", unix.POLLHUP}, {"RDNORM", pollRdNorm}, {"WRNORM", pollWrNorm},
}

func eventNames(events int16) []string {
	names := []string{}
	for _, e := range eventBits {
		if events&e.bit != 0 {
			names = append(names, e.name)
		}
	}
	return names
}

// A poller is the file of the poll test, and another one by which it is written.
type poller struct {
	path      string
	f, writer fd
	urgent    bool // ask for PRI and ERR alone
}

func (p poller) write(text string) { must(p.writer.Write([]byte(text))) }

// poll asks for the events of f, now or within a time.
func (p poller) poll(f fd, timeout int) []string {
	want := int16(unix.POLLPRI | unix.POLLERR)
	if !p.urgent {
		want |= unix.POLLIN | unix.POLLOUT | pollRdNorm | pollWrNorm
	}
	fds := []unix.PollFd{{Fd: int32(f), Events: want}}
	for {
		if _, err := unix.Poll(fds, timeout); err != unix.EINTR {
			return eventNames(fds[0].Revents)
		}
	}
}

// pollStep does one step of the poll test. The data has some steps of all, so each begins
// with newly opened files.
func pollStep(c observed.Case, path string, o *observed.Outcome) {
	p := poller{path: path, f: must(openFD(path, unix.O_RDWR)), writer: must(openFD(path, unix.O_RDWR))}
	defer p.f.Close()
	defer p.writer.Close()
	var step string
	step, p.urgent = c.Asks()
	do := pollSteps[step]
	if do == nil {
		panic("an unknown step: " + c.What)
	}
	o.Errno, o.Polled = []string{""}, do(p)
}

// bySyscall is the host name that the program of the data set. The step "read after lseek 0"
// of the data shows it.
const bySyscall = "bysyscall\n"

// longest is the longest wait for events, in milliseconds.
const longest = 10_000

// pollSteps are the steps of the poll test.
var pollSteps = map[string]func(p poller) []string{
	"fresh open":                             func(p poller) []string { return p.poll(p.f, 0) },
	"entry without a poll field":             func(p poller) []string { return p.poll(p.f, 0) },
	"after read to end":                      func(p poller) []string { _ = readAll(p.f); return p.poll(p.f, 0) },
	"after another file wrote a new value":   afterWriting("new\n"),
	"after the same value was written again": afterWriting("new\n"),
	"two changes before a poll":              afterWriting("a\n", "b\n"),
	"after a zero-length write":              afterWriting(""),
	"after an ignored write beyond the end": func(p poller) []string {
		must(p.writer.WriteAt([]byte("z"), 4000))
		return p.poll(p.f, 0)
	},
	"second poll without a read": pollTwice, "second poll": pollTwice, "and once more": pollTwice,
	"a file opened after the change": func(p poller) []string {
		p.write("new\n")
		late := must(openFD(p.path, unix.O_RDWR))
		defer late.Close()
		return p.poll(late, 0)
	},
	"after the matching system call changed it": func(p poller) []string {
		if err := os.WriteFile(filepath.Join(filepath.Dir(p.path), notifyName), []byte("x"), 0); err != nil {
			panic(err)
		}
		return p.poll(p.f, 0)
	},
	"dup of the file sees it":         func(p poller) []string { p.write("new\n"); return p.pollDup() },
	"the second open file still does": afterWriting("new\n"),
	"the original then no longer (shared state)": func(p poller) []string {
		p.write("new\n")
		p.pollDup()
		return p.poll(p.f, 0)
	},
	"read at the old position after a change": func(p poller) []string {
		_ = readAll(p.f)
		p.write(bySyscall)
		return []string{readAll(p.f)}
	},
	"read after lseek 0": func(p poller) []string {
		_ = readAll(p.f)
		p.write(bySyscall)
		must(p.f.Seek(0, 0))
		return []string{readAll(p.f)}
	},
	"blocked poll woken by a writer": func(p poller) []string { events, _ := p.pollBlocked(); return events },
	"woken after about 0.2 s": func(p poller) []string {
		p.urgent = true
		_, took := p.pollBlocked()
		if took < 200*time.Millisecond || took > longest*time.Millisecond {
			return []string{took.String()}
		}
		return []string{"in time"}
	},
	"edge-triggered epoll": poller.epoll,
}

func afterWriting(texts ...string) func(p poller) []string {
	return func(p poller) []string {
		for _, text := range texts {
			p.write(text)
		}
		return p.poll(p.f, 0)
	}
}

func pollTwice(p poller) []string {
	p.write("new\n")
	p.poll(p.f, 0)
	return p.poll(p.f, 0)
}

func readAll(f fd) string {
	buf := make([]byte, 4096)
	n := must(f.Read(buf))
	return string(buf[:n])
}

func (p poller) pollDup() []string {
	dup := fd(must(unix.Dup(int(p.f))))
	defer dup.Close()
	return p.poll(dup, 0)
}

// pollBlocked polls until a writer comes after 0.2 s.
func (p poller) pollBlocked() (events []string, took time.Duration) {
	begun := time.Now()
	time.AfterFunc(200*time.Millisecond, func() { p.write("new\n") })
	events = p.poll(p.f, longest)
	return events, time.Since(begun)
}

// epoll waits for an edge. The second wait finds none.
func (p poller) epoll() (names []string) {
	e := must(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	defer unix.Close(e)
	event := unix.EpollEvent{Events: unix.EPOLLET | unix.EPOLLPRI | unix.EPOLLERR}
	if err := unix.EpollCtl(e, unix.EPOLL_CTL_ADD, int(p.f), &event); err != nil {
		panic(err)
	}
	p.write("new\n")
	for _, timeout := range []int{longest, 0} {
		events := make([]unix.EpollEvent, 4)
		n, err := unix.EpollWait(e, events, timeout)
		for err == unix.EINTR {
			n, err = unix.EpollWait(e, events, timeout)
		}
		for _, e := range events[:max(n, 0)] {
			names = append(names, eventNames(int16(e.Events))...)
		}
	}
	return names
}
