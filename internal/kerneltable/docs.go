package kerneltable

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
)

// Comments returns the doc comments of the exported names of the package in dir, for
// all platforms. Methods are named as in waitqueue.Queue.Wait, and so are fields, and
// methods of an interface. The comment of the package has the name of the package.
func Comments(dir fs.FS) (map[string]string, error) {
	names, err := fs.Glob(dir, "*.go")
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_other.go") {
			continue
		}
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, "")
	if err != nil {
		return nil, err
	}
	c := comments{pkg.Name: pkg.Doc}
	c.functions(pkg.Name+".", pkg.Funcs)
	c.values(pkg.Name+".", append(pkg.Consts, pkg.Vars...))
	for _, typ := range pkg.Types {
		c.typ(pkg.Name+".", typ)
	}
	return c, nil
}

type comments map[string]string

func (c comments) typ(prefix string, typ *doc.Type) {
	c[prefix+typ.Name] = typ.Doc
	c.functions(prefix, typ.Funcs)
	c.functions(prefix+typ.Name+".", typ.Methods)
	c.values(prefix, append(typ.Consts, typ.Vars...))
	switch t := typ.Decl.Specs[0].(*ast.TypeSpec).Type.(type) {
	case *ast.StructType:
		c.fields(prefix+typ.Name+".", t.Fields)
	case *ast.InterfaceType:
		c.fields(prefix+typ.Name+".", t.Methods)
	}
}

func (c comments) functions(prefix string, list []*doc.Func) {
	for _, f := range list {
		c[prefix+f.Name] = f.Doc
	}
}

// values gives each name of a group the comment of the group and its own.
func (c comments) values(prefix string, list []*doc.Value) {
	for _, v := range list {
		for _, spec := range v.Decl.Specs {
			spec := spec.(*ast.ValueSpec)
			for _, ident := range spec.Names {
				if ident.IsExported() {
					c[prefix+ident.Name] = paragraphs(v.Doc, spec.Doc.Text(), spec.Comment.Text())
				}
			}
		}
	}
}

func (c comments) fields(prefix string, list *ast.FieldList) {
	for _, field := range list.List {
		for _, ident := range field.Names {
			if ident.IsExported() {
				c[prefix+ident.Name] = paragraphs(field.Doc.Text(), field.Comment.Text())
			}
		}
	}
}

// paragraphs joins the texts so that none goes on in the last line of another.
func paragraphs(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), "\n")
}
