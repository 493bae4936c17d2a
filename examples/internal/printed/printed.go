// Package printed compares the lines of a program with the lines that a real
// kernel printed. The README of the article lists where the two differ.
package printed

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const header = "\n| Linux prints | Go prints | why |\n|---|---|---|\n"

// A cell has one line or several, each in backquotes. A line may be a part of a
// printed line.
var (
	row  = regexp.MustCompile("^\\| (`.+`) \\| (`.+`) \\| (.+) \\|$")
	line = regexp.MustCompile("`([^`]+)`")
)

// InGo returns the session that the program has to print. linux is the page of
// a kernel's output: a description, an empty line, and the session. The table of
// the README says which lines of the session the program prints in another way.
// A row of the table that changes no line is an error.
func InGo(readme, linux string) (string, error) {
	_, session, found := strings.Cut(linux, "\n\n")
	if !found {
		return "", errors.New("printed: no empty line below the description of the kernel")
	}
	_, table, found := strings.Cut(readme, header)
	if !found {
		return "", fmt.Errorf("printed: no table with the header %q", strings.TrimSpace(header))
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var changes []string
	for text := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		cells := row.FindStringSubmatch(text)
		if cells == nil {
			return "", fmt.Errorf("printed: a row of another form: %s", text)
		}
		from, to := lines(cells[1]), lines(cells[2])
		if !strings.Contains(session, from) {
			return "", fmt.Errorf("printed: the kernel did not print %q", from)
		}
		changes = append(changes, from, to)
	}
	return strings.NewReplacer(changes...).Replace(session), nil
}

func lines(cell string) string {
	var found []string
	for _, m := range line.FindAllStringSubmatch(cell, -1) {
		found = append(found, m[1])
	}
	return strings.Join(found, "\n")
}
