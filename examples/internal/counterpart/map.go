package counterpart

import (
	"fmt"
	"regexp"
	"strings"
)

// The headers of the two kinds of maps. An article's map leads to lines of its
// kernel module. A failure's map names functions of the kernel.
const (
	HeaderOfArticle = "| C | statement | Go |\n|---|---|---|\n"
	HeaderOfFailure = "| C function | statement | Go |\n|---|---|---|\n"
)

// A Place is a line of a file. Link writes it as a README does.
type Place struct {
	File string // slash-separated path below the folder of the README
	Line int
}

func (p Place) String() string {
	return fmt.Sprintf("%s:%d", p.File[strings.LastIndex(p.File, "/")+1:], p.Line)
}

// Link returns the place as a link of a README.
func (p Place) Link() string {
	return fmt.Sprintf("[%s](%s#L%d)", p, p.File, p.Line)
}

// A Row is one row of a map.
type Row struct {
	Text       string   // the whole row
	C          string   // the first cell: a link, or a function in backquotes, or -
	Statements []string // of C
	Go         string   // the last cell: a link, or nothing yet

	middle string // the cell of the statements
}

var rowForm = regexp.MustCompile("(?m)^\\| ([^|]+) \\| (`.*`) \\| *([^|]*?) *\\|$")

// Rows returns the rows of the map with that header in a README. It fails if
// there is no such map, or if a row has another form.
func Rows(readme, header string) ([]Row, error) {
	_, table, found := strings.Cut(readme, "\n"+header)
	if !found {
		return nil, fmt.Errorf("no map with the header %q", strings.SplitN(header, "\n", 2)[0])
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var rows []Row
	for line := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		m := rowForm.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("a row of another form: %s", line)
		}
		rows = append(rows, Row{line, m[1], statements(m[2]), m[3], m[2]})
	}
	return rows, nil
}

// With returns the text of the row with other places.
func (r Row) With(c, goCell string) string {
	return "| " + c + " | " + r.middle + " | " + goCell + " |"
}

var linkForm = regexp.MustCompile(`^\[([^\]:]+):(\d+)\]\(((?:[^)#/]+/)*([^)#/]+))#L(\d+)\)$`)

// ParseLink reads a cell that [Place.Link] wrote.
func ParseLink(cell string) (Place, error) {
	m := linkForm.FindStringSubmatch(cell)
	if m == nil || m[1] != m[4] || m[2] != m[5] {
		return Place{}, fmt.Errorf("%q is not a link like [main.go:7](main.go#L7)", cell)
	}
	var line int
	_, err := fmt.Sscan(m[2], &line)
	return Place{m[3], line}, err
}
