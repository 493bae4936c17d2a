package main

import (
	"strings"

	"github.com/kprim/kprim/examples/internal/counterpart"
)

// A line is a line of source. Number 0 is for a line of ours.
type line struct {
	number int
	text   string
}

// A row is two lines beside each other. Same says that the map joins them.
type row struct {
	c, golang line
	same      bool
}

// align puts each line of the map beside its counterpart. Between two of them,
// empty lines fill the shorter side. If the map leads to a line of Go twice, the
// second time this line stands alone.
func align(c *counterpart.C, program source, pairs []counterpart.Pair) (rows []row) {
	next := start(c) // line of C
	var tail []line  // of Go, below the last counterpart
	var at counterpart.Place
	shown := map[counterpart.Place]bool{}
	for _, p := range pairs {
		first, last := program.region(p.Go)
		if shown[p.Go] {
			first, last = p.Go.Line, p.Go.Line
		}
		shown[p.Go] = true
		head := program.lines(p.Go.File, first, p.Go.Line-1)
		head = append(jump(at, counterpart.Place{File: p.Go.File, Line: first}), head...)
		rows = append(rows, between(cLines(c, next, p.C.Line-1), tail, head)...)
		joined := row{golang: program.lines(p.Go.File, p.Go.Line, p.Go.Line)[0], same: true}
		if p.C.Line >= next { // and not a second row of the map for this line
			joined.c = line{p.C.Line, c.Lines[p.C.Line-1]}
		}
		rows = append(rows, joined)
		next = p.C.Line + 1
		tail = program.lines(p.Go.File, p.Go.Line+1, last)
		at = counterpart.Place{File: p.Go.File, Line: last + 1}
	}
	return append(rows, between(cLines(c, next, len(c.Lines)), tail, nil)...)
}

// start returns the first line of C below the #include lines.
func start(c *counterpart.C) int {
	first := 1
	for i, text := range c.Lines {
		if strings.HasPrefix(text, "#include") {
			first = i + 2
		}
	}
	for first < len(c.Lines) && c.Lines[first-1] == "" {
		first++
	}
	return first
}

func cLines(c *counterpart.C, first, last int) (found []line) {
	for n := first; n <= last; n++ {
		found = append(found, line{n, c.Lines[n-1]})
	}
	return found
}

// jump returns the lines that say where the Go goes on, if that is not where it
// stopped.
func jump(from, to counterpart.Place) []line {
	switch {
	case from == to:
		return nil
	case from.File == to.File:
		return []line{{}}
	case from.File == "":
		return []line{{text: "-- " + to.File + " --"}}
	}
	return []line{{}, {text: "-- " + to.File + " --"}}
}

// between puts the lines of C beside the tail of one counterpart and the head of
// the next. The tail stays up, and the head stays down. C has its gap between
// two functions.
func between(c, tail, head []line) (rows []row) {
	height := max(len(c), len(tail)+len(head))
	up, down := splitAtLastEmpty(c)
	left := fill(up, down, height)
	right := fill(tail, head, height)
	for i := range height {
		rows = append(rows, row{c: left[i], golang: right[i]})
	}
	return rows
}

func splitAtLastEmpty(lines []line) (up, down []line) {
	for i := len(lines) - 1; i >= 0; i-- {
		if lines[i].text == "" {
			return lines[:i], lines[i:]
		}
	}
	return lines, nil
}

// fill returns both parts with empty lines between them.
func fill(up, down []line, height int) []line {
	filled := append([]line{}, up...)
	for len(filled)+len(down) < height {
		filled = append(filled, line{})
	}
	return append(filled, down...)
}
