// Package counterpart reads the maps of the examples: which line of C and which
// line of Go say the same.
package counterpart

import (
	"regexp"
	"strings"
)

// Pattern matches a C statement as the maps write it. White space between two
// tokens does not matter, and "..." stands for any text without a semicolon.
func Pattern(statement string) *regexp.Regexp {
	var pattern strings.Builder
	for i, text := range tokens.FindAllString(statement, -1) {
		if i > 0 {
			pattern.WriteString(`\s*`)
		}
		switch {
		case text == "...":
			pattern.WriteString(`[^;]*?`)
		case word.MatchString(text):
			pattern.WriteString(`\b` + text + `\b`)
		default:
			pattern.WriteString(regexp.QuoteMeta(text))
		}
	}
	return regexp.MustCompile(pattern.String())
}

var (
	tokens = regexp.MustCompile(`\.\.\.|\w+|[^\s\w]`)
	word   = regexp.MustCompile(`^\w+$`)
)

// statements returns the text in backquotes of a cell of a table.
func statements(cell string) (found []string) {
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		found = append(found, strings.ReplaceAll(m[1], `\|`, "|"))
	}
	return found
}

var quoted = regexp.MustCompile("`([^`]+)`")
