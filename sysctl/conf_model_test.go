package sysctl_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A modelConf has the rules of sysctl.conf(5), written a second time and in another way.
// FuzzLoad compares Load with it.
type modelConf struct {
	entries  map[string]string // the error of a write, empty if it is good
	optional bool              // a key need not be there
	settings []modelSetting
	set      []string // keys that are set by their names
	excluded []string
	written  []string
	errs     []string
}

type modelSetting struct {
	where, path, value string
	quiet              bool
}

// modelLine is a line without the blanks around it: hyphen, key, equals sign, value.
var modelLine = regexp.MustCompile(`(?s)^(-?)-?[ \t\v\f\r]*([^=]*?)[ \t\v\f\r]*(?:(=)[ \t\v\f\r]*(.*))?$`)

func (m *modelConf) read(name, text string) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimLeft(line, " \t\v\f\r")
		if i == len(lines)-1 && len(line) == 1 {
			continue // there is no newline to count
		}
		line = strings.TrimRight(line, " \t\v\f\r")
		if line == "" || line == "-" || line == "--" || line[0] == '#' || line[0] == ';' {
			continue
		}
		where := fmt.Sprintf("%s:%d: ", name, i+1)
		part := modelLine.FindStringSubmatch(line)
		malformed := false
		if m := regexp.MustCompile(`(?s)^(.*?)[ \t\v\f\r]*:$`).FindStringSubmatch(part[2]); m != nil && strings.HasPrefix(part[4], `"`) {
			text, err := strconv.Unquote(part[4])
			part[2], part[4], malformed = m[1], text, err != nil
		}
		path, excludes := modelPath(part[2]), part[3] == ""
		switch {
		case part[1]+part[3] == "", part[2] == "", malformed,
			strings.Contains(line, "\x00"), i == 0 && strings.HasPrefix(line, "\ufeff"),
			strings.ContainsAny(path, "*?[") && modelIsMalformed(path, excludes):
			m.errs = append(m.errs, where+"syntax")
		case excludes:
			m.excluded = append(m.excluded, path)
		default:
			m.settings = append(m.settings, modelSetting{where, path, part[4], part[1] == "-"})
			m.set = append(m.set, path)
		}
	}
}

// modelPath turns dots into slashes, and slashes into dots, if a dot comes first.
func modelPath(key string) string {
	path := []byte(key)
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		for i, c := range path {
			switch c {
			case '.':
				path[i] = '/'
			case '/':
				path[i] = '.'
			}
		}
	}
	return strings.TrimPrefix(regexp.MustCompile(`/+`).ReplaceAllString(string(path), "/"), "/")
}

func (m *modelConf) apply() {
	for _, s := range m.settings {
		if !strings.ContainsAny(s.path, "*?[") {
			m.write(s, s.path)
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(m.entries)) {
			without := slices.Contains(m.excluded, path) || slices.ContainsFunc(m.excluded, func(pattern string) bool { return modelGlob(pattern, path, true) })
			if modelGlob(s.path, path, false) && !modelHides(s.path, path) && !slices.Contains(m.set, path) && !without {
				m.write(s, path)
			}
		}
	}
}

// applyAll is apply, for files that are all or nothing.
func (m *modelConf) applyAll() {
	if m.apply(); len(m.errs) > 0 {
		m.written = nil
	}
}

func (m *modelConf) write(s modelSetting, path string) {
	failure, found := m.entries[path]
	if !found {
		failure = "open " + path + ": ENOENT"
	}
	for entry := range m.entries {
		switch {
		case strings.HasPrefix(path, entry+"/"):
			failure, found = "open "+path+": ENOTDIR", false
		case path == "" || strings.HasPrefix(entry, strings.TrimSuffix(path, "/")+"/"):
			failure, found = "open "+path+": EISDIR", true
		}
	}
	switch {
	case failure == "":
		m.written = append(m.written, path+"="+s.value+"\n")
	case !s.quiet && (found || !m.optional):
		m.errs = append(m.errs, s.where+failure)
	}
}

