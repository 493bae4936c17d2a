package sysctl

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

// errSyntax is the error of a line that is neither a comment, nor a setting, nor an
// exclusion.
var errSyntax = fmt.Errorf("invalid syntax: %w", syscall.EINVAL)

// A SettingError says which line of which file is wrong, and why. Without a line,
// the file or the directory could not be read.
type SettingError struct {
	File string // the name that was passed to the file system; empty for a setting from [Settings.Set], and in [Tree.Save]
	Line int    // from 1 on; 0 if the file could not be read
	Key  string // the key of the entry, with dots: see [Key]; empty if the line is neither a comment, nor a setting, nor an exclusion
	Err  error  // the reason; of a setting the error of [Tree.WriteFile], which the handler may have made
}

// Error gives the file, the line and the reason. A name with characters that
// cannot be seen, as a byte order mark, is quoted.
func (e *SettingError) Error() string {
	reason := e.Err.Error()
	if p, ok := e.Err.(*fs.PathError); ok {
		reason = fmt.Sprintf("%s %s: %v", p.Op, visible(p.Path), p.Err)
	}
	switch {
	case e.File == "":
		return "sysctl: " + reason
	case e.Line == 0:
		return fmt.Sprintf("sysctl: %s: %s", visible(e.File), reason)
	}
	return fmt.Sprintf("sysctl: %s:%d: %s", visible(e.File), e.Line, reason)
}

// visible quotes a name with characters that do not print.
func visible(name string) string {
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return !strconv.IsPrint(c) }) {
		return strconv.Quote(name)
	}
	return name
}

// Unwrap returns Err.
func (e *SettingError) Unwrap() error { return e.Err }

// Load reads files of settings. It then writes the settings in their order, so the
// later of two settings of one key stays. [Settings] are for more: to check first, to
// store all of the files or nothing, and for lines from elsewhere.
//
// A nil fsys is the file system of the machine, with names as for [os.Open]: /etc/x.conf.
// Names in another fsys have no slash at the beginning: etc/x.conf in os.DirFS("/"). A
// name may be a pattern, as key.*.x below. A link to /dev/null is an empty file, even if
// fsys does not follow it, as an [os.Root] does not.
//
// Each line is one of these. Blanks around the line and around its parts are dropped:
//
//	# or ;             and then any text: a comment
//	key = value        sets key, see [Path]; the value is the rest of the line, even a # in it, and may be empty
//	key := "a\nb"      the same for a value in double quotes, as in Go
//	-key = value       the same, but a failure is not reported
//	key.*.x = value    sets all entries that match, or none
//	-key               keeps patterns from setting key, which may be a pattern too
//
// A value in quotes may have blanks at its ends, newlines, and each byte as an escape of
// Go. Quotes without the colon are a part of the value. [Tree.Save] writes quotes where a
// value needs them.
//
// A pattern has *, ? and [ ], as in [path.Match], and also [!a] and [[:alpha:]]. It is
// matched part by part. A part that begins with a dot matches only a pattern with that
// dot.
//
// If a line of the files sets or excludes a key by its name, no pattern sets the key.
// An excluded pattern is matched as a whole. Its *, ? and [ ] match slashes too, and
// dots at the beginning of a part: -net.ipv4.* excludes all entries below net/ipv4.
//
// A second hyphen before a key is dropped. So is a last line of one character without a
// newline, and a line of hyphens alone.
//
// Load goes on after each fault. It joins all faults by [errors.Join], each as a
// [*SettingError]:
//
//   - a file that cannot be read
//   - a line of another form, which matches [syscall.EINVAL]
//   - a setting that WriteFile refuses, with the error of WriteFile
//
// A line of another form has no equals sign and no hyphen before it, no key, a malformed
// pattern, or a malformed text in quotes. A NUL byte is a fault too, and so is a byte order
// mark at the beginning.
//
// A refused setting keeps its old value, except for the parts that WriteFile and the
// handler store before they find the fault: see [DoIntVec] and [DoLargeBitmap].
//
// Where the versions of sysctl(8) differ, Load does as 4.0.7 does. 4.0.2 takes an
// excluded pattern for a name.
//
// Kernel: sysctl(8) -p, sysctl.conf(5)
//
// Differs: these points of a setting:
//
//   - A hyphen before it hides each failure, and may have blanks after it, as in
//     sysctl.d(5). sysctl(8) reports a missing key nevertheless.
//   - A pattern does not match directories, which sysctl(8) fails to write.
//   - In [ ], a hyphen that is not part of a range and a ] need a backslash before
//     them. The classes are classes of ASCII; there is no [.x.] and no [=x=].
//   - A malformed pattern is reported. sysctl(8) takes it for one that matches
//     nothing.
//   - A line without a key is reported. sysctl(8) takes /proc/sys for the key.
//   - A slash before an excluded key changes nothing. sysctl(8) excludes nothing then.
//   - Two slashes in a key are one, so net//x=5 keeps a pattern from setting net/x. In
//     sysctl(8) a later pattern sets it again.
//   - A value may be in quotes behind a colon. sysctl(8) reports an unknown key, which
//     has the colon at its end.
//   - A line with a NUL byte is reported. sysctl(8) drops the line from there on.
//
// And these of a file:
//
//   - A directory that a pattern of a file matches is reported. sysctl(8) is silent.
//   - If a file that a pattern matches cannot be read, the files after it are read.
//     sysctl(8) reads no more files of that pattern.
//   - Braces and ~ in names mean nothing.
func (t *Tree) Load(cred Cred, fsys fs.FS, files ...string) error {
	s := Settings{Partial: true}
	s.Files(fsys, files...)
	return s.Apply(t, cred)
}

