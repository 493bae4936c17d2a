package sysctl_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kprim/kprim/internal/observed"
	"github.com/kprim/kprim/sysctl"
	"github.com/kprim/kprim/sysctl/vfs"
)

// notHere says why an operation cannot be done by a Tree, or nothing.
func notHere(c observed.Case) string {
	step, _ := c.Asks()
	_, own := observedOps[c.Op]
	switch {
	case c.Op == "readdir":
		return "the entries of a host are not known; TestNamesAreListedInOrder has the order"
	case c.Op == "poll" && notPolled[step] != "":
		return c.What + ": " + notPolled[step]
	case !own && observed.Ops[c.Op] == nil:
		return "only a mounted file has it"
	}
	return ""
}

// observedOps are the operations that a Tree does in its own way.
var observedOps = map[string]func(observed.Case, *sysctl.Tree, *observed.Outcome){
	"open_rdonly": observedOpen(os.O_RDONLY), "open_wronly": observedOpen(os.O_WRONLY), "open_rdwr": observedOpen(os.O_RDWR),
	"access_r": observedOpen(os.O_RDONLY), "access_w": observedOpen(os.O_WRONLY),
	"poll":     observedPoll,
	"stat":     observedStat(func(c observed.Case) string { return c.Entry }),
	"stat_dir": observedStat(observed.Case.Dir),

	"write_on_fd_opened_by_root_after_setuid": func(c observed.Case, tree *sysctl.Tree, o *observed.Outcome) {
		f := openEntry(c, tree, os.O_RDWR)
		f.SetCred(sysctl.Nobody)
		o.Add(f.Write(c.Inputs()[0]))
	},
	"read_on_fd_opened_by_root_after_setuid": func(c observed.Case, tree *sysctl.Tree, o *observed.Outcome) {
		f := openEntry(c, tree, os.O_RDWR)
		f.SetCred(sysctl.Nobody)
		o.Add(f.Read(make([]byte, 4096)))
	},
	"opendir": func(c observed.Case, tree *sysctl.Tree, o *observed.Outcome) {
		_, err := fs.ReadDir(tree.FS(sysctl.Root), c.Entry)
		o.Add(0, err)
	},
}

// credOf is the caller of the case, or root.
func credOf(c observed.Case) sysctl.Cred {
	switch {
	case c.IDs == nil || c.IDs.UID == 0:
		return sysctl.Root
	case c.IDs.GID == 0 || slices.Contains(c.IDs.Groups, 0):
		return sysctl.Group
	}
	return sysctl.Nobody
}

// observedOpen opens the entry as the caller of the case. Of access(2) the file has no
// errno.
func observedOpen(flag int) func(observed.Case, *sysctl.Tree, *observed.Outcome) {
	return func(c observed.Case, tree *sysctl.Tree, o *observed.Outcome) {
		_, err := tree.OpenFile(credOf(c), c.Entry, flag)
		o.Add(0, err)
		if strings.HasPrefix(c.Op, "access") {
			o.Errno = []string{""}
		}
	}
}

// observedStat asks for mode and size, by the name and of the open file. Owners,
// links and blocks are not in a [fs.FileInfo].
func observedStat(name func(observed.Case) string) func(observed.Case, *sysctl.Tree, *observed.Outcome) {
	return func(c observed.Case, tree *sysctl.Tree, o *observed.Outcome) {
		fsys := tree.FS(sysctl.Root)
		info, err := fs.Stat(fsys, name(c))
		o.Add(0, err)
		opened := must(must(fsys.Open(name(c))).Stat())
		for _, info := range []fs.FileInfo{info, opened} {
			o.Stat = append(o.Stat, observed.StatText(unixMode(info.Mode()), info.Size()))
		}
	}
}

// unixMode is st_mode.
func unixMode(m fs.FileMode) uint32 {
	switch {
	case m.IsRegular():
		return 0o100000 | uint32(m.Perm())
	case m == fs.ModeDir|m.Perm():
		return 0o040000 | uint32(m.Perm())
	}
	panic("neither a file nor a directory: " + m.String())
}

// Steps of the poll test that cannot be done here, and why.
var notPolled = map[string]string{
	"edge-triggered epoll":                    "a Tree has no file descriptors",
	"read at the old position after a change": "the written text is not in the file",
	"read after lseek 0":                      "the written text is not in the file",
}

// observedPoll does one step of the poll test. They are a random half of all
// steps, so each begins with newly opened files, one of which writes. The written
// texts are not in the file.
func observedPoll(c observed.Case, tree *sysctl.Tree, o *observed.Outcome) {
	f, writer := openEntry(c, tree, os.O_RDWR), openEntry(c, tree, os.O_RDWR)
	write := func(text string) { must(writer.Write([]byte(text))) }
	what, urgent := c.Asks()
	var events vfs.PollEvents
	switch what {
	case "fresh open", "entry without a poll field":
	case "after read to end":
		must(io.ReadAll(f))
	case "after another file wrote a new value", "after the same value was written again", "after a zero-length write":
		write(map[bool]string{false: "new\n"}[strings.Contains(what, "zero")])
	case "second poll without a read", "second poll", "and once more":
		write("new\n")
		f.Events()
	case "two changes before a poll":
		write("a\n")
		write("b\n")
	case "after an ignored write beyond the end":
		must(writer.WriteAt([]byte("z"), 4000))
	case "a file opened after the change":
		write("new\n")
		f = openEntry(c, tree, os.O_RDWR)
	case "after the matching system call changed it":
		if err := tree.Notify(c.Entry); err != nil {
			panic(err)
		}
	case "dup of the file sees it", "the second open file still does":
		write("new\n")
	case "the original then no longer (shared state)":
		write("new\n")
		f.Events() // by the dup, which is the same file
	case "blocked poll woken by a writer", "woken after about 0.2 s":
		begun := time.Now()
		time.AfterFunc(200*time.Millisecond, func() { write("new\n") })
		_ = f.WaitQueue().Wait(context.Background(), func() bool {
			events = f.Events()
			return events&vfs.PollErr != 0
		})
		if took := time.Since(begun); what == "woken after about 0.2 s" {
			o.Polled, o.Errno = []string{fmt.Sprint(took)}, []string{""}
			if took >= 200*time.Millisecond && took < 10*time.Second {
				o.Polled = []string{"in time"}
			}
			return
		}
	default:
		panic("an unknown step: " + c.What)
	}
	if events == 0 {
		events = f.Events()
	}
	o.Polled = []string{}
	for _, e := range []struct {
		name string
		bit  vfs.PollEvents
	}{
		{"IN", vfs.PollIn}, {"PRI", vfs.PollPri}, {"OUT", vfs.PollOut}, {"ERR", vfs.PollErr},
		{"HUP", vfs.PollHup}, {"RDNORM", vfs.PollRdNorm}, {"WRNORM", vfs.PollWrNorm},
	} {
		wanted := !urgent || e.name == "PRI" || e.name == "ERR" || e.name == "HUP"
		if wanted && events&e.bit != 0 {
			o.Polled = append(o.Polled, e.name)
		}
	}
	o.Errno = []string{""}
}
