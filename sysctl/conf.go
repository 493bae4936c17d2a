package sysctl

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

// ErrSyntax is the error of a line that is neither a comment, nor a setting, nor an
// exclusion. It matches [syscall.EINVAL] too.
//
// Kernel: sysctl.conf(5)
var ErrSyntax = fmt.Errorf("invalid syntax: %w", syscall.EINVAL)

// A SettingError says which line of which file is wrong, and why. Without a line,
// the file or the directory could not be read.
type SettingError struct {
	File string // the name that was passed to the file system
	Line int    // from 1 on; 0 if the file could not be read
	Key  string // the key of the entry, with dots: see [Key]; empty if the line matches [ErrSyntax]
	Err  error  // the reason; of a setting the error of [Tree.WriteFile], which the handler may have made
}

// Error gives the file, the line and the reason. A name with characters that
// cannot be seen, as a byte order mark, is quoted.
func (e *SettingError) Error() string {
	reason := e.Err.Error()
	if p, ok := e.Err.(*fs.PathError); ok {
		reason = fmt.Sprintf("%s %s: %v", p.Op, visible(p.Path), p.Err)
	}
	if e.Line == 0 {
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
// later of two settings of one key stays.
//
// The names are names in fsys, without a slash at the beginning: etc/x.conf in
// os.DirFS("/"). A name may be a pattern, as key.*.x below. A link to /dev/null is an
// empty file, even if fsys does not follow it, as an [os.Root] does not.
//
// Each line is one of these. Blanks around the line and around its parts are dropped:
//
//	# or ;             and then any text: a comment
//	key = value        sets key, see [Path]; the value is the rest of the line, even a # in it, and may be empty
//	-key = value       the same, but a failure is not reported
//	key.*.x = value    sets all entries that match, or none
//	-key               keeps patterns from setting key, which may be a pattern too
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
//   - a line that matches [ErrSyntax]: it has no equals sign and no hyphen before it,
//     no key, a malformed pattern, a NUL byte, or a byte order mark at the beginning
//   - a setting that WriteFile refuses, with the error of WriteFile
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
//   - A line with a NUL byte is reported. sysctl(8) drops the line from there on.
//
// And these of a file:
//
//   - A directory that a pattern of a file matches is reported. sysctl(8) is silent.
//   - If a file that a pattern matches cannot be read, the files after it are read.
//     sysctl(8) reads no more files of that pattern.
//   - Braces and ~ in names mean nothing.
func (t *Tree) Load(cred Cred, fsys fs.FS, files ...string) error {
	c := conf{fsys: fsys, named: map[string]bool{}}
	for _, file := range files {
		for _, file := range expand(fsys, file) {
			c.read(file)
		}
	}
	return c.apply(t, cred)
}

// LoadDirs is [Tree.Load] for the files named *.conf in dirs, in the order of the
// names of the files, not of the directories. If several directories have a file of
// the same name, the file of the first of these directories hides the others. An
// empty file, a directory of that name, a pipe, and a link to one of these or to
// /dev/null hide them too, and set nothing. A directory of dirs that does not exist is not a fault.
//
// It is for a program's own directories, as etc/myapp.d and usr/lib/myapp.d. A key
// that does not exist is reported, so a misspelt key is found: see [syscall.ENOENT].
//
// Kernel: sysctl(8) --system
//
// Differs: takes the directories, and reports missing keys.
func (t *Tree) LoadDirs(cred Cred, fsys fs.FS, dirs ...string) error {
	c := conf{fsys: fsys, named: map[string]bool{}}
	c.readDirs(dirs)
	return c.apply(t, cred)
}

// LoadSystem is [Tree.LoadDirs] for the directories of a system, and then for the file
// etc/sysctl.conf: etc/sysctl.d, run/sysctl.d, usr/local/lib/sysctl.d,
// usr/lib/sysctl.d and lib/sysctl.d. These files may have settings for other
// programs: a setting of a key that does not exist is not reported. A program that
// wants to know of such keys has a directory of its own, and calls LoadDirs.
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
	c := conf{fsys: fsys, optional: true, named: map[string]bool{}}
	c.readDirs(systemDirs)
	const last = "etc/sysctl.conf"
	if info, err := fs.Stat(fsys, last); err == nil && info.Mode().IsRegular() {
		c.read(last)
	}
	return c.apply(t, cred)
}

// A conf has the lines that were read, and the faults.
type conf struct {
	fsys     fs.FS
	optional bool // a key need not exist
	settings []setting
	named    map[string]bool // the paths that are set, and those that are excluded
	excluded []string        // patterns for the whole path: see across
	errs     []error
}

// A setting is a line of a file with a value.
type setting struct {
	file   string
	line   int
	path   string // may be a pattern
	value  string
	hyphen bool // before the key
}

var systemDirs = []string{"etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d"}

// readDirs reads the files of LoadDirs in their order.
func (c *conf) readDirs(dirs []string) {
	found := map[string]string{} // by the name without directory
	for _, dir := range dirs {
		entries, err := fs.ReadDir(c.fsys, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.fail(dir, 0, "", explained(dir, err))
		}
		for _, e := range entries {
			name := e.Name()
			if strings.HasSuffix(name, ".conf") && found[name] == "" {
				found[name] = path.Join(dir, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if info, err := fs.Stat(c.fsys, found[name]); err != nil || info.Mode().IsRegular() { // a pipe might never end
			c.read(found[name])
		}
	}
}

// expand returns the files that a name stands for.
func expand(fsys fs.FS, name string) []string {
	if isPattern(name) {
		pattern := translated(name)
		files, err := fs.Glob(fsys, pattern)
		files = slices.DeleteFunc(files, func(file string) bool { return !matches(path.Clean(pattern), file) }) // hidden ones
		if err == nil && len(files) > 0 {
			return files
		}
	}
	return []string{name} // which cannot be opened, if it is a pattern
}

// read adds the settings of a file.
func (c *conf) read(file string) {
	data, err := fs.ReadFile(c.fsys, file)
	if err != nil {
		if target, e := fs.ReadLink(c.fsys, file); e != nil || target != "/dev/null" {
			c.fail(file, 0, "", explained(file, err))
		}
		return
	}
	text, n := string(data), 0
	for more := true; more; {
		var line string
		n++
		line, text, more = strings.Cut(text, "\n")
		if len(trimLeft(line)) < 2 && !more {
			return // as sysctl(8) does, which counts the newline as a character
		}
		if line = trim(line); line != "" && line[0] != '#' && line[0] != ';' {
			c.add(file, n, line)
		}
	}
}

// explained adds to the error of a name that no io/fs has why it has none.
func explained(name string, err error) error {
	if errors.Is(err, fs.ErrInvalid) && !fs.ValidPath(name) {
		return fmt.Errorf("%w: names in an fs.FS have no slash at the beginning or the end, and no . or .. as a part", err)
	}
	return err
}

// add adds the setting or the exclusion of a line.
func (c *conf) add(file string, n int, line string) {
	key, value, assigned := strings.Cut(line, "=")
	key, hyphen := strings.CutPrefix(key, "-")
	if hyphen {
		key = strings.TrimPrefix(key, "-") // as sysctl(8) does
	}
	key = trim(key)
	name := pathOf(key)
	wrong := ""
	switch {
	case strings.Contains(line, "\x00"):
		wrong = "a NUL byte"
	case n == 1 && strings.HasPrefix(line, "\ufeff"):
		wrong = "a byte order mark"
	case !assigned && !hyphen:
		wrong = "neither a setting nor an exclusion"
	case key == "" && assigned:
		wrong = "no key"
	case isPattern(name) && !isWellFormed(name, assigned):
		wrong = "a malformed pattern"
	}
	switch {
	case wrong != "":
		c.fail(file, n, "", fmt.Errorf("%q: %s: %w", line, wrong, ErrSyntax))
	case assigned:
		if !isPattern(name) {
			c.named[name] = true
		}
		c.settings = append(c.settings, setting{file, n, name, trim(value), hyphen})
	default:
		c.named[name] = true // a backslash in it may be one of the name
		c.excluded = append(c.excluded, across(name))
	}
}

// pathOf returns the path of a key, or the pattern.
func pathOf(key string) string {
	given := Path(key)
	name := clean(given)
	if name != "" && strings.HasSuffix(given, "/") {
		name += "/" // which no file has: it stays an error
	}
	return translated(name)
}

// translated returns the pattern for [path.Match] that a pattern of the shell stands
// for.
func translated(pattern string) string {
	return brackets.ReplaceAllStringFunc(pattern, func(s string) string {
		if rest, negated := strings.CutPrefix(s, "[!"); negated {
			s = "[^" + rest
		}
		return s[:1] + classes.ReplaceAllStringFunc(s[1:], ofClass)
	})
}

// brackets finds the shell's [ and its members, without the ] at the end. It skips a [
// that is escaped and a [ within [ ]. [path.Match] has [^ for the shell's [!, and the
// members for the shell's classes. Each list of members begins and ends with a range,
// so that a list cannot be an end of a range. No member is a slash, because a slash
// parts a pattern: [:punct:] has the stand-in.
var (
	brackets = regexp.MustCompile(`(?s)\\.|\[(?:` + classes.String() + `|\\.|[^\\\]])+`)
	classes  = regexp.MustCompile(`\[:[a-z]+:\]`)
	members  = map[string]string{
		"[:alnum:]": "0-9A-Za-z", "[:alpha:]": "A-Za-z", "[:blank:]": " - \t-\t", "[:cntrl:]": "\x01-\x1f\x7f", "[:digit:]": "0-9",
		"[:graph:]": "!-~", "[:lower:]": "a-z", "[:print:]": " -~", "[:punct:]": "!-." + standIn + ":-@[-`{-~", "[:space:]": " - \t-\r",
		"[:upper:]": "A-Z", "[:xdigit:]": "0-9A-Fa-f",
	}
)

// ofClass returns the members of a class, or text that makes the pattern malformed.
func ofClass(class string) string { return cmp.Or(members[class], "--") }

// blanks are the characters for which isspace of the C library is true. Other
// spaces of Unicode may be part of a value.
const blanks = " \t\n\v\f\r"

func trim(s string) string     { return strings.Trim(s, blanks) }
func trimLeft(s string) string { return strings.TrimLeft(s, blanks) }

// apply writes the settings, and returns all faults. No file is read after the first
// write: the last line of the last file can exclude a key from the first pattern.
func (c *conf) apply(t *Tree, cred Cred) error {
	for _, s := range c.settings {
		for _, name := range c.targets(t, s) {
			err := t.WriteFile(cred, name, []byte(s.value+"\n"))
			if err != nil && !s.hyphen && !(c.optional && isMissing(err)) {
				c.fail(s.file, s.line, Key(name), err)
			}
		}
	}
	return errors.Join(c.errs...)
}

func (c *conf) fail(file string, line int, key string, err error) {
	c.errs = append(c.errs, &SettingError{file, line, key, err})
}

// isMissing reports whether err says that there is no such entry. The errno alone does
// not: a handler may return it for another reason.
func isMissing(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && p.Op == "open" && (p.Err == syscall.ENOENT || p.Err == syscall.ENOTDIR)
}

// targets returns the paths that s is to be written to.
func (c *conf) targets(t *Tree, s setting) []string {
	if !isPattern(s.path) {
		return []string{s.path}
	}
	return slices.DeleteFunc(t.matching(s.path), c.decided)
}

// decided reports whether a line sets or excludes the entry at name, so that no
// pattern may set it.
func (c *conf) decided(name string) bool {
	return c.named[name] || slices.ContainsFunc(c.excluded, func(pattern string) bool {
		is, _ := path.Match(pattern, strings.ReplaceAll(name, "/", standIn))
		return is
	})
}

// matching returns the entries that match a pattern, in order.
func (t *Tree) matching(pattern string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var found []string
	for name := range t.files {
		if matches(pattern, name) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// across returns a pattern for paths in which a stand-in has the place of each slash.
// [path.Match] then lets *, ? and [ ] match it as any other character. A slash in
// [ ] stays, because it may be an end of a range, and the stand-in becomes one more
// member if the slash is one.
//
// Kernel: fnmatch without FNM_PATHNAME
func across(s string) string {
	return bracketsAndSlashes.ReplaceAllStringFunc(s, func(s string) string {
		if s[0] != '[' {
			return strings.ReplaceAll(s, "/", standIn)
		}
		if has, _ := path.Match("["+strings.TrimPrefix(s[1:], "^")+"]", "/"); has {
			s += standIn
		}
		return s
	})
}

// standIn has the place of a slash. It is one byte, as a slash is, because a * of
// [path.Match] steps by bytes. No path has it.
const standIn = "\x00"

var bracketsAndSlashes = regexp.MustCompile(brackets.String() + "|/")

func isPattern(s string) bool { return strings.ContainsAny(s, "*?[") }

// isWellFormed reports whether path.Match takes a pattern: each part of the pattern
// of a setting, and the whole pattern of an exclusion.
func isWellFormed(pattern string, parts bool) bool {
	if !parts {
		_, err := path.Match(across(pattern), "")
		return err == nil
	}
	for part := range strings.SplitSeq(pattern, "/") {
		if _, err := path.Match(part, ""); err != nil {
			return false
		}
	}
	return true
}

// matches reports whether a pattern of the shell's matches name. It is matched part
// by part, for [ ] has no slash in it, and does not stand for one. A dot at the
// beginning of a part needs a dot in the pattern.
//
// Kernel: glob(3)
func matches(pattern, name string) bool {
	for more := true; more; {
		var p, n string
		var below bool
		p, pattern, more = strings.Cut(pattern, "/")
		n, name, below = strings.Cut(name, "/")
		hidden := strings.HasPrefix(n, ".") && !strings.HasPrefix(strings.TrimPrefix(p, `\`), ".")
		if ok, _ := path.Match(p, n); !ok || hidden || more != below {
			return false
		}
	}
	return true
}
