// Package listing counts the lines of code of an Example's file, and finds its output. A test
// compares two forms of one program with it.
package listing

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
)

// A File is a Go file with at most one Example.
type File struct {
	Text   string
	Output string // the lines below "Output:" or "Unordered output:" in the Example, as comments

	decls []decl
}

type decl struct {
	name  string
	lines int
}

// Read reads a file.
func Read(name string) (*File, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &File{Text: string(src), Output: output(string(src))}
	for _, d := range parsed.Decls {
		text := src[fset.Position(d.Pos()).Offset:fset.Position(d.End()).Offset]
		if name := nameOf(d); name != "" && !strings.HasPrefix(name, "Example") {
			f.decls = append(f.decls, decl{name, Lines(string(text))})
		}
	}
	return f, nil
}

// Lines counts the lines of code of the functions, types, variables and constants that counts
// chooses by their names. The Example and the imports do not count.
func (f *File) Lines(counts func(name string) bool) (n int) {
	for _, d := range f.decls {
		if counts(d.name) {
			n += d.lines
		}
	}
	return n
}

// Lines counts the lines that are neither empty nor a comment.
func Lines(code string) (n int) {
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n
}

// nameOf returns the name of a function, or the first name of a declaration. An import has
// none.
func nameOf(decl ast.Decl) string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		return d.Name.Name
	case *ast.GenDecl:
		switch s := d.Specs[0].(type) {
		case *ast.TypeSpec:
			return s.Name.Name
		case *ast.ValueSpec:
			return s.Names[0].Name
		}
	}
	return ""
}

func output(text string) string {
	_, after, found := strings.Cut(text, "\t// Output:\n")
	if !found {
		_, after, _ = strings.Cut(text, "\t// Unordered output:\n")
	}
	lines, _, _ := strings.Cut(after, "\n}")
	return lines
}