// modelGlob tries all texts that a * may stand for. The names are plain. In an
// excluded pattern a slash is like any other character.
func modelGlob(pattern, name string, across bool) bool {
	any := func() bool { return name != "" && (across || name[0] != '/') } // as ? and [ ] match
	switch {
	case pattern == "" || !utf8.ValidString(pattern):
		return pattern == name
	case pattern[0] == '*':
		pattern = strings.TrimLeft(pattern, "*") // several are one, and would take for ever
		for {
			if modelGlob(pattern, name, across) {
				return true
			}
			if !any() {
				return false
			}
			name = name[1:]
		}
	case name == "":
		return false
	case pattern[0] == '?':
		return any() && modelGlob(pattern[1:], name[1:], across)
	case pattern[0] == '[':
		rest, is, _ := modelClass(pattern[1:], rune(name[0]), across)
		return is && any() && modelGlob(rest, name[1:], across)
	case pattern[0] == '\\':
		pattern = pattern[1:]
		if pattern == "" || pattern[0] == '/' && !across {
			return false
		}
	}
	return pattern[0] == name[0] && modelGlob(pattern[1:], name[1:], across)
}

// modelHides reports whether a part of the name begins with a dot that the pattern
// does not have.
func modelHides(pattern, name string) bool {
	parts := strings.Split(pattern, "/")
	for i, part := range strings.Split(name, "/") {
		if part[0] == '.' && !regexp.MustCompile(`^\\?\.`).MatchString(parts[i]) {
			return true
		}
	}
	return false
}

// modelIsMalformed looks for a [ without a ], and for a backslash at the end of a
// part. An excluded pattern is one part.
func modelIsMalformed(pattern string, across bool) bool {
	parts := []string{pattern}
	if !across {
		parts = strings.Split(pattern, "/")
	}
	for _, part := range parts {
		for part != "" {
			c := part[0]
			part = part[1:]
			switch c {
			case '\\':
				if part == "" {
					return true
				}
				part = part[1:]
			case '[':
				rest, _, ok := modelClass(part, 'x', across)
				if !ok {
					return true
				}
				part = rest
			}
		}
	}
	return false
}

// modelNamed are the classes with a name, as Go's regexp has them.
var (
	modelNamed = regexp.MustCompile(`^\[:([a-z]+):\]`)
	modelNames = "alnum alpha blank cntrl digit graph lower print punct space upper xdigit"
)

// modelMembers match a member of a class, or a range: without slashes, and with them.
var modelMembers = map[bool]*regexp.Regexp{
	false: regexp.MustCompile(`^(?:\\([^/])|([^]\\/-]))(?:-(?:\\([^/])|([^]\\/-])))?`),
	true:  regexp.MustCompile(`(?s)^(?:\\(.)|([^]\\-]))(?:-(?:\\(.)|([^]\\-])))?`),
}

// modelClass reports whether c is of a class, whose [ is gone. It returns the text after
// the class, and reports whether there was one.
func modelClass(class string, c rune, across bool) (rest string, is, ok bool) {
	not := strings.HasPrefix(class, "!") || strings.HasPrefix(class, "^")
	if not {
		class = class[1:]
	}
	for n := 0; ; n++ {
		if strings.HasPrefix(class, "]") && n > 0 {
			return class[1:], is != not, true
		}
		if name := modelNamed.FindStringSubmatch(class); name != nil {
			if !slices.Contains(strings.Fields(modelNames), name[1]) {
				return "", false, false
			}
			is = is || regexp.MustCompile("[[:"+name[1]+":]]").MatchString(string(c))
			class = class[len(name[0]):]
			continue
		}
		m := modelMembers[across].FindStringSubmatch(class)
		if m == nil || !utf8.ValidString(m[0]) || m[4] == "[" && modelNamed.MatchString(class[len(m[0])-1:]) {
			return "", false, false
		}
		first, _ := utf8.DecodeRuneInString(m[1] + m[2])
		last, size := utf8.DecodeRuneInString(m[3] + m[4])
		if size == 0 {
			last = first
		}
		is = is || first <= c && c <= last
		class = class[len(m[0]):]
	}
}