// LoadDirs is [Tree.Load] for the files named *.conf in dirs, in the order of the
// names of the files, not of the directories. If several directories have a file of
// the same name, the file of the first of these directories hides the others. An
// empty file, a directory or a pipe of that name hides them too, and sets nothing. So
// does a link to one of these, or to /dev/null. A directory of dirs that does not exist
// is not a fault.
//
// It is for a program's own directories, as etc/myapp.d and usr/lib/myapp.d. A key
// that does not exist is reported, so a misspelt key is found: see [syscall.ENOENT].
//
// Kernel: sysctl(8) --system
//
// Differs: takes the directories, and reports missing keys.
func (t *Tree) LoadDirs(cred Cred, fsys fs.FS, dirs ...string) error {
	s := Settings{Partial: true}
	s.Dirs(fsys, dirs...)
	return s.Apply(t, cred)
}

// LoadSystem is [Tree.LoadDirs] for the directories of a system, and then for the file
// etc/sysctl.conf: etc/sysctl.d, run/sysctl.d, usr/local/lib/sysctl.d,
// usr/lib/sysctl.d and lib/sysctl.d. These files may have settings for other
// programs: a setting of a key that does not exist is not reported. A program that
// wants to know of such keys calls [Settings.System], and has an Unknown. For a nil fsys
// the names have a slash before them.
//
// Kernel: sysctl(8) --system, sysctl.d(5)
//
// Differs: as Load does, and from systemd's reading of sysctl.d(5), seen in 262:
//
//   - etc/sysctl.conf is read without a link to it in etc/sysctl.d.
//   - A file is read even if its name begins with a dot.
//   - A directory named x.conf hides later files, and is not reported.
//   - A key that is set twice is written twice. systemd writes it once, last.
//   - key=1 is written even if a later line is -key. For systemd that line replaces
//     the setting.
//   - An excluded pattern keeps other patterns from the entries that it matches.
//     For systemd it excludes nothing.
//   - A setting that cred may not write is reported. systemd logs it at a low level.
func (t *Tree) LoadSystem(cred Cred, fsys fs.FS) error {
	s := Settings{Partial: true, Unknown: func(*SettingError) {}}
	s.System(fsys)
	return s.Apply(t, cred)
}
