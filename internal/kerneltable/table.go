package kerneltable

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// A row of the table.
type row struct {
	kernel  []string // the texts in backquotes
	symbol  string   // the Go name, as in waitqueue.Queue.Wait, or ""
	verdict string
}

func (r row) differs() bool { return strings.HasPrefix(r.verdict, "differs") }

const (
	heading = "\n## The kernel's calls\n"
	header  = "\n| kernel | Go | |\n|---|---|---|\n"
)

var (
	backquoted = regexp.MustCompile("`([^`]+)`")
	goName     = regexp.MustCompile("^(-|`[a-z]+\\.[A-Za-z0-9.]+`)$")
)

// readTable returns the rows of the README's table.
func readTable(dir fs.FS) (rows []row, err error) {
	text, err := fs.ReadFile(dir, "README.md")
	if err != nil {
		return nil, err
	}
	_, section, _ := strings.Cut(string(text), heading)
	_, table, found := strings.Cut(section, header)
	if !found {
		return nil, errors.New("README.md has no table of the kernel's calls")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) != 3 || !goName.MatchString(cells[1]) {
			return nil, fmt.Errorf("a row of another form: %s", line)
		}
		r := row{symbol: strings.Trim(cells[1], "`-"), verdict: cells[2]}
		for _, m := range backquoted.FindAllStringSubmatch(cells[0], -1) {
			r.kernel = append(r.kernel, m[1])
		}
		rows = append(rows, r)
	}
	return rows, nil
}
