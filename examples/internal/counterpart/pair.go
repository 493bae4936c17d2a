package counterpart

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
)

// A Pair is a line of C and the line of Go that says the same.
type Pair struct{ C, Go Place }

// Pair finds the pair of a row of an article's map. It searches the C file that
// the row names, below dir. If several pairs fit, the row's own line of C
// decides.
func (r Row) Pair(dir string, program *Go) (Pair, error) {
	place, err := ParseLink(r.C)
	if err != nil {
		return Pair{}, err
	}
	c, err := ReadC(filepath.Join(dir, filepath.FromSlash(place.File)))
	if err != nil {
		return Pair{}, err
	}
	lines := c.Find(r.Statements)
	if len(lines) == 0 {
		return Pair{}, fmt.Errorf("no line of %s begins %q", place.File, r.Statements)
	}
	pairs, err := pairs(c, place.File, lines, program, r.Statements)
	if err != nil {
		return Pair{}, err
	}
	if len(pairs) == 1 {
		return pairs[0], nil
	}
	i := slices.IndexFunc(pairs, func(p Pair) bool { return p.C == place })
	if i < 0 {
		return Pair{}, fmt.Errorf("%q is at %v: name one of these lines, or more of the statement", r.Statements, pairs)
	}
	return pairs[i], nil
}

// pairs returns the pairs of these lines of C. It fails if there is none, or if
// a line has more than one counterpart.
func pairs(c *C, file string, lines []int, program *Go, statements []string) (found []Pair, err error) {
	for _, line := range lines {
		places, name := c.counterparts(line, program, statements)
		if len(places) > 1 {
			return nil, fmt.Errorf("%s:%d: %q has more than one line of Go: %v", path.Base(file), line, statements, places)
		}
		for _, p := range places {
			found = append(found, Pair{Place{file, line}, p})
		}
		if len(places) == 0 {
			err = fmt.Errorf("%s:%d: no comment in a Go function that stands for %q has %q",
				path.Base(file), line, name, statements)
		}
	}
	if len(found) > 0 {
		err = nil
	}
	return found, err
}

// counterparts returns the places in Go for a line of C. The braces of a
// variable may stand for a Go function, or for a declaration.
func (c *C) counterparts(line int, program *Go, statements []string) (places []Place, name string) {
	name, function := c.Block(line)
	places = program.Find(name, statements)
	if !function && name != "" {
		places = append(places, program.Find("", statements)...)
	}
	return places, name
}
