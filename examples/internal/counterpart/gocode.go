package counterpart

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Go is the source of a program: the Go files of one folder without its tests.
type Go struct {
	Text  map[string][]byte // by the name of the file
	files map[string]*ast.File
	fset  *token.FileSet
}

// ReadGo reads the program in a folder.
func ReadGo(dir string) (*Go, error) {
	g := &Go{map[string][]byte{}, map[string]*ast.File{}, token.NewFileSet()}
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		name := filepath.Base(path)
		if g.Text[name], err = os.ReadFile(path); err != nil {
			return nil, err
		}
		if g.files[name], err = parser.ParseFile(g.fset, path, g.Text[name], parser.ParseComments); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Find returns the places where one comment has all statements of a C function:
// the line of the comment, or the line below it if the comment has a line of
// its own. A Go function stands for a C function that its doc comment names.
// With function "", the comment is outside of all functions.
func (g *Go) Find(function string, statements []string) (found []Place) {
	for name, file := range g.files {
		for _, comment := range file.Comments {
			if hasAll(comment.Text(), statements) && inside(comment, file, function) {
				found = append(found, Place{name, g.line(name, comment)})
			}
		}
	}
	slices.SortFunc(found, func(a, b Place) int { return strings.Compare(a.String(), b.String()) })
	return found
}

func hasAll(text string, statements []string) bool {
	for _, s := range statements {
		if !Pattern(s).MatchString(text) {
			return false
		}
	}
	return true
}

func inside(comment *ast.CommentGroup, file *ast.File, function string) bool {
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Pos() <= comment.Pos() && comment.Pos() < f.End() {
			name := regexp.MustCompile(`\b` + regexp.QuoteMeta(function) + `\b`)
			return function != "" && name.MatchString(f.Doc.Text())
		}
	}
	return function == ""
}

func (g *Go) line(name string, comment *ast.CommentGroup) int {
	start := g.fset.Position(comment.Pos())
	before := g.Text[name][start.Offset-(start.Column-1) : start.Offset]
	if len(bytes.TrimSpace(before)) > 0 {
		return start.Line
	}
	return g.fset.Position(comment.End()).Line + 1
}

// Declaration returns the first and the last line of the function or the other
// declaration that holds a place, with its doc comment.
func (g *Go) Declaration(p Place) (first, last int) {
	for _, decl := range g.files[p.File].Decls {
		first, last = g.lineOf(decl.Pos()), g.lineOf(decl.End())
		if doc := docOf(decl); doc != nil {
			first = g.lineOf(doc.Pos())
		}
		if first <= p.Line && p.Line <= last {
			return first, last
		}
	}
	return p.Line, p.Line
}

func docOf(decl ast.Decl) *ast.CommentGroup {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		return d.Doc
	case *ast.GenDecl:
		return d.Doc
	}
	return nil
}

// Comment returns the first line of the comment above a place, or the place's
// own line if there is none.
func (g *Go) Comment(p Place) int {
	for _, comment := range g.files[p.File].Comments {
		if g.lineOf(comment.End())+1 == p.Line && g.line(p.File, comment) == p.Line {
			return g.lineOf(comment.Pos())
		}
	}
	return p.Line
}

func (g *Go) lineOf(pos token.Pos) int { return g.fset.Position(pos).Line }
