package sysctl_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// go doc prints the exported declarations. A type of this package in them that is
// not exported is a name that no reader can look up. An embedded type would add
// methods with such names.
func TestDocumentationNamesNoTypeThatCannotBeLookedUp(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []*ast.File
	hidden := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && !spec.Name.IsExported() {
				hidden[spec.Name.Name] = true
			} else if ok {
				requireNamed(t, fset, spec)
			}
			return true
		})
	}
	require.Contains(t, hidden, "cell")
	for _, file := range files {
		ast.FileExports(file)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BlockStmt:
				return false
			case *ast.FuncDecl:
				return n.Recv == nil || !hidden[receiver(n)] // a method of such a type is not printed
			case *ast.ValueSpec:
				n.Values = nil
			case *ast.Ident:
				require.False(t, hidden[n.Name], "%s: %s", fset.Position(n.Pos()), n.Name)
			}
			return true
		})
	}
}

// requireNamed requires that a type embeds nothing.
func requireNamed(t *testing.T, fset *token.FileSet, spec *ast.TypeSpec) {
	list := new(ast.FieldList)
	switch typ := spec.Type.(type) {
	case *ast.StructType:
		list = typ.Fields
	case *ast.InterfaceType:
		list = typ.Methods
	}
	for _, f := range list.List {
		require.NotEmpty(t, f.Names, "%s embeds", fset.Position(f.Pos()))
	}
}

// receiver returns the name of the type whose method f is.
func receiver(f *ast.FuncDecl) string {
	typ := f.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	if g, ok := typ.(*ast.IndexExpr); ok {
		typ = g.X
	}
	return typ.(*ast.Ident).Name
}
