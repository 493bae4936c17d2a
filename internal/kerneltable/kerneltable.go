// Package kerneltable holds the words of a package about the kernel to each other:
// the Kernel: and Differs: lines of its doc comments, and the table of its README.
//
// A Kernel: line is a list of C names with commas between them. An item that is more
// than a name, such as task_struct.comm or ps(1), may be without a row of the table.
//
// A Differs: line begins with the items that it is about, and a colon. If it begins
// with none, it is about all items:
//
//	// Kernel: send_sig, kill_proc
//	//
//	// Differs: kill_proc: a handle names the thread, not a pid.
//
// The Kernel: line of a package names files, and no row. The comment of a package says
// once which kernel it means: "as of Linux 7.3".
//
// A row of the table has items, a Go name, and "same", "same since 6.17" or "differs:
// how". Where Go has nothing, the Go name is "-", and the row says "none: why".
package kerneltable

import (
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// version is in the comment of each package, once.
const version = "as of Linux 7.3"

// Faults returns a text for each place where the package in dir is not true to itself.
func Faults(dir fs.FS) []string {
	comments, err := Comments(dir)
	if err != nil {
		return []string{err.Error()}
	}
	rows, err := readTable(dir)
	if err != nil {
		return []string{err.Error()}
	}
	c := check{rows: rows, docs: map[string]comment{}}
	for symbol, text := range comments {
		if strings.Contains(symbol, ".") {
			c.docs[symbol] = parseComment(text)
		} else if strings.Count(strings.Join(strings.Fields(text), " "), version) != 1 {
			c.fault("package %s: its comment does not say once: %s", symbol, version)
		}
	}
	for _, r := range rows {
		c.row(r)
	}
	for _, symbol := range slices.Sorted(maps.Keys(c.docs)) {
		c.comment(symbol, c.docs[symbol])
	}
	return c.faults
}

// A check collects the faults of one package.
type check struct {
	rows   []row
	docs   map[string]comment // by the Go names of the rows
	faults []string
}

func (c *check) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

var verdict = regexp.MustCompile(`^(same|same since \d+\.\d+|differs: .+)$`)

// row checks one row of the table.
func (c *check) row(r row) {
	if len(r.kernel) == 0 {
		c.fault("the row of %s has no kernel name in backquotes", r.symbol)
	}
	if r.symbol == "" {
		c.rowWithoutGo(r)
		return
	}
	doc, ok := c.docs[r.symbol]
	if !ok {
		c.fault("%s has a row and does not exist", r.symbol)
		return
	}
	for _, item := range r.kernel {
		if !slices.Contains(doc.kernel, item) {
			c.fault("%s: its row has %s, its Kernel: line has not", r.symbol, item)
		}
	}
	switch explained := doc.differsFor(r.kernel); {
	case !verdict.MatchString(r.verdict):
		c.fault("%s: its row says neither same nor how it differs: %q", r.symbol, r.verdict)
	case explained && !r.differs():
		c.fault("%s: a Differs: line is about %q, their row says same", r.symbol, r.kernel)
	case !explained && r.differs():
		c.fault("%s: the row of %q differs, no Differs: line is about them", r.symbol, r.kernel)
	}
}

// rowWithoutGo checks that the row has a reason, and that no other row has its names.
func (c *check) rowWithoutGo(r row) {
	if !reason.MatchString(r.verdict) {
		c.fault("the row of %q has no Go name and no reason: %q", r.kernel, r.verdict)
	}
	for _, item := range r.kernel {
		if c.hasRow(func(o row) bool { return o.symbol != "" && slices.Contains(o.kernel, item) }) {
			c.fault("%s has a row that says none, and a row with a Go name", item)
		}
	}
}

var reason = regexp.MustCompile(`^none: .`)

func (c *check) hasRow(match func(row) bool) bool { return slices.ContainsFunc(c.rows, match) }

// comment checks the lines of one doc comment.
func (c *check) comment(symbol string, doc comment) {
	for _, name := range slices.DeleteFunc(slices.Clone(doc.kernel), isRemark) {
		if !c.hasRow(func(r row) bool { return r.symbol != "" && slices.Contains(r.kernel, name) }) {
			c.fault("%s: its Kernel: line has %s, which no row with a Go name has", symbol, name)
		}
	}
	for _, d := range doc.differs {
		if d.fault != "" {
			c.fault("%s: the line %.50q %s", symbol, "Differs: "+d.text, d.fault)
			continue
		}
		c.difference(symbol, d)
	}
}

// difference checks that each name that the line is about has a row. If it is about
// remarks only, one of them has.
func (c *check) difference(symbol string, d difference) {
	found := map[string]bool{}
	for _, r := range c.rows {
		for _, item := range r.kernel {
			found[item] = found[item] || slices.Contains(d.about, item) && c.docs[r.symbol].has(d)
		}
	}
	missing := slices.DeleteFunc(slices.Clone(d.about), func(item string) bool { return found[item] })
	names := slices.DeleteFunc(slices.Clone(missing), isRemark)
	if len(names) > 0 || len(missing) == len(d.about) {
		c.fault("%s: a Differs: line is about %q, which have no row with this Go name", symbol, missing)
	}
}
