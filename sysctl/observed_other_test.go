package sysctl_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/kprim/kprim/sysctl"
)

// runOther does what neither reads nor writes: with permissions, positions,
// directories and poll, the entry's handler does not matter.
func (c observedCase) runOther() (o outcome, reason string) {
	tree := &sysctl.Tree{HZ: c.hz}
	text := new(sysctl.String)
	text.Store(strings.TrimSuffix(deref(c.After), "\n"))
	_, err := tree.Register("", sysctl.Entry{Name: "x", Mode: c.mode, Handler: sysctl.DoString(text, 65)})
	if err != nil {
		panic(err)
	}
	other := map[string]func(*sysctl.Tree, *outcome) (reason string){
		"open_rdonly": c.open(os.O_RDONLY), "open_wronly": c.open(os.O_WRONLY), "open_rdwr": c.open(os.O_RDWR),
		"access_r": c.open(os.O_RDONLY), "access_w": c.open(os.O_WRONLY),
		"poll": c.poll,
	}
	if do, ok := other[c.Op]; ok {
		return o, do(tree, &o)
	}
	do, ok := observedAttributes[c.Op]
	if !ok {
		return o, cmp.Or(notHere[c.Op], "only a mounted file has it")
	}
	tree = &sysctl.Tree{}
	if _, err := tree.Register("dir", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoString(text, 65)}); err != nil {
		panic(err)
	}
	do(tree, &o)
	if c.After != nil {
		after, _ := tree.ReadFile(sysctl.Root, "dir/x")
		o.After = string(after)
	}
	return o, ""
}

var notHere = map[string]string{
	"readdir":                                "what a host has is not known; the order is that of TestNamesAreListedInOrder",
	"read_on_fd_opened_by_root_after_setuid": "the value that was read is not in the file; see TestFileOfWhoGaveUpItsRights",
}

// open opens the entry as who the case says. Of access(2) the file has no errno.
func (c observedCase) open(flag int) func(*sysctl.Tree, *outcome) string {
	return func(tree *sysctl.Tree, o *outcome) string {
		cred := sysctl.Root
		if c.IDs != nil {
			switch {
			case c.IDs.UID == 0:
			case c.IDs.GID == 0 || slices.Contains(c.IDs.Groups, 0):
				cred = sysctl.Group
			default:
				cred = sysctl.Nobody
			}
		}
		if _, known := c.knownMode(); !known {
			return "the mode of the entry is not in the file"
		}
		_, err := tree.OpenFile(cred, "x", flag)
		o.add0(err)
		if strings.HasPrefix(c.Op, "access") {
			o.Errno = []string{""}
		}
		return ""
	}
}

// knownMode reports the mode, which is 0 for an entry that says so in a case.
func (c observedCase) knownMode() (fs.FileMode, bool) {
	return c.mode, c.mode != 0 || strings.HasSuffix(c.Entry, "/none")
}

