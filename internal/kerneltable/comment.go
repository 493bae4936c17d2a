package kerneltable

import (
	"regexp"
	"slices"
	"strings"
)

// A comment has the lines of a doc comment that are about the kernel.
type comment struct {
	kernel  []string // the items of the Kernel: line
	differs []difference
}

// A difference is a Differs: line.
type difference struct {
	text  string
	about []string // items of the Kernel: line
	fault string   // why about cannot be told
}

var name = regexp.MustCompile(`^(struct |enum )?\w+$`)

// isRemark reports whether the item is not a name, or is more than a name.
func isRemark(item string) bool { return !name.MatchString(item) }

func parseComment(text string) (c comment) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		paragraph = strings.ReplaceAll(strings.TrimSpace(paragraph), "\n", " ")
		if list, ok := strings.CutPrefix(paragraph, "Kernel: "); ok {
			c.kernel = strings.Split(list, ", ")
		}
		if line, ok := strings.CutPrefix(paragraph, "Differs: "); ok {
			c.differs = append(c.differs, parseDifference(line, c.kernel))
		}
	}
	return c
}

// parseDifference reads a Differs: line that follows a Kernel: line with these items.
func parseDifference(line string, kernel []string) difference {
	d := difference{text: line}
	switch items, colon := beginning(line, kernel); {
	case kernel == nil:
		d.fault = "follows no Kernel: line"
	case items != nil && !colon:
		d.fault = "has no colon after the names that it begins with"
	case items == nil && strange.MatchString(line):
		d.fault = "begins with a name that is not in the Kernel: line"
	case items == nil:
		d.about = kernel
	default:
		d.about = items
	}
	return d
}

// strange matches a line that begins with a list and a colon, or with a word that is
// none in English.
var strange = regexp.MustCompile(`^(((struct |enum )?\w+(, )?)+: |(struct|enum) |\w*_\w|[A-Z]{3})`)

// beginning returns the items of the list with which the line begins, and whether a
// colon follows them.
func beginning(line string, kernel []string) (items []string, colon bool) {
	for {
		i := slices.IndexFunc(kernel, func(item string) bool { return startsWith(line, item) })
		if i < 0 {
			return items, false
		}
		items = append(items, kernel[i])
		line = line[len(kernel[i]):]
		if strings.HasPrefix(line, ": ") {
			return items, true
		}
		line = strings.TrimPrefix(line, ", ")
	}
}

// startsWith reports whether the line begins with the item as a whole word.
func startsWith(line, item string) bool {
	rest, ok := strings.CutPrefix(line, item)
	return ok && (rest == "" || strings.ContainsAny(rest[:1], " ,:;"))
}

// differsFor reports whether a Differs: line is about one of the items.
func (c comment) differsFor(items []string) bool {
	return slices.ContainsFunc(c.differs, func(d difference) bool {
		return slices.ContainsFunc(d.about, func(item string) bool { return slices.Contains(items, item) })
	})
}

// has reports whether the comment has the line. Names that are declared in one group
// share the comment of the group, and one row.
func (c comment) has(d difference) bool {
	return slices.ContainsFunc(c.differs, func(o difference) bool { return o.text == d.text })
}
