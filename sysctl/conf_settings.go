package sysctl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Settings hold lines of files until Apply stores them. [Tree.Load] reads files and
// stores at once. Settings are for a program that wants all of its files or nothing, that
// wants to check them first, or that has settings from elsewhere:
//
//	var s sysctl.Settings
//	s.Dirs(nil, "/etc/myapp.d", "/usr/lib/myapp.d")
//	s.Files(nil, "/etc/myapp.conf")
//	err := s.Apply(&tree, sysctl.Root)
//
// Dirs, Files, System and Read add the lines of files behind the lines that are there, and
// Set adds one line. Each method reads its files before it returns. The faults of the
// files come with the error of Check and Apply, which may be called several times.
//
// The zero value is empty, ready to use. Settings are for one goroutine at a time.
type Settings struct {
	// Partial makes Apply do as [Tree.Load] does: Apply stores the settings that are not
	// refused, though others are. The zero value is all or nothing.
	Partial bool

	// Unknown, if not nil, is called by Check and Apply with each setting whose key does
	// not exist. Such a setting is no fault then, as in [Tree.LoadSystem]. It is not called
	// with a setting that has a hyphen.
	Unknown func(*SettingError)

	lines    []setting
	named    map[string]bool // the paths that are set, and those that are excluded
	excluded []string        // patterns for the whole path: see across
	errs     []error
}

// A setting is a line with a value.
type setting struct {
	file   string // empty for one from Set
	line   int
	path   string // may be a pattern
	value  string
	hyphen bool // before the key
}

// source says where s comes from, for a [Change].
func (s *setting) source() string {
	if s.file == "" {
		return "Set " + s.path
	}
	return fmt.Sprintf("%s:%d", s.file, s.line)
}

// Files adds the lines of files. fsys and names are as for [Tree.Load].
func (s *Settings) Files(fsys fs.FS, names ...string) {
	for _, name := range names {
		if fsys == nil {
			name = filepath.ToSlash(name)
		}
		fsys := orHost(fsys)
		for _, file := range expand(fsys, name) {
			s.readFile(fsys, file)
		}
	}
}

