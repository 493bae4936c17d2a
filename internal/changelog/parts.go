package main

import (
	"fmt"
	"regexp"
	"strings"
)

// parts has the text of each part of a changelog, by package.
type parts map[string]string

// since returns the parts of a changelog above the heading of a version.
func since(changelog, version string) (parts, error) {
	heading := "\n## " + version
	for rest := changelog; ; {
		above, below, found := strings.Cut(rest, heading)
		if !found {
			return nil, fmt.Errorf("no heading ## %s, which is the last tag", version)
		}
		if below == "" || strings.ContainsAny(below[:1], "\n ,") {
			return split(changelog[:len(changelog)-len(rest)+len(above)]), nil
		}
		rest = below
	}
}

// split returns the parts of a text. Two parts of one package are one here.
func split(text string) parts {
	all := parts{}
	pkg := ""
	for line := range strings.Lines(text) {
		name, isHeading := strings.CutPrefix(line, "### ")
		if isHeading {
			pkg = strings.TrimSpace(name)
		}
		all[pkg] += line
	}
	return all
}

// tell reports whether the part of c's package has c's name as a word.
func (p parts) tell(c change) bool {
	part, ok := p[c.pkg]
	return ok && regexp.MustCompile(`\b`+regexp.QuoteMeta(c.name)+`\b`).MatchString(part)
}
