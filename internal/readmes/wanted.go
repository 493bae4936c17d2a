// Package readmes holds the README of a package to its code and to the form of all READMEs.
package readmes

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// wantedRow is a row with a line of code in its last cell.
var wantedRow = regexp.MustCompile("(?m)^\\| .* \\| `(.*)` \\|$")

// Wanted counts the rows of the table "You want, you write" in dir's README.md. There is a
// fault for each row of another form, and for each row whose code is no line of the file
// tests. A line of a test compiles, and runs.
func Wanted(dir fs.FS, tests string) (rows int, faults []string) {
	page, err := fs.ReadFile(dir, "README.md")
	if err != nil {
		return 0, []string{err.Error()}
	}
	code, err := fs.ReadFile(dir, tests)
	if err != nil {
		return 0, []string{err.Error()}
	}
	_, section, found := strings.Cut(string(page), "\n## You want, you write\n")
	if !found {
		return 0, []string{"README.md: no section You want, you write"}
	}
	section, _, _ = strings.Cut(section, "\n## ")
	written := linesOf(string(code))
	table := wantedRow.FindAllStringSubmatch(section, -1)
	for _, row := range table {
		if !written[row[1]] {
			faults = append(faults, fmt.Sprintf("%s: no line %s", tests, row[1]))
		}
	}
	if n := strings.Count(section, "\n| ") - 1; n != len(table) { // the first one is the head
		faults = append(faults, fmt.Sprintf("README.md: %d rows of the table have a line of code, out of %d", len(table), n))
	}
	return len(table), faults
}

// linesOf returns the lines of a text, without the white space before them.
func linesOf(text string) map[string]bool {
	lines := map[string]bool{}
	for line := range strings.Lines(text) {
		lines[strings.TrimLeft(strings.TrimSuffix(line, "\n"), " \t")] = true
	}
	return lines
}