// Dirs adds the lines of the files in dirs, as [Tree.LoadDirs] reads them.
func (s *Settings) Dirs(fsys fs.FS, dirs ...string) {
	fsys = orHost(fsys)
	found := map[string]string{} // by the name without directory
	for _, dir := range dirs {
		entries, err := fs.ReadDir(fsys, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.fail(dir, 0, explained(dir, err))
		}
		for _, e := range entries {
			name := e.Name()
			if strings.HasSuffix(name, ".conf") && found[name] == "" {
				found[name] = path.Join(dir, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if info, err := fs.Stat(fsys, found[name]); err != nil || info.Mode().IsRegular() { // a pipe might never end
			s.readFile(fsys, found[name])
		}
	}
}

// System adds the lines of the files of a system, as [Tree.LoadSystem] reads them.
func (s *Settings) System(fsys fs.FS) {
	root := ""
	if fsys == nil {
		root = "/"
	}
	var dirs []string
	for _, dir := range []string{"etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d"} {
		dirs = append(dirs, root+dir)
	}
	s.Dirs(fsys, dirs...)
	last := root + "etc/sysctl.conf"
	if info, err := fs.Stat(orHost(fsys), last); err == nil && info.Mode().IsRegular() {
		s.readFile(orHost(fsys), last)
	}
}

// Read adds the lines of a file that r reads to its end. Errors name the file, and so does
// the source of a [Change].
func (s *Settings) Read(name string, r io.Reader) {
	data, err := io.ReadAll(r)
	if err != nil {
		s.fail(name, 0, err)
		return
	}
	s.readText(name, string(data))
}

// Set adds one setting, as net.core.somaxconn=4096, or an exclusion. The text is a line of
// a file. It is for a flag:
//
//	flag.Func("set", "key=value", s.Set)
//
// A text of another form is a [*SettingError] that matches [syscall.EINVAL], and adds nothing.
func (s *Settings) Set(text string) error {
	line := trim(text)
	wrong := ""
	switch {
	case line == "" || line[0] == '#' || line[0] == ';' || strings.Trim(line, "-") == "":
		wrong = "no setting"
	case strings.Contains(line, "\n"):
		wrong = "a newline"
	default:
		wrong = s.add("", 0, line)
	}
	if wrong != "" {
		return &SettingError{Err: syntax(line, wrong)}
	}
	return nil
}

func syntax(line, wrong string) error { return fmt.Errorf("%q: %s: %w", line, wrong, errSyntax) }

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

// readFile adds the lines of a file.
func (s *Settings) readFile(fsys fs.FS, file string) {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		if target, e := fs.ReadLink(fsys, file); e != nil || target != "/dev/null" {
			s.fail(file, 0, explained(file, err))
		}
		return
	}
	s.readText(file, string(data))
}

// readText adds the lines of the text of a file.
func (s *Settings) readText(file, text string) {
	n := 0
	for more := true; more; {
		var line string
		n++
		line, text, more = strings.Cut(text, "\n")
		if len(trimLeft(line)) < 2 && !more {
			return // as sysctl(8) does, which counts the newline as a character
		}
		if line = trim(line); line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if wrong := s.add(file, n, line); wrong != "" {
			s.fail(file, n, syntax(line, wrong))
		}
	}
}

// explained adds to the error of a name that no io/fs has why it has none.
func explained(name string, err error) error {
	if errors.Is(err, fs.ErrInvalid) && !fs.ValidPath(name) {
		return fmt.Errorf("%w: names in an fs.FS have no slash at the beginning or the end, and no . or .. as a part; a nil FS has names of the machine", err)
	}
	return err
}

// add adds the setting or the exclusion of a line. It returns the fault of a line that is
// neither.
func (s *Settings) add(file string, n int, line string) (wrong string) {
	key, value, assigned := strings.Cut(line, "=")
	key, hyphen := strings.CutPrefix(key, "-")
	if hyphen {
		key = strings.TrimPrefix(key, "-") // as sysctl(8) does
	}
	key, value, ok := unquoted(trim(key), trim(value))
	name := pathOf(key)
	switch {
	case strings.Contains(line, "\x00"):
		return "a NUL byte"
	case n == 1 && strings.HasPrefix(line, "\ufeff"):
		return "a byte order mark"
	case !assigned && !hyphen:
		return "neither a setting nor an exclusion"
	case key == "" && assigned:
		return "no key"
	case !ok:
		return "a malformed text in quotes"
	case isPattern(name) && !isWellFormed(name, assigned):
		return "a malformed pattern"
	}
	if assigned {
		s.lines = append(s.lines, setting{file, n, name, value, hyphen})
	} else {
		s.excluded = append(s.excluded, across(name))
	}
	if !assigned || !isPattern(name) { // a backslash in an exclusion may be one of the name
		if s.named == nil {
			s.named = map[string]bool{}
		}
		s.named[name] = true
	}
	return ""
}

// unquoted returns the key and the value of a line, which may have := before a value in
// quotes. A key that ends with a colon is a key without one if and only if the value
// begins with a quote.
func unquoted(key, value string) (string, string, bool) {
	before, colon := strings.CutSuffix(key, ":")
	if !colon || !strings.HasPrefix(value, `"`) {
		return key, value, true
	}
	text, err := strconv.Unquote(value)
	return trim(before), text, err == nil
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

// blanks are the characters for which isspace of the C library is true. Other
// spaces of Unicode may be part of a value.
const blanks = " \t\n\v\f\r"

func trim(s string) string     { return strings.Trim(s, blanks) }
func trimLeft(s string) string { return strings.TrimLeft(s, blanks) }

func (s *Settings) fail(file string, line int, err error) {
	s.errs = append(s.errs, &SettingError{File: file, Line: line, Err: err})
}
