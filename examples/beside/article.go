package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kprim/kprim/examples/internal/counterpart"
)

// printArticle prints each C file that the map of the article leads to.
func printArticle(out io.Writer, examples, name string) error {
	dir := filepath.Join(examples, name)
	pairs, program, err := readMap(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, file := range cFiles(pairs) {
		c, err := counterpart.ReadC(filepath.Join(dir, filepath.FromSlash(file)))
		if err != nil {
			return err
		}
		rows := align(c, source{program, dividing(pairs, program)}, pairsOf(file, pairs))
		if err := printRows(out, name+"/"+file, rows); err != nil {
			return err
		}
	}
	return nil
}

// readMap finds the pairs of the article's map.
func readMap(dir string) (pairs []counterpart.Pair, program *counterpart.Go, err error) {
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		return nil, nil, err
	}
	rows, err := counterpart.Rows(string(readme), counterpart.HeaderOfArticle)
	if err != nil {
		return nil, nil, err
	}
	if program, err = counterpart.ReadGo(dir); err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		pair, err := row.Pair(dir, program)
		if err != nil {
			return nil, nil, err
		}
		pairs = append(pairs, pair)
	}
	return pairs, program, nil
}

// cFiles returns the C files in the order of the map.
func cFiles(pairs []counterpart.Pair) (files []string) {
	for _, p := range pairs {
		if !slices.Contains(files, p.C.File) {
			files = append(files, p.C.File)
		}
	}
	return files
}

// pairsOf returns the pairs of a C file, in the order of its lines.
func pairsOf(file string, pairs []counterpart.Pair) (found []counterpart.Pair) {
	for _, p := range pairs {
		if p.C.File == file {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(a, b counterpart.Pair) int { return cmp.Compare(a.C.Line, b.C.Line) })
	return found
}

// source is the Go program, divided into regions: the lines that one place of
// the map has beside it.
type source struct {
	*counterpart.Go
	starts map[string][]int // the first lines of regions, by file, in order
}

// dividing returns the first lines of the regions: the comment above each place.
func dividing(pairs []counterpart.Pair, program *counterpart.Go) map[string][]int {
	starts := map[string][]int{}
	for _, p := range pairs {
		starts[p.Go.File] = append(starts[p.Go.File], program.Comment(p.Go))
	}
	for file := range starts {
		slices.Sort(starts[file])
	}
	return starts
}

// region returns the lines around a place, up to the next place of the map. The
// first region of a declaration begins where the declaration begins.
func (s source) region(p counterpart.Place) (first, last int) {
	begin, end := s.Declaration(p)
	first, last = s.Comment(p), end
	firstOfAll := true
	for _, start := range s.starts[p.File] {
		firstOfAll = firstOfAll && (start < begin || start >= first)
		if start > p.Line {
			last = min(last, start-1)
		}
	}
	if firstOfAll {
		first = begin
	}
	return first, last
}

// lines returns lines of a Go file.
func (s source) lines(file string, first, last int) (found []line) {
	text := strings.Split(string(s.Text[file]), "\n")
	for n := first; n <= last; n++ {
		found = append(found, line{n, text[n-1]})
	}
	return found
}
