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
	"strings"
	"syscall"
)

// ErrSyntax is what is wrong with a line that has no equals sign and does not
// begin with a hyphen, or no key before the equals sign, or a malformed pattern for
// a key. It matches [syscall.EINVAL] too.
//
// Kernel: sysctl.conf(5)
var ErrSyntax = fmt.Errorf("invalid syntax: %w", syscall.EINVAL)

// A SettingError says what is wrong with a line of a file, or with the file.
type SettingError struct {
	File string // the name that was passed to the file system
	Line int    // from 1 on; 0 if the file could not be read
	Key  string // what was to be set, with dots: see [Key]; empty if the line matches [ErrSyntax]
	Err  error  // why it was not; of a setting the error of [Tree.WriteFile]: an errno, or whatever the handler has returned
}

// Error gives the file, the line and the reason.
func (e *SettingError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("sysctl: %s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("sysctl: %s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns Err.
func (e *SettingError) Unwrap() error { return e.Err }

// Load reads files of settings, and then writes the settings in their order, so
// that of two for the same key the later one stays. A name of a file may have *,
// ? and [ ] in it.
//
// Each line is one of these; blanks around it and around its parts are dropped:
//
//	# or ;             and whatever follows: a comment
//	key = value        sets key, see [Path]; the value is the rest of the line, with what looks like a comment in it, and may be empty
//	-key = value       the same, but if it fails, for whatever reason, nobody is told
//	key.*.x = value    sets all entries that match, or none: see [path.Match], for each part of the path; [! is [^, and there are [[:alpha:]] and the like
//	-key               keeps patterns from setting key, which may be a pattern too
//
// A key that is set or excluded by its name, in whatever line of all the files,
// is set by no pattern. Lines of one character are dropped.
//
// Load goes on after whatever is wrong. It returns all of it, by [errors.Join],
// each a [*SettingError]: a file that cannot be read, a line that matches
// [ErrSyntax], a setting that was refused for the reasons that WriteFile has.
// What was refused keeps its old value, but for the parts that WriteFile and the
// handler have stored before they came to what was wrong: see [DoIntVec] and
// [DoLargeBitmap].
//
// Where the versions of sysctl(8) differ this is as the newest one; 4.0.2 takes
// an excluded pattern for a name.
//
// Kernel: sysctl(8) -p, sysctl.conf(5)
//
// Differs: a hyphen before a setting hides every failure to set it, and may have
// blanks after it, as in sysctl.d(5); sysctl(8) tells of a key that is not there
// nevertheless, and 4.0.2 of all failures. A pattern does not match directories,
// which sysctl(8) fails to write. In [ ] a hyphen that is none of a range and a ]
// need a backslash before them; a pattern that is malformed is told of, where
// sysctl(8) takes it for one that matches nothing. The classes are those of ASCII,
// and there is no [.x.] and no [=x=]. Braces and ~ in names of files mean nothing.
func (t *Tree) Load(cred Cred, fsys fs.FS, files ...string) error {
	c := conf{named: map[string]bool{}}
	for _, file := range files {
		for _, file := range expand(fsys, file) {
			c.read(fsys, file)
		}
	}
	c.apply(t, cred)
	return errors.Join(c.errs...)
}

// LoadSystem is Load for the files that a system has: those named *.conf in
// etc/sysctl.d, run/sysctl.d, usr/local/lib/sysctl.d, usr/lib/sysctl.d and
// lib/sysctl.d, in the order of their names, not of the directories, and
// etc/sysctl.conf after them. Of files of the same name only that of the first
// directory is read, even if it is empty. Settings of keys that are not there
// are dropped.
//
// Kernel: sysctl(8) --system, sysctl.d(5)
//
// Differs: as Load does. The files of sysctl.d(5) are the same but for the last,
// to which there may be a link in etc/sysctl.d.
func (t *Tree) LoadSystem(cred Cred, fsys fs.FS) error {
	c := conf{optional: true, named: map[string]bool{}}
	for _, file := range c.systemFiles(fsys) {
		c.read(fsys, file)
	}
	c.apply(t, cred)
	return errors.Join(c.errs...)
}

// A conf is what was read, and what was wrong.
type conf struct {
	optional bool // a key need not be there
	settings []setting
	named    map[string]bool // the paths that are set, true for those that are no patterns
	excluded []string        // paths and patterns
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

// systemFiles returns the files of LoadSystem in their order.
func (c *conf) systemFiles(fsys fs.FS) []string {
	found := map[string]string{} // by the name without directory
	for _, dir := range systemDirs {
		entries, err := fs.ReadDir(fsys, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.fail(dir, 0, "", err)
		}
		for _, e := range entries {
			name := e.Name()
			if strings.HasSuffix(name, ".conf") && !e.IsDir() && found[name] == "" {
				found[name] = path.Join(dir, name)
			}
		}
	}
	var files []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		files = append(files, found[name])
	}
	const last = "etc/sysctl.conf"
	if info, err := fs.Stat(fsys, last); err == nil && info.Mode().IsRegular() {
		files = append(files, last)
	}
	return files
}

// expand returns the files that a name stands for.
func expand(fsys fs.FS, name string) []string {
	if isPattern(name) {
		if files, err := fs.Glob(fsys, name); err == nil && files != nil {
			return files
		}
	}
	return []string{name} // which cannot be opened, if it is a pattern
}

// read adds the settings of a file.
func (c *conf) read(fsys fs.FS, file string) {
	text, err := fs.ReadFile(fsys, file)
	if err != nil {
		c.fail(file, 0, "", err)
		return
	}
	n := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		n++
		line = trim(line)
		if len(line) >= 2 && line[0] != '#' && line[0] != ';' {
			c.add(file, n, line)
		}
	}
}

// add adds what a line says.
func (c *conf) add(file string, n int, line string) {
	key, value, assigned := strings.Cut(line, "=")
	key, hyphen := strings.CutPrefix(key, "-")
	key = trim(key)
	name := pathOf(key)
	wrong := ""
	switch {
	case !assigned && !hyphen:
		wrong = "neither a setting nor an exclusion"
	case key == "":
		wrong = "no key"
	case isPattern(name) && !isWellFormed(name):
		wrong = "a malformed pattern"
	}
	if wrong != "" {
		c.fail(file, n, "", fmt.Errorf("%q: %s: %w", line, wrong, ErrSyntax))
		return
	}
	if !assigned {
		c.excluded = append(c.excluded, name)
		return
	}
	c.named[name] = !isPattern(name)
	c.settings = append(c.settings, setting{file, n, name, trim(value), hyphen})
}

// pathOf returns the path of a key, or the pattern.
func pathOf(key string) string {
	given := Path(key)
	name := clean(given)
	if name != "" && strings.HasSuffix(given, "/") {
		name += "/" // which no file has: it stays an error
	}
	return brackets.ReplaceAllStringFunc(name, func(s string) string {
		if rest, negated := strings.CutPrefix(s, "[!"); negated {
			s = "[^" + rest
		}
		return s[:1] + classes.ReplaceAllStringFunc(s[1:], ofClass)
	})
}

// brackets finds the shell's [ and what is in it, but for the ] at its end: not one
// that is escaped, nor one within [ ]. For its [! there is [^ in [path.Match], and
// for its classes there are the members: ranges, of which none can be the end of one.
var (
	brackets = regexp.MustCompile(`(?s)\\.|\[(?:` + classes.String() + `|\\.|[^\\\]])+`)
	classes  = regexp.MustCompile(`\[:[a-z]+:\]`)
	members  = map[string]string{
		"[:alnum:]": "0-9A-Za-z", "[:alpha:]": "A-Za-z", "[:blank:]": " - \t-\t", "[:cntrl:]": "\x00-\x1f\x7f", "[:digit:]": "0-9",
		"[:graph:]": "!-~", "[:lower:]": "a-z", "[:print:]": " -~", "[:punct:]": "!-.:-@[-`{-~", "[:space:]": " - \t-\r",
		"[:upper:]": "A-Z", "[:xdigit:]": "0-9A-Fa-f",
	}
)

// ofClass returns the members of a class, or what makes the pattern malformed.
func ofClass(class string) string { return cmp.Or(members[class], "--") }

// trim drops what the C library's isspace is true for, not what is a space in
// Unicode, and may be meant.
func trim(s string) string { return strings.Trim(s, " \t\n\v\f\r") }

// apply writes what was read. No file is read after the first write: the last
// line of the last one can exclude a key from the first pattern.
func (c *conf) apply(t *Tree, cred Cred) {
	for _, s := range c.settings {
		for _, name := range c.targets(t, s) {
			err := t.WriteFile(cred, name, []byte(s.value+"\n"))
			if err != nil && !s.hyphen && !(c.optional && isMissing(err)) {
				c.fail(s.file, s.line, Key(name), err)
			}
		}
	}
}

func (c *conf) fail(file string, line int, key string, err error) {
	c.errs = append(c.errs, &SettingError{file, line, key, err})
}

// isMissing reports whether err says that there is no such entry. A handler may
// have the same errno for something else.
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

// decided reports whether a line says what no pattern may change: the value of
// the entry at name, or that it is left alone.
func (c *conf) decided(name string) bool {
	return c.named[name] || slices.ContainsFunc(c.excluded, func(pattern string) bool { return matches(pattern, name) })
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

func isPattern(s string) bool { return strings.ContainsAny(s, "*?[") }

// isWellFormed reports whether each part of a pattern is as path.Match wants it.
func isWellFormed(pattern string) bool {
	for part := range strings.SplitSeq(pattern, "/") {
		if _, err := path.Match(part, ""); err != nil {
			return false
		}
	}
	return true
}

// matches reports whether a pattern of the shell's matches name. It is matched part
// by part, for [ ] has no slash in it, and does not stand for one.
func matches(pattern, name string) bool {
	for more := true; more; {
		var p, n string
		var below bool
		p, pattern, more = strings.Cut(pattern, "/")
		n, name, below = strings.Cut(name, "/")
		if ok, _ := path.Match(p, n); !ok || more != below {
			return false
		}
	}
	return true
}