// observedAttributes are the operations on an entry dir/x of mode 0644.
var observedAttributes = map[string]func(*sysctl.Tree, *outcome){
	"write_on_fd_opened_by_root_after_setuid": func(tree *sysctl.Tree, o *outcome) {
		f := observedOpenDirX(tree)
		f.SetCred(sysctl.Nobody)
		o.add(f.Write([]byte("resetname\n")))
	},
	"creat_existing": func(tree *sysctl.Tree, o *outcome) {
		_, err := tree.OpenFile(sysctl.Root, "dir/x", os.O_WRONLY|os.O_CREATE)
		o.add0(err)
	},
	"creat_excl_existing": func(tree *sysctl.Tree, o *outcome) {
		_, err := tree.OpenFile(sysctl.Root, "dir/x", os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		o.add0(err)
	},
	"creat_beside": func(tree *sysctl.Tree, o *outcome) {
		_, err := tree.OpenFile(sysctl.Root, "dir/y", os.O_WRONLY|os.O_CREATE)
		o.add0(err)
	},
	"open_missing_beside": func(tree *sysctl.Tree, o *outcome) {
		_, err := tree.OpenFile(sysctl.Root, "dir/y", os.O_RDONLY)
		o.add0(err)
	},
	"lookup_below_file": func(tree *sysctl.Tree, o *outcome) {
		_, err := tree.OpenFile(sysctl.Root, "dir/x/y", os.O_RDONLY)
		o.add0(err)
	},
	"opendir": func(tree *sysctl.Tree, o *outcome) {
		_, err := fs.ReadDir(tree.FS(sysctl.Root), "dir/x")
		o.add0(err)
	},
	"lseek_end_0":   observedSeek(0, io.SeekEnd),
	"lseek_end_5":   observedSeek(5, io.SeekEnd),
	"lseek_set_neg": observedSeek(-1, io.SeekStart),
	"lseek_set_big": observedSeek(1<<40, io.SeekStart),
	"stat": func(tree *sysctl.Tree, o *outcome) {
		info, err := fs.Stat(tree.FS(sysctl.Nobody), "dir/x")
		if err != nil || info.Mode() != 0o644 || info.Size() != 0 {
			err = fmt.Errorf("%v %v %v", info.Mode(), info.Size(), err)
		}
		o.add0(err)
	},
	"stat_dir": func(tree *sysctl.Tree, o *outcome) {
		info, err := fs.Stat(tree.FS(sysctl.Nobody), "dir")
		if err != nil || info.Mode() != 0o555|fs.ModeDir || info.Size() != 0 {
			err = fmt.Errorf("%v %v %v", info.Mode(), info.Size(), err)
		}
		o.add0(err)
	},
}

func observedOpenDirX(tree *sysctl.Tree) *sysctl.File {
	f, err := tree.OpenFile(sysctl.Root, "dir/x", os.O_RDWR)
	if err != nil {
		panic(err)
	}
	return f
}

func observedSeek(offset int64, whence int) func(*sysctl.Tree, *outcome) {
	return func(tree *sysctl.Tree, o *outcome) {
		pos, err := observedOpenDirX(tree).Seek(offset, whence)
		o.add(int(pos), err)
	}
}

// poll does one step of the poll test. They are a random half of all steps, so
// each begins anew, with an open file and another one that writes.
func (c observedCase) poll(tree *sysctl.Tree, o *outcome) (reason string) {
	if _, err := tree.Register("p", sysctl.Entry{Name: "x", Mode: 0o644, Handler: sysctl.DoString(new(sysctl.String), 65)}); err != nil {
		panic(err)
	}
	open := func() *sysctl.File {
		f, err := tree.OpenFile(sysctl.Root, "p/x", os.O_RDWR)
		if err != nil {
			panic(err)
		}
		return f
	}
	f, writer := open(), open()
	write := func(text string) { _, _ = writer.Write([]byte(text)) }
	what, asked, _ := strings.Cut(strings.Replace(c.What, "and once more", "and once more, PRI|ERR", 1), ", ")
	var events sysctl.PollEvents
	switch what {
	case "fresh open", "entry without a poll field":
	case "after read to end":
		_, _ = io.ReadAll(f)
	case "after another file wrote a new value", "after the same value was written again", "after a zero-length write":
		write(map[bool]string{false: "new\n"}[strings.Contains(what, "zero")])
	case "second poll without a read", "second poll", "and once more":
		write("new\n")
		f.Poll()
	case "two changes before a poll":
		write("a\n")
		write("b\n")
	case "after an ignored write beyond the end":
		_, _ = writer.WriteAt([]byte("z"), 40)
	case "a file opened after the change":
		write("new\n")
		f = open()
	case "dup of the file sees it", "the second open file still does":
		write("new\n")
	case "the original then no longer (shared state)":
		write("new\n")
		f.Poll() // by the dup, which is the same file
	case "blocked poll woken by a writer":
		go write("new\n")
		_ = f.Queue().Wait(context.Background(), func() bool {
			events = f.Poll()
			return events&sysctl.PollErr != 0
		})
	default:
		return "a step that needs a file descriptor, or a system call beside it: " + c.What
	}
	if events == 0 {
		events = f.Poll()
	}
	o.Polled = []string{}
	for _, e := range []struct {
		name string
		bit  sysctl.PollEvents
	}{
		{"IN", sysctl.PollIn}, {"PRI", sysctl.PollPri}, {"OUT", sysctl.PollOut}, {"ERR", sysctl.PollErr},
		{"HUP", sysctl.PollHup}, {"RDNORM", sysctl.PollRdNorm}, {"WRNORM", sysctl.PollWrNorm},
	} {
		wanted := !strings.HasPrefix(asked, "PRI") || e.name == "PRI" || e.name == "ERR" || e.name == "HUP"
		if wanted && events&e.bit != 0 {
			o.Polled = append(o.Polled, e.name)
		}
	}
	o.Errno = []string{""}
	return ""
}
