package readmes

import (
	"regexp"
	"strings"
)

var (
	codeBlock = regexp.MustCompile("(?s)```.*?```")
	listItem  = regexp.MustCompile(`^(- |\d+\. )`)
)

// Long returns the lines of a page that have more than 160 bytes, and the lines of a paragraph
// after its fifth. An item of a list is a paragraph of its own. Code and tables are none.
func Long(page string) (lines []string) {
	height := 0 // of the paragraph, up to this line
	for line := range strings.Lines(codeBlock.ReplaceAllString(page, "")) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.TrimSpace(line) == "", strings.HasPrefix(line, "|"):
			height = 0
		case listItem.MatchString(line):
			height = 1
		default:
			height++
		}
		if height > 5 || len(line) > 160 {
			lines = append(lines, line)
		}
	}
	return lines
}
