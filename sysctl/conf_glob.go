package sysctl

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"
)

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
